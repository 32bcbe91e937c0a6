package view

import (
	"context"
	"time"

	"github.com/caretaker-school/caretaker/collector/release"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// famRelease is the family of the one row that says which release is offered.
const famRelease = "release"

// Release is which release of the agent a school offers its laptops, as it last
// decided. Entry is 0 if it never did.
type Release struct {
	Offer  release.Offer `json:"offer"`
	Entry  uint64        `json:"entry"` // of the ledger that says it, counted from 1
	By     string        `json:"by,omitempty"`
	At     time.Time     `json:"at,omitzero"`
	Reason string        `json:"reason,omitempty"`
}

// PutRelease records which release is offered. What was decided later counts.
func (tx *Tx) PutRelease(r Release) error {
	var was Release
	k := key(tx.school, famRelease)
	if _, err := tx.getJSON(k, &was); err != nil || was.Entry > r.Entry {
		return err
	}
	if err := tx.room(roomy); err != nil {
		return err
	}
	return tx.putJSON(k, r)
}

// Release returns which release a school offers.
func (q *Queries) Release(ctx context.Context, school posture.SchoolID, now time.Time) (Release, error) {
	var r Release
	err := q.read(ctx, school, now, func(rd *reader) error {
		_, err := rd.getJSON(key(school, famRelease), &r)
		return err
	})
	return r, err
}
