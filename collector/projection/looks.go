package projection

import (
	"context"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
)

// looked takes in that somebody looked at something. Of a look that was forgotten
// nothing is left to show.
func (f *folder) looked(ctx context.Context, tx *view.Tx, r ledger.Record) error {
	data, ok, err := f.body(ctx, r, viewing.Section)
	if err != nil || !ok {
		return err
	}
	l, err := viewing.Decode(data)
	if err != nil {
		return &notUnderstoodError{err}
	}
	return tx.PutLook(viewing.Seen{Look: l, At: moment(r.Envelope.ReceivedAt), Entry: uint64(r.Index) + 1})
}
