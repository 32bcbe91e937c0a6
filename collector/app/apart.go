package app

import (
	"context"
	"fmt"
	"slices"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// ApartArguments ask which machines answer to one name, or decide about one of
// them.
type ApartArguments struct {
	School string `json:"school"`
	Code   string `json:"code,omitempty"`  // that the machine shows
	Keeps  bool   `json:"keeps,omitempty"` // it is the laptop of that name; else one of its own
	Reason string `json:"reason,omitempty"`
}

// TwoMachines implements api.Admitter and web.Admitter.
func (c *collector) TwoMachines(ctx context.Context, id posture.SchoolID) (view.TwoMachines, error) {
	return c.view.Queries().TwoMachines(ctx, id, c.claimants(id), c.clock.Now())
}

// claimants are the machines of a school that ask who they are.
func (c *collector) claimants(id posture.SchoolID) []admission.Claimant {
	if c.desks == nil {
		return nil
	}
	return c.desks.Claimants(id, "")
}

// tellable says why it cannot be decided about a machine. Only one that asks can
// be told anything.
func (c *collector) tellable(s *school, change admission.Change) error {
	refused := func(why string) error { return &decision.RefusedError{Why: why} }
	standing, ok := s.roster.Standing(change.Device)
	all := c.claimants(s.ID)
	asks := func(o admission.Claimant) bool { return o.Device == change.Device && o.Key == change.Key }
	switch {
	case !ok:
		return view.ErrNotFound
	case !slices.ContainsFunc(all, asks):
		return refused("no machine asks by that key who it is, or it was decided about already")
	case standing.Lost:
		return refused("this laptop is lost: record first that it was found")
	case standing.Revoked && change.Keeps:
		return refused("this laptop was revoked: nobody keeps its name")
	}
	return nil
}

func (c *collector) apart(ctx context.Context, a ApartArguments) (view.TwoMachines, error) {
	s, err := c.record(a.School)
	if err != nil {
		return view.TwoMachines{}, err
	}
	return c.TwoMachines(ctx, s.id)
}

// decideApart decides about the one machine that shows a code.
func (c *collector) decideApart(ctx context.Context, a ApartArguments) (AdmissionAnswer, error) {
	s, err := c.deciding(ctx, a.School)
	if err != nil {
		return AdmissionAnswer{}, err
	}
	code, err := identity.ParseCode(a.Code)
	if err != nil {
		return AdmissionAnswer{}, err
	}
	all := c.claimants(s.ID)
	i := slices.IndexFunc(all, func(o admission.Claimant) bool { return o.Code == code })
	if i < 0 {
		return AdmissionAnswer{}, fmt.Errorf("no machine that asks who it is shows the code %s: see device apart list", code)
	}
	d, err := c.decides(decision.Admission, a.Reason, "")
	if err != nil {
		return AdmissionAnswer{}, err
	}
	entry, err := c.Admit(ctx, s.ID, d, admission.Change{What: admission.TellApart, Device: all[i].Device, Key: all[i].Key, Keeps: a.Keeps})
	return AdmissionAnswer{School: s.ID, Device: all[i].Device, Hostname: all[i].Hostname, Entry: entry}, err
}
