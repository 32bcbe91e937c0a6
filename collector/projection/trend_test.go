package projection

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

const dayLong = 24 * hour

// date is the day in UTC on which a moment lies.
func date(t time.Time) calendar.Date { return calendar.Date(t.Unix() / int64(dayLong/time.Second)) }

func (f fixture) trend(tb testing.TB, s *school, from, now time.Time) view.Trend {
	tb.Helper()
	trend, err := f.q.Trend(tb.Context(), s.id, date(from), date(now), now)
	if err != nil {
		tb.Fatal(err)
	}
	return trend
}

// TestADayIsCountedAsItEnded: a day's counts say what was known when it ended.
// What came later, of whatever it tells, changes nothing of it.
func TestADayIsCountedAsItEnded(t *testing.T) {
	s := newSchool(t, "hollybank")
	l, quiet := s.enrol(t, "hb-lt-014", term), s.enrol(t, "hb-lt-015", term)
	l.report(t, term, term)
	quiet.report(t, term, term)
	monday := term
	for day := 1; day <= 3; day++ { // 15 is switched off; 14 loses its encryption on Thursday
		at := monday.Add(time.Duration(day) * dayLong)
		l.facts.Volumes.Items = []posture.Volume{volume(day < 3)}
		l.report(t, at, at)
	}
	friday := monday.Add(4 * dayLong)
	quiet.facts.Volumes.Items = []posture.Volume{volume(false)}
	quiet.report(t, monday.Add(dayLong), friday) // on Tuesday it was not encrypted: heard of on Friday
	f := open(t, s)
	f.catchUp(t)
	trend := f.trend(t, s, monday, friday.Add(hour))
	var got []string
	for _, d := range trend.Days {
		r, _ := d.On("ENC-01")
		got = append(got, fmt.Sprintf("%s met %d, not met %d, not proven %d; disks %d, %d, %d; definitions %d, %d, %d", d.Date.Time().Format("Mon"),
			r.Met, r.NotMet, r.NotProven, d.Encryption.Proven, d.Encryption.Open, d.Encryption.Unproven, d.Definitions.Day, d.Definitions.Days, d.Definitions.Week))
	}
	want := []string{
		"Mon met 2, not met 0, not proven 0; disks 2, 0, 0; definitions 2, 0, 0",
		"Tue met 2, not met 0, not proven 0; disks 2, 0, 0; definitions 2, 0, 0",
		"Wed met 2, not met 0, not proven 0; disks 2, 0, 0; definitions 1, 1, 0",
		"Thu met 1, not met 1, not proven 0; disks 1, 1, 0; definitions 1, 1, 0",
		"Fri met 0, not met 2, not proven 0; disks 0, 2, 0; definitions 1, 1, 0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want - and got +:\n%s", diff)
	}
}

// TestASilentFleetIsAGapAndNeverMet: while all are silent there is no day at all,
// and when one comes back the others are not proven. What was seen not met stays.
func TestASilentFleetIsAGapAndNeverMet(t *testing.T) {
	s := newSchool(t, "hollybank")
	var laptops []*laptop
	for i := range 10 {
		l := s.enrol(t, fmt.Sprintf("hb-lt-%03d", i), term)
		if i == 3 {
			l.facts.Volumes.Items = []posture.Volume{volume(false)}
		}
		l.report(t, term, term)
		laptops = append(laptops, l)
	}
	september := term.Add(43*dayLong + 5*hour)
	laptops[0].report(t, september, september)
	f := open(t, s)
	f.catchUp(t)
	trend := f.trend(t, s, term.Add(-10*dayLong), september.Add(3*dayLong))
	if len(trend.Days) != 2 || trend.Days[0].Date != date(term) || trend.Days[1].Date != date(september) {
		t.Fatalf("got days %+v", trend.Days)
	}
	for _, d := range []view.CountedDay{trend.Days[1], trend.Now} {
		for _, r := range d.Rules {
			if r.Met > 1 {
				t.Errorf("%s is met by %d on %v, and one alone was heard from", r.Rule, r.Met, d.Date)
			}
		}
		if r, _ := d.On("ENC-01"); r.NotProven != 8 || r.NotMet != 1 || d.Silent != 9 {
			t.Errorf("got %+v, %d silent", r, d.Silent)
		}
		if e := d.Encryption; e.Proven != 1 || e.Open != 1 || e.Unproven != 8 {
			t.Errorf("got %+v", e)
		}
		if d.Definitions.Unproven != 9 {
			t.Errorf("got %+v", d.Definitions)
		}
	}
}

