package view

import (
	"context"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/shared/posture"
)

func makerKey(school posture.SchoolID, serial string) []byte {
	return text(key(school, famMaker), register.SerialKey(serial))
}

// PutSerial has an asset found by its serial number, and no more by the one that it
// had, unless that is another's by now.
func (tx *Tx) PutSerial(was, next register.Asset) error {
	if was.Serial == next.Serial {
		return nil
	}
	if was.Serial != "" {
		var tag string
		if _, err := tx.getJSON(makerKey(tx.school, was.Serial), &tag); err != nil {
			return err
		}
		if tag == register.Key(next.Tag) {
			if err := tx.remove(makerKey(tx.school, was.Serial)); err != nil {
				return err
			}
		}
	}
	if next.Serial == "" {
		return nil
	}
	return tx.putJSON(makerKey(tx.school, next.Serial), register.Key(next.Tag))
}

// WithSerial returns the asset of a school's register whose serial number,
// normalised, fits; ok is false if none does.
func (q *Queries) WithSerial(ctx context.Context, school posture.SchoolID, fits func(serial string) bool, now time.Time) (a register.Asset, ok bool, err error) {
	err = q.read(ctx, school, now, func(r *reader) error {
		var found string
		err := r.each(key(school, famMaker), nil, false, func(k []byte, _ *badger.Item) (bool, error) {
			serial, _, whole := part(k)
			if !whole {
				return false, fmt.Errorf("read the key %q of a serial number", k)
			}
			if fits(serial) {
				found = serial
			}
			return true, nil // all are looked at: how long that takes tells a stranger nothing
		})
		if err != nil || found == "" {
			return err
		}
		var tag string
		if ok, err = r.getJSON(makerKey(school, found), &tag); err != nil || !ok {
			return err
		}
		if ok, err = r.getJSON(assetKey(school, tag), &a); err == nil && ok && register.SerialKey(a.Serial) != found {
			ok, err = false, fmt.Errorf("the asset %s is found by a serial number that is not its own", a.Tag)
		}
		return err
	})
	return a, ok && err == nil, err
}
