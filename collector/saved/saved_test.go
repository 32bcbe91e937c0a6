package saved

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func open(t *testing.T) *Store {
	t.Helper()
	return In(filepath.Join(t.TempDir(), "saved"))
}

// TestWhatIsSavedIsThereAgain: of each account and each school its own, also after
// a restart.
func TestWhatIsSavedIsThereAgain(t *testing.T) {
	s := open(t)
	add := func(account string, v View) error {
		return s.Change(account, "hollybank", func(l *List) error { return l.Add(v) })
	}
	for _, v := range []View{{"Year 4", "q=year"}, {"Encryption", "rule=ENC-01&standing=not-met"}, {"year 4", "q=year+4"}} {
		if err := add("a-1", v); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Change("a-1", "hollybank", func(l *List) error { l.Columns = []string{"heard"}; return nil }); err != nil {
		t.Fatal(err)
	}
	again := In(s.dir)
	want := List{Columns: []string{"heard"}, Views: []View{{"Encryption", "rule=ENC-01&standing=not-met"}, {"year 4", "q=year+4"}}}
	if got, err := again.Of("a-1", "hollybank"); err != nil || !cmp.Equal(got, want) {
		t.Errorf("%s, %v", cmp.Diff(want, got), err)
	}
	for _, other := range []struct{ account, school string }{{"a-2", "hollybank"}, {"a-1", "oakfield"}} {
		if got, err := again.Of(other.account, "oakfield"); err != nil || len(got.Views) > 0 {
			t.Errorf("%v has %+v, %v", other, got, err)
		}
	}
	if err := s.Change("a-1", "hollybank", func(l *List) error { l.Remove("ENCRYPTION"); return nil }); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.Of("a-1", "hollybank"); len(got.Views) != 1 {
		t.Errorf("after one is removed: %+v", got)
	}
}

// TestWhatCannotBeSaved: what is too much, too long or not to be seen, and nothing
// outside the directory.
func TestWhatCannotBeSaved(t *testing.T) {
	s := open(t)
	for i := range MostViews {
		if err := s.Change("a-1", "hollybank", func(l *List) error { return l.Add(View{Name: fmt.Sprint("view ", i)}) }); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range []View{{Name: "one more"}, {Name: " "}, {Name: "view\u202e"}, {Name: strings.Repeat("x", mostName+1)}, {Name: "view 1", Query: strings.Repeat("x", mostQuery+1)}} {
		err := s.Change("a-1", "hollybank", func(l *List) error { return l.Add(v) })
		if _, is := errors.AsType[*WrongError](err); !is {
			t.Errorf("%+v: %v", v, err)
		}
	}
	if got, err := s.Of("a-1", "hollybank"); err != nil || len(got.Views) != MostViews {
		t.Errorf("%d views, %v", len(got.Views), err)
	}
	for _, account := range []string{"", "../a-1", "A"} {
		if err := s.Change(account, "hollybank", func(*List) error { return nil }); err == nil {
			t.Errorf("%q is taken for an account", account)
		}
	}
}

// TestWhatCannotBeReadIsNotWrittenOver, and what accounts left behind goes.
func TestWhatCannotBeReadIsNotWrittenOver(t *testing.T) {
	s := open(t)
	if err := s.Prune(func(string) bool { return false }); err != nil {
		t.Errorf("nothing was saved yet: %v", err)
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.file("a-1"), []byte(`{"schools":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Of("a-1", "hollybank"); err == nil {
		t.Error("a damaged file reads as nothing saved")
	}
	if err := s.Change("a-1", "hollybank", func(l *List) error { return l.Add(View{Name: "x"}) }); err == nil {
		t.Error("a damaged file is written over")
	}
	if err := s.Change("a-2", "hollybank", func(l *List) error { return l.Add(View{Name: "x"}) }); err != nil {
		t.Fatal(err)
	}
	if err := s.Prune(func(account string) bool { return account == "a-1" }); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.file("a-2")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what the account saved outlives it: %v", err)
	}
	if _, err := os.Stat(s.file("a-1")); err != nil {
		t.Errorf("what another saved went too: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"schools":{"hollybank":{"columns":["heard"],"views":[{"name":"Year 4","query":"q=year"}]}}}`))
	f.Add([]byte(`{"schools":{"hollybank":{"views":[{"name":"\u202e"}]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := parse(data)
		if err == nil && d.Check() != nil || err != nil && d.Schools != nil {
			t.Errorf("%q: %+v, %v", data, d, err)
		}
	})
}
