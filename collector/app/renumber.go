package app

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// What laptops take from the school has a number that must rise: nobody can hand
// them an older policy. A record that was restored does not know which numbers it
// gave after the backup, so it leaves some out. See decision 0033.

// Renumbered is a policy that was given another number because the record was
// restored.
type Renumbered struct {
	School posture.SchoolID `json:"school"`
	Name   string           `json:"name"` // of the school
	Was    uint64           `json:"was"`
	Number uint64           `json:"number"`
}

// resume notes in a record that it was restored from a backup of a moment, and
// gives the policy in force the next number, which no laptop can have yet. It
// returns nil if the school has published none, or none that can be read: then it
// takes somebody to publish one.
func (c *collector) resume(ctx context.Context, s *school, taken time.Time) (*Renumbered, error) {
	now := c.clock.Now()
	maker := roster.Maker{School: s.ID, Intake: intakeName}
	entry, err := maker.Restored(roster.RestoredFrom(s.CreatedAt, taken, now))
	if err != nil {
		return nil, err
	}
	if _, err := s.ledger.Append(ctx, entry); err != nil {
		return nil, err
	}
	if s.roster, err = roster.Open(ctx, roster.Options{School: s.ID, Ledger: s.ledger, Verifier: s.verifier, Log: c.log}); err != nil {
		return nil, err
	}
	was := s.roster.Policy()
	if was == 0 {
		return nil, nil //nolint:nilnil // laptops keep the baseline until it publishes one
	}
	p, err := s.policy(ctx, was)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil || p.source == nil {
		c.log.Warn("the policy in force was not given another number: publish one", "school", s.ID, "policy", was, "reason", err)
		return nil, nil //nolint:nilnil // what a school cannot read does not keep its record from coming back
	}
	p.policy.Number = s.roster.NextPolicy()
	d := decision.Decision{
		Kind: decision.PublishPolicy, By: operator(), At: now,
		Reason: fmt.Sprintf("the same text as policy %d: the record was restored from a backup of %s, and laptops may have a policy that it lost", was, taken.UTC().Format("2 January 2006 15:04 MST")),
		Policy: &decision.Policy{},
	}
	err = s.policies.catchUp(ctx, s.ledger, func(life *decision.Policies) error {
		if how, ok := life.Publication(was); ok {
			*d.Policy = how.Policy
			d.Policy.Looser, d.Policy.Unclear = nil, nil // than the one before, which says the same
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	d.Policy.Number, d.Policy.Renumbers, d.Policy.Digest = p.policy.Number, was, sha256.Sum256(p.source)
	if entry, err = c.publication(s, p.policy, p.source, d); err != nil {
		return nil, err
	}
	if _, err := s.ledger.Append(ctx, entry); err != nil {
		return nil, err
	}
	return &Renumbered{School: s.ID, Name: s.Name, Was: was, Number: p.policy.Number}, nil
}

// renumber tells a device anew what it is told of its use, under the next number:
// the record was restored from a backup, and the device has what it lost.
func (c *collector) renumber(ctx context.Context, s *school, id posture.DeviceID, has uint64) error {
	c.keeping.Lock()
	defer c.keeping.Unlock()
	if err := s.roster.CatchUp(ctx); err != nil {
		return err
	}
	if !s.roster.Overtaken(id, has) {
		return nil // it came twice
	}
	a, err := s.assigned(ctx, id)
	if err != nil {
		return err
	}
	a.Number = s.roster.NextAssignment(id)
	entry, _, err := roster.Maker{School: s.ID, Intake: intakeName}.Assignment(s.Key, a, c.clock.Now())
	if err != nil {
		return err
	}
	if _, err := s.append(ctx, entry); err != nil {
		return err
	}
	return s.roster.CatchUp(ctx)
}
