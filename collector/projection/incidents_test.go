package projection

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// records records a change of an incident, as the collector does.
func (s *school) records(tb testing.TB, at time.Time, c incident.Change) {
	tb.Helper()
	d := decision.Decision{Kind: decision.Incident, By: "Priya Anand", At: at, Reason: "left on the train"}
	sections, err := decision.IncidentSections(d, c, [2][proof.SaltSize]byte{})
	if err != nil {
		tb.Fatal(err)
	}
	s.ledger.append(s.envelope(proof.KindDecision, "", at), sections...)
}

func clockAt(t time.Time) *incident.Moment {
	m := incident.NewMoment(t, "Europe/London")
	return &m
}

// openOf opens an incident by which a device is lost.
func openOf(id, number string, device posture.DeviceID, at time.Time) incident.Change {
	return incident.Change{
		What: incident.Open, ID: id, Number: number, Kind: incident.LostDevice, Aware: clockAt(at),
		Links: []incident.Link{{What: incident.Device, Device: device, Lost: true}},
	}
}

// drawIncident draws a change of one of a few incidents, which may not be open
// yet, or be opened again under the number of another.
func drawIncident(t *rapid.T, laptops []*laptop, now time.Time) incident.Change {
	id := rapid.SampledFrom([]string{"in-1", "in-2", "in-3"}).Draw(t, "incident")
	device := []incident.Link{{What: incident.Device, Device: rapid.SampledFrom(laptops).Draw(t, "whose").id}}
	c := incident.Change{ID: id, What: rapid.SampledFrom([]incident.What{
		incident.Open, incident.Open, incident.Add, incident.Found, incident.Found, incident.Correct, incident.Note, incident.Spoke,
		incident.Tell, incident.Close, incident.Reopen,
	}).Draw(t, "change")}
	switch c.What {
	case incident.Open:
		return openOf(id, rapid.SampledFrom([]string{"", "2026-01", "2026-02"}).Draw(t, "number"), device[0].Device, now)
	case incident.Add:
		c.Links = device
		c.Links[0].Lost = rapid.Bool().Draw(t, "lost")
	case incident.Found:
		c.Links = device
	case incident.Correct:
		c.Aware = clockAt(now.Add(-hour))
	case incident.Spoke:
		c.Whom = "the train company"
	case incident.Tell:
		c.Audience, c.Answer = incident.Regulator, rapid.SampledFrom(incident.Answers()).Draw(t, "answer")
	case incident.Close:
		c.Outcome = incident.Internal
	}
	return c
}

// agreeOnIncidents checks that each incident has a number of its own by which it
// is found, and that a device shows as lost exactly if an incident says so.
func agreeOnIncidents(t *rapid.T, f fixture, s *school, now time.Time) {
	page, err := f.q.Incidents(t.Context(), s.id, view.IncidentQuery{Limit: 500}, now)
	if err != nil {
		t.Fatal(err)
	}
	lost := map[posture.DeviceID]bool{}
	for _, i := range page.Incidents {
		one, err := f.q.Incident(t.Context(), s.id, i.Number, now)
		if err != nil || one.ID != i.ID {
			t.Fatalf("incident %s by its number %s: %s, %v", i.ID, i.Number, one.ID, err)
		}
		for _, l := range i.Links {
			if _, is := l.Lost(); is {
				lost[l.Device] = true
			}
		}
	}
	devices, err := f.q.Devices(t.Context(), s.id, view.DeviceQuery{Limit: 500}, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range devices.Devices {
		if (d.Lost != nil) != lost[d.ID] {
			t.Fatalf("device %s shows as lost: %v; incidents say %v", d.ID, d.Lost, lost[d.ID])
		}
	}
}

// TestTwoIncidentsOfOneNumber: no incident is lost because two were given one
// number, and a third that was given none has its own.
func TestTwoIncidentsOfOneNumber(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	for n, id := range []string{"in-b", "in-a", "in-c"} {
		number := "2026-03"
		if n == 2 {
			number = ""
		}
		s.records(t, term.Add(time.Duration(n)*hour), openOf(id, number, l.id, term))
	}
	f := open(t, s)
	f.catchUp(t)
	for number, id := range map[string]string{"2026-03": "in-b", "2026-04": "in-a", "2026-01": "in-c", "in-a": "in-a"} {
		if i, err := f.q.Incident(t.Context(), s.id, number, term); err != nil || i.ID != id {
			t.Errorf("%s is %s: %v", number, i.ID, err)
		}
	}
	if _, err := f.q.Incident(t.Context(), s.id, "2026-05", term); !errors.Is(err, view.ErrNotFound) {
		t.Errorf("a number that no incident has: %v", err)
	}
	if n, err := f.q.FreeIncident(t.Context(), s.id, 2026, term); err != nil || n != 5 {
		t.Errorf("the next number: %d, %v", n, err)
	}
	if n, err := f.q.FreeIncident(t.Context(), s.id, 2027, term); err != nil || n != 1 {
		t.Errorf("the first of a year: %d, %v", n, err)
	}
	var numbers []string
	query := view.IncidentQuery{Limit: 1}
	for {
		page, err := f.q.Incidents(t.Context(), s.id, query, term)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range page.Incidents {
			numbers = append(numbers, i.Number)
		}
		if query.After = page.Next; page.Next == "" {
			break
		}
	}
	if got := strings.Join(numbers, " "); got != "2026-04 2026-03 2026-01" {
		t.Errorf("page by page: %s", got)
	}
}

// TestAnIncidentIsForgottenButNotLost: when words and names are forgotten, the
// incident, its deadline, what was decided and what is lost stay.
func TestAnIncidentIsForgottenButNotLost(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	s.records(t, term.Add(hour), openOf("in-1", "2026-01", l.id, term))
	s.records(t, term.Add(2*hour), incident.Change{What: incident.Tell, ID: "in-1", Audience: incident.Regulator, Answer: incident.No})
	f := open(t, s)
	f.catchUp(t)
	show := func() view.Incident {
		i, err := f.q.Incident(t.Context(), s.id, "2026-01", term.Add(3*hour))
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	before := show()
	if before.Opened.Words != "left on the train" || before.Regulator[0].By != "Priya Anand" || len(before.Names) != 1 {
		t.Fatalf("shown: %+v", before)
	}
	s.purge(term.Add(4*hour), proof.People)
	if f.catchUp(t); show().Opened.Forgotten {
		t.Error("it was forgotten with what people decided about other things")
	}
	s.purge(term.Add(5*hour), proof.Incidents)
	f.catchUp(t)
	after := show()
	if !after.Opened.Forgotten || after.Opened.Words+after.Regulator[0].By != "" {
		t.Errorf("not forgotten: %+v", after.Opened)
	}
	if after.Due != before.Due || after.Number != before.Number || after.Regulator[0].Answer != incident.No || f.device(t, s, "hb-lt-014", term.Add(6*hour)).Lost == nil {
		t.Errorf("lost: %+v", after)
	}
}
