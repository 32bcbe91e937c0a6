package view

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// reached is how far a school's rows have come.
type reached struct {
	next   uint64 // first index that is not folded in
	asOf   uint64 // time to which turns are counted
	policy uint64 // the highest number published
}

func (c reached) bytes() []byte { return number(number(number(nil, c.next), c.asOf), c.policy) }

// decodeReached reads what bytes writes. Anything else is the cursor of a school
// of which nothing is folded in.
func decodeReached(data []byte) reached {
	if len(data) != 24 {
		return reached{}
	}
	return reached{
		next: binary.BigEndian.Uint64(data), asOf: binary.BigEndian.Uint64(data[8:]), policy: binary.BigEndian.Uint64(data[16:]),
	}
}

// Next returns the first index of a school's ledger that is not folded in.
func (v *View) Next(school posture.SchoolID) (uint64, error) {
	var c reached
	err := v.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get(key(school, famNext))
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return item.Value(func(data []byte) error { c = decodeReached(data); return nil })
	})
	if err != nil {
		return 0, fmt.Errorf("read how far the view of school %s has come: %w", school, err)
	}
	return c.next, nil
}
