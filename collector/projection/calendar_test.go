package projection

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// autumn is a calendar of the weeks after term, which is a Monday, with a
// holiday of some days that begins so many days later.
func autumn(begins, lasts int) string {
	from := term.AddDate(0, 0, begins)
	return fmt.Sprintf(`name: Autumn
zone: Europe/London
from: 2026-09-01
to: 2026-12-31
terms: [{name: Autumn term, from: 2026-09-03, to: 2026-12-18}]
holidays: [{name: A holiday, from: %s, to: %s}]
`, from.Format(time.DateOnly), from.AddDate(0, 0, lasts-1).Format(time.DateOnly))
}

// setCalendar records a calendar.
func (s *school) setCalendar(tb testing.TB, at time.Time, text string) {
	tb.Helper()
	d := decision.Decision{Kind: decision.Calendar, By: "head", At: at, Reason: "as the governors agreed"}
	sections, err := decision.CalendarSections(d, "calendar.yaml", []byte(text), [2][proof.SaltSize]byte{})
	if err != nil {
		tb.Fatal(err)
	}
	s.ledger.append(s.envelope(proof.KindDecision, "", at), sections...)
}

// record reads an entry.
func (s *school) record(tb testing.TB, entry uint64) ledger.Record {
	tb.Helper()
	r, err := s.ledger.Read(tb.Context(), ledger.Index(entry))
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// drawCalendar draws a calendar, or a policy whose rules count school days.
func drawCalendar(tb testing.TB, t *rapid.T, s *school, now time.Time) {
	if rapid.IntRange(0, 3).Draw(t, "online") == 0 {
		grace := time.Duration(rapid.IntRange(0, 9).Draw(t, "hours")) * hour
		s.publish(tb, now, graceIn(rapid.SampledFrom([]string{"CFG-01", "AV-01"}).Draw(t, "waiting"), grace, policy.OnlineTime))
		return
	}
	if rapid.Bool().Draw(t, "clock") {
		grace := time.Duration(rapid.IntRange(0, 9).Draw(t, "grace")) * 24 * hour
		s.publish(tb, now, graceIn(rapid.SampledFrom([]string{"CFG-01", "USB-01", "LIF-01"}).Draw(t, "pausing"), grace, policy.SchoolDays))
		return
	}
	s.setCalendar(tb, now, autumn(rapid.IntRange(0, 60).Draw(t, "begins"), rapid.IntRange(1, 30).Draw(t, "lasts")))
}

func graceIn(id string, grace time.Duration, clock policy.Clock) func(*policy.Policy) {
	return func(p *policy.Policy) {
		for i := range p.Rules {
			if r := &p.Rules[i]; r.ID == id {
				r.Grace, r.GraceIn = grace, clock
			}
		}
	}
}

// TestGraceStandsStillInAHoliday: two laptops fail on the Thursday before a
// holiday. The setting waits for the school to open again, the disk does not.
// Then the calendar is set anew.
func TestGraceStandsStillInAHoliday(t *testing.T) {
	s := newSchool(t, "hollybank")
	f := open(t, s)
	setting, disk := s.enrol(t, "hb-lt-014", term), s.enrol(t, "hb-lt-015", term)
	setting.facts.Security.Items[0].AutoRun = posture.Read(true)
	disk.facts.Volumes.Items = append(disk.facts.Volumes.Items, spare(false))
	thursday := term.Add(3 * 24 * hour)
	setting.report(t, thursday, thursday)
	disk.report(t, thursday, thursday)
	s.setCalendar(t, thursday.Add(hour), autumn(7, 7))
	status := func(l *laptop, rule string, at time.Time) breach.Status {
		t.Helper()
		for _, b := range f.device(t, s, string(l.id), at).Breaches {
			if b.Rule == rule {
				return b.Status
			}
		}
		return breach.NotYet
	}
	// Seven school days: the Thursday and the Friday, a week off, and five more.
	ends := thursday.Add(18 * 24 * hour)
	for at, want := range map[time.Time]breach.Status{
		thursday.Add(8 * 24 * hour): breach.Pending, ends.Add(-hour): breach.Pending, ends: breach.Open,
	} {
		if got := status(setting, "USB-03", at); got != want {
			t.Errorf("%s after it failed the setting is %s, want %s", at.Sub(thursday), got, want)
		}
	}
	for at, want := range map[time.Time]breach.Status{thursday.Add(7*24*hour - hour): breach.Pending, thursday.Add(7 * 24 * hour): breach.Open} {
		if got := status(disk, "ENC-03", at); got != want {
			t.Errorf("%s after it failed the disk is %s, want %s", at.Sub(thursday), got, want)
		}
	}
	in := thursday.Add(10 * 24 * hour)
	if got := count(f.overview(t, s, in), breach.Pending); got != 1 {
		t.Errorf("in the holiday %d breaches are in grace", got)
	}
	// It was a mistake: the holiday is a week later.
	s.setCalendar(t, in, autumn(14, 7))
	f.catchUp(t)
	if got := status(setting, "USB-03", in.Add(24*hour)); got != breach.Pending {
		t.Errorf("by the other calendar it is %s", got)
	}
	if got, want := f.device(t, s, "hb-lt-014", in).Breaches[0].GraceEnds, ends; !got.Equal(want) {
		t.Errorf("by the other calendar its grace ends at %s, want %s", got, want)
	}
	// No holiday at all but one day in December.
	s.setCalendar(t, in.Add(hour), autumn(90, 1))
	if got := status(setting, "USB-03", in.Add(25*hour)); got != breach.Open {
		t.Errorf("without the holiday it is %s", got)
	}
	if got := count(f.overview(t, s, in.Add(25*hour)), breach.Open); got != 2 {
		t.Errorf("without the holiday %d breaches are open", got)
	}
	c, err := f.q.Calendar(t.Context(), s.id, in)
	if err != nil || len(c.History) != 3 || c.History[0].Number != 3 || c.History[0].By != "head" || c.Today.Kind != calendar.Weekend {
		t.Errorf("the calendar: %+v, %v", c, err)
	}
}

// spare is a disk beside the one that holds the system.
func spare(encrypted bool) posture.Volume {
	v := volume(encrypted)
	v.ID, v.Role, v.Mount = "bbbbbbbbbbbb", posture.DataVolume, "other"
	return v
}

func count(o view.Overview, status breach.Status) (n int) {
	for _, b := range o.Breaches {
		if b.Status == status {
			n += b.Count
		}
	}
	return n
}

// TestACalendarMovesEveryBreachOnce: so many breaches wait that they are moved
// in parts; what is counted is what a view that is made again counts.
func TestACalendarMovesEveryBreachOnce(t *testing.T) {
	s := newSchool(t, "hollybank")
	f := open(t, s)
	s.publish(t, term, func(p *policy.Policy) {
		for i := range p.Parameters {
			if p.Parameters[i].Name == "programs" {
				p.Parameters[i].Text = "allow"
			}
		}
	})
	for i := range 60 {
		l := s.enrol(t, fmt.Sprintf("hb-lt-%03d", i), term)
		l.facts.Security.Items[0].AutoRun = posture.Read(true)
		for n := range 40 {
			l.facts.Programs.Items = append(l.facts.Programs.Items, posture.Program{Source: "dpkg", Name: fmt.Sprintf("game-%02d", n), Version: "1", Architecture: "amd64"})
		}
		l.policy, l.number = s.policy, s.number
		l.report(t, term, term)
	}
	f.catchUp(t)
	later := term.Add(8 * 24 * hour)
	if got := count(f.overview(t, s, later), breach.Open); got < 2400 {
		t.Fatalf("without a calendar %d are open", got)
	}
	s.setCalendar(t, later, autumn(1, 20))
	// The process ends when some of the breaches have been moved.
	gone := errors.New("the process ended")
	entry := s.ledger.Size() - 1
	err := f.view.Update(s.id, func(tx *view.Tx) error {
		if err := errors.Join(tx.Reach(t.Context(), later), tx.Advance(later)); err != nil {
			return err
		}
		if set, err := f.folders[0].setsCalendar(t.Context(), tx, s.record(t, entry)); !set || err != nil {
			t.Errorf("entry %d sets a calendar: %v, %v", entry, set, err)
		}
		return gone
	})
	if !errors.Is(err, gone) {
		t.Fatal(err)
	}
	halfway, err := f.q.Overview(t.Context(), s.id, later)
	if err != nil {
		t.Fatal(err)
	}
	if got := count(halfway, breach.Open); got == 0 || got >= 2400 {
		t.Errorf("half-way %d are open: the calendar was not set in parts", got)
	}
	f.catchUp(t)
	if got := count(f.overview(t, s, later), breach.Open); got != 0 {
		t.Errorf("in a holiday %d are open", got)
	}
	again := open(t, s)
	again.catchUp(t)
	if got, want := again.dump(t, s), f.dump(t, s); got != want {
		t.Errorf("made again: %s", differences(got, want))
	}
}
