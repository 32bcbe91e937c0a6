package evidence

import (
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// marks records that the laptop is lost by an incident, or was found.
func (l *laptop) marks(at time.Time, what incident.What, id string) {
	l.t.Helper()
	c := incident.Change{What: what, ID: id, Links: []incident.Link{{What: incident.Device, Device: posture.DeviceID("d1"), Lost: what != incident.Found}}}
	if what == incident.Open {
		aware := incident.NewMoment(at, "UTC")
		c.Kind, c.Aware = incident.LostDevice, &aware
	}
	body := must(incident.Encode(c))
	l.append(l.maker.Entry(proof.KindDecision, "", at, proof.Section{Name: incident.Section, Class: proof.Kept, Body: body}))
}

// TestALostLaptopProvesNothingWhileTheViewIsMade: what it said while it was lost is
// no evidence, though nobody has folded in yet that it was.
func TestALostLaptopProvesNothingWhileTheViewIsMade(t *testing.T) {
	l := newLaptop(t)
	l.reports(plain(), monday, monday.Add(time.Hour))
	l.marks(monday.Add(2*time.Hour), incident.Open, "in-1")
	l.marks(monday.Add(3*time.Hour), incident.Open, "in-2")
	l.reports(encrypted(), monday, monday.Add(4*time.Hour))
	l.marks(monday.Add(5*time.Hour), incident.Found, "in-1")
	l.contact(monday.Add(6*time.Hour), monday.Add(6*time.Hour))
	if s := l.sheet(monday.Add(day)); s.State != NotEncrypted || s.Reported.Sequence != 1 || s.LastSign().After(monday.Add(time.Hour)) {
		t.Errorf("lost: %s by report %d, heard at %v", s.State, s.Reported.Sequence, s.LastSign())
	}
	l.marks(monday.Add(25*time.Hour), incident.Found, "in-2")
	l.reports(encrypted(), monday.Add(26*time.Hour), monday.Add(26*time.Hour))
	if s := l.sheet(monday.Add(2 * day)); s.State != Encrypted || s.Reported.Sequence != 3 {
		t.Errorf("found: %s by report %d", s.State, s.Reported.Sequence)
	}
}
