package projection

import (
	"context"
	"errors"
	"fmt"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// batch is how many entries are folded in one transaction at most.
const batch = 512

// step folds up to most entries in, and reports whether there may be more.
//
// A purge ends it: the rows were made of what is now forgotten, and must hold
// nothing of it. They are thrown away and made again, as a rebuild makes them.
func (f *folder) step(ctx context.Context, most uint64) (more bool, err error) {
	var s stepped
	err = f.view.Update(f.school.ID, func(tx *view.Tx) (err error) {
		s, err = f.foldSome(ctx, tx, most)
		return err
	})
	f.ahead = nil
	if err != nil {
		f.left = left{}
		f.permissions = nil // they may be of rows that were not committed
	}
	switch {
	case errors.Is(err, errPolicyLost):
		f.log.Error("a policy of the school is damaged in the ledger: the view is made again without it")
		return f.anew()
	case err != nil:
		return false, err
	case s.forgotten:
		f.log.Info("something was forgotten: the view is made again")
		return f.anew()
	}
	if s.damaged {
		if err := f.damageNow(); err != nil {
			return false, err
		}
	}
	f.came.to(s.next, f.school.Ledger.Size(), f.clock.Now())
	f.came.stop(nil)
	return s.more, nil
}

// stepped is what became of a step.
type stepped struct {
	next      uint64 // first entry that is not folded in
	more      bool   // there may be more
	forgotten bool   // it met a purge
	damaged   bool   // it met an entry that is damaged
}

// anew throws the rows away, so that the next step begins at the first entry.
func (f *folder) anew() (more bool, err error) {
	if err := f.startAgain(); err != nil {
		return false, err
	}
	return true, f.introduce()
}

func (f *folder) foldSome(ctx context.Context, tx *view.Tx, most uint64) (s stepped, err error) {
	s.next = tx.Next()
	f.begin(s.next)
	end := min(f.school.Ledger.Size(), s.next+most)
	if s.next >= end {
		return s, nil
	}
	items, err := f.upcoming(ctx, s.next, end)
	if err != nil {
		return s, err
	}
	var latest uint64
	for _, i := range items {
		if i.record.Envelope.Kind == proof.KindPurge && uint64(i.record.Index) >= f.purged {
			s.forgotten = true
			return s, nil
		}
		latest = max(latest, i.record.Envelope.ReceivedAt)
	}
	if err := tx.Advance(moment(latest)); err != nil {
		return s, err
	}
	notes, first := f.notes, s.next
	for n, i := range items {
		if over, err := f.dayOver(ctx, tx, n, i); err != nil {
			return s, err
		} else if over {
			break
		}
		if n%window == 0 {
			if err := f.look(ctx, tx, sameDay(tx, items[n:min(n+window, len(items))])); err != nil {
				return s, err
			}
		}
		if i.bad != nil {
			err = f.note(tx, *i.bad)
		} else if err = f.fold(ctx, tx, i.record); err != nil {
			err = fmt.Errorf("fold in entry %d, a %s: %w", i.record.Index, i.record.Envelope.Kind, err)
		}
		if err != nil {
			return s, err
		}
		s.next++
		tx.SetNext(s.next)
		if tx.Full() {
			break
		}
	}
	f.left = left{s.next, items[s.next-first:]}
	s.more, s.damaged = true, f.notes > notes
	return s, nil
}

// begin notes, before the first entry that this process folds, which purges
// the rows know of.
func (f *folder) begin(first uint64) {
	if f.begun {
		return
	}
	f.begun, f.purged = true, first
	if first == 0 {
		f.purged = f.school.Ledger.Size()
	}
}
