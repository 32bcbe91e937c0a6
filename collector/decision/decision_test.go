package decision

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/proof"
)

var start = time.Date(2026, time.September, 7, 8, 0, 0, 0, time.UTC)

func acknowledge() Decision {
	return Decision{
		Kind: Acknowledge, By: "technician", At: start, Reason: "new disk ordered",
		Breach: breach.Key{Device: "hb-lt-014", Rule: "ENC-01", Kind: "volume", ID: "a"},
	}
}

func TestEncodeThenDecode(t *testing.T) {
	for _, want := range append(exemptions(), acknowledge()) {
		section, err := Encode(want, [proof.SaltSize]byte{1})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(section.Body)
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s: got %+v, %v", want.Kind, got, err)
		}
		if section.Name != Section || section.Class != proof.People {
			t.Errorf("section %s of class %d", section.Name, section.Class)
		}
	}
	for kind, want := range map[Kind]breach.What{Acknowledge: breach.Acknowledge, Resolve: breach.ResolvedByHand, Exempt: breach.NotProven} {
		if e := (Decision{Kind: kind, At: start, By: "technician"}).Event(7); e.What != want || e.Order != 7 {
			t.Errorf("%s: event %+v", kind, e)
		}
	}
}

func TestWhatADecisionLacks(t *testing.T) {
	for name, spoil := range map[string]func(*Decision){
		"nobody":       func(d *Decision) { d.By = "" },
		"no time":      func(d *Decision) { d.At = time.Time{} },
		"no reason":    func(d *Decision) { d.Reason = "" },
		"no breach":    func(d *Decision) { d.Breach = breach.Key{} },
		"unknown kind": func(d *Decision) { d.Kind = "forgive" },
		"one too many": func(d *Decision) { d.Exemption = &breach.Exemption{ID: "ex-1"} },
	} {
		refuse(t, name, acknowledge(), spoil)
	}
}

// refuse spoils a decision, which is then neither written nor read.
func refuse(t *testing.T, name string, d Decision, spoil func(*Decision)) {
	t.Helper()
	spoil(&d)
	if _, err := Encode(d, [proof.SaltSize]byte{}); err == nil {
		t.Errorf("%s: encoded %+v", name, d)
	}
	body, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(body); err == nil {
		t.Errorf("%s: read %s", name, body)
	}
}

func FuzzDecode(f *testing.F) {
	for _, d := range append(exemptions(), acknowledge()) {
		section, err := Encode(d, [proof.SaltSize]byte{})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(section.Body)
	}
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := Decode(body)
		if err != nil {
			return
		}
		if err := d.Check(); err != nil {
			t.Errorf("read %s, which lacks something: %v", body, err)
		}
		if e := d.Exemption; d.Kind == Exempt && (breach.SamePerson(e.AskedBy, d.By) || e.Until.Sub(e.From) > breach.LongestExemption) {
			t.Errorf("read %s, which nobody else approved, or lasts for ever", body)
		}
	})
}
