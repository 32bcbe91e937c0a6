package view

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Use returns the acknowledgement of whoever a key of register.HolderKey tells.
func (tx *Tx) Use(holder string) (u register.Use, ok bool, err error) {
	ok, err = tx.getJSON(text(key(tx.school, famUse), holder), &u)
	return u, ok, err
}

// PutUse records an acknowledgement.
func (tx *Tx) PutUse(holder string, u register.Use) error {
	if err := tx.room(roomy); err != nil {
		return err
	}
	return tx.putJSON(text(key(tx.school, famUse), holder), u)
}

// forgottenUse is where it is noted that an acknowledgement was of somebody whose
// name was forgotten. It is no key of register.HolderKey.
const forgottenUse = "forgotten"

// ForgottenUse returns the last entry, counted from 1, of an acknowledgement by
// somebody whose name was forgotten; 0 if there is none.
func (tx *Tx) ForgottenUse() (entry uint64, err error) {
	var u register.Use
	_, err = tx.getJSON(text(key(tx.school, famUse), forgottenUse), &u)
	return u.Entry, err
}

// PutForgottenUse notes such an entry.
func (tx *Tx) PutForgottenUse(entry uint64) error {
	if err := tx.room(roomy); err != nil {
		return err
	}
	return tx.putJSON(text(key(tx.school, famUse), forgottenUse), register.Use{Entry: entry})
}

// HeldBy returns the assets that somebody has.
func (tx *Tx) HeldBy(holder string) ([]register.Asset, error) {
	return tx.heldIf(func(h register.Held) bool { return register.HolderKey(h.Role, h.Person) == holder })
}

// HeldByName returns the assets that somebody has whose name is known.
func (tx *Tx) HeldByName() ([]register.Asset, error) {
	return tx.heldIf(func(h register.Held) bool { return h.Person != "" })
}

func (tx *Tx) heldIf(by func(register.Held) bool) ([]register.Asset, error) {
	var list []register.Asset
	it := tx.txn.NewIterator(badger.IteratorOptions{Prefix: key(tx.school, famAsset), PrefetchValues: true, PrefetchSize: 100})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		var a register.Asset
		if err := it.Item().Value(func(data []byte) error { return unmarshal(data, &a) }); err != nil {
			return nil, fmt.Errorf("read the assets that somebody has: %w", err)
		}
		if a.Held != nil && by(*a.Held) {
			list = append(list, a)
		}
	}
	return list, nil
}

// UsePage is a page of acknowledgements of the rules of use.
type UsePage struct {
	Uses []register.Use `json:"uses"`
	Next string         `json:"next,omitempty"` // After for the next page; "" if this is the last
}

// Nameless returns the page without the names of people: for whoever may know their
// roles alone.
func (p UsePage) Nameless() UsePage {
	p.Uses = slices.Clone(p.Uses)
	for i := range p.Uses {
		p.Uses[i].Person = ""
	}
	return p
}

// Uses returns a page of the acknowledgements of the rules of use.
func (q *Queries) Uses(ctx context.Context, school posture.SchoolID, after string, limit int, now time.Time) (UsePage, error) {
	page := UsePage{Uses: []register.Use{}}
	from, err := parseCursor(after)
	if err != nil {
		return page, err
	}
	var last string
	err = q.read(ctx, school, now, func(r *reader) error {
		return r.each(key(school, famUse), from, true, func(k []byte, item *badger.Item) (bool, error) {
			if len(page.Uses) == pageSize(limit) {
				page.Next = last
				return false, nil
			}
			if name, _, ok := part(k); ok && name == forgottenUse {
				return true, nil
			}
			var u register.Use
			if err := item.Value(func(data []byte) error { return unmarshal(data, &u) }); err != nil {
				return false, fmt.Errorf("read acknowledgement %q: %w", k, err)
			}
			page.Uses, last = append(page.Uses, u), cursor(k)
			return true, nil
		})
	})
	return page, err
}
