package enroll

import (
	"encoding/json"
	"os"
	"path/filepath"
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
