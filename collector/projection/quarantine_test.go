package projection

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// loses records that a device is lost, or was found.
func (s *school) loses(tb testing.TB, at time.Time, what incident.What, id posture.DeviceID) {
	tb.Helper()
	c := incident.Change{What: what, ID: "in-1", Links: []incident.Link{{What: incident.Device, Device: id, Lost: what != incident.Found}}}
	if what == incident.Open {
		aware := incident.NewMoment(at, "UTC")
		c.Kind, c.Aware = incident.LostDevice, &aware
	}
	s.records(tb, at, c)
}

// frozen is everything about a device that nothing which comes while it is lost
// may change.
func frozen(d view.DeviceDetail) view.DeviceDetail {
	d.Quarantine = nil
	return d
}

// TestWhatALostLaptopSaysIsKeptApart: it changes no status, closes no breach
// and appears in no count. What was quarantined stays so when it is found, and
// what it says from then on counts.
func TestWhatALostLaptopSaysIsKeptApart(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	l.facts.Security.Items[0].Firewall = posture.Read(false)
	l.report(t, term, term)
	f := open(t, s)
	asked := term.Add(20 * hour)
	s.loses(t, term.Add(hour), incident.Open, l.id)
	f.catchUp(t)
	before, total := f.device(t, s, "hb-lt-014", asked), f.overview(t, s, asked)
	// Whoever has it mends what failed, breaks what did not, and plugs a stick in.
	l.facts.Security.Items[0].Firewall = posture.Read(true)
	l.facts.Volumes.Items = []posture.Volume{volume(false)}
	l.facts.Media.Items = []posture.Medium{stick(serial, posture.Unencrypted)}
	l.report(t, term.Add(2*hour), term.Add(2*hour))
	l.contact(t, term.Add(3*hour), term.Add(3*hour))
	l.report(t, term.Add(-hour), term.Add(4*hour)) // made before it was lost, it says
	s.ledger.append(s.envelope(proof.KindGap, string(l.id), term.Add(4*hour)), proof.Section{
		Name: roster.SectionGap, Class: proof.Kept, Body: body(t, roster.Gap{From: 2, To: 2, Reason: roster.GapConflict}),
	}) // two reports of one number, made of its key
	after := f.device(t, s, "hb-lt-014", asked)
	if diff := cmp.Diff(frozen(before), frozen(after)); diff != "" {
		t.Errorf("what it said while it was lost changed (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(total, f.overview(t, s, asked)); diff != "" {
		t.Errorf("and the totals:\n%s", diff)
	}
	q := after.Quarantine
	if q == nil || q.Reports != 2 || q.Contacts != 1 || !q.LastContact.Equal(term.Add(4*hour)) || len(q.Timeline) != 2 || len(q.Spans) != 1 || !q.Spans[0].Until.IsZero() {
		t.Fatalf("its quarantined timeline: %+v", q)
	}
	if got := q.Timeline[1]; got.Sequence != 2 || len(got.NotMet) != 2 || got.NotMet[0] != "ENC-01" || got.NotMet[1] != "USB-01" {
		t.Errorf("what it said first: %+v", got)
	}
	// Found: nothing of it counts until it says anew how it is.
	s.loses(t, term.Add(6*hour), incident.Found, l.id)
	l.contact(t, term.Add(7*hour), term.Add(7*hour))
	found := f.device(t, s, "hb-lt-014", asked)
	if got := standing(t, found, "CFG-01"); got.Standing != view.NotMet || found.LastReport != 1 || !found.LastContact.Equal(term.Add(7*hour)) {
		t.Errorf("found, and CFG-01 is %s by report %d, heard %v", got.Standing, found.LastReport, found.LastContact)
	}
	l.facts.Volumes.Items, l.facts.Media.Items = []posture.Volume{volume(true)}, nil
	l.report(t, term.Add(8*hour), term.Add(8*hour))
	d := f.device(t, s, "hb-lt-014", asked)
	if got := line(d.Breaches); got != "[CFG-01 resolved]" || d.LastReport != 4 || len(d.Gaps) != 0 {
		t.Errorf("it said anew how it is: %s, report %d, gaps %+v", got, d.LastReport, d.Gaps)
	}
	q.Spans[0].To, q.Spans[0].Until = d.Quarantine.Spans[0].To, d.Quarantine.Spans[0].Until
	if diff := cmp.Diff(q, d.Quarantine); diff != "" || !q.Spans[0].Until.Equal(term.Add(6*hour)) {
		t.Errorf("what was quarantined did not stay so:\n%s", diff)
	}
	// Folded anew, it is the same to the byte.
	again := open(t, s)
	again.catchUp(t)
	if got, want := again.dump(t, s), f.dump(t, s); got != want {
		t.Errorf("folded anew: %s", differences(got, want))
	}
}

// TestWhatWasKeptApartIsFoundAgain: a report that relies on sections which came
// while the laptop was lost shows them.
func TestWhatWasKeptApartIsFoundAgain(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	l.report(t, term, term)
	s.loses(t, term.Add(hour), incident.Open, l.id)
	l.facts.Volumes.Items = []posture.Volume{volume(false)}
	l.report(t, term.Add(2*hour), term.Add(2*hour))
	s.loses(t, term.Add(3*hour), incident.Found, l.id)
	l.facts.Security.Items[0].Firewall = posture.Read(false)
	l.report(t, term.Add(4*hour), term.Add(4*hour))
	d := open(t, s).device(t, s, "hb-lt-014", term.Add(9*24*hour))
	for _, rule := range []string{"ENC-01", "CFG-01"} {
		if got := standing(t, d, rule); got.Standing != view.NotMet {
			t.Errorf("%s: %s, %s", rule, got.Standing, got.Message)
		}
	}
}
