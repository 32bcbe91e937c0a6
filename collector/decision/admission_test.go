package decision

import (
	"testing"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/proof"
)

func TestAChangeOfEnrolmentsIsRecordedInTwoParts(t *testing.T) {
	change := admission.Change{What: admission.SameHardware, Device: "d2", Earlier: "d1"}
	good := Decision{Kind: Admission, By: "Morgan Ellis", At: start, Reason: "set up anew after the update failed"}
	sections, err := AdmissionSections(good, change, [2][proof.SaltSize]byte{{1}, {2}})
	if err != nil {
		t.Fatal(err)
	}
	if len(sections) != 2 || sections[0].Name != admission.Section || sections[0].Class != proof.Kept ||
		sections[1].Name != Section || sections[1].Class != proof.People {
		t.Fatalf("sections: %+v", sections)
	}
	if c, err := admission.Decode(sections[0].Body); err != nil || c != change {
		t.Errorf("the change is %+v, %v", c, err)
	}
	if d, err := Decode(sections[1].Body); err != nil || d != good {
		t.Errorf("the decision is %+v, %v", d, err)
	}
	for name, spoil := range map[string]func(*Decision, *admission.Change){
		"a breach": func(d *Decision, _ *admission.Change) {
			d.Breach = breach.Key{Device: "d", Rule: "ENC-01", Kind: "volume"}
		},
		"a person":    func(d *Decision, _ *admission.Change) { d.Person = "A. Rowan" },
		"another act": func(d *Decision, _ *admission.Change) { d.Kind = Revoke },
		"no change":   func(_ *Decision, c *admission.Change) { c.What = "" },
	} {
		d, c := good, change
		spoil(&d, &c)
		if _, err := AdmissionSections(d, c, [2][proof.SaltSize]byte{}); err == nil {
			t.Errorf("%s: it was recorded", name)
		}
	}
}
