package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/ledger"
)

// People decide by what is shown, and what is shown follows what is recorded. So
// who decides waits until everything is shown that was decided before, by
// themselves, by others or before the collector was started; and is answered once
// their own decision is shown, so that what they ask next knows of it. Reports are
// not waited for: a decision that one of them makes void is void when it is folded
// in.

// mostBehind is how long a decision waits for what was decided before it.
const mostBehind = 30 * time.Second

// deciding returns a school in which something is about to be decided: all is
// shown that was decided there before. A *decision.RefusedError says why it is not.
func (c *collector) deciding(ctx context.Context, name string) (*school, error) {
	s, err := c.school(name)
	if err != nil {
		return nil, err
	}
	return s, c.followed(ctx, s)
}

// followed waits until all is shown that was decided in a school, or refuses what
// would be decided by less.
func (c *collector) followed(ctx context.Context, s *school) error {
	err := c.shown(ctx, s)
	if err == nil {
		return nil
	}
	return &decision.RefusedError{Why: fmt.Sprintf(
		"what was decided at %s is not all shown yet, so nothing can be decided by it: try again in a little while (%s)", s.Name, plainly(err),
	)}
}

// shown waits until the view holds every decision that is recorded, for a while at
// most.
func (c *collector) shown(ctx context.Context, s *school) error {
	ctx, cancel := context.WithTimeoutCause(ctx, mostBehind, fmt.Errorf("it takes longer than %s", mostBehind))
	defer cancel()
	err := s.follows(ctx, c.running)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return err
}

// follows brings the view as far as the last decision, or waits for what does.
func (s *school) follows(ctx context.Context, running bool) error {
	if !running {
		return s.projection.CatchUp(ctx)
	}
	return s.projection.Await(ctx, s.ID, s.decided.Load())
}

// append records what was decided.
func (s *school) append(ctx context.Context, entry ledger.Entry) (ledger.Index, error) {
	at, err := s.Append(ctx, entry)
	if err != nil {
		return 0, err
	}
	return at[0], nil
}

// Append is append for several entries, which are recorded together. There is at
// least one. Whatever decides for the school appends by it, enrolment too: a
// device is known from then on.
func (s *school) Append(ctx context.Context, entries ...ledger.Entry) ([]ledger.Index, error) {
	at, err := s.ledger.Append(ctx, entries...)
	if err != nil {
		return nil, err
	}
	for end := uint64(slices.Max(at)) + 1; ; {
		before := s.decided.Load()
		if before >= end || s.decided.CompareAndSwap(before, end) {
			return at, nil
		}
	}
}

// show waits until what was just decided is shown. It is recorded in any case:
// if it takes too long it is shown later.
func (c *collector) show(ctx context.Context, s *school) {
	if err := c.shown(ctx, s); err != nil {
		c.log.Warn("what was decided is not shown yet", "school", s.ID, "reason", err)
	}
}
