package view

import (
	"context"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Judged counts a school's devices by the policy by which they judged themselves
// when they last reported.
type Judged struct {
	Now    int // by the school's policy in force
	Before int // by one before it
	Never  int // they have reported nothing yet
}

// old reports whether a device that has reported has not taken a policy yet.
func (d DeviceRow) old(policy uint64) bool { return d.LastReport > 0 && d.Policy < policy }

// Judged counts a school's devices by the policy by which they judged themselves:
// those that the overview counts, and no other.
func (q *Queries) Judged(ctx context.Context, school posture.SchoolID, now time.Time) (Judged, error) {
	var j Judged
	err := q.read(ctx, school, now, func(r *reader) error {
		return r.each(key(r.school.ID, famDevice), nil, true, func(k []byte, item *badger.Item) (bool, error) {
			var row DeviceRow
			if err := item.Value(func(data []byte) error { return decode(data, &row) }); err != nil {
				return false, fmt.Errorf("read device %q: %w", k, err)
			}
			switch {
			case row.ReplacedBy != "":
			case row.LastReport == 0:
				j.Never++
			case row.old(r.policy.Number):
				j.Before++
			default:
				j.Now++
			}
			return true, nil
		})
	})
	return j, err
}