// TestAClockThatWasWrong: a collector that thought itself in 2031 for an hour
// counts the days again when they come.
func TestAClockThatWasWrong(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	l.report(t, term, term)
	s.publish(t, term.AddDate(5, 0, 0), nil)
	s.publish(t, term.Add(dayLong), nil)
	l.report(t, term.Add(dayLong), term.Add(dayLong))
	l.report(t, term.Add(2*dayLong), term.Add(2*dayLong))
	f := open(t, s)
	f.catchUp(t)
	var got []calendar.Date
	for _, d := range f.trend(t, s, term, term.Add(3*dayLong)).Days {
		got = append(got, d.Date)
	}
	if want := []calendar.Date{date(term), date(term) + 1, date(term) + 2}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestTrendIsWhereTheSchoolStood: in random histories each counted day says what
// a view says that is folded from nothing but what was received by its end, and
// the last says what the overview does.
func TestTrendIsWhereTheSchoolStood(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		if !sampled(rt) {
			return
		}
		s := newSchool(t, "hollybank")
		f := open(rt, s)
		end := history(t, rt, s, func() {})
		f.catchUp(t)
		trend, err := f.q.Trend(t.Context(), s.id, date(term), date(end), end)
		if err != nil {
			rt.Fatal(err)
		}
		if o, err := f.q.Overview(t.Context(), s.id, end); err != nil || !sameCounts(o, trend.Now) {
			rt.Fatalf("now %+v, %v\nthe overview %+v", trend.Now, err, o)
		}
		for _, d := range trend.Days {
			size := uint64(len(s.ledger.records))
			for i, r := range s.ledger.records {
				if moment(r.Envelope.ReceivedAt).After(d.At) {
					size = uint64(i)
					break
				}
			}
			then := open(rt, s)
			then.folders[0].school.Ledger = UpTo(s.ledger, size)
			then.catchUp(t)
			if o, err := then.q.Overview(t.Context(), s.id, d.At); err != nil || !sameCounts(o, d) {
				rt.Fatalf("%v: %+v, %v\nthe overview then: %+v", d.Date, d, err, o)
			}
			if total := d.Encryption.Proven + d.Encryption.Open + d.Encryption.Unproven; total != d.Devices || d.Definitions.Total() != d.Devices {
				rt.Fatalf("%v: %d devices, counted %d by disks and %d by definitions", d.Date, d.Devices, total, d.Definitions.Total())
			}
		}
	})
}

// sameCounts reports whether a day counts what an overview does.
func sameCounts(o view.Overview, d view.CountedDay) bool {
	same := o.Devices == d.Devices && o.Silent == d.Silent && o.Policy == d.Policy && len(o.Rules) == len(d.Rules)
	for i, r := range o.Rules {
		same = same && d.Rules[i] == view.CountedRule{Rule: r.Rule, Met: r.Met, NotMet: r.NotMet, NotProven: r.NotProven, Exempt: r.Exempt, NotFor: r.NotFor}
	}
	return same
}

// TestForgettingChangesNoDay: what days ended with is written into the purge, so
// that the view which is made again without what was forgotten says the same.
// Without that it would say less, never more.
func TestForgettingChangesNoDay(t *testing.T) {
	s := newSchool(t, "hollybank")
	l, other := s.enrol(t, "hb-lt-014", term), s.enrol(t, "hb-lt-015", term)
	at := term
	for day := range 20 {
		at = term.Add(time.Duration(day) * dayLong)
		l.facts.Volumes.Items = []posture.Volume{volume(day%3 > 0)}
		l.report(t, at, at)
		other.report(t, at, at)
	}
	f := open(t, s)
	f.catchUp(t)
	want := f.trend(t, s, term, at.Add(hour))
	days, err := f.q.NotKept(t.Context(), s.id, at.Add(hour))
	if err != nil || len(days) != 19 {
		t.Fatalf("%d days are to be kept, %v", len(days), err)
	}
	last := len(s.ledger.records)
	s.purgeOf(at.Add(hour), func(i int, section proof.SectionRef) bool { // but not the present state
		return i < last-2 && section.Name == wire.Encryption && s.ledger.records[i].Envelope.Subject == string(l.id)
	})
	bare := open(t, s)
	bare.catchUp(t)
	for n, d := range bare.trend(t, s, term, at.Add(hour)).Days[:19] {
		if got, was := d.Encryption, want.Days[n].Encryption; got.Proven > was.Proven || got.Unproven != 1 {
			t.Errorf("%v: %+v is made of what was forgotten; it was %+v", d.Date, got, was)
		}
	}
	section, err := roster.DaysSection(DaysOf(days), 0)
	if err != nil {
		t.Fatal(err)
	}
	s.ledger.append(s.envelope(proof.KindPurge, "", at.Add(hour)), section)
	f.catchUp(t)
	if diff := cmp.Diff(want.Days, f.trend(t, s, term, at.Add(hour)).Days); diff != "" {
		t.Errorf("before - and after + something was forgotten:\n%s", diff)
	}
	if again, err := f.q.NotKept(t.Context(), s.id, at.Add(hour)); err != nil || len(again) > 0 {
		t.Errorf("%d days are to be kept again, %v", len(again), err)
	}
	followed := f.dump(t, s)
	if err := f.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rebuilt := f.dump(t, s); rebuilt != followed {
		t.Error(differences(followed, rebuilt))
	}
}
