package view

import (
	"context"
	"time"

	"github.com/caretaker-school/caretaker/collector/particulars"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// famParticulars is the family of the one row that says who the school is.
const famParticulars = "particulars"

// Particulars is who a school is for data protection, as it last said. Entry is 0
// if it has said nothing.
type Particulars struct {
	particulars.Particulars
	Entry  uint64    `json:"entry"` // of the ledger that says it, counted from 1
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at,omitzero"`
	Reason string    `json:"reason,omitempty"`
}

// PutParticulars records who the school says that it is. What it said later
// counts.
func (tx *Tx) PutParticulars(p Particulars) error {
	var was Particulars
	k := key(tx.school, famParticulars)
	if _, err := tx.getJSON(k, &was); err != nil || was.Entry > p.Entry {
		return err
	}
	if err := tx.room(roomy + particularsRoom); err != nil {
		return err
	}
	return tx.putJSON(k, p)
}

// particularsRoom is more than the row takes.
const particularsRoom = 64 << 10

// Particulars returns who a school says that it is.
func (q *Queries) Particulars(ctx context.Context, school posture.SchoolID, now time.Time) (Particulars, error) {
	var p Particulars
	err := q.read(ctx, school, now, func(r *reader) error {
		_, err := r.getJSON(key(school, famParticulars), &p)
		return err
	})
	return p, err
}
