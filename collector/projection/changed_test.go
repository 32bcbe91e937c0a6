package projection

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestWhatChanged tells of a week what opened, closed, went silent and is new,
// newest first; what began before it and came late is told as late.
func TestWhatChanged(t *testing.T) {
	s := newSchool(t, "hollybank")
	l, quiet, late := s.enrol(t, "hb-lt-014", term), s.enrol(t, "hb-lt-015", term), s.enrol(t, "hb-lt-016", term)
	for _, one := range []*laptop{l, quiet, late} {
		one.facts.Security.Items[0].Firewall = posture.Read(one != l)
		one.report(t, term, term)
	}
	monday := term.Add(7 * dayLong)
	l.facts.Security.Items[0].Firewall = posture.Read(true)
	l.report(t, monday.Add(hour), monday.Add(hour))
	l.facts.Volumes.Items = []posture.Volume{volume(false)}
	l.report(t, monday.Add(2*hour), monday.Add(2*hour))
	late.facts.Volumes.Items = []posture.Volume{volume(false)}
	late.report(t, term.Add(dayLong), monday.Add(3*hour))
	s.enrol(t, "hb-lt-017", monday.Add(4*hour))
	f := open(t, s)
	f.catchUp(t)
	now := monday.Add(12 * dayLong)
	changed, err := f.q.Changed(t.Context(), s.id, view.ChangedQuery{Since: monday}, now)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range changed.Changes {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s %s %v", c.At.UTC().Format("Mon 15:04"), c.What, c.Hostname, c.Rule, map[bool]string{true: "late"}[c.Late])))
	}
	want := []string{"Mon 12:00 enrolled hb-lt-017", "Mon 11:00 opened hb-lt-016 ENC-01 late", "Mon 10:00 opened hb-lt-014 ENC-01", "Mon 09:00 closed hb-lt-014 CFG-01"}
	got = slices.DeleteFunc(got, func(s string) bool {
		return strings.Contains(s, "silent") || strings.Contains(s, "LIF-") || strings.Contains(s, "ENC-05")
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want - and got +:\n%s\n%+v", diff, changed)
	}
	if changed.Counts[view.Silenced] == 0 || changed.Counts[view.Opened] < 2 || changed.Counts[view.Closed] != 1 || changed.Counts[view.Enrolled] != 1 {
		t.Errorf("got %v", changed.Counts)
	}
	one, err := f.q.Changed(t.Context(), s.id, view.ChangedQuery{Since: monday, What: view.Opened, Rule: "ENC-01", From: 1}, now)
	if err != nil || one.Found != 2 || len(one.Changes) != 1 || one.Changes[0].Hostname != "hb-lt-014" || one.Counts[view.Closed] != 1 {
		t.Errorf("got %+v, %v", one, err)
	}
}

// TestChangesAreThoseOfTheLists: in random histories what opened and closed is
// what the lists of breaches say.
func TestChangesAreThoseOfTheLists(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		if !sampled(rt) {
			return
		}
		s := newSchool(t, "hollybank")
		f := open(rt, s)
		end := history(t, rt, s, func() {})
		f.catchUp(t)
		now := end.Add(dayLong)
		since := now.Add(-dayLong * 7)
		changed, err := f.q.Changed(t.Context(), s.id, view.ChangedQuery{Since: since, Limit: 500}, now)
		if err != nil {
			rt.Fatal(err)
		}
		page, err := f.q.Breaches(t.Context(), s.id, view.BreachQuery{Limit: 500, Statuses: breach.Statuses()}, now)
		if err != nil {
			rt.Fatal(err)
		}
		opened, closed := 0, 0
		for _, b := range page.Breaches {
			if !b.ReceivedAt.Before(since) && !b.ReceivedAt.After(now) {
				opened++
			}
			if !b.ResolvedAt.IsZero() && !b.ResolvedAt.Before(since) && !b.ResolvedAt.After(now) {
				closed++
			}
		}
		if changed.Counts[view.Opened] != opened || changed.Counts[view.Closed] != closed {
			rt.Fatalf("opened %d, closed %d by the lists, %v by what changed:\n%s\n%+v", opened, closed, changed.Counts, line(page.Breaches), changed.Changes)
		}
	})
}
