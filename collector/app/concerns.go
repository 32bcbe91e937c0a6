package app

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/caretaker-school/caretaker/collector/concern"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/web"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// ConcernArguments are about what people reported without signing in.
type ConcernArguments struct {
	School     string   `json:"school"`
	References []string `json:"references,omitempty"` // of one that is shown, or those that are set aside
	Waiting    bool     `json:"waiting,omitempty"`    // list only those that nobody has looked at
	After      string   `json:"after,omitempty"`
	Limit      int      `json:"limit,omitempty"`
	Reason     string   `json:"reason,omitempty"`
	Renew      bool     `json:"renew,omitempty"` // make another address
}

// ConcernAnswer is what was recorded about reports.
type ConcernAnswer struct {
	School posture.SchoolID `json:"school"`
	Entry  uint64           `json:"entry"` // of the ledger
}

// How much of what strangers reported may wait to be looked at. Whoever has
// signed in may report beyond that.
const (
	mostWaiting   = 500
	mostWaitingIn = 700
)

// RaiseConcern implements web.ConcernKeeper.
func (c *collector) RaiseConcern(ctx context.Context, id posture.SchoolID, d decision.Decision, kind concern.Kind) (reference string, err error) {
	s, err := c.school(string(id))
	if err != nil {
		return "", err
	}
	c.raising.Lock()
	defer c.raising.Unlock()
	now, most := c.clock.Now(), mostWaiting
	if d.By != decision.NotSignedIn {
		most = mostWaitingIn
	}
	waiting, _, err := c.view.Queries().WaitingConcerns(ctx, id, now)
	if err != nil && !errors.Is(err, view.ErrNotFound) {
		return "", err
	}
	if waiting >= most {
		return "", web.ErrFull
	}
	reference = concern.NewReference()
	_, err = s.record(ctx, now, func(salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
		return decision.ConcernSections(d, concern.Change{What: concern.Raise, ID: reference, Kind: kind}, salts)
	})
	return reference, err
}

// SchoolAt implements web.ConcernKeeper.
func (c *collector) SchoolAt(ctx context.Context, address string) (posture.SchoolID, error) {
	for _, r := range c.all() {
		a, err := c.view.Queries().ConcernAddress(ctx, r.id, c.clock.Now())
		if errors.Is(err, view.ErrNotFound) {
			continue
		}
		if err != nil {
			return "", err
		}
		if a.Address == address {
			return r.id, nil
		}
	}
	return "", fmt.Errorf("an address for reports: %w", view.ErrNotFound)
}

// SetConcernsAside implements api.ConcernKeeper and web.ConcernKeeper.
func (c *collector) SetConcernsAside(ctx context.Context, id posture.SchoolID, d decision.Decision, references []string) (entry uint64, err error) {
	s, err := c.deciding(ctx, string(id))
	if err != nil {
		return 0, err
	}
	var ids []string
	for _, typed := range references {
		one, err := c.reported(ctx, id, typed)
		switch {
		case err != nil:
			return 0, err
		case one.Case != "":
			return 0, &decision.RefusedError{Why: fmt.Sprintf("incident %s was opened because of report %s already", one.Incident, one.ID)}
		case !one.Waiting():
			return 0, &decision.RefusedError{Why: fmt.Sprintf("report %s was set aside already, by %s", one.ID, one.Aside.By)}
		}
		if !slices.Contains(ids, one.ID) {
			ids = append(ids, one.ID)
		}
	}
	defer c.show(ctx, s)
	return s.record(ctx, c.clock.Now(), func(salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
		return decision.ConcernSections(d, concern.Change{What: concern.SetAside, IDs: ids}, salts)
	})
}

// reported returns what was reported under a reference as people type it.
func (c *collector) reported(ctx context.Context, id posture.SchoolID, typed string) (view.Concern, error) {
	reference, err := concern.ParseReference(typed)
	if err != nil {
		return view.Concern{}, &decision.RefusedError{Why: err.Error()}
	}
	one, err := c.view.Queries().Concern(ctx, id, reference, c.clock.Now())
	if errors.Is(err, view.ErrNotFound) {
		err = &decision.RefusedError{Why: fmt.Sprintf("nothing was reported under %s", reference)}
	}
	return one, err
}

// because completes the opening of an incident because of a report: the school
// became aware when it was told, unless somebody says otherwise.
func (c *collector) because(ctx context.Context, id posture.SchoolID, change incident.Change) (incident.Change, error) {
	one, err := c.reported(ctx, id, change.Concern)
	switch {
	case err != nil:
		return change, err
	case one.Case != "":
		return change, &decision.RefusedError{Why: fmt.Sprintf("incident %s was opened because of report %s already", one.Incident, one.ID)}
	}
	change.Concern = one.ID
	if change.Aware == nil {
		aware := incident.NewMoment(one.Raised, web.Zone)
		change.Aware = &aware
	}
	return change, nil
}

// RenewConcernAddress implements api.ConcernKeeper and web.ConcernKeeper.
func (c *collector) RenewConcernAddress(ctx context.Context, id posture.SchoolID, d decision.Decision) (entry uint64, err error) {
	s, err := c.school(string(id))
	if err != nil {
		return 0, err
	}
	defer c.show(ctx, s)
	return s.record(ctx, c.clock.Now(), func(salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
		return decision.ConcernSections(d, concern.Change{What: concern.Address, Address: concern.NewAddress()}, salts)
	})
}

// doConcerns carries out an operation about what was reported.
func (c *collector) doConcerns(ctx context.Context, operation string, a ConcernArguments) (any, error) {
	r, err := c.record(a.School)
	if err != nil {
		return nil, err
	}
	q, now := c.view.Queries(), c.clock.Now()
	switch operation {
	case "concern.list":
		return q.Concerns(ctx, r.id, view.ConcernQuery{Waiting: a.Waiting, After: a.After, Limit: a.Limit}, now)
	case "concern.show":
		if len(a.References) != 1 {
			return nil, errors.New("name one report by its reference")
		}
		return c.reported(ctx, r.id, a.References[0])
	case "concern.set-aside":
		d, err := c.decides(decision.Concern, a.Reason, "")
		if err != nil {
			return nil, err
		}
		entry, err := c.SetConcernsAside(ctx, r.id, d, a.References)
		return ConcernAnswer{School: r.id, Entry: entry}, err
	}
	if a.Renew {
		d, err := c.decides(decision.Concern, a.Reason, "another address for reports")
		if err != nil {
			return nil, err
		}
		if _, err := c.RenewConcernAddress(ctx, r.id, d); err != nil {
			return nil, err
		}
	}
	found, err := q.ConcernAddress(ctx, r.id, c.clock.Now())
	if errors.Is(err, view.ErrNotFound) {
		err = fmt.Errorf("%s has no address for reports yet: make one with --renew", r.name)
	}
	return found, err
}
