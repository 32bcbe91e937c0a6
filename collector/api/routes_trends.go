package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/collector/summary"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TrendQueries are the questions about how a school came to stand where it does.
type TrendQueries interface {
	Trend(ctx context.Context, school posture.SchoolID, from, to calendar.Date, now time.Time) (view.Trend, error)
	Changed(ctx context.Context, school posture.SchoolID, query view.ChangedQuery, now time.Time) (view.Changed, error)
}

// Summarizer sums up months that are over. What is not is a
// decision.RefusedError.
type Summarizer interface {
	Month(ctx context.Context, school posture.SchoolID, month, now time.Time) (summary.Month, error)
}

func changeWords() (words []string) {
	for _, k := range view.ChangeKinds() {
		words = append(words, string(k))
	}
	return words
}

func trendRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/schools/{school}/trends", right: access.ReadTrends, shows: viewing.Nobody,
			words: "Where a school stood at the end of each of its days, in counts alone, and where it stands now. A day on which nothing was heard is not among them.",
			gives: view.Trend{}, serve: (*door).trend,
			params: []param{
				{name: "from", words: "the first day, such as 2026-09-03; 52 weeks before the last if not given"},
				{name: "to", words: "the last day; today if not given"},
			},
		},
		{
			method: http.MethodGet, path: "/schools/{school}/trends/changes", right: access.ReadDevices, shows: viewing.Breaches,
			words: "What changed at a school, the newest first.", gives: view.Changed{}, serve: (*door).changedSince,
			params: []param{
				{name: "since", words: "a moment, such as 2026-11-16T00:00:00Z; a week ago if not given"},
				{name: "what", words: "one sort of change", one: changeWords()},
				{name: "rule", words: "identifier of a rule"},
				{name: "from", words: "how many of the list to pass over"},
				limitParam,
			},
		},
		{
			method: http.MethodGet, path: "/schools/{school}/months/{month}", right: access.ReadTrends, shows: viewing.Nobody,
			words: "The summary of a month that is over, such as 2026-10, for senior leaders: counts and what to decide. It names nobody.",
			gives: summary.Month{}, serve: (*door).month,
		},
	}
}

func (d *door) trend(r *http.Request, v visit) (any, error) {
	days, err := d.Queries.Calendar(r.Context(), v.school.ID, v.now)
	if err != nil {
		return nil, err
	}
	to, err := date(v.params.first("to"), days.Today.Date)
	if err != nil {
		return nil, err
	}
	from, err := date(v.params.first("from"), to-52*7+1)
	if err != nil {
		return nil, err
	}
	t, err := d.Queries.Trend(r.Context(), v.school.ID, from, to, v.now)
	if errors.Is(err, view.ErrSpan) {
		return nil, bad("%s", err.Error())
	}
	return t, err
}

// date reads a day of a question.
func date(text string, otherwise calendar.Date) (calendar.Date, error) {
	if text == "" {
		return otherwise, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return 0, bad("a day is written as in 2026-09-03, not %.64q", text)
	}
	return calendar.DateOf(t), nil
}

func (d *door) changedSince(r *http.Request, v visit) (any, error) {
	query := view.ChangedQuery{Since: v.now.AddDate(0, 0, -7), What: view.ChangeKind(v.params.first("what")), Rule: v.params.first("rule"), Limit: v.params.limit()}
	if text := v.params.first("since"); text != "" {
		since, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return nil, bad("since is a moment such as 2026-11-16T00:00:00Z, not %.64q", text)
		}
		query.Since = since
	}
	if text := v.params.first("from"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, bad("from is a whole number, not %.64q", text)
		}
		query.From = n
	}
	return d.Queries.Changed(r.Context(), v.school.ID, query, v.now)
}

func (d *door) month(r *http.Request, v visit) (any, error) {
	month, err := time.Parse("2006-01", r.PathValue("month"))
	if err != nil {
		return nil, bad("a month is written as in 2026-10, not %.64q", r.PathValue("month"))
	}
	return d.Months.Month(r.Context(), v.school.ID, month, v.now)
}
