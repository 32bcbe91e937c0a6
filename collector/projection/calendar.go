package projection

import (
	"context"

	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/view"
)

// setsCalendar takes in a term calendar; ok is false if the entry is none. Who
// set it may be forgotten: the calendar counts all the same.
func (f *folder) setsCalendar(ctx context.Context, tx *view.Tx, r ledger.Record) (ok bool, err error) {
	source, ok, err := f.body(ctx, r, decision.CalendarSection)
	if err != nil || !ok {
		return false, err
	}
	c, err := calendar.Parse("calendar", source)
	if err != nil {
		return true, &notUnderstoodError{err}
	}
	row := view.CalendarRow{
		Entry: uint64(r.Index), At: moment(r.Envelope.ReceivedAt), Name: c.Name(), Zone: c.Zone().String(), Source: string(source),
	}
	row.From, row.To, _ = c.Speaks()
	data, known, err := f.body(ctx, r, decision.Section)
	if err != nil {
		return true, err
	}
	if known {
		d, err := decision.Decode(data)
		if err != nil {
			return true, &notUnderstoodError{err}
		}
		row.By, row.Reason = d.By, d.Reason
	}
	return true, tx.PutCalendar(row)
}
