package app

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// CalendarArguments set a term calendar, or ask for what is known of a school's
// days.
type CalendarArguments struct {
	School string `json:"school"`
	File   string `json:"file,omitempty"`
	Source []byte `json:"source,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// CalendarAnswer is a calendar that was set.
type CalendarAnswer struct {
	School  posture.SchoolID `json:"school"`
	Entry   uint64           `json:"entry"` // of the ledger
	Name    string           `json:"name"`
	Zone    string           `json:"zone"`
	From    calendar.Date    `json:"from"`
	To      calendar.Date    `json:"to"`
	Warning string           `json:"warning,omitempty"` // what should be done about it as things stand
}

// usualCalendarReason stands where nobody gave another.
const usualCalendarReason = "the school's term dates"

// SetCalendar implements api.CalendarSetter.
func (c *collector) SetCalendar(ctx context.Context, id posture.SchoolID, d decision.Decision, file string, source []byte) (entry uint64, err error) {
	s, err := c.deciding(ctx, string(id))
	if err != nil {
		return 0, err
	}
	known, err := c.view.Queries().Calendar(ctx, id, c.clock.Now())
	if err != nil {
		return 0, err
	}
	if len(known.History) > 0 && bytes.Equal([]byte(known.History[0].Source), source) {
		return 0, &decision.RefusedError{Why: fmt.Sprintf("this is calendar %d, which is in force already", known.History[0].Number)}
	}
	defer c.show(ctx, s)
	return s.setCalendar(ctx, d, file, source, c.clock.Now())
}

// setCalendar records a calendar.
func (s *school) setCalendar(ctx context.Context, d decision.Decision, file string, source []byte, now time.Time) (entry uint64, err error) {
	return s.record(ctx, now, func(salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
		return decision.CalendarSections(d, file, source, salts)
	})
}

// setsCalendar sets a calendar as the operator.
func (c *collector) setsCalendar(ctx context.Context, a CalendarArguments) (CalendarAnswer, error) {
	s, err := c.school(a.School)
	if err != nil {
		return CalendarAnswer{}, err
	}
	made, err := calendar.Parse(a.File, a.Source)
	if err != nil {
		return CalendarAnswer{}, fmt.Errorf("nothing was set:\n%w", err)
	}
	d := decision.Decision{Kind: decision.Calendar, By: operator(), At: c.clock.Now(), Reason: cmp.Or(a.Reason, usualCalendarReason)}
	entry, err := c.SetCalendar(ctx, s.ID, d, a.File, a.Source)
	if err != nil {
		return CalendarAnswer{}, err
	}
	before, err := c.view.Queries().Terms(ctx, s.ID)
	if err != nil {
		return CalendarAnswer{}, err
	}
	answer := CalendarAnswer{
		School: s.ID, Entry: entry, Name: made.Name(), Zone: made.Zone().String(), Warning: calendar.Join(before, made).Warning(c.clock.Now()),
	}
	answer.From, answer.To, _ = made.Speaks()
	return answer, nil
}

// calendar says what is known of a school's days.
func (c *collector) calendar(ctx context.Context, a CalendarArguments) (view.Calendar, error) {
	s, err := c.record(a.School)
	if err != nil {
		return view.Calendar{}, err
	}
	return c.view.Queries().Calendar(ctx, s.id, c.clock.Now())
}
