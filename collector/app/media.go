package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// MediaArguments ask about media.
type MediaArguments struct {
	School string `json:"school"`
	Number string `json:"number,omitempty"` // of the only one
	Serial string `json:"serial,omitempty"` // hash of a serial number, to be looked up
	// Found is when a medium was found that is to be looked up, and Zone the one
	// in which times are offered.
	Found *incident.Moment `json:"found,omitempty"`
	Zone  string           `json:"zone,omitempty"`
	After string           `json:"after,omitempty"`
	Limit int              `json:"limit,omitempty"`
}

func (c *collector) media(ctx context.Context, a MediaArguments) (view.MediumPage, error) {
	s, err := c.record(a.School)
	if err != nil {
		return view.MediumPage{}, err
	}
	return c.view.Queries().Media(ctx, s.id, a.After, a.Limit, c.clock.Now())
}

func (c *collector) medium(ctx context.Context, a MediaArguments) (view.Medium, error) {
	s, err := c.record(a.School)
	if err != nil {
		return view.Medium{}, err
	}
	m, err := c.view.Queries().Medium(ctx, s.id, a.Number, c.clock.Now())
	if errors.Is(err, view.ErrNotFound) {
		err = fmt.Errorf("%s has no medium %q in its register", s.name, a.Number)
	}
	return m, err
}

func (c *collector) findMedia(ctx context.Context, a MediaArguments) (view.FoundMedia, error) {
	s, err := c.record(a.School)
	if err != nil {
		return view.FoundMedia{}, err
	}
	query := view.FoundQuery{Serial: a.Serial, Number: a.Number, Found: a.Found, Zone: a.Zone}
	if err := query.Check(c.clock.Now()); err != nil {
		return view.FoundMedia{}, err
	}
	found, err := c.view.Queries().FindMedia(ctx, s.id, query, c.clock.Now())
	if errors.Is(err, view.ErrNotFound) {
		err = fmt.Errorf("%s has no medium %q in its register", s.name, a.Number)
	}
	return found, err
}

// Inserted implements web.RegisterKeeper.
func (c *collector) Inserted(ctx context.Context, school posture.SchoolID, device posture.DeviceID) ([]string, error) {
	d, err := c.view.Queries().Device(ctx, school, device, c.clock.Now())
	if err != nil {
		return nil, err
	}
	return c.inserted(ctx, school, d)
}

// inserted returns the serial number of the only medium in a device.
func (c *collector) inserted(ctx context.Context, school posture.SchoolID, device view.DeviceDetail) ([]string, error) {
	refuse := func(format string, args ...any) error {
		return &decision.RefusedError{Why: fmt.Sprintf(format, args...)}
	}
	a, err := c.view.Queries().AttachedTo(ctx, school, device.ID, c.clock.Now())
	switch {
	case err != nil:
		return nil, err
	case len(a.Serials) == 1:
		return a.Serials, nil
	case a.Absent != posture.None:
		return nil, refuse("which media are in %s is not known (%s)", device.Hostname, a.Absent)
	case len(a.Serials) == 0:
		return nil, refuse("no medium with a serial number was in %s when it last reported", device.Hostname)
	}
	return nil, refuse("%d media were in %s when it last reported: leave only the one that is meant in it", len(a.Serials), device.Hostname)
}

// mediumKeepable is keepable for a change of a medium.
func (c *collector) mediumKeepable(ctx context.Context, school posture.SchoolID, d decision.Decision, change register.Change) error {
	now := c.clock.Now()
	m, err := c.view.Queries().Medium(ctx, school, change.Tag, now)
	if err != nil && !errors.Is(err, view.ErrNotFound) {
		return err
	}
	if change.Issue != nil {
		for _, serial := range change.Issue.Serials {
			found, err := c.view.Queries().FindMedia(ctx, school, view.FoundQuery{Serial: serial}, now)
			if err != nil {
				return err
			}
			for _, f := range found.Found {
				if f.Match == view.IsRegistered && register.Key(f.Number) != register.Key(change.Tag) {
					return &decision.RefusedError{Why: "this medium is registered already, as " + f.Number}
				}
			}
		}
	}
	_, err = m.Take(change, register.Made{By: d.By, At: now, Entry: m.Entry + 1})
	if void, ok := errors.AsType[*register.VoidError](err); ok {
		return &decision.RefusedError{Why: void.Why}
	}
	return err
}
