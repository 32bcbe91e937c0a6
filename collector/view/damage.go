package view

import (
	"encoding/binary"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// PutDamage records that something of an entry could not be read, and so is not
// in the rows. The first word about an entry stays.
func (tx *Tx) PutDamage(entry uint64, what string) error {
	k := number(key(tx.school, famDamage), entry)
	if data, err := tx.get(k); err != nil || data != nil {
		return err
	}
	return tx.put(k, []byte(what))
}

// Damage is what the rows of a school were made without.
type Damage struct {
	Entries int    // of the ledger of which something is damaged
	First   uint64 // the first of them
	What    string // what is wrong with it
}

// Damage returns what the rows of a school were made without.
func (v *View) Damage(school posture.SchoolID) (d Damage, err error) {
	prefix := key(school, famDamage)
	err = v.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			if d.Entries++; d.Entries > 1 {
				continue
			}
			d.First = binary.BigEndian.Uint64(it.Item().Key()[len(prefix):])
			if err := it.Item().Value(func(what []byte) error { d.What = string(what); return nil }); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return d, fmt.Errorf("read what is damaged of school %s: %w", school, err)
	}
	return d, nil
}
