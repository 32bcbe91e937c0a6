package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// LicenceArguments ask about licences, or sign for one.
type LicenceArguments struct {
	School  string `json:"school"`
	Product string `json:"product,omitempty"` // the only one that is meant
	Term    string `json:"term,omitempty"`    // for which it is signed
	Reason  string `json:"reason,omitempty"`
}

// UseArguments ask for acknowledgements of the rules of use.
type UseArguments struct {
	School string `json:"school"`
	After  string `json:"after,omitempty"`
	Limit  int    `json:"limit,omitempty"`
}

func (c *collector) licences(ctx context.Context, a LicenceArguments) (view.LicenceList, error) {
	s, err := c.record(a.School)
	if err != nil {
		return view.LicenceList{}, err
	}
	list, err := c.view.Queries().Licences(ctx, s.id, view.LicenceQuery{Product: a.Product, Devices: register.AllDevices}, c.clock.Now())
	if errors.Is(err, view.ErrNotFound) {
		err = fmt.Errorf("%s has no licence for %q in its register", s.name, a.Product)
	}
	return list, err
}

// signLicence signs what is installed now as the operator.
func (c *collector) signLicence(ctx context.Context, a LicenceArguments) (RegisterAnswer, error) {
	s, err := c.school(a.School)
	if err != nil {
		return RegisterAnswer{}, err
	}
	d := decision.Decision{Kind: decision.Register, By: operator(), At: c.clock.Now(), Reason: cmp.Or(a.Reason, usualReason)}
	entry, err := c.SignLicence(ctx, s.ID, d, a.Product, a.Term)
	return RegisterAnswer{School: s.ID, Tag: a.Product, What: register.SignLicence, Entry: entry}, err
}

// SignLicence implements api.Keeper. What is signed is what is installed at
// that moment, as the collector counts it, and not what anybody says.
func (c *collector) SignLicence(ctx context.Context, id posture.SchoolID, d decision.Decision, product, term string) (entry uint64, err error) {
	if _, err := c.deciding(ctx, string(id)); err != nil {
		return 0, err
	}
	list, err := c.view.Queries().Licences(ctx, id, view.LicenceQuery{Product: product, Devices: register.AllDevices}, d.At)
	if errors.Is(err, view.ErrNotFound) || err == nil && (product == "" || len(list.Licences) != 1) {
		return 0, &decision.RefusedError{Why: fmt.Sprintf("there is no licence for %q in the register", product)}
	}
	if err != nil {
		return 0, err
	}
	now := list.Licences[0].Now
	now.Term = term
	change := register.Change{What: register.SignLicence, Tag: list.Licences[0].Product, Reconciled: &now}
	if err := change.Check(); err != nil {
		return 0, &decision.RefusedError{Why: err.Error()}
	}
	return c.Keep(ctx, id, d, change)
}

func (c *collector) uses(ctx context.Context, a UseArguments) (view.UsePage, error) {
	s, err := c.record(a.School)
	if err != nil {
		return view.UsePage{}, err
	}
	return c.view.Queries().Uses(ctx, s.id, a.After, a.Limit, c.clock.Now())
}

// licenceKeepable is keepable for a change of a licence.
func (c *collector) licenceKeepable(ctx context.Context, school posture.SchoolID, d decision.Decision, change register.Change) error {
	now := c.clock.Now()
	l, err := c.view.Queries().Licence(ctx, school, change.Tag, now)
	if err != nil && !errors.Is(err, view.ErrNotFound) {
		return err
	}
	if change.What == register.ExcludeDevice {
		if _, err := c.view.Queries().Device(ctx, school, change.Device, now); errors.Is(err, view.ErrNotFound) {
			return &decision.RefusedError{Why: fmt.Sprintf("no device %q is enrolled", change.Device)}
		} else if err != nil {
			return err
		}
	}
	_, err = l.Take(change, register.Made{By: d.By, At: now, Entry: l.Entry + 1})
	if void, ok := errors.AsType[*register.VoidError](err); ok {
		return &decision.RefusedError{Why: void.Why}
	}
	return err
}
