package projection

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// looks records that somebody looked.
func (s *school) looks(tb testing.TB, at time.Time, l viewing.Look) {
	tb.Helper()
	section, err := viewing.Encode(l, [proof.SaltSize]byte{})
	if err != nil {
		tb.Fatal(err)
	}
	s.ledger.append(s.envelope(proof.KindLook, "", at), section)
}

func drawLook(tb testing.TB, t *rapid.T, s *school, laptops []*laptop, now time.Time) {
	id := rapid.SampledFrom(laptops).Draw(t, "looked at").id
	l := viewing.Look{
		By:  rapid.SampledFrom([]string{"Morgan Ellis", "Priya Anand", "console:caretaker"}).Draw(t, "by"),
		Way: rapid.SampledFrom([]viewing.Way{viewing.Page, viewing.Program, viewing.Command}).Draw(t, "way"),
	}
	switch rapid.IntRange(0, 3).Draw(t, "shown") {
	case 0:
		l.What = viewing.Register
	case 1:
		l.What, l.Name, l.Devices = viewing.Incident, "2026-03", []posture.DeviceID{id, "d-unknown"}
	case 2:
		l.What, l.Name = viewing.Evidence, string(id)
	case 3:
		l.What, l.Name = viewing.Device, string(id)
	}
	s.looks(tb, now, l)
}

// agreeOnLooks asks in several ways who looked, page by page, and compares the
// answers with what the record says.
func agreeOnLooks(t *rapid.T, f fixture, s *school, now time.Time) {
	var all []viewing.Seen
	ids := []posture.DeviceID{""}
	for i, r := range s.ledger.records {
		if r.Envelope.Kind == proof.KindEnrolment {
			ids = append(ids, posture.DeviceID(r.Envelope.Subject))
		}
		if r.Envelope.Kind != proof.KindLook || s.ledger.bodies[i][0] == nil {
			continue
		}
		l, err := viewing.Decode(s.ledger.bodies[i][0])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, viewing.Seen{Look: l, At: moment(r.Envelope.ReceivedAt), Entry: uint64(i) + 1})
	}
	slices.SortFunc(all, func(a, b viewing.Seen) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.Entry, a.Entry)) })
	from := term.Add(time.Duration(rapid.IntRange(-10, 400).Draw(t, "from")) * hour)
	for _, q := range []view.LookQuery{
		{},
		{By: "MORGAN ellis"},
		{What: viewing.Register},
		{From: from},
		{To: from},
		{Device: rapid.SampledFrom(ids).Draw(t, "of"), By: "Priya Anand", From: term.Add(hour), To: from.Add(40 * hour)},
		{Device: rapid.SampledFrom(ids).Draw(t, "of")},
		{Device: "d-nobody"},
	} {
		var want, got []viewing.Seen
		for _, one := range all {
			if (q.Device == "" || slices.Contains(one.Laptops(), q.Device)) && (q.By == "" || strings.EqualFold(q.By, one.By)) &&
				(q.What == "" || q.What == one.What) && !one.At.Before(q.From) && (q.To.IsZero() || one.At.Before(q.To)) {
				want = append(want, one)
			}
		}
		for q.Limit = rapid.IntRange(1, 3).Draw(t, "limit"); ; {
			page, err := f.q.Looks(t.Context(), s.id, q, now)
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range page.Looks {
				got = append(got, one.Seen)
			}
			if q.After = page.Next; q.After == "" {
				break
			}
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("%+v (-want +got):\n%s", q, diff)
		}
	}
}

// TestWhoHadWhatWasLookedAt: beside a look stands who had the laptop at that
// moment, for as long as the register has their name, and whatever became of it.
func TestWhoHadWhatWasLookedAt(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	s.keep(t, term, "technician", "", register.Change{What: register.Import, AsOf: term, Items: []register.Item{{Tag: "HB-014", Device: l.id}}})
	look := viewing.Look{By: "Morgan Ellis", Way: viewing.Page, What: viewing.Device, Name: string(l.id)}
	s.looks(t, term.Add(hour), look)
	s.keep(t, term.Add(2*hour), "technician", "Alex Fern", register.Change{What: register.Allocate, Tag: "HB-014", Allocation: &register.Allocation{Role: "Year 4 class teacher", Named: true}})
	named := len(s.ledger.records) - 1
	s.looks(t, term.Add(3*hour), look)
	s.keep(t, term.Add(4*hour), "technician", "", register.Change{What: register.HandBack, Tag: "HB-014"})
	s.looks(t, term.Add(5*hour), look)
	f := open(t, s)
	had := func() (list []string) {
		f.catchUp(t)
		page, err := f.q.Looks(t.Context(), s.id, view.LookQuery{Device: l.id}, term.Add(6*hour))
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range page.Looks {
			for _, shown := range one.Showed {
				list = append(list, shown.Hostname+" "+shown.AssetTag+" "+shown.Role+" "+shown.Person)
			}
		}
		return list
	}
	if diff := gocmp.Diff([]string{"hb-lt-014 HB-014  ", "hb-lt-014 HB-014 Year 4 class teacher Alex Fern", "hb-lt-014 HB-014  "}, had()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	hers, err := f.q.Looks(t.Context(), s.id, view.LookQuery{Person: "alex  FERN"}, term.Add(6*hour))
	if err != nil || len(hers.Looks) != 1 || !hers.Looks[0].At.Equal(term.Add(3*hour)) {
		t.Errorf("while she had it: %+v, %v", hers.Looks, err)
	}
	s.purgeOf(term.Add(6*hour), func(entry int, section proof.SectionRef) bool { return entry == named && section.Class == proof.People })
	if diff := gocmp.Diff([]string{"hb-lt-014 HB-014  ", "hb-lt-014 HB-014 Year 4 class teacher ", "hb-lt-014 HB-014  "}, had()); diff != "" {
		t.Errorf("once the name is forgotten (-want +got):\n%s", diff)
	}
	s.purge(term.Add(6*hour), proof.People)
	if list := had(); list != nil {
		t.Errorf("once the looks are forgotten: %q", list)
	}
	for _, r := range s.ledger.records {
		if r.Envelope.Kind == proof.KindLook && r.Envelope.Subject != "" {
			t.Errorf("the envelope of entry %d, which stays, says whom it is about", r.Index)
		}
	}
}
