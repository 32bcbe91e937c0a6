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

func exempt() Decision {
	return Decision{
		Kind: Exempt, By: "technician", At: start, Reason: "new disk ordered",
		Breach: breach.Key{Device: "hb-lt-014", Rule: "ENC-01", Kind: "volume", ID: "a"},
		Exemption: &breach.Exemption{
			ID: "e1", From: start, Until: start.Add(time.Hour), AskedBy: "technician", Approver: "head", Reason: "new disk ordered",
		},
	}
}

func TestEncodeThenDecode(t *testing.T) {
	want := exempt()
	section, err := Encode(want, [proof.SaltSize]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(section.Body)
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if section.Name != Section || section.Class != proof.People {
		t.Errorf("section %s of class %d", section.Name, section.Class)
	}
	if e := got.Event(7); e.What != breach.Exempted || e.Order != 7 || e.Exemption.ID != "e1" {
		t.Errorf("event %+v", e)
	}
}

func TestWhatADecisionLacks(t *testing.T) {
	for name, spoil := range map[string]func(*Decision){
		"nobody":        func(d *Decision) { d.By = "" },
		"no time":       func(d *Decision) { d.At = time.Time{} },
		"no reason":     func(d *Decision) { d.Reason = "" },
		"no breach":     func(d *Decision) { d.Breach = breach.Key{} },
		"no exemption":  func(d *Decision) { d.Exemption = nil },
		"own approver":  func(d *Decision) { d.Exemption.Approver = d.By },
		"unknown kind":  func(d *Decision) { d.Kind = "forgive" },
		"one too many":  func(d *Decision) { d.Kind = Acknowledge },
		"which to end?": func(d *Decision) { d.Kind, d.Exemption = EndExemption, &breach.Exemption{} },
	} {
		d := exempt()
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
}

func FuzzDecode(f *testing.F) {
	section, err := Encode(exempt(), [proof.SaltSize]byte{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(section.Body)
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := Decode(body)
		if err != nil {
			return
		}
		if err := d.Check(); err != nil {
			t.Errorf("read %s, which lacks something: %v", body, err)
		}
	})
}
