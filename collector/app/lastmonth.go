package app

import (
	"context"
	"time"

	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/collector/notify"
	"github.com/caretaker-school/caretaker/collector/summary"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// LastMonth implements notify.Source: the counts of the summary that pages show, of
// the last month that is over and in which anything was heard.
func (r *reading) LastMonth(ctx context.Context, id posture.SchoolID, now time.Time) (notify.MonthSummary, error) {
	days, err := r.c.view.Queries().Terms(ctx, id)
	if err != nil {
		return notify.MonthSummary{}, err
	}
	local := now.In(days.Zone())
	last := calendar.DateOf(time.Date(local.Year(), local.Month(), 0, 0, 0, 0, 0, time.UTC))
	year, err := r.c.view.Queries().Trend(ctx, id, last-usualSpan+1, last, now)
	if err != nil || len(year.Days) == 0 {
		return notify.MonthSummary{}, err
	}
	heard := year.Days[len(year.Days)-1].Date.Time()
	m, err := r.c.Month(ctx, id, heard, now)
	if err != nil {
		return notify.MonthSummary{}, err
	}
	ended := time.Date(heard.Year(), heard.Month()+1, 1, 0, 0, 0, 0, days.Zone())
	return notify.MonthSummary{Month: m.Month, Words: m.Words, Ended: ended, Counts: monthCounts(m)}, nil
}

// monthCounts are the counts that a notice tells: what a month comes to. The page
// that it leads to says the rest.
func monthCounts(m summary.Month) (list []notify.Count) {
	add := func(words string, c summary.MonthCount) {
		list = append(list, notify.Count{Words: words, Now: c.Now, Since: c.Since()})
	}
	add("days on which anything was heard", summary.MonthCount{Now: m.Heard})
	list[0].Since = "of this month"
	if m.At.IsZero() {
		return list
	}
	add("devices", m.Devices)
	add("silent for too long", m.Silent)
	for _, d := range m.Disks[:3] {
		add(d.Words, d.Count)
	}
	var failing, unproven summary.MonthCount
	failing.Known, unproven.Known = true, true
	for _, u := range m.Rules {
		for _, one := range []struct {
			of   summary.MonthCount
			into *summary.MonthCount
		}{{u.NotMet, &failing}, {u.NotProven, &unproven}} {
			one.into.Known = one.into.Known && one.of.Known
			if one.of.Now > 0 {
				one.into.Now++
			}
			if one.of.Before > 0 {
				one.into.Before++
			}
		}
	}
	add("rules that a device does not meet", failing)
	add("rules that are not proven of a device", unproven)
	return list
}
