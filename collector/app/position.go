package app

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/evidence"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/projection"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// pastFolder holds the view of a school as it was, while evidence is made from
// it.
const pastFolder = "past"

// PositionArguments ask where a school stood at a moment.
type PositionArguments struct {
	School string    `json:"school"`
	At     time.Time `json:"at"`
	Zone   string    `json:"zone,omitempty"` // in which whoever asks reads times
}

// PositionAnswer is a sealed bundle, as evidence.Verify takes it.
type PositionAnswer struct {
	Name   string `json:"name"`
	Bundle []byte `json:"bundle"`
}

// position works out where a school stood at a moment, and seals it.
func (c *collector) position(ctx context.Context, a PositionArguments) (PositionAnswer, error) {
	s, err := c.readable(a.School)
	if err != nil {
		return PositionAnswer{}, err
	}
	_, sealed, err := c.SealSchool(ctx, s.ID, evidence.PositionQuestion{At: a.At, Zone: a.Zone, By: operator()})
	return PositionAnswer{Name: s.Name, Bundle: sealed}, err
}

// SealSchool works out where a school stood at a moment, and seals it. It
// implements web.Prover.
func (c *collector) SealSchool(ctx context.Context, id posture.SchoolID, q evidence.PositionQuestion) (b *evidence.Bundle, sealed []byte, err error) {
	s, err := c.readable(string(id))
	if err != nil {
		return nil, nil, err
	}
	q.Now = c.clock.Now()
	switch {
	case q.At.IsZero():
		return nil, nil, errors.New("say which moment is meant")
	case q.At.After(q.Now):
		return nil, nil, evidence.ErrNotYet
	}
	if q.Zone != "" {
		if _, err := time.LoadLocation(q.Zone); err != nil {
			return nil, nil, fmt.Errorf("read times in %.64q: %w", q.Zone, err)
		}
	}
	where, policy, err := c.stood(ctx, s, q.At)
	if err != nil {
		return nil, nil, err
	}
	if b, err = evidence.CollectPosition(ctx, s.source(), q, where, policy); err != nil {
		return nil, nil, err
	}
	sealed, err = b.Seal(s.Key)
	return b, sealed, err
}

// stood asks a school as it was at a moment. policy is the one in force.
func (c *collector) stood(ctx context.Context, s *school, at time.Time) (where evidence.Position, policy evidence.Policy, err error) {
	err = c.past(ctx, s, at, &where, func(q *view.Queries) error {
		policy, err = inquire(ctx, q, s, at, &where)
		return err
	})
	return where, policy, err
}

// past folds what a school had received by a moment into a view of its own, has
// that asked, and throws it away.
func (c *collector) past(ctx context.Context, s *school, at time.Time, where *evidence.Position, ask func(*view.Queries) error) (err error) {
	c.recalling.Lock()
	defer c.recalling.Unlock()
	dir := filepath.Join(c.data, pastFolder)
	if err := errors.Join(c.room(), os.RemoveAll(dir)); err != nil { // an earlier one may have been cut short
		return fmt.Errorf("make room for the school as it was: %w", err)
	}
	defer func() {
		if removed := os.RemoveAll(dir); removed != nil {
			err = errors.Join(err, fmt.Errorf("remove the school as it was: %w", removed))
		}
	}()
	past, err := view.Open(dir, view.Options{Facts: c, Log: c.log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, past.Close()) }()
	if where.Before, err = c.recall(ctx, s, past, at); err != nil {
		return err
	}
	damage, err := past.Damage(s.ID)
	if err != nil {
		return err
	}
	where.Damaged = uint64(damage.Entries)
	return ask(past.Queries())
}

// recall folds the entries that a school had received by a moment into a view,
// and returns how many those are.
func (c *collector) recall(ctx context.Context, s *school, past *view.View, at time.Time) (folded uint64, err error) {
	for {
		before, err := evidence.Before(ctx, s.ledger, at)
		if err != nil || before == folded { // nothing came meanwhile that counts
			return before, err
		}
		said := folded
		source := telling{projection.UpTo(s.ledger, before), func(n uint64) {
			if n >= said+sayEvery {
				said = n
				c.log.Info("where a school stood is being worked out", "school", s.ID, "at", at, "folded", n, "of", before)
			}
		}}
		p, err := projection.New(projection.Options{
			View: past, Baseline: c.baseline, Room: c.room, Clock: c.clock, Log: c.log, Workers: 1,
			Schools: []projection.School{{ID: s.ID, Name: s.Name, Ledger: source, Verifier: s.verifier}},
		})
		if err == nil {
			err = p.CatchUp(ctx)
		}
		if err != nil {
			return 0, fmt.Errorf("work out where the school stood: %w", err)
		}
		folded = before
	}
}

