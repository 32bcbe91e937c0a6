package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/restricted"
	"github.com/caretaker-school/caretaker/collector/view"
)

// SeniorArguments ask for the keys of a school's seniors, or for a new one.
type SeniorArguments struct {
	School  string `json:"school"`
	Account string `json:"account,omitempty"` // whose key is made
}

// RestrictedArguments ask about restricted incidents, as a senior.
type RestrictedArguments struct {
	School string `json:"school"`
	As     string `json:"as"` // name of the senior's account
	api.RestrictedQuestion
}

// RestrictedChange does something about a restricted incident, as a senior. What
// it is about is given by the names that people use.
type RestrictedChange struct {
	IncidentChange
	As         string   `json:"as"` // name of the senior's account
	Passphrase string   `json:"passphrase"`
	Do         api.Do   `json:"do"`
	Seniors    []string `json:"seniors,omitempty"`    // codes of their keys
	Concerns   []string `json:"concerns,omitempty"`   // names
	HoldDevice string   `json:"holdDevice,omitempty"` // identifier or host name
	HoldMedium string   `json:"holdMedium,omitempty"` // number
}

// doRestricted carries out an operation about restricted incidents. The console
// opens none: it takes the passphrase of a senior who is named.
func (c *collector) doRestricted(ctx context.Context, operation string, arguments json.RawMessage) (any, error) {
	switch operation {
	case "senior.key":
		return within(ctx, arguments, c.makeSeniorKey)
	case "senior.list":
		return within(ctx, arguments, c.listSeniors)
	case "restricted.list":
		return within(ctx, arguments, func(ctx context.Context, a RestrictedArguments) (api.RestrictedList, error) {
			s, who, err := c.senior(a.School, a.As, a.Passphrase)
			if err != nil {
				return api.RestrictedList{}, err
			}
			return c.RestrictedList(ctx, s.ID, who)
		})
	case "restricted.show":
		return within(ctx, arguments, func(ctx context.Context, a RestrictedArguments) (restricted.Told, error) {
			s, who, err := c.senior(a.School, a.As, a.Passphrase)
			if err != nil {
				return restricted.Told{}, err
			}
			told, err := c.RestrictedShow(ctx, s.ID, who, a.Incident)
			return told, s.unnamed(a.Incident, err)
		})
	case "restricted.held":
		return within(ctx, arguments, func(ctx context.Context, a RestrictedArguments) (api.HeldPage, error) {
			s, who, err := c.senior(a.School, a.As, a.Passphrase)
			if err != nil {
				return api.HeldPage{}, err
			}
			page, err := c.RestrictedHeld(ctx, s.ID, who, a.RestrictedQuestion)
			return page, s.unnamed(a.Incident, err)
		})
	case "restricted.act":
		return within(ctx, arguments, c.changeRestricted)
	}
	return nil, fmt.Errorf("this collector knows no operation %q", operation)
}

// unnamed is an error in the words of the console.
func (s *school) unnamed(id string, err error) error {
	if errors.Is(err, view.ErrNotFound) {
		return fmt.Errorf("%s has no restricted incident %.40q for which you are named", s.Name, id)
	}
	return err
}

// senior is who says at the console that they are a senior.
func (c *collector) senior(school, as, passphrase string) (*school, api.Unlock, error) {
	s, err := c.school(school)
	if err != nil {
		return nil, api.Unlock{}, err
	}
	account, _ := c.access.Account(as) // of nobody, the passphrase is wrong
	return s, api.Unlock{Account: account, Passphrase: passphrase}, nil
}

func (c *collector) makeSeniorKey(ctx context.Context, a SeniorArguments) (api.NewSeniorKey, error) {
	s, err := c.school(a.School)
	if err != nil {
		return api.NewSeniorKey{}, err
	}
	account, ok := c.access.Account(a.Account)
	if !ok {
		return api.NewSeniorKey{}, access.ErrNoAccount
	}
	if !account.May(s.ID, access.BeSenior) {
		return api.NewSeniorKey{}, fmt.Errorf("%s is no head, officer, governor or senior of %s, and cannot be named for a restricted incident", account.Name, s.Name)
	}
	return c.MakeSeniorKey(ctx, s.ID, account, operator())
}

func (c *collector) listSeniors(ctx context.Context, a SeniorArguments) (api.SeniorKeys, error) {
	s, err := c.school(a.School)
	if err != nil {
		return api.SeniorKeys{}, err
	}
	return c.SeniorKeys(ctx, s.ID)
}

func (c *collector) changeRestricted(ctx context.Context, a RestrictedChange) (api.RestrictedMade, error) {
	s, who, err := c.senior(a.School, a.As, a.Passphrase)
	if err != nil {
		return api.RestrictedMade{}, err
	}
	act := api.RestrictedAct{Do: a.Do, Incident: a.Incident, Words: a.Words, Seniors: a.Seniors, Concerns: a.Concerns, Medium: a.HoldMedium}
	if a.HoldDevice != "" {
		d, err := c.device(ctx, ListArguments{School: a.School, Device: a.HoldDevice})
		if err != nil {
			return api.RestrictedMade{}, err
		}
		act.Device = d.ID
	}
	if a.Change.What != "" {
		if a.Change.Links, err = c.links(ctx, a.IncidentChange); err != nil {
			return api.RestrictedMade{}, err
		}
		act.Change = &a.Change
	}
	made, err := c.RestrictedAct(ctx, s.ID, who, act)
	return made, s.unnamed(a.Incident, err)
}
