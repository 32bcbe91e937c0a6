package decision

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/concern"
	"github.com/caretaker-school/caretaker/shared/proof"
)

func TestAReportIsRecordedInTwoParts(t *testing.T) {
	change := concern.Change{What: concern.Raise, ID: "K7QM-2XHD", Kind: concern.Lost}
	good := Decision{
		Kind: Concern, By: NotSignedIn, At: start, Reason: "left on the 16:20 train",
		Concern: &concern.Told{Thing: "HB-LT-014", From: "A. Rowan", Reach: "01632 960 014"},
	}
	salts := [2][proof.SaltSize]byte{{1}, {2}}
	sections, err := ConcernSections(good, change, salts)
	if err != nil {
		t.Fatal(err)
	}
	if len(sections) != 2 || sections[0].Name != concern.Section || sections[0].Class != proof.Kept || sections[1].Name != Section || sections[1].Class != proof.People {
		t.Fatalf("sections: %+v", sections)
	}
	for _, told := range []string{"Rowan", "960", "train", "LT-014"} {
		if strings.Contains(string(sections[0].Body), told) {
			t.Errorf("what is kept for good holds what was told: %s", sections[0].Body)
		}
	}
	if d, err := Decode(sections[1].Body); err != nil || !cmp.Equal(d, good) {
		t.Errorf("the decision is %+v, %v", d, err)
	}
	for name, spoil := range map[string]func(*Decision, *concern.Change){
		"no words":     func(d *Decision, _ *concern.Change) { d.Reason = " " },
		"too many":     func(d *Decision, _ *concern.Change) { d.Reason = strings.Repeat("é", concern.MostWords+1) },
		"too much":     func(d *Decision, _ *concern.Change) { d.Concern.From = strings.Repeat("x", concern.MostFrom+1) },
		"nothing told": func(d *Decision, _ *concern.Change) { d.Concern = nil },
		"told of another": func(_ *Decision, c *concern.Change) {
			*c = concern.Change{What: concern.SetAside, IDs: []string{"K7QM-2XHD"}}
		},
		"a breach": func(d *Decision, _ *concern.Change) {
			d.Breach = breach.Key{Device: "d", Rule: "ENC-01", Kind: "volume"}
		},
		"a person":         func(d *Decision, _ *concern.Change) { d.Person = "A. Rowan" },
		"another decision": func(d *Decision, _ *concern.Change) { d.Kind = Incident },
		"no change":        func(_ *Decision, c *concern.Change) { c.What = "" },
	} {
		told := *good.Concern
		d, c := good, change
		d.Concern = &told
		spoil(&d, &c)
		if _, err := ConcernSections(d, c, salts); err == nil {
			t.Errorf("%s: it was recorded", name)
		}
	}
	aside := Decision{Kind: Concern, By: "dpo", At: start, Reason: "rung back: it was in the cupboard"}
	if _, err := ConcernSections(aside, concern.Change{What: concern.SetAside, IDs: []string{"K7QM-2XHD"}}, salts); err != nil {
		t.Error(err)
	}
}
