package decision

import (
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/particulars"
	"github.com/caretaker-school/caretaker/shared/proof"
)

func TestASchoolSaysWhoItIs(t *testing.T) {
	said := particulars.Particulars{Officer: particulars.Officer{Name: "Robin Hale", Mail: "dpo@hollybank.example"}, Basis: "Public task"}
	good := Decision{
		Kind: SetParticulars, By: "Morgan Ellis", At: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC), Reason: "a new officer", Particulars: &said,
	}
	section, err := Encode(good, [proof.SaltSize]byte{1})
	if err != nil || section.Class != proof.People {
		t.Fatalf("section of class %v, %v", section.Class, err)
	}
	again, err := Decode(section.Body)
	if err != nil || again.Particulars == nil || !again.Particulars.Equal(said) || again.By != good.By {
		t.Errorf("read back: %+v, %v", again, err)
	}
	for name, spoil := range map[string]func(*Decision){
		"nothing is said":        func(d *Decision) { d.Particulars = nil },
		"what is said is wrong":  func(d *Decision) { d.Particulars = &particulars.Particulars{Officer: particulars.Officer{Mail: "dpo"}} },
		"it names a breach":      func(d *Decision) { d.Breach = breach.Key{Device: "d", Rule: "ENC-01", Kind: "volume"} },
		"it is about a person":   func(d *Decision) { d.Person = "Sam Carter" },
		"it is of another kind":  func(d *Decision) { d.Kind = Calendar },
		"nobody has said it":     func(d *Decision) { d.By = "" },
		"nobody has said why":    func(d *Decision) { d.Reason = "" },
		"it carries a policy":    func(d *Decision) { d.Policy = &Policy{} },
		"it carries an excuse":   func(d *Decision) { d.Exemption = &breach.Exemption{ID: "e"} },
		"it is made by no known": func(d *Decision) { d.Kind = "particular" },
	} {
		d := good
		spoil(&d)
		if _, err := Encode(d, [proof.SaltSize]byte{1}); err == nil {
			t.Errorf("%s, and it was recorded", name)
		}
	}
}
