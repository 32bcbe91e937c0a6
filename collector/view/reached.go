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
	forgot uint64 // when the latest of the contacts was received that were forgotten
	open   uint64 // the school's day, since 1970, that is not over by what is folded in; 0: none yet
	kept   uint64 // the last day of which the record keeps the counts; 0: none
}

func (c reached) bytes() []byte {
	var b []byte
	for _, n := range []uint64{c.next, c.asOf, c.policy, c.forgot, c.open, c.kept} {
		b = number(b, n)
	}
	return b
}

// decodeReached reads what bytes writes. Anything else is the cursor of a school
// of which nothing is folded in.
func decodeReached(data []byte) reached {
	if len(data) != 48 {
		return reached{}
	}
	return reached{
		next: binary.BigEndian.Uint64(data), asOf: binary.BigEndian.Uint64(data[8:]), policy: binary.BigEndian.Uint64(data[16:]),
		forgot: binary.BigEndian.Uint64(data[24:]), open: binary.BigEndian.Uint64(data[32:]), kept: binary.BigEndian.Uint64(data[40:]),
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
