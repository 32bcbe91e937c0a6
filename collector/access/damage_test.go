package access

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
)

// TestWhatCannotBeReadAdmitsNobody opens a store whose accounts or keys are
// damaged: it opens, lets nobody in, says what to do, and writes nothing over what
// may still be mended. Put back, all is as it was.
func TestWhatCannotBeReadAdmitsNobody(t *testing.T) {
	for _, test := range []struct {
		file         string
		spoil        func(good []byte) []byte
		closed, keys bool // nobody can sign in; no key works
	}{
		{accountsIn.name, func(good []byte) []byte { return good[:len(good)/2] }, true, true},
		{accountsIn.name, func([]byte) []byte { return nil }, true, true},
		{accountsIn.name, func(good []byte) []byte { return []byte(strings.ReplaceAll(string(good), "$argon2id$", "$none$")) }, true, true},
		{accountsIn.name, func(good []byte) []byte { return []byte(strings.ReplaceAll(string(good), `"head"`, `"owner"`)) }, true, true},
		{keysIn.name, func(good []byte) []byte { return good[:len(good)/2] }, false, true},
		{keysIn.name, func(good []byte) []byte { return []byte(strings.ReplaceAll(string(good), `"hash": "`, `"hash": "x`)) }, false, true},
	} {
		dir, c := t.TempDir(), clocktest.NewDriven(start)
		a := open(t, dir, c)
		if _, _, err := a.CreateAccount(t.Context(), NewAccount{Name: "Head", Password: goodPassword, Grants: []Grant{{"hollybank", Head}}}); err != nil {
			t.Fatal(err)
		}
		_, text := key(t, a, NewKey{Account: "Head", Label: "one", Lasts: time.Hour})
		path := filepath.Join(dir, test.file)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bad := test.spoil(good)
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}

		a = open(t, dir, c)
		var unread *UnreadableError
		if trouble := a.Trouble(); len(trouble) != 1 || !errors.As(trouble[0], &unread) || !strings.Contains(unread.Error(), path) || !strings.Contains(unread.Error(), "backup") {
			t.Errorf("%s: the trouble is %v", test.file, trouble)
		}
		if account, err := a.OpenKey(text); !errors.As(err, &unread) {
			t.Errorf("%s: a key let %+v in (%v)", test.file, account, err)
		}
		if _, _, err := a.CreateKey(NewKey{Account: "Head", Label: "two", Lasts: time.Hour}); !errors.As(err, &unread) {
			t.Errorf("%s: a key was made (%v)", test.file, err)
		}
		if test.closed {
			if account, err := signIn(t, a, "192.0.2.1", "Head", goodPassword); !errors.As(err, &unread) {
				t.Errorf("%s: %+v signed in (%v)", test.file, account, err)
			}
			if _, _, err := a.CreateAccount(t.Context(), NewAccount{Name: "Sam", Grants: []Grant{{"hollybank", Head}}}); !errors.As(err, &unread) {
				t.Errorf("%s: an account was made (%v)", test.file, err)
			}
			if _, err := a.ResetPassword(t.Context(), "console", "Head", ""); !errors.As(err, &unread) {
				t.Errorf("%s: a password was reset (%v)", test.file, err)
			}
		} else if _, err := signIn(t, a, "192.0.2.1", "Head", goodPassword); err != nil {
			t.Errorf("%s: nobody can sign in: %v", test.file, err)
		}
		if now, err := os.ReadFile(path); err != nil || string(now) != string(bad) {
			t.Errorf("%s: it was written over (%v)", test.file, err)
		}

		if err := os.WriteFile(path, good, 0o600); err != nil {
			t.Fatal(err)
		}
		a = open(t, dir, c)
		if _, err := a.OpenKey(text); err != nil || len(a.Trouble()) != 0 {
			t.Errorf("%s, put back: %v, %v", test.file, err, a.Trouble())
		}
	}
}

// TestDamagedSessionsEnd: everybody signs in again, and the store opens.
func TestDamagedSessionsEnd(t *testing.T) {
	dir, c := t.TempDir(), clocktest.NewDriven(start)
	a := open(t, dir, c)
	create(t, a, "Head", goodPassword)
	v := visit(t, a)
	_, cookies := v.get("/in")
	if err := os.WriteFile(filepath.Join(dir, sessionsFile), []byte(`{"sessions":{"`), 0o600); err != nil {
		t.Fatal(err)
	}
	after := visit(t, open(t, dir, c))
	after.client.Jar.SetCookies(mustParse(t, after.server.URL), cookies)
	after.wantName("")
	after.get("/in")
	after.wantName("Head")
}

// TestAResetTakesKeysBack: whoever knew the old password may have made a key, so
// those of the account end with it, also if an older list of keys is put back or
// cannot be read meanwhile. Those of others stay.
func TestAResetTakesKeysBack(t *testing.T) {
	dir, c := t.TempDir(), clocktest.NewDriven(start)
	a := open(t, dir, c)
	technician(t, a)
	create(t, a, "Head", goodPassword)
	_, one := key(t, a, NewKey{Account: "Morgan Ellis", Label: "one", Lasts: time.Hour})
	_, two := key(t, a, NewKey{Account: "Morgan Ellis", Label: "two", Lasts: time.Hour})
	_, other := key(t, a, NewKey{Account: "Head", Label: "other", Lasts: time.Hour})
	path := filepath.Join(dir, keysIn.name)
	backup, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c.Advance(time.Minute)
	if r, err := a.ResetPassword(t.Context(), "console", "morgan ellis", ""); err != nil || r.Keys != 2 || r.Password == "" {
		t.Fatalf("got %+v, %v, want two keys taken back", r, err)
	}
	_, later := key(t, a, NewKey{Account: "Morgan Ellis", Label: "later", Lasts: time.Hour})
	expect := func(when string, text string, want error) {
		t.Helper()
		if _, err := a.OpenKey(text); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", when, err, want)
		}
	}
	for _, text := range []string{one, two} {
		expect("a key from before", text, ErrKey)
	}
	expect("another's key", other, nil)
	expect("a key from after", later, nil)

	if err := os.WriteFile(path, backup, 0o600); err != nil {
		t.Fatal(err)
	}
	a = open(t, dir, c)
	expect("a key from before, put back", one, ErrKey)
	expect("another's key, put back", other, nil)

	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	a = open(t, dir, c)
	c.Advance(time.Minute)
	if _, err := a.ResetPassword(t.Context(), "console", "Head", ""); err != nil {
		t.Errorf("a password is reset whatever became of the keys: %v", err)
	}
	if err := os.WriteFile(path, backup, 0o600); err != nil {
		t.Fatal(err)
	}
	a = open(t, dir, c)
	expect("a key from before a reset without keys", other, ErrKey)
}
