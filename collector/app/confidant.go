package app

import (
	"context"
	"errors"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/restricted"
	"github.com/caretaker-school/caretaker/collector/web"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// confidant does for pages what is done about restricted incidents, as the API
// does it for programs.
type confidant struct{ c *collector }

// forPages says of a passphrase that was wrong what pages know of it.
func forPages(err error) error {
	if errors.Is(err, api.ErrPassphrase) {
		return web.ErrPassphrase
	}
	return err
}

func keyForPages(k api.SeniorKey) web.SeniorKey {
	return web.SeniorKey{Name: k.Name, Code: k.Code, Made: k.Made, By: k.By}
}

// SeniorKeys implements web.Confidant.
func (p confidant) SeniorKeys(ctx context.Context, school posture.SchoolID) ([]web.SeniorKey, error) {
	found, err := p.c.SeniorKeys(ctx, school)
	list := make([]web.SeniorKey, 0, len(found.Keys))
	for _, k := range found.Keys {
		list = append(list, keyForPages(k))
	}
	return list, err
}

// MakeSeniorKey implements web.Confidant.
func (p confidant) MakeSeniorKey(ctx context.Context, school posture.SchoolID, account access.Account) (web.SeniorKey, string, error) {
	made, err := p.c.MakeSeniorKey(ctx, school, account, account.Name)
	return keyForPages(made.SeniorKey), made.Passphrase, err
}

// Confided implements web.Confidant.
func (p confidant) Confided(ctx context.Context, school posture.SchoolID, who web.Unlock) ([]restricted.Told, error) {
	list, err := p.c.RestrictedList(ctx, school, api.Unlock(who))
	return list.Incidents, forPages(err)
}

// Confide implements web.Confidant.
func (p confidant) Confide(ctx context.Context, school posture.SchoolID, who web.Unlock, name string) (restricted.Told, error) {
	told, err := p.c.RestrictedShow(ctx, school, api.Unlock(who), name)
	return told, forPages(err)
}

// Act implements web.Confidant.
func (p confidant) Act(ctx context.Context, school posture.SchoolID, who web.Unlock, d web.Deed) (string, error) {
	made, err := p.c.RestrictedAct(ctx, school, api.Unlock(who), api.RestrictedAct{
		Do: api.Do(d.Do), Incident: d.Incident, Words: d.Words, Change: d.Change, Seniors: d.Seniors, Concerns: d.Concerns, Device: d.Device, Medium: d.Medium,
	})
	return made.ID, forPages(err)
}
