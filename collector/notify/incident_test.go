package notify

import (
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// awareAt is an incident of which the school became aware at a time.
func awareAt(id, number string, at time.Time) view.Incident {
	by := incident.NewMoment(incident.TellBy(at), "Europe/London")
	return view.Incident{Incident: incident.Incident{ID: id, Number: number, Aware: []incident.Aware{{When: incident.NewMoment(at, "Europe/London"), TellBy: by}}}}
}

// TestTheHoursToTellTheRegulatorAreToldBeforeTheyEnd: a day and six hours before
// the 72 hours end, and when they have, in a holiday and at night, to those whose
// decision it is, and each once across restarts.
func TestTheHoursToTellTheRegulatorAreToldBeforeTheyEnd(t *testing.T) {
	const (
		day   = "Less than 24 hours to tell the regulator, or to decide not to: incident 2026-02"
		hours = "Less than 6 hours to tell the regulator, or to decide not to: incident 2026-02"
		ended = "The 72 hours to tell the regulator have ended, and it is not recorded that this was done or need not be: incident 2026-02"
	)
	for _, role := range []access.Role{access.DPO, access.Head, access.Technician, access.Administrator} {
		p, r := newPlace(t), newReceiver(t)
		p.term = term{monday.AddDate(0, 0, -1), monday.AddDate(0, 1, 0)}
		p.restart()
		p.tell(r, role)
		aware := monday.Add(-3 * time.Hour) // 03:00: the day before ends at night
		settled := awareAt("a", "2026-01", aware)
		settled.Regulator = []incident.Telling{{Answer: incident.No}}
		p.school.lost = []view.Incident{settled, awareAt("b", "2026-02", aware)}
		want := func(lines ...string) {
			t.Helper()
			if role == access.Technician || role == access.Administrator {
				lines = nil
			}
			p.restart()
			p.pass(20 * time.Minute)
			wantLines(t, r.took(), lines...)
		}
		p.pass(44 * time.Hour)
		want() // 47 h 20 min after
		p.pass(40 * time.Minute)
		want(day)
		p.pass(17 * time.Hour)
		want(day) // 65 h 20 min
		p.pass(40 * time.Minute)
		want(day, hours)
		p.pass(6 * time.Hour)
		want(day, hours, ended)
		p.pass(100 * time.Hour)
		want(day, hours, ended)
		if role == access.DPO {
			c := r.took()[0].Parts[0].Causes[0]
			if !c.Due.Equal(aware.Add(72*time.Hour)) || !c.Since.Equal(aware) || c.Laptops != 0 || c.What != DueInDay {
				t.Errorf("told %+v", c)
			}
		}
	}
}

// TestWhatIsDecidedIsNotPressedFor: telling that was decided and done, or
// decided against, is told to nobody; what was put off is.
func TestWhatIsDecidedIsNotPressedFor(t *testing.T) {
	told := incident.NewMoment(monday, "Europe/London")
	for _, c := range []struct {
		name    string
		telling []incident.Telling
		pressed bool
	}{
		{"nothing", nil, true},
		{"no", []incident.Telling{{Answer: incident.No}}, false},
		{"not yet", []incident.Telling{{Answer: incident.NotYet}}, true},
		{"yes, not done", []incident.Telling{{Answer: incident.Yes}}, true},
		{"yes, done", []incident.Telling{{Answer: incident.Yes, Told: &told}}, false},
		{"no after yes", []incident.Telling{{Answer: incident.Yes}, {Answer: incident.No}}, false},
	} {
		i := awareAt("a", "2026-01", monday)
		i.Regulator = c.telling
		if _, ok := undecided(hollybank, i, monday.Add(70*time.Hour)); ok != c.pressed {
			t.Errorf("%s: pressed %t", c.name, ok)
		}
	}
	if _, ok := undecided(hollybank, view.Incident{}, monday); ok {
		t.Error("hours that nothing says the beginning of are told to end")
	}
	// Other hours are told of anew; the same are not.
	one, _ := undecided(hollybank, awareAt("a", "2026-01", monday), monday.Add(70*time.Hour))
	again, _ := undecided(hollybank, awareAt("a", "2026-01", monday), monday.Add(71*time.Hour))
	other, _ := undecided(hollybank, awareAt("a", "2026-01", monday.Add(time.Hour)), monday.Add(70*time.Hour))
	if one.key != again.key || one.key == other.key || one.severity != posture.Critical {
		t.Errorf("%+v, %+v, %+v", one, again, other)
	}
}
