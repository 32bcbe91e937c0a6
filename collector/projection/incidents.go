package projection

import (
	"context"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/view"
)

// incident takes in a change of an incident; ok is false if the entry is none.
// Who recorded it and what they wrote may be forgotten: the change counts all
// the same, and whether it makes sense is no question here. What was recorded is
// shown.
func (f *folder) incident(ctx context.Context, tx *view.Tx, r ledger.Record) (ok bool, err error) {
	data, ok, err := f.body(ctx, r, incident.Section)
	if err != nil || !ok {
		return false, err
	}
	c, err := incident.Decode(data)
	if err != nil {
		return true, &notUnderstoodError{err}
	}
	taken := incident.Taken{Change: c, Act: incident.Act{
		Recorded: moment(r.Envelope.ReceivedAt), Entry: uint64(r.Index) + 1, Forgotten: true,
	}}
	data, known, err := f.body(ctx, r, decision.Section)
	if err != nil {
		return true, err
	}
	if known {
		d, err := decision.Decode(data)
		if err != nil {
			return true, &notUnderstoodError{err}
		}
		taken.By, taken.Words, taken.Forgotten = d.By, d.Reason, false
	}
	if err := tx.TakeIncident(taken); err != nil {
		return true, err
	}
	if c.Concern != "" {
		if err := tx.OpenConcern(c.Concern, c.ID); err != nil {
			return true, err
		}
	}
	return true, setApart(tx, c, r)
}
