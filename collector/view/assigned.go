package view

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Assigned is an assignment of a device, with who made it and why.
type Assigned struct {
	policy.Assignment
	At     time.Time `json:"at,omitzero"`
	By     string    `json:"by,omitempty"`     // "" if it followed from something else, or once that is forgotten
	Reason string    `json:"reason,omitempty"` // as By
	Entry  uint64    `json:"entry,omitempty"`  // of the ledger, counted from 1
}

// PutAssigned records an assignment.
func (tx *Tx) PutAssigned(device posture.DeviceID, a Assigned) error {
	return tx.putJSON(number(text(key(tx.school, famAssignment), string(device)), a.Number), a)
}

// Assignments returns the assignments of a device, the newest first: what it was
// told about its use, and who asked it for names that it withholds.
func (q *Queries) Assignments(ctx context.Context, school posture.SchoolID, id posture.DeviceID, now time.Time) ([]Assigned, error) {
	list := []Assigned{}
	err := q.read(ctx, school, now, func(r *reader) error {
		_, known, err := r.row(id)
		if err == nil && !known {
			err = fmt.Errorf("device %.70s of school %s: %w", string(id), school, ErrNotFound)
		}
		if err != nil {
			return err
		}
		return r.each(text(key(school, famAssignment), string(id)), nil, true, func(k []byte, item *badger.Item) (bool, error) {
			var a Assigned
			if err := item.Value(func(data []byte) error { return unmarshal(data, &a) }); err != nil {
				return false, fmt.Errorf("read assignment %q: %w", k, err)
			}
			list = append(list, a)
			return true, nil
		})
	})
	slices.Reverse(list)
	return list, err
}

// told reports whether a device has said that it knows that it is set aside for
// found media.
func (r *reader) told(row DeviceRow) (bool, error) {
	var a policy.Assignment
	_, err := r.getJSON(number(text(key(r.school.ID, famAssignment), string(row.ID)), row.Assignment), &a)
	return row.LastReport > 0 && a.Investigation, err
}
