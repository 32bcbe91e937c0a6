package concern

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/incident"
)

func TestWhatIsWrongWithAChange(t *testing.T) {
	for _, c := range []struct {
		change Change
		want   string
	}{
		{Change{What: Raise, ID: "K7QM-2XHD", Kind: Lost}, ""},
		{Change{What: SetAside, IDs: []string{"K7QM-2XHD", "0000-0000"}}, ""},
		{Change{What: Address, Address: "K7QM2-XHD4R"}, ""},
		{Change{}, "no change"},
		{Change{What: Raise, Kind: Lost}, "no reference"},
		{Change{What: Raise, ID: "k7qm-2xhd", Kind: Lost}, "no reference"},
		{Change{What: Raise, ID: "K7QM-2XHD", Kind: "on fire"}, "nothing that is reported"},
		{Change{What: Raise, ID: "K7QM-2XHD", Kind: Lost, Address: "K7QM2-XHD4R"}, "too much"},
		{Change{What: SetAside}, "at least one"},
		{Change{What: SetAside, IDs: slices.Repeat([]string{"K7QM-2XHD"}, mostAside+1)}, "at most"},
		{Change{What: SetAside, IDs: []string{"K7QM"}}, "no reference"},
		{Change{What: Address, Address: "../../etc"}, "no address"},
		{Change{What: Address, Address: "K7QM2-XHD4R", Kind: Lost}, "too much"},
	} {
		data, err := Encode(c.change)
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v: got %v, want %q", c.change, err, c.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%+v: %v", c.change, err)
		}
		if back, err := Decode(data); err != nil || back.What != c.change.What || !slices.Equal(back.IDs, c.change.IDs) {
			t.Errorf("%s: got %+v, %v", data, back, err)
		}
	}
}

func TestWhatIsToldHasBounds(t *testing.T) {
	for _, c := range []struct {
		told Told
		want string
	}{
		{Told{}, ""},
		{Told{Thing: "HB-LT-014", From: "Jo Marsh", Reach: "01632 960 014"}, ""},
		{Told{Thing: strings.Repeat("é", MostThing)}, ""},
		{Told{Thing: strings.Repeat("é", MostThing+1)}, "at most 80"},
		{Told{From: "Jo\u202eMarsh"}, "cannot be seen"},
		{Told{Reach: "a\nb"}, "cannot be seen"},
		{Told{From: "\xff"}, "is text"},
	} {
		if err := c.told.Check(); (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %q", c.told, err, c.want)
		}
	}
}

// TestAsPeopleTypeIt: in capitals or not, with or without spaces, and with the
// letters that are read for digits.
func TestAsPeopleTypeIt(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		want := NewAddress()
		typed := want
		for _, as := range [][2]string{{"0", "o"}, {"0", "O"}, {"1", "l"}, {"1", "I"}, {"-", " "}, {"-", ""}} {
			if rapid.Bool().Draw(rt, as[0]+" as "+as[1]) {
				typed = strings.ReplaceAll(typed, as[0], as[1])
			}
		}
		if rapid.Bool().Draw(rt, "small") {
			typed = strings.ToLower(typed)
		}
		if got, err := ParseAddress(typed); err != nil || got != want {
			rt.Fatalf("%q: got %q, %v, want %q", typed, got, err, want)
		}
	})
	for _, wrong := range []string{"", "K7QM2", "K7QM2-XHD4U", "K7QM2-XHD4RR", "K7QM2/XHD4R", "K7QM2-XHD4ß", strings.Repeat("-", 5000)} {
		if got, err := ParseAddress(wrong); err == nil {
			t.Errorf("%.20q is taken for %s", wrong, got)
		}
	}
	seen := map[string]bool{}
	for range 1000 {
		seen[NewReference()] = true
	}
	if len(seen) != 1000 {
		t.Errorf("of a thousand references %d are different", len(seen))
	}
}

// TestNothingIsLostByItself: each kind becomes an incident that a person can
// open.
func TestNothingIsLostByItself(t *testing.T) {
	for _, k := range Kinds() {
		if !slices.Contains(incident.Kinds(), k.Incident()) {
			t.Errorf("%s becomes %q", k, k.Incident())
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"what":"raise","id":"K7QM-2XHD","kind":"lost"}`))
	f.Add([]byte(`{"what":"set-aside","ids":["K7QM-2XHD"]}`))
	f.Add([]byte(`{"what":"address","address":"K7QM2-XHD4R"}`))
	f.Add([]byte(`{"what":"raise"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Decode(data)
		if err != nil {
			return
		}
		again, err := Encode(c)
		if err != nil {
			t.Fatalf("%+v is read and not written: %v", c, err)
		}
		if _, err := Decode(again); err != nil {
			t.Fatalf("%s: %v", again, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("k7qm2-xhd4r")
	f.Add("K7QM-2XHD")
	f.Add("\u0131\u212a")
	f.Fuzz(func(t *testing.T, typed string) {
		for _, parse := range []func(string) (string, error){ParseAddress, ParseReference} {
			got, err := parse(typed)
			if err != nil {
				continue
			}
			if again, err := parse(got); err != nil || again != got {
				t.Errorf("%q is %q, and that is %q: %v", typed, got, again, err)
			}
		}
	})
}
