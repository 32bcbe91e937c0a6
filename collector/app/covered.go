package app

import (
	"context"
	"errors"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// covered counts what answers for a school's devices; nil if the school keeps no
// register of them.
func (c *collector) covered(ctx context.Context, school posture.SchoolID) (*view.Coverage, error) {
	all, err := c.view.Queries().CoverageCounts(ctx, school, c.clock.Now())
	switch {
	case errors.Is(err, view.ErrNotFound):
		return nil, nil //nolint:nilnil // nothing is shown of it yet
	case err != nil:
		return nil, err
	case all.Registered+all.Retired == 0:
		return nil, nil //nolint:nilnil // as above
	}
	all.Gaps = nil // which register coverage lists
	return &all, nil
}
