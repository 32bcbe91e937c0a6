package projection

import (
	"context"

	"github.com/caretaker-school/caretaker/collector/concern"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/view"
)

// concern takes in what somebody reported without signing in, or what the school
// did about that; ok is false if the entry is neither. What was told, and by
// whom, may be forgotten: that there was something counts all the same.
func (f *folder) concern(ctx context.Context, tx *view.Tx, r ledger.Record) (ok bool, err error) {
	data, ok, err := f.body(ctx, r, concern.Section)
	if err != nil || !ok {
		return false, err
	}
	c, err := concern.Decode(data)
	if err != nil {
		return true, &notUnderstoodError{err}
	}
	var d decision.Decision
	data, known, err := f.body(ctx, r, decision.Section)
	if err != nil {
		return true, err
	}
	if known {
		if d, err = decision.Decode(data); err != nil {
			return true, &notUnderstoodError{err}
		}
	}
	entry, at := uint64(r.Index)+1, moment(r.Envelope.ReceivedAt)
	switch c.What {
	case concern.Raise:
		row := view.Concern{ID: c.ID, Kind: c.Kind, Words: d.Reason, Forgotten: !known, Raised: at, Entry: entry}
		if d.Concern != nil {
			row.Told = *d.Concern
		}
		if d.By != decision.NotSignedIn {
			row.By = d.By
		}
		return true, tx.TakeConcern(row)
	case concern.SetAside:
		for _, id := range c.IDs {
			if err := tx.SetConcernAside(id, view.Act{By: d.By, At: at, Reason: d.Reason, Entry: entry}); err != nil {
				return true, err
			}
		}
	case concern.Address:
		return true, tx.PutConcernAddress(view.ConcernAddress{Address: c.Address, Since: at, By: d.By})
	}
	return true, nil
}
