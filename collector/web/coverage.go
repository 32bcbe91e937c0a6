package web

import (
	"context"
	"errors"
	"time"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// coverage says in a sentence what answers for a school's devices; "" if no
// register is kept.
func (s *site) coverage(ctx context.Context, school posture.SchoolID, now time.Time) (string, error) {
	c, err := s.Queries.CoverageCounts(ctx, school, now)
	if errors.Is(err, view.ErrNotFound) { // nothing of the school can be shown
		return "", nil
	}
	if err != nil || c.Registered == 0 {
		return "", err
	}
	return sentence(c.Words()), nil
}
