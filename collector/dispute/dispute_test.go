package dispute

import (
	"slices"
	"strings"
	"testing"
)

// raised is a dispute as it should be.
func raised() Change {
	return Change{What: Raise, ID: "dp-k3m2p7qa", About: Encryption, Device: "d-014", Asset: "HB-LT-014", Fact: 7, On: "2026-11-02", Due: "2026-12-02"}
}

func TestWhatIsWrongWithAChange(t *testing.T) {
	change := func(f func(*Change)) Change {
		c := raised()
		f(&c)
		return c
	}
	for _, c := range []struct {
		change Change
		want   string
	}{
		{raised(), ""},
		{change(func(c *Change) { c.About, c.Rule = Rule, "ENC-01" }), ""},
		{change(func(c *Change) { c.About, c.Device, c.Asset, c.Fact = Uses, "", "", 0 }), ""},
		{Change{What: Answer, ID: "dp-1", Outcome: Upheld}, ""},
		{Change{}, "names it"},
		{Change{What: "forget", ID: "dp-1"}, "no change"},
		{Change{What: Answer, ID: "dp-1"}, "upheld or not-upheld"},
		{Change{What: Answer, ID: "dp-1", Outcome: NotUpheld, Device: "d-014"}, "nothing else"},
		{change(func(c *Change) { c.ID = "../etc" }), "names it"},
		{change(func(c *Change) { c.Outcome = Upheld }), "does not answer"},
		{change(func(c *Change) { c.About = "weather" }), "nothing that is disputed"},
		{change(func(c *Change) { c.Device = "" }), "which laptop"},
		{change(func(c *Change) { c.Rule = "ENC-01" }), "naming the rule"},
		{change(func(c *Change) { c.About = Rule }), "naming the rule"},
		{change(func(c *Change) { c.Asset = "HB\u202eLT" }), "cannot be seen"},
		{change(func(c *Change) { c.Asset = strings.Repeat("x", 81) }), "at most 80"},
		{change(func(c *Change) { c.On = "yesterday" }), "no day"},
		{change(func(c *Change) { c.Due = "2026-11-01" }), "answered"},
		{change(func(c *Change) { c.Due = "2027-11-01" }), "answered"},
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
		if back, err := Decode(data); err != nil || back != c.change {
			t.Errorf("%s: got %+v, %v", data, back, err)
		}
	}
}

func TestWhatIsWrittenHasBounds(t *testing.T) {
	for words, want := range map[string]string{
		"It was replaced in October.": "", strings.Repeat("é", MostWords): "", strings.Repeat("é", MostWords+1): "at most", " ": "in words", "a\nb": "cannot be seen",
	} {
		data, err := EncodeWords(words)
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: got %v, want %q", words, err, want)
			continue
		}
		if back, err := DecodeWords(data); want == "" && (err != nil || back != words) {
			t.Errorf("%.20q: got %.20q, %v", words, back, err)
		}
	}
	for told, want := range map[Told]string{
		{}: "", {For: "Sam Carter"}: "", {Own: true}: "", {Own: true, For: "Sam Carter"}: "nobody else", {For: "Sam\u202eCarter"}: "cannot be seen",
	} {
		if err := told.Check(); (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", told, err, want)
		}
	}
}

// TestEverythingHasWords: nothing is shown as "something else" but what is.
func TestEverythingHasWords(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range Abouts() {
		if seen[a.Words()] || a != Other && a.Words() == Other.Words() {
			t.Errorf("%s is called %q", a, a.Words())
		}
		seen[a.Words()] = true
	}
	if slices.ContainsFunc(Outcomes(), func(o Outcome) bool { return o.Words() == Outcome("").Words() }) {
		t.Error("an outcome reads as if nobody had answered")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"what":"raise","id":"dp-1","about":"encryption","device":"d","on":"2026-11-02","due":"2026-12-02"}`))
	f.Add([]byte(`{"what":"answer","id":"dp-1","outcome":"upheld"}`))
	f.Add([]byte(`{"words":"it was replaced"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if words, err := DecodeWords(data); err == nil {
			if _, err := EncodeWords(words); err != nil {
				t.Fatalf("%q is read and not written: %v", words, err)
			}
		}
		c, err := Decode(data)
		if err != nil {
			return
		}
		again, err := Encode(c)
		if err != nil {
			t.Fatalf("%+v is read and not written: %v", c, err)
		}
		if back, err := Decode(again); err != nil || back != c {
			t.Fatalf("%s: %+v %v", again, back, err)
		}
	})
}
