package app

import (
	"context"

	"github.com/caretaker-school/caretaker/collector/evidence"
)

// evidence gathers and seals what is proven of a device at a moment.
func (c *collector) evidence(ctx context.Context, a EvidenceArguments) (EvidenceAnswer, error) {
	s, err := c.readable(a.School)
	if err != nil {
		return EvidenceAnswer{}, err
	}
	d, err := c.device(ctx, ListArguments{School: a.School, Device: a.Device})
	if err != nil {
		return EvidenceAnswer{}, err
	}
	now := c.clock.Now()
	if a.At.IsZero() {
		a.At = now
	}
	b, err := evidence.Collect(ctx,
		evidence.School{ID: s.ID, Name: s.Name, Key: s.verifier, Ledger: s.ledger, Roster: s.roster},
		evidence.Question{Device: d.ID, At: a.At, By: operator(), Now: now})
	if err != nil {
		return EvidenceAnswer{}, err
	}
	sealed, err := b.Seal(s.Key)
	return EvidenceAnswer{Device: d.ID, Hostname: d.Hostname, Bundle: sealed}, err
}
