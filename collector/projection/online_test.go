package projection

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

var notOnline = cmpopts.IgnoreFields(view.Heard{}, "Online")

// unguarded enrols a laptop whose antivirus does not look at files.
func (s *school) unguarded(tb testing.TB, host string) *laptop {
	tb.Helper()
	l := s.enrol(tb, host, term)
	l.facts.Antivirus = posture.Found("clamav", clam(posture.Read(false)))
	return l
}

// graceOf returns the breach of a rule.
func (f fixture) graceOf(tb testing.TB, s *school, l *laptop, rule string, now time.Time) view.Breach {
	tb.Helper()
	f.catchUp(tb)
	for _, b := range f.device(tb, s, string(l.id), now).Breaches {
		if b.Rule == rule {
			return b
		}
	}
	tb.Fatalf("%s has no breach of %s at %s", l.id, rule, now)
	return view.Breach{}
}

// TestGraceCountsHoursOnline: antivirus is off. The laptop is heard from for two
// hours, lies in a bag for three days, and comes back.
func TestGraceCountsHoursOnline(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.unguarded(t, "hb-lt-014")
	l.report(t, term, term)
	for h := range 2 {
		l.contact(t, term.Add(time.Duration(h+1)*hour), term.Add(time.Duration(h+1)*hour))
	}
	f := open(t, s)
	away := term.Add(2 * hour)
	for after, left := range map[time.Duration]time.Duration{0: 2 * hour, 30 * time.Minute: 90 * time.Minute, hour: hour, 70 * hour: hour, 20 * 24 * hour: hour} {
		b := f.graceOf(t, s, l, "AV-01", away.Add(after))
		if b.Status != breach.Pending || !b.GraceEnds.IsZero() || b.GraceLeft != left {
			t.Errorf("%s after it was last heard from it is %s, %s left, ends %s; want %s left", after, b.Status, b.GraceLeft, b.GraceEnds, left)
		}
	}
	// Silence mends nothing, and shows.
	d := f.device(t, s, "hb-lt-014", away.Add(20*24*hour))
	if got := standing(t, d, "AV-01").Standing; got != view.NotMet {
		t.Errorf("after weeks of silence AV-01 is %s", got)
	}
	if got := count(f.overview(t, s, away.Add(20*24*hour)), breach.Pending); got != 1 {
		t.Errorf("after weeks of silence %d breaches are in grace", got)
	}
	back := away.Add(72 * hour)
	l.contact(t, back, back)
	ends := back.Add(hour)
	for at, want := range map[time.Time]breach.Status{ends.Add(-time.Second): breach.Pending, ends: breach.Open, ends.Add(100 * hour): breach.Open} {
		b := f.graceOf(t, s, l, "AV-01", at)
		if b.Status != want || !b.GraceEnds.Equal(ends) || b.GraceLeft != 0 {
			t.Errorf("at %s it is %s and ends %s, want %s and %s", at, b.Status, b.GraceEnds, want, ends)
		}
		if got := count(f.overview(t, s, at), want); got != 1 {
			t.Errorf("at %s the overview has %d that are %s", at, got, want)
		}
	}
	l.contact(t, back.Add(2*hour), back.Add(2*hour))
	if got := f.graceOf(t, s, l, "AV-01", back.Add(3*hour)); !got.GraceEnds.Equal(ends) {
		t.Errorf("later contacts move its end to %s", got.GraceEnds)
	}
	again := open(t, s)
	again.catchUp(t)
	if got, want := again.dump(t, s), f.dump(t, s); got != want {
		t.Errorf("made again: %s", differences(got, want))
	}
}

// TestAnEndedSubscriptionHasNoGrace: antivirus is off for an hour, and then its
// subscription ends; it is renewed, and is off still.
func TestAnEndedSubscriptionHasNoGrace(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.unguarded(t, "hb-lt-014")
	l.report(t, term, term)
	f := open(t, s)
	if got := f.graceOf(t, s, l, "AV-01", term.Add(time.Minute)); got.Status != breach.Pending {
		t.Errorf("off it is %s", got.Status)
	}
	l.facts.Antivirus.Items[0].Expired = posture.Read(true)
	l.report(t, term.Add(hour), term.Add(hour))
	if got := f.graceOf(t, s, l, "AV-01", term.Add(hour)); got.Status != breach.Open || got.Severity != posture.Critical {
		t.Errorf("ended it is %s, %s", got.Status, got.Severity)
	}
	l.facts.Antivirus.Items[0].Expired = posture.Read(false)
	l.report(t, term.Add(2*hour), term.Add(2*hour))
	if got := f.graceOf(t, s, l, "AV-01", term.Add(2*hour)); got.Status != breach.Pending || got.GraceLeft != 2*hour {
		t.Errorf("renewed it is %s with %s left", got.Status, got.GraceLeft)
	}
}

