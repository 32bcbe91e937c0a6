package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/web"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// GuestNoticeArguments ask what guests are told.
type GuestNoticeArguments struct {
	School string `json:"school"`
}

// guestNotices says what guests are told.
func (c *collector) guestNotices(ctx context.Context, a GuestNoticeArguments) (view.GuestNotices, error) {
	s, err := c.record(a.School)
	if err != nil {
		return view.GuestNotices{}, err
	}
	return c.view.Queries().GuestNotices(ctx, s.id, c.clock.Now())
}

// Asset returns one asset of a school's register, and whether whoever has it can
// administer it.
func (q queries) Asset(ctx context.Context, school posture.SchoolID, tag string, now time.Time) (view.Registered, error) {
	one, err := q.Queries.Asset(ctx, school, tag, now)
	if err != nil || one.Held == nil {
		return one, err
	}
	rights := view.RightsOf(*one.Held, view.DeviceDetail{}, time.Time{})
	if one.Cover == view.ByAgent || one.Cover == view.SilentAgent {
		if rights, err = q.Rights(ctx, school, *one.Held, one.Device, now); err != nil {
			return one, err
		}
	}
	one.Rights = &rights
	return one, nil
}

// noticed completes an allocation to a guest with which notice they were given:
// the one in use, if none is named.
func (c *collector) noticed(ctx context.Context, school posture.SchoolID, change register.Change) (register.Change, error) {
	if change.What != register.Allocate || change.Allocation == nil || !change.Allocation.Notice {
		return change, nil
	}
	known, err := c.view.Queries().GuestNotices(ctx, school, c.clock.Now())
	if err != nil {
		return change, err
	}
	x := *change.Allocation
	change.Allocation = &x
	if x.NoticeVersion == "" {
		if len(known.Notices) > 0 {
			x.NoticeVersion = known.Notices[0].Version
		}
		return change, nil
	}
	for _, n := range known.Notices {
		if register.Key(n.Version) == register.Key(x.NoticeVersion) {
			x.NoticeVersion = n.Version
			return change, nil
		}
	}
	return change, &decision.RefusedError{Why: fmt.Sprintf("the school has recorded no notice %q for guests", x.NoticeVersion)}
}

// noticeKeepable says why a notice cannot be recorded.
func (c *collector) noticeKeepable(ctx context.Context, school posture.SchoolID, change register.Change) error {
	known, err := c.view.Queries().GuestNotices(ctx, school, c.clock.Now())
	if err != nil {
		return err
	}
	for _, n := range known.Notices {
		if register.Key(n.Version) == register.Key(change.Tag) {
			return &decision.RefusedError{Why: fmt.Sprintf("the notice %s is recorded already: give the new text another version", n.Version)}
		}
	}
	return nil
}

// times reads the times of a change as people wrote them: by the clock on the
// school's wall.
func (c *collector) times(ctx context.Context, school posture.SchoolID, a *RegisterArguments) error {
	if a.On == "" && a.Until == "" {
		return nil
	}
	zone, err := c.zoneOf(ctx, school)
	if err != nil {
		return err
	}
	if a.On != "" {
		if a.Change.When, err = wallTime(a.On, zone); err != nil {
			return err
		}
		if _, day := time.Parse(time.DateOnly, strings.TrimSpace(a.On)); day == nil && a.Change.What == register.Left {
			a.Change.When = a.Change.When.In(zone).AddDate(0, 0, 1) // whoever leaves that day has the device until it is over
		}
	}
	if a.Until == "" {
		return nil
	}
	if a.Change.Allocation == nil {
		return fmt.Errorf("%s has no end", a.Change.What)
	}
	a.Change.Allocation.Ends, err = wallTime(a.Until, zone)
	return err
}

// zoneOf returns the zone of a school: that of its term calendar, or of schools
// here.
func (c *collector) zoneOf(ctx context.Context, school posture.SchoolID) (*time.Location, error) {
	terms, err := c.view.Queries().Terms(ctx, school)
	if err != nil {
		return nil, err
	}
	if terms != nil && terms.Zone() != time.UTC {
		return terms.Zone(), nil
	}
	return time.LoadLocation(web.Zone)
}

// wallTime reads a time as people write it, by the clock on a wall.
func wallTime(s string, zone *time.Location) (time.Time, error) {
	s = strings.TrimSpace(s)
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%.40q is no time: write it as 2026-11-27 or \"2026-11-27 16:00\"", s)
}
