package app

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock"
)

// TestDamagedAccountsKeepNobodyFromReporting starts a collector whose accounts
// or keys are damaged: it takes its work up, says what does not work and what to
// do, and lets nobody in.
func TestDamagedAccountsKeepNobodyFromReporting(t *testing.T) {
	for _, name := range []string{"accounts.json", "keys.json"} {
		t.Run(name, func(t *testing.T) {
			data := t.TempDir()
			do[InitAnswer](t, data, "init", InitArguments{School: "Hollybank Primary School"})
			dpo := keyFor(t, data, "Priya Anand", "dpo")
			path := filepath.Join(data, "access", name)
			if err := os.WriteFile(path, []byte(`{"keys":[{`), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ready, done := make(chan string, 1), make(chan error, 1)
			go func() {
				done <- Run(ctx, Config{
					Data: data, Agents: "127.0.0.1:0", Web: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler),
					Ready: func(_, web string) { ready <- web },
				}, clock.System{})
			}()
			var web string
			select {
			case web = <-ready:
			case err := <-done:
				t.Fatal(err)
			}
			makeToken(t, data, "")
			do[view.DevicePage](t, data, "device.list", ListArguments{})
			status := do[[]SchoolStatus](t, data, "status", nil)
			if len(status) != 1 || !status[0].Recording || status[0].Well() || !strings.Contains(strings.Join(status[0].Trouble, " "), path) {
				t.Errorf("got the status %+v", status)
			}
			err := Do(t.Context(), data, "key.list", nil, &[]KeyAnswer{}, clock.System{})
			if err == nil || !strings.Contains(err.Error(), "backup") {
				t.Errorf("the keys are listed (%v)", err)
			}
			code, _ := ask(t, http.MethodGet, web+"api/v1/schools", dpo, "")
			if code != http.StatusServiceUnavailable {
				t.Errorf("a key was answered with %d", code)
			}
			code, page := ask(t, http.MethodPost, web+"sign-in", "", "name=Priya+Anand&password=walnut+harbour+lantern")
			if name == "accounts.json" && (code != http.StatusServiceUnavailable || !strings.Contains(page, "Nobody can sign in")) {
				t.Errorf("signing in was answered with %d: %s", code, page)
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestDamagedKeysOfSeniorsAreToldOfAndTellNothing: status says that the seniors'
// keys cannot be read and where they lie, in the same words whether there is a
// restricted incident or not.
func TestDamagedKeysOfSeniorsAreToldOfAndTellNothing(t *testing.T) {
	data := t.TempDir()
	do[InitAnswer](t, data, "init", InitArguments{School: "Hollybank Primary School"})
	path := filepath.Join(data, "access", "seniors.json")
	if err := os.WriteFile(path, []byte(`{"keys":[{`), 0o600); err != nil {
		t.Fatal(err)
	}
	status := do[[]SchoolStatus](t, data, "status", nil)
	if len(status) != 1 || !status[0].Recording || status[0].Well() {
		t.Fatalf("got the status %+v", status)
	}
	words := strings.Join(status[0].Trouble, " ")
	if !strings.Contains(words, path) || !strings.Contains(words, "backup") {
		t.Errorf("it does not say what to do: %s", words)
	}
}

// ask sends a request and returns what is answered.
func ask(t *testing.T, method, address, key, form string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}
