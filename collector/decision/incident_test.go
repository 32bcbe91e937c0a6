package decision

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/shared/proof"
)

func TestAnIncidentIsRecordedInTwoParts(t *testing.T) {
	aware := incident.NewMoment(time.Date(2026, 10, 23, 16, 10, 0, 0, time.UTC), "Europe/London")
	change := incident.Change{What: incident.Open, ID: "in-1", Kind: incident.LostDevice, Aware: &aware}
	good := Decision{Kind: Incident, By: "Priya Anand", At: start, Reason: "left on the train by A. Rowan"}
	sections, err := IncidentSections(good, change, [2][proof.SaltSize]byte{{1}, {2}})
	if err != nil {
		t.Fatal(err)
	}
	if len(sections) != 2 || sections[0].Name != incident.Section || sections[0].Class != proof.Kept ||
		sections[1].Name != Section || sections[1].Class != proof.Incidents {
		t.Fatalf("sections: %+v", sections)
	}
	if c, err := incident.Decode(sections[0].Body); err != nil || !cmp.Equal(c, change) {
		t.Errorf("the change is %+v, %v", c, err)
	}
	if d, err := Decode(sections[1].Body); err != nil || d != good {
		t.Errorf("the decision is %+v, %v", d, err)
	}
	for name, spoil := range map[string]func(*Decision, *incident.Change){
		"no words": func(d *Decision, _ *incident.Change) { d.Reason = " " },
		"a breach": func(d *Decision, _ *incident.Change) {
			d.Breach = breach.Key{Device: "d", Rule: "ENC-01", Kind: "volume"}
		},
		"a person":    func(d *Decision, _ *incident.Change) { d.Person = "A. Rowan" },
		"an excuse":   func(d *Decision, _ *incident.Change) { d.Exemption = &breach.Exemption{ID: "e"} },
		"a policy":    func(d *Decision, _ *incident.Change) { d.Policy = &Policy{} },
		"another act": func(d *Decision, _ *incident.Change) { d.Kind = Register },
		"no change":   func(_ *Decision, c *incident.Change) { c.What = "" },
	} {
		d, c := good, change
		spoil(&d, &c)
		if _, err := IncidentSections(d, c, [2][proof.SaltSize]byte{}); err == nil {
			t.Errorf("%s: it was recorded", name)
		}
	}
}
