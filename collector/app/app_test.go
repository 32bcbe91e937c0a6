package app

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// do carries out an operation and fails the test if it cannot.
func do[A any](t *testing.T, data, operation string, arguments any) A {
	t.Helper()
	var answer A
	if err := Do(t.Context(), data, operation, arguments, &answer, clock.System{}); err != nil {
		t.Fatalf("%s: %v", operation, err)
	}
	return answer
}

func makeToken(t *testing.T, data string, school posture.SchoolID) TokenAnswer {
	t.Helper()
	return do[TokenAnswer](t, data, "token.create", TokenArguments{
		School: string(school), Uses: 1, Lifetime: time.Hour, Ownership: posture.SchoolSingleUser, Addresses: []string{"127.0.0.1:1"},
	})
}

// TestVerifyNamesWhatIsDamaged changes a bit of each file of a school's ledger
// where no collector runs. Verifying never fails to answer: it names the file,
// and the entry where it is one's, or the file could be made again. The other
// school on the same folder verifies all the same.
func TestVerifyNamesWhatIsDamaged(t *testing.T) {
	data := t.TempDir()
	hurt := do[InitAnswer](t, data, "init", InitArguments{School: "Hollybank Primary School"})
	whole := do[InitAnswer](t, data, "init", InitArguments{School: "Ashfield Primary School"})
	for range 3 {
		makeToken(t, data, hurt.School)
		makeToken(t, data, whole.School)
		if r := do[LedgerReport](t, data, "ledger.verify", LedgerArguments{School: string(hurt.School)}); !r.Good {
			t.Fatalf("before any damage: %s", r.Trouble)
		}
	}
	folder := filepath.Join(data, "schools", string(hurt.School), "ledger")
	harmless := map[string]bool{"hashes": true, "entries": true, "subjects": true, "mark": true}
	err := filepath.WalkDir(folder, func(path string, f os.DirEntry, err error) error {
		if err != nil || f.IsDir() || f.Name() == "lock" {
			return err
		}
		good, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		bad := append([]byte{}, good...)
		bad[len(bad)/2] ^= 0x10
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		r := do[LedgerReport](t, data, "ledger.verify", LedgerArguments{School: string(hurt.School)})
		switch {
		case r.Good && !harmless[name]:
			t.Errorf("%s: the damage went unseen", name)
		case !r.Good && !strings.Contains(r.Trouble, filepath.ToSlash(name)) && !strings.Contains(r.Trouble, "checkpoint"):
			t.Errorf("%s: got %q, want the file named", name, r.Trouble)
		case !r.Good && strings.HasSuffix(name, ".seg") && !strings.Contains(r.Trouble, "entry "):
			t.Errorf("%s: got %q, want the entry named", name, r.Trouble)
		}
		if r := do[LedgerReport](t, data, "ledger.verify", LedgerArguments{School: string(whole.School)}); !r.Good {
			t.Errorf("%s of another school: %s", name, r.Trouble)
		}
		return os.WriteFile(path, good, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestOnlyInitMakesADataFolder: a slip in the path is not answered with another
// empty collector.
func TestOnlyInitMakesADataFolder(t *testing.T) {
	data := filepath.Join(t.TempDir(), "colector")
	err := Run(t.Context(), Config{Data: data, Agents: "127.0.0.1:0", Web: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)}, clock.System{})
	if err == nil || !strings.Contains(err.Error(), "init --school") {
		t.Errorf("serve: got %v, want words about init", err)
	}
	err = Do(t.Context(), data, "device.list", ListArguments{}, &view.DevicePage{}, clock.System{})
	if err == nil || !strings.Contains(err.Error(), "init --school") {
		t.Errorf("list: got %v, want words about init", err)
	}
	if _, err := os.Stat(data); err == nil {
		t.Error("the folder was made")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Do(t.Context(), file, "device.list", ListArguments{}, &view.DevicePage{}, clock.System{}); err == nil || !strings.Contains(err.Error(), "not a folder") {
		t.Errorf("a file: got %v", err)
	}
}

// running serves a data folder until the test ends, or stop is called.
func running(t *testing.T, data string) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- Run(ctx, Config{
			Data: data, Agents: "127.0.0.1:0", Web: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler),
			Ready: func(string, string) { close(ready) },
		}, clock.System{})
	}()
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	return func() error { cancel(); return <-done }
}

// TestSchoolsMadeAtOnce: two schools never share a name, also when they are made
// at the same moment through a collector that runs.
func TestSchoolsMadeAtOnce(t *testing.T) {
	data := t.TempDir()
	do[InitAnswer](t, data, "init", InitArguments{School: "Hollybank Primary School"})
	stop := running(t, data)
	made := make(chan error, 8)
	for range cap(made) {
		go func() {
			made <- Do(t.Context(), data, "init", InitArguments{School: "Ashfield Primary School"}, &InitAnswer{}, clock.System{})
		}()
	}
	good := 0
	for range cap(made) {
		if err := <-made; err == nil {
			good++
		}
	}
	if good != 1 {
		t.Errorf("%d schools of one name were made", good)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// once is where a program logs that tells when it says something.
type once struct {
	words string
	said  chan struct{}
}

func (o *once) Write(line []byte) (int, error) {
	if strings.Contains(string(line), o.words) {
		close(o.said)
	}
	return len(line), nil
}

// TestACollectorStartsOnceACommandIsDone: a command that works on the data folder
// by itself, at the moment in which the service starts, does not keep it from that.
func TestACollectorStartsOnceACommandIsDone(t *testing.T) {
	data := t.TempDir()
	do[InitAnswer](t, data, "init", InitArguments{School: "Hollybank Primary School"})
	release, err := durable.Lock(filepath.Join(data, lockFile))
	if err != nil {
		t.Fatal(err)
	}
	waits, ready, ended := &once{"another process works on the data folder", make(chan struct{})}, make(chan struct{}), make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		ended <- Run(ctx, Config{
			Data: data, Agents: "127.0.0.1:0", Web: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(waits, nil)),
			Ready: func(string, string) { close(ready) },
		}, clock.System{})
	}()
	select {
	case <-waits.said:
	case err := <-ended:
		t.Fatalf("it did not wait: %v", err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("it did not start: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