// TestBufferedStatementsAreOneVisit: what a laptop kept for days and sends at once
// is heard at once, whatever clock it has.
func TestBufferedStatementsAreOneVisit(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.unguarded(t, "hb-lt-014")
	l.skew = -40 * 24 * hour
	l.report(t, term, term)
	late := term.Add(100 * hour)
	for h := range 99 {
		l.contact(t, term.Add(time.Duration(h+1)*hour), late)
	}
	f := open(t, s)
	// Heard from at the beginning, and after a hundred hours: an hour of it counts.
	if got := f.graceOf(t, s, l, "AV-01", late); got.Status != breach.Pending || got.GraceLeft != 3*hour {
		t.Errorf("it is %s with %s left", got.Status, got.GraceLeft)
	}
}

// TestLIF01LeavesHolidaysOut: a laptop lies in a cupboard from the Thursday before
// three weeks of holiday on, and another in term.
func TestLIF01LeavesHolidaysOut(t *testing.T) {
	s := newSchool(t, "hollybank")
	s.setCalendar(t, term, autumn(7, 21))
	l := s.enrol(t, "hb-lt-014", term)
	thursday := term.Add(3 * 24 * hour)
	l.report(t, thursday, thursday)
	f := open(t, s)
	// Four days are left of that week, and ten more are counted after the holiday.
	lapses := thursday.Add(35*24*hour + time.Millisecond)
	for at, want := range map[time.Time]view.Standing{
		thursday.Add(20 * 24 * hour): view.Met, lapses.Add(-time.Minute): view.Met, lapses: view.NotMet,
	} {
		if got := standing(t, f.device(t, s, "hb-lt-014", at), "LIF-01").Standing; at.After(thursday.Add(14*24*hour)) && want == view.Met && got == view.NotProven {
			continue // its age says nothing any more
		} else if got != want {
			t.Errorf("%s after it was last heard from LIF-01 is %s, want %s", at.Sub(thursday), got, want)
		}
	}
	if got := f.graceOf(t, s, l, "LIF-01", lapses); !got.FirstFailed.Equal(lapses) || !got.Silent {
		t.Errorf("it failed at %s: %+v", got.FirstFailed, got)
	}
	page, err := f.q.Breaches(t.Context(), s.id, view.BreachQuery{Rule: "LIF-01"}, lapses)
	if err != nil || len(page.Breaches) != 1 {
		t.Errorf("the list has %d, %v", len(page.Breaches), err)
	}
	back := lapses.Add(hour)
	l.contact(t, back, back)
	if got := f.graceOf(t, s, l, "LIF-01", back); got.Status != breach.Resolved || !got.FirstFailed.Equal(lapses) {
		t.Errorf("heard again it is %s, failed at %s", got.Status, got.FirstFailed)
	}
}

// TestManyThatFellSilentInOneHoliday: laptops that were last heard from on
// different days of a holiday have been silent for equally long; pages of any
// length list each once.
func TestManyThatFellSilentInOneHoliday(t *testing.T) {
	s := newSchool(t, "hollybank")
	s.setCalendar(t, term, autumn(7, 21))
	for i := range 9 {
		l := s.enrol(t, fmt.Sprintf("hb-lt-%03d", (i*7)%9), term)
		at := term.Add(time.Duration(8+i) * 24 * hour)
		l.report(t, at, at)
	}
	f := open(t, s)
	f.catchUp(t)
	now := term.Add(60 * 24 * hour)
	for limit := 1; limit < 11; limit++ {
		var names []string
		q := view.BreachQuery{Rule: "LIF-01", Limit: limit}
		for {
			page, err := f.q.Breaches(t.Context(), s.id, q, now)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range page.Breaches {
				names = append(names, b.Hostname)
			}
			if q.After = page.Next; q.After == "" {
				break
			}
		}
		if slices.Sort(names); len(slices.Compact(names)) != 9 {
			t.Fatalf("in pages of %d: %v", limit, names)
		}
	}
	if got := count(f.overview(t, s, now), breach.Open); got != 18 { // LIF-01 and ENC-05
		t.Errorf("the overview has %d", got)
	}
}

