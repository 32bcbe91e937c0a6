package access

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
)

func technician(t *testing.T, a *Access) {
	t.Helper()
	_, _, err := a.CreateAccount(t.Context(), NewAccount{Name: "Morgan Ellis", Grants: []Grant{
		{School: "hollybank", Role: Technician}, {School: "oakfield", Role: Technician},
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func key(t *testing.T, a *Access, n NewKey) (Key, string) {
	t.Helper()
	k, text, err := a.CreateKey(n)
	if err != nil {
		t.Fatal(err)
	}
	return k, text
}

func TestAKeyActsForItsAccountWithinItsScope(t *testing.T) {
	dir, c := t.TempDir(), clocktest.NewDriven(start)
	a := open(t, dir, c)
	technician(t, a)
	k, text := key(t, a, NewKey{
		Account: "morgan ellis", Label: " stock  list ", Grants: []Grant{{School: "oakfield", Role: Technician}}, Lasts: 24 * time.Hour,
	})
	if k.Label != "stock list" || k.Hash != "" || strings.Contains(text, k.Account) || !strings.HasPrefix(text, "ctp1-"+k.ID+"-") {
		t.Errorf("got %+v and %s", k, text)
	}
	a = open(t, dir, c) // it outlives the process
	account, err := a.OpenKey(text)
	if err != nil {
		t.Fatal(err)
	}
	if account.Name != "Morgan Ellis" || account.Hash != "" || !account.May("oakfield", DecideBreaches) || account.Belongs("hollybank") {
		t.Errorf("the key acts as %+v", account)
	}
	if list := a.Keys(); len(list) != 1 || list[0].Hash != "" {
		t.Errorf("got the keys %+v", list)
	}
}

func TestAKeyThatIsNotValid(t *testing.T) {
	c := clocktest.NewDriven(start)
	a := open(t, t.TempDir(), c)
	technician(t, a)
	revoked, revokedText := key(t, a, NewKey{Account: "Morgan Ellis", Label: "one", Lasts: time.Hour})
	_, text := key(t, a, NewKey{Account: "Morgan Ellis", Label: "two", Lasts: time.Hour})
	if err := a.RevokeKey(revoked.ID); err != nil {
		t.Fatal(err)
	}
	if err := a.RevokeKey(revoked.ID); err == nil {
		t.Error("a key was taken back twice")
	}
	last := byte('a')
	if text[len(text)-1] == 'a' {
		last = 'e'
	}
	for name, bad := range map[string]string{
		"nothing": "", "revoked": revokedText, "no secret": "ctp1-" + revoked.ID + "-", "no such": "ctp1-aaaaaaaa-" + text[len(text)-32:],
		"another secret": text[:len(text)-1] + string(last), "longer": text + "a", "another word": "Bearer " + text, "long": "ctp1-" + strings.Repeat("a", 9999),
	} {
		if account, err := a.OpenKey(bad); !errors.Is(err, ErrKey) {
			t.Errorf("%s: got %+v, %v", name, account, err)
		}
	}
	if _, err := a.OpenKey(text); err != nil {
		t.Errorf("a good key: %v", err)
	}
	c.Advance(time.Hour)
	if _, err := a.OpenKey(text); !errors.Is(err, ErrKey) {
		t.Errorf("a key after its end: %v", err)
	}
	if list := a.Keys(); len(list) != 0 {
		t.Errorf("keys that have ended are listed: %+v", list)
	}
}

func TestAKeyDiesWithItsAccount(t *testing.T) {
	a := open(t, t.TempDir(), clocktest.NewDriven(start))
	technician(t, a)
	_, text := key(t, a, NewKey{Account: "Morgan Ellis", Label: "one", Lasts: time.Hour})
	if err := a.RemoveAccount("console", "Morgan Ellis"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.OpenKey(text); !errors.Is(err, ErrKey) {
		t.Errorf("the account is gone: %v", err)
	}
}

func TestWhatAKeyCannotBe(t *testing.T) {
	a := open(t, t.TempDir(), clocktest.NewDriven(start))
	technician(t, a)
	for name, spoil := range map[string]func(*NewKey){
		"of nobody":         func(n *NewKey) { n.Account = "Nobody" },
		"for nothing":       func(n *NewKey) { n.Label = " \n" },
		"without an end":    func(n *NewKey) { n.Lasts = 0 },
		"for ever":          func(n *NewKey) { n.Lasts = MaxKeyLife + 1 },
		"of another role":   func(n *NewKey) { n.Grants = []Grant{{School: "hollybank", Role: Administrator}} },
		"of another school": func(n *NewKey) { n.Grants = []Grant{{School: "elmtree", Role: Technician}} },
		"everywhere":        func(n *NewKey) { n.Grants = []Grant{{School: EverySchool, Role: Technician}} },
	} {
		n := NewKey{Account: "Morgan Ellis", Label: "one", Lasts: time.Hour}
		spoil(&n)
		if k, _, err := a.CreateKey(n); err == nil {
			t.Errorf("a key %s: %+v", name, k)
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte(`{"keys":[]}`))
	f.Add([]byte(`{"keys":[{"id":"aaaaaaaa","account":"a","label":"b","grants":[{"school":"hollybank","role":"technician"}],"made":"2026-10-23T14:52:00Z","ends":"2026-10-24T14:52:00Z","hash":"` + strings.Repeat("0", 64) + `"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := parseKeys(data)
		for _, k := range keys {
			if err == nil && (k.ID == "" || k.Ends.IsZero() || len(k.Hash) != 64) {
				t.Errorf("took the key %+v", k)
			}
		}
	})
}

func FuzzParseKey(f *testing.F) {
	f.Add("ctp1-aaaaaaaa-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	f.Fuzz(func(t *testing.T, text string) {
		if id, secret, ok := parseKey(text); ok && (id == "" || len(secret) != keySecret) {
			t.Errorf("took %q as %q, %x", text, id, secret)
		}
	})
}

// TestALabelIsSeenAsItIs: a list of keys is printed.
func TestALabelIsSeenAsItIs(t *testing.T) {
	a := open(t, t.TempDir(), clocktest.NewDriven(start))
	technician(t, a)
	for _, label := range []string{"", " ", "a\x1b[2J", "a\u009b2J", "a\u202eb", "a\ufffd", "a\x00", strings.Repeat("é", maxLabel+1)} {
		if _, _, err := a.CreateKey(NewKey{Account: "Morgan Ellis", Label: label, Lasts: time.Hour}); err == nil {
			t.Errorf("the label %q is taken", label)
		}
	}
}

// TestKeysThatAreNotWhole open nothing: of a file that was cut not even the keys
// that are still there let anybody in.
func TestKeysThatAreNotWhole(t *testing.T) {
	dir, c := t.TempDir(), clocktest.NewDriven(start)
	a := open(t, dir, c)
	technician(t, a)
	_, text := key(t, a, NewKey{Account: "Morgan Ellis", Label: "one", Lasts: time.Hour})
	name := filepath.Join(dir, keysIn.name)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(bytes.TrimSpace(whole)) {
		if err := os.WriteFile(name, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		a = open(t, dir, c)
		if _, err := a.OpenKey(text); err == nil || a.Keyless() == nil {
			t.Fatalf("cut after %d of %d bytes, it is read: %v, %v", n, len(whole), err, a.Keyless())
		}
	}
}
