package projection

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestEveryQuestionAgrees asks about random histories at moments near those at
// which something turns by the passing of time: totals, lists, filters, groups
// and pages of any size say what the devices' own pages say.
func TestEveryQuestionAgrees(t *testing.T) {
	ages := []time.Duration{0}
	l, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range words(l).Rules {
		for _, age := range []time.Duration{r.MaxAge, r.Lapses.After, r.Lapses.After + r.Grace, r.Lapses.After + r.Escalate.After} {
			if age > 0 && !slices.Contains(ages, age) {
				ages = append(ages, age)
			}
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		s := newSchool(t, "hollybank")
		end := history(t, rt, s, func() {})
		f := open(rt, s)
		f.catchUp(t)
		for range 4 {
			age := rapid.SampledFrom(ages).Draw(rt, "age")
			now := end.Add(age).Add(-time.Duration(rapid.IntRange(-20, 3000).Draw(rt, "minutes")) * time.Minute)
			if now.Before(end) {
				now = end
			}
			agree(rt, f, s, now)
			agreeOnStandings(rt, f, s, now)
			agreeOnPages(rt, f, s, now, rapid.IntRange(1, 7).Draw(rt, "limit"))
		}
		agreeOnGroups(rt, f, s, readModel(t, s).groups, end, rapid.IntRange(1, 3).Draw(rt, "of a group"))
	})
}

// agreeOnStandings compares the lists of devices by rule and standing with the
// overview, and what they were listed for with their own pages.
func agreeOnStandings(t *rapid.T, f fixture, s *school, now time.Time) {
	ctx := context.Background()
	o, err := f.q.Overview(ctx, s.id, now)
	if err != nil {
		t.Fatal(err)
	}
	list := func(q view.DeviceQuery) []view.Device {
		var all []view.Device
		for q.Limit = 2; ; {
			page, err := f.q.Devices(ctx, s.id, q, now)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, page.Devices...)
			if q.After = page.Next; page.Next == "" {
				return all
			}
		}
	}
	if silent := list(view.DeviceQuery{Silent: true}); len(silent) != o.Silent {
		t.Fatalf("at %v %d silent devices are listed, not %d", now, len(silent), o.Silent)
	}
	some := map[string]bool{}
	for _, r := range o.Rules {
		for standing, want := range map[view.Standing]int{view.Met: r.Met, view.NotMet: r.NotMet, view.NotProven: r.NotProven, view.Exempt: r.Exempt, view.NotFor: r.NotFor} {
			devices := list(view.DeviceQuery{Rule: r.Rule, Standing: standing})
			if len(devices) != want {
				t.Fatalf("at %v %d devices are listed as %s on %s, not %d", now, len(devices), standing, r.Rule, want)
			}
			for _, d := range devices {
				if standing == view.NotMet {
					some[string(d.ID)] = true
				}
				if standing == view.NotMet && len(d.Found) == 0 {
					t.Fatalf("at %v device %s is listed as not meeting %s for no finding", now, d.ID, r.Rule)
				}
				for _, found := range d.Found {
					if found.Rule != r.Rule || found.Standing != standing {
						t.Fatalf("listed as %s on %s for %+v", standing, r.Rule, found)
					}
				}
			}
		}
	}
	if listed := list(view.DeviceQuery{Standing: view.NotMet}); len(listed) != len(some) {
		t.Fatalf("at %v %d devices do not meet some rule, not %d", now, len(listed), len(some))
	}
}

// agreeOnPages compares lists of breaches in pages of some size with the same
// in one, and groups with what they are made of.
func agreeOnPages(t *rapid.T, f fixture, s *school, now time.Time, limit int) {
	ctx := context.Background()
	for _, q := range []view.BreachQuery{
		{},
		{Statuses: breach.Statuses()},
		{Statuses: []breach.Status{breach.Pending}},
		{Statuses: []breach.Status{breach.Open, breach.Resolved}},
		{Rule: "LIF-01"},
		{Device: "hb-lt-000", Statuses: breach.Statuses()},
	} {
		q.Limit = 500
		whole, err := f.q.Breaches(ctx, s.id, q, now)
		if err != nil || whole.Next != "" {
			t.Fatalf("got %v and a next page at %q", err, whole.Next)
		}
		var parts []view.Breach
		groups := map[string]int{}
		for q.Limit = limit; ; {
			page, err := f.q.Breaches(ctx, s.id, q, now)
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, page.Breaches...)
			if q.After = page.Next; page.Next == "" {
				break
			}
		}
		if len(parts) != len(whole.Breaches) || !slices.EqualFunc(parts, whole.Breaches, func(a, b view.Breach) bool { return name(a) == name(b) }) {
			t.Fatalf("at %v %+v in pages of %d: %v, in one %v", now, q, limit, names(parts), names(whole.Breaches))
		}
		for q.After = ""; ; {
			page, err := f.q.BreachGroups(ctx, s.id, q, now)
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range page.Groups {
				if g.Count != len(g.Things) || name(g.Things[0])[:20] != name(g.Breach)[:20] {
					t.Fatalf("a group of %d has %v", g.Count, names(g.Things))
				}
				for _, b := range g.Things {
					groups[name(b)]++
				}
			}
			if q.After = page.Next; page.Next == "" {
				break
			}
		}
		for _, b := range whole.Breaches {
			groups[name(b)]--
		}
		for k, n := range groups {
			if n != 0 {
				t.Fatalf("at %v %+v in pages of %d: %s is in %d groups more than lists: %v", now, q, limit, k, n, names(whole.Breaches))
			}
		}
	}
}

// agreeOnGroups compares the groups with what the ledger says, their sizes with who
// is in them, and who is in them with the same in pages of some size.
func agreeOnGroups(t *rapid.T, f fixture, s *school, told map[posture.DeviceID][]string, now time.Time, limit int) {
	ctx := context.Background()
	groups, err := f.q.Groups(ctx, s.id, now)
	if err != nil {
		t.Fatal(err)
	}
	sizes := []view.GroupSize{}
	for _, g := range groups {
		size := view.GroupSize{Name: g.Name, Devices: len(g.Devices)}
		for _, d := range g.Devices {
			if !slices.Contains(told[d.ID], g.Name) {
				t.Fatalf("%s is in the group %q, and was told %q", d.ID, g.Name, told[d.ID])
			}
			if d.Due {
				size.Due++
			}
		}
		sizes = append(sizes, size)
		var parts []view.GroupedDevice
		for after, more := posture.DeviceID(""), true; more; {
			var page []view.GroupedDevice
			if page, more, err = f.q.GroupDevices(ctx, s.id, g.Name, after, limit, now); err != nil || len(page) > limit || more && len(page) < limit {
				t.Fatalf("%d of the group %q in a page of %d, more: %t, %v", len(page), g.Name, limit, more, err)
			}
			if parts = append(parts, page...); more {
				after = page[len(page)-1].ID
			}
		}
		if !slices.Equal(parts, g.Devices) {
			t.Fatalf("the group %q in pages of %d: %v, in one %v", g.Name, limit, parts, g.Devices)
		}
	}
	if got, err := f.q.GroupSizes(ctx, s.id, now); err != nil || !slices.Equal(got, sizes) {
		t.Fatalf("sizes of groups: %v and %v, want %v", got, err, sizes)
	}
}

func name(b view.Breach) string {
	return fmt.Sprintf("%s %s %s %s %s", b.FirstFailed.Format(time.RFC3339Nano), b.Device, b.Rule, b.Subject.Key, b.Status)
}

func names(list []view.Breach) []string {
	var all []string
	for _, b := range list {
		all = append(all, name(b))
	}
	return all
}
