package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/fault"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// CalendarQueries are the questions about a school's days.
type CalendarQueries interface {
	Calendar(ctx context.Context, school posture.SchoolID, now time.Time) (view.Calendar, error)
}

// CalendarSetter records term calendars.
type CalendarSetter interface {
	// SetCalendar records a calendar in a school's ledger and returns the entry
	// that holds it. What is wrong with its text is a fault.ListError.
	SetCalendar(ctx context.Context, school posture.SchoolID, d decision.Decision, file string, source []byte) (entry uint64, err error)
}

func calendarRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/schools/{school}/calendar", right: access.ReadDevices, shows: viewing.Nobody,
			words: "What is known of a school's days: its terms, holidays and closed days, what today is, and the calendars that were set.",
			gives: view.Calendar{}, serve: (*door).calendar,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/calendar", right: access.SetCalendar,
			words: "Sets a term calendar. Of the days that it speaks of it says what counts; of others an earlier one does.",
			takes: NewCalendar{}, gives: Recorded{}, serve: (*door).setCalendar,
		},
	}
}

// NewCalendar is a term calendar as a caller gives it.
type NewCalendar struct {
	Source string `json:"source"` // the calendar's text, in YAML
	Reason string `json:"reason"`
}

func (d *door) calendar(r *http.Request, v visit) (any, error) {
	return d.Queries.Calendar(r.Context(), v.school.ID, v.now)
}

func (d *door) setCalendar(r *http.Request, v visit) (any, error) {
	var asked NewCalendar
	if err := readBody(r, &asked); err != nil {
		return nil, err
	}
	made := decision.Decision{Kind: decision.Calendar, By: v.account.Name, At: v.now, Reason: asked.Reason}
	if err := made.CheckNew(); err != nil {
		return nil, bad("%s", err.Error())
	}
	entry, err := d.Terms.SetCalendar(r.Context(), v.school.ID, made, "source", []byte(asked.Source))
	if problems, ok := errors.AsType[fault.ListError](err); ok {
		return nil, bad("%s", problems.Error())
	}
	if refused, ok := errors.AsType[*decision.RefusedError](err); ok {
		return nil, &problem{Status: http.StatusConflict, Detail: refused.Error()}
	}
	return Recorded{Entry: entry}, err
}
