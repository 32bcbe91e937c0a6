package decision

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/fault"
	"github.com/caretaker-school/caretaker/shared/proof"
)

const autumn = `name: Autumn
zone: Europe/London
from: 2026-09-01
to: 2026-12-31
terms: [{name: Autumn term, from: 2026-09-03, to: 2026-12-18}]
`

func TestACalendarIsSet(t *testing.T) {
	good := Decision{Kind: Calendar, By: "Morgan Ellis", At: time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC), Reason: "as the governors agreed"}
	sections, err := CalendarSections(good, "autumn.yaml", []byte(autumn), [2][proof.SaltSize]byte{{1}, {2}})
	if err != nil {
		t.Fatal(err)
	}
	if len(sections) != 2 || sections[0].Name != CalendarSection || sections[0].Class != proof.Kept || string(sections[0].Body) != autumn {
		t.Errorf("sections: %+v", sections)
	}
	if d, err := Decode(sections[1].Body); err != nil || d != good || sections[1].Class != proof.People {
		t.Errorf("the decision is %+v, %v", d, err)
	}
	_, err = CalendarSections(good, "autumn.yaml", []byte(strings.Replace(autumn, "zone", "zome", 1)), [2][proof.SaltSize]byte{})
	if problems, ok := errors.AsType[fault.ListError](err); !ok || problems[0].File != "autumn.yaml" || problems[0].Line == 0 {
		t.Errorf("a calendar with a fault: %v", err)
	}
	for name, spoil := range map[string]func(*Decision){
		"nobody":      func(d *Decision) { d.By = "" },
		"no reason":   func(d *Decision) { d.Reason = "" },
		"a breach":    func(d *Decision) { d.Breach = breach.Key{Device: "d", Rule: "ENC-01", Kind: "volume"} },
		"an excuse":   func(d *Decision) { d.Exemption = &breach.Exemption{ID: "e"} },
		"a person":    func(d *Decision) { d.Person = "Sam Carter" },
		"another act": func(d *Decision) { d.Kind = Acknowledge },
	} {
		d := good
		spoil(&d)
		if _, err := CalendarSections(d, "autumn.yaml", []byte(autumn), [2][proof.SaltSize]byte{}); err == nil {
			t.Errorf("%s: it was recorded", name)
		}
	}
}
