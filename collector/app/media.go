package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// MediaArguments ask about media.
type MediaArguments struct {
	School string `json:"school"`
	Number string `json:"number,omitempty"` // of the only one
	Serial string `json:"serial,omitempty"` // hash of a serial number, to be looked up
	After  string `json:"after,omitempty"`
	Limit  int    `json:"limit,omitempty"`
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
	if a.Serial != "" {
		if err := register.CheckSerial(a.Serial); err != nil {
			return view.FoundMedia{}, err
		}
	}
	return c.view.Queries().FindMedia(ctx, s.id, a.Serial, c.clock.Now())
}

// inserted returns the serial number of the only medium in a device.
func (c *collector) inserted(ctx context.Context, school posture.SchoolID, device view.DeviceDetail) ([]string, error) {
	a, err := c.view.Queries().AttachedTo(ctx, school, device.ID, c.clock.Now())
	switch {
	case err != nil:
		return nil, err
	case len(a.Serials) == 1:
		return a.Serials, nil
	case a.Absent != posture.None:
		return nil, fmt.Errorf("which media are in %s is not known (%s)", device.Hostname, a.Absent)
	case len(a.Serials) == 0:
		return nil, fmt.Errorf("no medium with a serial number was in %s when it last reported", device.Hostname)
	}
	return nil, fmt.Errorf("%d media were in %s when it last reported: leave only the one that is meant in it", len(a.Serials), device.Hostname)
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
			found, err := c.view.Queries().FindMedia(ctx, school, serial, now)
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
