package projection

import (
	"context"
	"errors"
	"fmt"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/view"
)

// DamageError is what a view was made without: entries of which something is
// not what was written. What they said shows nowhere, what rests on it is not
// proven, and everything else is shown.
type DamageError struct {
	Entries int    // how many
	First   uint64 // the first of them
	What    string // what is wrong with it
}

func (e *DamageError) Error() string {
	more := ""
	if e.Entries > 1 {
		more = fmt.Sprintf(", and %d more", e.Entries-1)
	}
	return fmt.Sprintf("entry %d of the ledger is damaged%s: what is damaged is not shown; restore it from a backup and make the view again (%s)",
		e.First, more, e.What)
}

// errPolicyLost means that the rows were made under a policy that the ledger
// cannot show any more. They are made again without it, as a rebuild makes them.
var errPolicyLost = errors.New("a policy by which the view was made is damaged in the ledger")

// note records that something of an entry is damaged, and says it once.
func (f *folder) note(tx *view.Tx, d damage) error {
	if !f.noted[d.entry] {
		f.log.Error("an entry of the ledger is damaged: what is damaged is not shown, and what rests on it is not proven",
			"entry", d.entry, "error", d.what)
		f.noted[d.entry] = true
	}
	f.notes++
	return tx.PutDamage(d.entry, d.what)
}

// damageNow tells whoever asks what the view was made without.
func (f *folder) damageNow() error {
	d, err := f.view.Damage(f.school.ID)
	if err != nil {
		return err
	}
	f.came.lack(d)
	return nil
}

// item is one entry to be folded in, or word that it is damaged.
type item struct {
	record ledger.Record
	bad    *damage
}

// gather reads entries in order. One that is damaged takes none of the others
// with it.
func (f *folder) gather(ctx context.Context, first, end ledger.Index) ([]item, error) {
	items := make([]item, 0, end-first)
	for next := first; next < end; {
		var why error
		for r, err := range f.school.Ledger.Entries(ctx, next, end) {
			if err != nil {
				why = err
				break
			}
			items = append(items, item{record: r})
			next = r.Index + 1
		}
		if why == nil && next < end {
			return nil, fmt.Errorf("read entry %d: %w", next, ledger.ErrNotFound)
		}
		if why == nil {
			break
		}
		one, err := f.single(ctx, next, why)
		if err != nil {
			return nil, err
		}
		items = append(items, one)
		next++
	}
	return items, nil
}

// single reads an entry that could not be read among others.
func (f *folder) single(ctx context.Context, i ledger.Index, why error) (item, error) {
	if _, bad := errors.AsType[*ledger.CorruptError](why); !bad {
		return item{}, fmt.Errorf("read entry %d: %w", i, why)
	}
	r, err := f.school.Ledger.Read(ctx, i)
	if err == nil {
		return item{record: r}, nil
	}
	if bad, ok := errors.AsType[*ledger.CorruptError](err); ok {
		return item{bad: &damage{entry: uint64(i), what: bad.Error()}}, nil
	}
	return item{}, fmt.Errorf("read entry %d: %w", i, err)
}
