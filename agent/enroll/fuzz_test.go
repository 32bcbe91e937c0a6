package enroll

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/identity"
)

var monday = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// FuzzLoad finds anything in the place of the laptop's identity: what loads is
// whole, and of one school.
func FuzzLoad(f *testing.F) {
	state := f.TempDir()
	authority, err := identity.NewAuthority(state, "hollybank", monday)
	if err != nil {
		f.Fatal(err)
	}
	school, err := identity.NewSchoolKey(filepath.Join(state, "school.pem"), "hollybank")
	if err != nil {
		f.Fatal(err)
	}
	verifier, err := school.Verifier()
	if err != nil {
		f.Fatal(err)
	}
	key, err := identity.MakeDeviceKey(filepath.Join(state, keyFile))
	if err != nil {
		f.Fatal(err)
	}
	certificate, err := authority.Issue("d1", key.Public(), monday)
	if err != nil {
		f.Fatal(err)
	}
	good, err := json.Marshal(Identity{
		School: "hollybank", Device: "d1", Addresses: []string{"127.0.0.1:1"}, Certificate: certificate,
		Authority: authority.Certificate.Raw, SchoolKey: verifier.String(), MediaKey: make([]byte, mediaKeySize),
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, []byte(`"2026-11-23T08:00:00Z"`))
	f.Add([]byte(`{"school":"hollybank","device":"d1","certificate":"AAAA"}`), []byte(`"9999-99-99"`))
	f.Add([]byte(`[]`), []byte(nil))
	f.Fuzz(func(t *testing.T, identity, told []byte) {
		for name, data := range map[string][]byte{identityFile: identity, toldFile: told} {
			if err := os.WriteFile(filepath.Join(state, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		d, err := Load(state, monday)
		if err != nil {
			return
		}
		if d.School != "hollybank" || d.Device != "d1" || len(d.Addresses) == 0 || d.Verifier.School != d.School || len(d.MediaKey) != mediaKeySize || d.Trusted.Now().Before(monday) {
			t.Errorf("it loaded %+v", d.Identity)
		}
		if _, err := d.TLS(); err != nil {
			t.Errorf("it loaded, and cannot connect: %v", err)
		}
	})
}

// FuzzLoadAsking finds anything in the place of what a machine asks to be: what
// is read is read the same after it was kept again.
func FuzzLoadAsking(f *testing.F) {
	state := f.TempDir()
	f.Add([]byte(`{"moved":true}`))
	f.Add([]byte(`{"kept":{"recorded":7,"hash":"` + strings.Repeat("ab", 32) + `","ready":true}}`))
	f.Add([]byte(`{"own":"AAAA"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(filepath.Join(state, partFile), data, 0o600); err != nil {
			t.Fatal(err)
		}
		a, err := LoadAsking(state)
		if err != nil {
			return
		}
		if a == nil {
			t.Fatal("the file is there, and the machine does not ask")
		}
		if err := StoreAsking(state, *a); err != nil {
			t.Fatal(err)
		}
		again, err := LoadAsking(state)
		if err != nil || again.Moved != a.Moved || !bytes.Equal(again.Own, a.Own) || (again.Kept == nil) != (a.Kept == nil) || a.Kept != nil && *again.Kept != *a.Kept {
			t.Errorf("it read %+v, and then %+v, %v", a, again, err)
		}
	})
}

// FuzzLoadWaiting finds anything in the place of what a laptop waits for: what is
// read says whom to ask and with what.
func FuzzLoadWaiting(f *testing.F) {
	state := f.TempDir()
	good, err := json.Marshal(Waiting{
		School: "hollybank", Addresses: []string{"127.0.0.1:1"}, Claim: make([]byte, identity.SecretSize), Asked: monday, Code: "ABCD-EFGH",
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"school":"hollybank","addresses":[""]}`))
	f.Add(make([]byte, mostWaiting+1))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(filepath.Join(state, waitingFile), data, 0o600); err != nil {
			t.Fatal(err)
		}
		w, ok, err := LoadWaiting(state)
		if ok != (err == nil) {
			t.Fatalf("it waits: %t, %v", ok, err)
		}
		if err == nil && (len(data) > mostWaiting || w.School == "" || len(w.Addresses) == 0 || len(w.Claim) != identity.SecretSize) {
			t.Errorf("it read %+v", w)
		}
	})
}