// ends returns when the grace of AV-01 ends on a laptop that is heard from at some
// moments and says at one of them that its antivirus has been off since another.
func ends(t *testing.T, heard []int, fails, told int, grace time.Duration, forget bool) time.Time {
	t.Helper()
	s := newSchool(t, "hollybank")
	s.publish(t, term, func(p *policy.Policy) {
		for i := range p.Rules {
			if p.Rules[i].ID == "AV-01" {
				p.Rules[i].Grace = grace
			}
		}
	})
	l := s.unguarded(t, "hb-lt-014")
	l.policy, l.number = s.policy, s.number
	minute := func(n int) time.Time { return term.Add(time.Duration(n) * time.Minute) }
	last := 0
	for _, m := range heard {
		if m == told {
			l.report(t, minute(fails), minute(told))
		}
		l.contact(t, minute(m), minute(m))
		last = max(last, m)
	}
	if forget {
		s.forgetContacts(minute(last))
	}
	f := open(t, s)
	return f.graceOf(t, s, l, "AV-01", minute(last)).GraceEnds
}

// forgetContacts forgets all contacts but each day's last, as retention does.
func (s *school) forgetContacts(at time.Time) {
	last := map[time.Time]int{}
	for i, r := range s.ledger.records {
		if r.Envelope.Kind == proof.KindContacts {
			last[moment(r.Envelope.ReceivedAt).Truncate(24*hour)] = i
		}
	}
	kept := map[int][]byte{}
	for _, i := range last {
		kept[i] = s.ledger.bodies[i][0]
	}
	s.purge(at, proof.Contacts)
	for i, body := range kept {
		s.ledger.bodies[i][0] = body
	}
}

// TestLateAndForgottenEndsNoGraceLater: a failure that is reported late has its
// grace from when it failed; and forgetting when a laptop was heard from never
// puts the end of a grace off.
func TestLateAndForgottenEndsNoGraceLater(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		if !sampled(rt) {
			return
		}
		grace := time.Duration(rapid.IntRange(30, 1500).Draw(rt, "grace")) * time.Minute
		heard := []int{0}
		for _, m := range rapid.SliceOfN(rapid.SampledFrom([]int{1, 20, 59, 60, 61, 90, 300, 900, 3000}), 3, 25).Draw(rt, "heard") {
			heard = append(heard, heard[len(heard)-1]+m)
		}
		fails := rapid.SampledFrom(heard).Draw(rt, "fails")
		told := rapid.SampledFrom(heard[slices.Index(heard, fails):]).Draw(rt, "told")
		atOnce := ends(t, heard, fails, fails, grace, false)
		late := ends(t, heard, fails, told, grace, false)
		noLater := func(what string, at, than time.Time) {
			if !than.IsZero() && (at.IsZero() || at.After(than)) {
				rt.Fatalf("%s it ends at %s, at once and in full at %s", what, at, than)
			}
			if at.IsZero() {
				return
			}
			if least := term.Add(time.Duration(fails) * time.Minute).Add(grace); at.Before(least) {
				rt.Fatalf("%s it ends at %s, sooner than by the clock at %s", what, at, least)
			}
		}
		end := term.Add(time.Duration(heard[len(heard)-1]) * time.Minute)
		if late.IsZero() && atOnce.After(end) {
			atOnce = time.Time{} // it depends on what comes
		}
		// What was over when it was told ended before that, nobody knows by how much.
		noLater("told late,", late, latest(atOnce, told))
		// The same of a day of which the last contact alone is kept.
		kept := heard[len(heard)-1]
		for i, m := range slices.Backward(heard[:len(heard)-1]) {
			day := func(n int) time.Time { return term.Add(time.Duration(n) * time.Minute).Truncate(24 * hour) }
			if at := term.Add(time.Duration(m) * time.Minute); !late.After(at) && day(m) != day(heard[i+1]) {
				kept = m
			}
		}
		noLater("forgotten,", ends(t, heard, fails, told, grace, true), latest(late, kept))
	})
}

// latest returns the later of a moment, if it is known, and of some minutes after
// the first.
func latest(at time.Time, minutes int) time.Time {
	if other := term.Add(time.Duration(minutes) * time.Minute); !at.IsZero() && at.Before(other) {
		return other
	}
	return at
}

// TestOnlineOfADay: a day's row holds how long the laptop had been online.
func TestOnlineOfADay(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.unguarded(t, "hb-lt-014")
	l.report(t, term, term)
	var want []time.Duration
	for d := range 3 {
		for h := range 6 {
			at := term.Add(time.Duration(d*24+h+1) * hour)
			l.contact(t, at, at)
		}
		want = append(want, time.Duration(d*6+6)*hour)
	}
	f := open(t, s)
	f.catchUp(t)
	h, err := f.q.History(t.Context(), s.id, l.id)
	if err != nil {
		t.Fatal(err)
	}
	var got []time.Duration
	for _, d := range h.Days {
		got = append(got, d.Online)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("online (-want +got):\n%s", diff)
	}
	rows := strings.Count(f.dump(t, s), `\x00day\x00`)
	if rows != 2 {
		t.Errorf("three days of contacts are %d rows, and want 2: the third is in the device's row", rows)
	}
}
