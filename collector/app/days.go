package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/projection"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// What the school's days ended with is counted from what devices reported, and
// kept for longer than that: whatever is forgotten, the counts are written into
// the record with it.

// roundLasts is longer than all that is forgotten in one round takes. Within it
// the view, which is made again after each purge, is not asked a second time.
const roundLasts = time.Hour

// daysToKeep returns the sections with the counts that the record does not keep
// yet. It waits for the view, for a while. If the view does not grow, what is to be
// forgotten is forgotten all the same, and the log says what that costs.
func (c *collector) daysToKeep(ctx context.Context, s *school) ([]proof.Section, error) {
	now := c.clock.Now()
	if age := now.Sub(s.daysKept); age >= 0 && age < roundLasts {
		return nil, nil
	}
	waiting, cancel := context.WithTimeout(ctx, mostBehind)
	defer cancel()
	if err := s.followsAll(waiting, c.running); err != nil {
		if waiting.Err() != nil {
			return nil, fmt.Errorf("wait for the view, which counts what is about to be forgotten: %w", err)
		}
		c.log.Warn("days of which the counts are not kept will be counted again from what is left", "school", s.ID, "reason", err)
		return nil, nil
	}
	list, err := c.view.Queries().NotKept(ctx, s.ID, now)
	if err != nil {
		return nil, err
	}
	var sections []proof.Section
	for part := range slices.Chunk(list, roster.MostDays) {
		section, err := roster.DaysSection(projection.DaysOf(part), len(sections))
		if err != nil {
			return nil, err
		}
		sections = append(sections, section)
	}
	s.daysKept = now
	return sections, nil
}

// followsAll brings the view as far as the record, or waits for what does.
func (s *school) followsAll(ctx context.Context, running bool) error {
	if !running {
		return s.projection.CatchUp(ctx)
	}
	return s.projection.Await(ctx, s.ID, s.ledger.Size())
}
