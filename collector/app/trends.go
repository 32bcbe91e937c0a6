package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/summary"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TrendArguments ask where a school stood on its days, what changed, or for the
// summary of a month.
type TrendArguments struct {
	School string `json:"school"`
	From   string `json:"from,omitempty"` // such as "2026-09-03"; "": a year before To
	To     string `json:"to,omitempty"`   // "": today
	What   string `json:"what,omitempty"` // of what changed: one sort alone
	Rule   string `json:"rule,omitempty"`
	Month  string `json:"month,omitempty"` // such as "2026-10"; "": the last that is over
}

// usualSpan is how many days are told of unless something else is asked for.
const usualSpan = 52 * 7

// day reads a day as people write it.
func day(text string, otherwise calendar.Date) (calendar.Date, error) {
	if text == "" {
		return otherwise, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return 0, fmt.Errorf("a day is written as in 2026-09-03, not %.20q", text)
	}
	return calendar.DateOf(t), nil
}

// trend tells where a school stood on its days.
func (c *collector) trend(ctx context.Context, a TrendArguments) (view.Trend, error) {
	r, err := c.record(a.School)
	if err != nil {
		return view.Trend{}, err
	}
	now := c.clock.Now()
	days, err := c.view.Queries().Terms(ctx, r.id)
	if err != nil {
		return view.Trend{}, err
	}
	to, err := day(a.To, days.On(now).Date)
	if err != nil {
		return view.Trend{}, err
	}
	from, err := day(a.From, to-usualSpan+1)
	if err != nil {
		return view.Trend{}, err
	}
	t, err := c.view.Queries().Trend(ctx, r.id, from, to, now)
	if _, known := t.Titles[a.Rule]; err == nil && a.Rule != "" && !known {
		return t, fmt.Errorf("no policy of the school has a rule %.40q", a.Rule)
	}
	return t, err
}

// changes tells what changed at a school, since a week ago unless a day is given.
func (c *collector) changes(ctx context.Context, a TrendArguments) (view.Changed, error) {
	r, err := c.record(a.School)
	if err != nil {
		return view.Changed{}, err
	}
	now := c.clock.Now()
	days, err := c.view.Queries().Terms(ctx, r.id)
	if err != nil {
		return view.Changed{}, err
	}
	since, err := day(a.From, days.On(now).Date-7)
	if err != nil {
		return view.Changed{}, err
	}
	if a.What != "" && !isChange(a.What) {
		return view.Changed{}, fmt.Errorf("%.20q is no sort of change: they are %s", a.What, strings.Join(changeNames(), ", "))
	}
	t := since.Time()
	from := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, days.Zone())
	return c.view.Queries().Changed(ctx, r.id, view.ChangedQuery{Since: from, What: view.ChangeKind(a.What), Rule: a.Rule, Limit: 500}, now)
}

func changeNames() (names []string) {
	for _, k := range view.ChangeKinds() {
		names = append(names, string(k))
	}
	return names
}

func isChange(name string) bool {
	for _, k := range view.ChangeKinds() {
		if string(k) == name {
			return true
		}
	}
	return false
}

// month makes the summary of a month that is over.
func (c *collector) month(ctx context.Context, a TrendArguments) (summary.Month, error) {
	r, err := c.record(a.School)
	if err != nil {
		return summary.Month{}, err
	}
	now := c.clock.Now()
	days, err := c.view.Queries().Terms(ctx, r.id)
	if err != nil {
		return summary.Month{}, err
	}
	local := now.In(days.Zone())
	month := time.Date(local.Year(), local.Month()-1, 1, 0, 0, 0, 0, time.UTC)
	if a.Month != "" {
		if month, err = time.Parse("2006-01", a.Month); err != nil {
			return summary.Month{}, fmt.Errorf("a month is written as in 2026-10, not %.20q", a.Month)
		}
	}
	return c.Month(ctx, r.id, month, now)
}

// Month implements api.Summarizer: it makes the summary of a month that is over.
func (c *collector) Month(ctx context.Context, id posture.SchoolID, month, now time.Time) (summary.Month, error) {
	r, err := c.record(string(id))
	if err != nil {
		return summary.Month{}, err
	}
	first := time.Date(month.Year(), month.Month(), 1, 0, 0, 0, 0, time.UTC)
	start, last := calendar.DateOf(first), calendar.DateOf(first.AddDate(0, 1, -1))
	t, err := c.view.Queries().Trend(ctx, id, calendar.DateOf(first.AddDate(0, -1, 0)), last, now)
	if err != nil {
		return summary.Month{}, err
	}
	if t.Now.Date <= last {
		return summary.Month{}, &decision.RefusedError{Why: month.Format("January 2006") + " is not over"}
	}
	counts := summary.MonthCounts{School: r.name, Month: first}
	for _, d := range t.Days {
		if d.Date < start {
			counts.Before = monthDay(d, t.Titles)
			continue
		}
		counts.Last = monthDay(d, t.Titles)
		counts.Heard++
	}
	return summary.MakeMonth(counts), nil
}

func monthDay(d view.CountedDay, titles map[string]string) *summary.MonthDay {
	e := d.Encryption
	out := &summary.MonthDay{
		At: d.At, Devices: d.Devices, Silent: d.Silent, Encrypted: e.Proven, Open: e.Open, Unproven: e.Unproven,
		Listed: e.Listed, ListedNot: e.ListedOpen + e.ListedUnsure,
	}
	for _, r := range d.Rules {
		out.Rules = append(out.Rules, summary.RuleCount{
			Rule: r.Rule, Title: titles[r.Rule], Met: r.Met, NotMet: r.NotMet, NotProven: r.NotProven, Exempt: r.Exempt, NotFor: r.NotFor,
		})
	}
	return out
}

// trender is what pages ask about how a school came to stand where it does.
type trender struct {
	*view.Queries
	collector *collector
}

// Month implements web.Trender.
func (t trender) Month(ctx context.Context, id posture.SchoolID, month, now time.Time) (summary.Month, error) {
	return t.collector.Month(ctx, id, month, now)
}
