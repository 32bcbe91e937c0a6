package projection

import (
	"context"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/view"
)

// A school's day is over with the first entry that was received after it. What
// the day ended with is counted before that entry is folded in, in a transaction
// that has changed nothing yet, so that steps end where days do.

// left is what was read of the ledger and not folded in by the step that read it.
type left struct {
	from  uint64 // index of the first
	items []item
}

// upcoming returns the entries from one to before another, of which some may
// have been read already.
func (f *folder) upcoming(ctx context.Context, first, end uint64) ([]item, error) {
	known := f.left
	f.left = left{}
	if len(known.items) > 0 && known.from == first {
		return known.items[:min(uint64(len(known.items)), end-first)], nil
	}
	return f.gather(ctx, ledger.Index(first), ledger.Index(end))
}

// dayOver reports whether an entry was received on another of the school's days
// than those before it. If it is the first of a step, what the days before it
// ended with is counted, and it is of the day that is open then.
func (f *folder) dayOver(ctx context.Context, tx *view.Tx, n int, i item) (bool, error) {
	received := i.record.Envelope.ReceivedAt
	if received == 0 || tx.SameDay(moment(received)) { // of what is damaged nobody knows when it came
		return false, nil
	}
	if n > 0 {
		return true, nil
	}
	return false, tx.Reach(ctx, moment(received))
}

// sameDay returns the first of some entries, as far as the day goes: what comes
// after it is folded in by another step.
func sameDay(tx *view.Tx, items []item) []item {
	for n, i := range items {
		if received := i.record.Envelope.ReceivedAt; received > 0 && !tx.SameDay(moment(received)) {
			return items[:n]
		}
	}
	return items
}