// sayEvery is after how many entries it is said how far it is.
const sayEvery = 20_000

// telling is a ledger that says how far it was read.
type telling struct {
	projection.Source
	reached func(uint64)
}

func (t telling) Entries(ctx context.Context, first, end ledger.Index) iter.Seq2[ledger.Record, error] {
	t.reached(uint64(first))
	return t.Source.Entries(ctx, first, end)
}

// inquire asks the view of a school as it was what evidence tells of.
func inquire(ctx context.Context, q *view.Queries, s *school, at time.Time, where *evidence.Position) (policy evidence.Policy, err error) {
	o, err := q.Overview(ctx, s.ID, at)
	if err != nil {
		return policy, err
	}
	where.Devices, where.Silent = o.Devices, o.Silent
	where.Rules, where.Exemptions = []evidence.RulePosition{}, []evidence.Exempted{}
	for _, r := range o.Rules {
		where.Rules = append(where.Rules, evidence.RulePosition{
			Rule: r.Rule, Title: r.Title, Severity: r.Severity.String(),
			Met: r.Met, NotMet: r.NotMet, NotProven: r.NotProven, Exempt: r.Exempt, NotFor: r.NotFor,
		})
	}
	for _, f := range s.roster.Forgotten() {
		if f.At.After(at) {
			where.Forgotten++
		}
	}
	coverage, err := q.CoverageCounts(ctx, s.ID, at)
	if err != nil {
		return policy, err
	}
	judged, err := q.Judged(ctx, s.ID, at)
	if err != nil {
		return policy, err
	}
	where.Judged = &evidence.Judged{Now: judged.Now, Before: judged.Before, Never: judged.Never}
	where.Register, where.Revoked = registerOf(coverage), o.Devices-coverage.Enrolled
	if where.Exemptions, err = exemptThen(ctx, q, s, at); err != nil {
		return policy, err
	}
	policies, err := q.Policies(ctx, s.ID)
	if err != nil {
		return policy, err
	}
	for _, p := range policies {
		if p.Number == o.Policy {
			policy = evidence.Policy{Number: p.Number, Entry: p.Entry, Silence: p.Silence}
		}
	}
	return policy, nil
}

func registerOf(c view.Coverage) evidence.Register {
	r := evidence.Register{
		Kept: c.Registered+c.Retired > 0, Registered: c.Registered, Agent: c.Of(view.ByAgent), Silent: c.Of(view.SilentAgent),
		Import: c.Of(view.ByImport), StaleImport: c.Of(view.StaleImport), Nothing: c.Of(view.NeverEnrolled), Unregistered: c.Of(view.NotRegistered),
	}
	if !r.Kept {
		r = evidence.Register{}
	}
	return r
}

// exemptThen lists the exemptions that ran at a moment.
func exemptThen(ctx context.Context, q *view.Queries, s *school, at time.Time) ([]evidence.Exempted, error) {
	list := []evidence.Exempted{}
	query := view.ExemptionQuery{States: []view.ExemptionState{view.ExemptionApproved}, Limit: 500}
	for {
		page, err := q.Exemptions(ctx, s.ID, query, at)
		if err != nil {
			return nil, err
		}
		for _, e := range page.Exemptions {
			list = append(list, evidence.Exempted{
				ID: e.ID, Rule: e.Scope.Rule, Of: scopeWords(e.Scope, e.Hostname), Until: e.Until, AskedBy: e.Asked.By, Approver: e.Approved.By,
			})
		}
		if query.After = page.Next; query.After == "" {
			return list, nil
		}
	}
}

// scopeWords says for people what is exempt.
func scopeWords(s breach.Scope, hostname string) string {
	name := hostname
	if name == "" {
		name = string(s.Device)
	}
	switch s.Of {
	case breach.OneBreach:
		if s.Kind == "device" {
			return name
		}
		return "one " + s.Kind + " on " + name
	case breach.OneDevice:
		return name
	case breach.OneGroup:
		return "the group " + s.Group
	}
	return "the whole school"
}
