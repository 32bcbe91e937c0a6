package web

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/summary"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// trended tells of an invented year of the school: the laptops come one by one,
// the encryption of all is got in order, the summer is silent.
type trended struct{ q Queries }

func day(year int, month time.Month, d int) calendar.Date {
	return calendar.DateOf(time.Date(year, month, d, 0, 0, 0, 0, time.UTC))
}

var trendTerms = []calendar.Span{
	{Kind: calendar.School, Name: "Spring term", From: day(2026, 1, 5), To: day(2026, 3, 27)},
	{Kind: calendar.School, Name: "Summer term", From: day(2026, 4, 13), To: day(2026, 7, 21)},
	{Kind: calendar.School, Name: "Autumn term", From: day(2026, 9, 3), To: day(2026, 12, 18)},
}

var trendClosed = []calendar.Span{
	{Kind: calendar.Holiday, Name: "Easter", From: day(2026, 3, 28), To: day(2026, 4, 12)},
	{Kind: calendar.Holiday, Name: "Summer holidays", From: day(2026, 7, 22), To: day(2026, 9, 2)},
}

func (t trended) Trend(ctx context.Context, id posture.SchoolID, from, to calendar.Date, at time.Time) (view.Trend, error) {
	o, err := t.q.Overview(ctx, id, at)
	if err != nil {
		return view.Trend{}, err
	}
	trend := view.Trend{School: id, Zone: Zone, From: from, To: to, Terms: trendTerms, Closed: trendClosed, Titles: map[string]string{}}
	today := calendar.DateOf(at)
	trend.Now = trendDay(o, today, o.Devices)
	for _, r := range o.Rules {
		trend.Titles[r.Rule] = r.Title
	}
	for d := max(from, day(2026, 1, 12)); d <= min(to, today); d++ {
		silent := d.Weekday() == time.Saturday || d.Weekday() == time.Sunday || d >= trendClosed[1].From+2 && d <= trendClosed[1].To
		switch {
		case silent || o.Devices == 0:
		case d == today:
			trend.Days = append(trend.Days, trend.Now)
		default:
			trend.Days = append(trend.Days, trendDay(o, d, max(1, min(o.Devices, int(d-day(2026, 1, 11))/3))))
		}
	}
	return trend, nil
}

// trendDay counts so many devices in the shares of today, the fewer days there
// were the worse.
func trendDay(o view.Overview, d calendar.Date, devices int) view.CountedDay {
	c := view.CountedDay{Date: d, At: d.Time().Add(24*time.Hour - time.Millisecond), Devices: devices, Policy: o.Policy}
	for _, r := range o.Rules {
		share := func(n int) int { return n * devices / max(1, o.Devices) }
		one := view.CountedRule{Rule: r.Rule, NotMet: share(r.NotMet), NotProven: share(r.NotProven), Exempt: share(r.Exempt), NotFor: share(r.NotFor)}
		one.Met = devices - one.NotMet - one.NotProven - one.Exempt - one.NotFor
		if worse := min(one.Met, (o.Devices-devices)/4); devices < o.Devices {
			one.Met, one.NotMet = one.Met-worse, one.NotMet+worse
		}
		c.Rules = append(c.Rules, one)
	}
	c.Encryption = view.Encryption{Open: devices / 6, Unproven: devices / 8, Listed: 9, ListedUnsure: 1}
	c.Encryption.Proven = devices - c.Encryption.Open - c.Encryption.Unproven
	c.Definitions = view.Ages{Days: devices / 4, Week: devices / 9, Older: devices / 20, Unproven: devices / 8}
	c.Definitions.Day = devices - c.Definitions.Total()
	return c
}

func (t trended) Changed(ctx context.Context, id posture.SchoolID, query view.ChangedQuery, at time.Time) (view.Changed, error) {
	page, err := t.q.BreachGroups(ctx, id, view.BreachQuery{Statuses: breach.Statuses()}, at)
	if errors.Is(err, view.ErrNotFound) {
		return view.Changed{}, err
	}
	all := view.Changed{School: id, Since: query.Since, At: at, Counts: map[view.ChangeKind]int{}}
	add := func(c view.Change) {
		all.Counts[c.What]++
		if (query.What == "" || query.What == c.What) && (query.Rule == "" || query.Rule == c.Rule) {
			all.Changes = append(all.Changes, c)
		}
	}
	for n, g := range page.Groups {
		b := g.Breach
		add(view.Change{
			At: at.Add(-time.Duration(n) * time.Hour), What: view.Opened, Device: b.Device, Hostname: b.Hostname, AssetTag: b.AssetTag, Rule: b.Rule,
			Title: b.Title, Label: b.Subject.Label, Severity: b.Severity, Late: n%5 == 0,
		})
		if n < 3 {
			all.Causes = append(all.Causes, view.Cause{Rule: b.Rule, Title: b.Title, Severity: b.Severity, Opened: 3 - n, Closed: n, Last: at.Add(-time.Hour)})
		}
	}
	for n, what := range []view.ChangeKind{view.Closed, view.Silenced, view.Exempted, view.Enrolled} {
		add(view.Change{
			At: at.Add(-time.Duration(n+30) * time.Hour), What: what, Device: "d-014", Hostname: "hb-lt-014", AssetTag: fmt.Sprintf("HB-%d", n), Rule: map[bool]string{true: "ENC-01"}[n%2 == 0],
			Title: "System disk encrypted", Closed: map[bool]breach.Resolution{true: breach.Decided}[what == view.Closed],
		})
	}
	all.Found = len(all.Changes)
	all.Changes = all.Changes[min(query.From, all.Found):min(query.From+query.Limit, all.Found)]
	return all, nil
}

func (t trended) Month(ctx context.Context, id posture.SchoolID, month, at time.Time) (summary.Month, error) {
	first := time.Date(month.Year(), month.Month(), 1, 0, 0, 0, 0, time.UTC)
	if !first.AddDate(0, 1, 0).Before(at) {
		return summary.Month{}, &decision.RefusedError{Why: "it is not over"}
	}
	o, err := t.q.Overview(ctx, id, at)
	if err != nil {
		return summary.Month{}, err
	}
	day := summary.MonthDay{At: first.AddDate(0, 1, -1), Devices: o.Devices, Silent: 3, Encrypted: o.Devices - 9, Open: 4, Unproven: 5, Listed: 9}
	before := day
	before.Open = 6
	for _, r := range o.Rules {
		one := summary.RuleCount{Rule: r.Rule, Title: r.Title, Met: r.Met, NotMet: r.NotMet, NotProven: r.NotProven, Exempt: r.Exempt, NotFor: r.NotFor}
		day.Rules = append(day.Rules, one)
		one.NotMet /= 2
		before.Rules = append(before.Rules, one)
	}
	return summary.MakeMonth(summary.MonthCounts{School: o.SchoolName, Month: first, Heard: 19, Last: &day, Before: &before}), nil
}
