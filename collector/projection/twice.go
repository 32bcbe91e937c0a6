package projection

import (
	"context"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// From the entry that says that two machines answer to a device's name nothing
// that either of them said counts as met. Once they are told apart, the next
// report is of the one that keeps the name.

// twice takes in that two machines answer to a name, or that the firmware of one
// of them settled it; ok is false if the entry says nothing of it.
func (f *folder) twice(ctx context.Context, tx *view.Tx, r ledger.Record) error {
	data, ok, err := f.body(ctx, r, roster.SectionDoubt)
	if err != nil || !ok {
		return err
	}
	d, err := roster.DecodeDoubt(data)
	if err != nil {
		return &notUnderstoodError{err}
	}
	switch d.What {
	case roster.DoubtNoticed:
		return noticed(tx, d, r)
	case roster.DoubtSettled:
		return settled(tx, d.Device, r)
	}
	return nil
}

func noticed(tx *view.Tx, d roster.Doubt, r ledger.Record) error {
	was, known, err := tx.Device(d.Device)
	if err != nil || !known || was.Twice != (view.Twice{}) && was.Twice.Settled.IsZero() {
		return err // it is known
	}
	spans, err := tx.Twices(d.Device)
	if err != nil {
		return err
	}
	row, at := was, moment(r.Envelope.ReceivedAt)
	row.Twice = view.Twice{Since: at, Why: d.Why, Entry: uint64(r.Index) + 1}
	if n := len(spans); n == 0 || spans[n-1].From < row.Twice.Entry {
		if err := tx.PutTwices(d.Device, append(spans, view.TwiceSpan{From: row.Twice.Entry, Since: at, Why: d.Why})); err != nil {
			return err
		}
	}
	return tx.PutDevice(was, row)
}

// settled takes in that they were told apart. What was said before counts no
// more than it did.
func settled(tx *view.Tx, id posture.DeviceID, r ledger.Record) error {
	was, known, err := tx.Device(id)
	if err != nil || !known || was.Twice == (view.Twice{}) || !was.Twice.Settled.IsZero() {
		return err
	}
	spans, err := tx.Twices(id)
	if err != nil {
		return err
	}
	row := was
	row.Twice.Settled = moment(r.Envelope.ReceivedAt)
	if n := len(spans); n > 0 && spans[n-1].To == 0 {
		spans[n-1].To, spans[n-1].Until = uint64(r.Index)+1, row.Twice.Settled
		if err := tx.PutTwices(id, spans); err != nil {
			return err
		}
	}
	return tx.PutDevice(was, row)
}

// tellApart takes in what somebody decided about a machine that answers to a
// name: only that it keeps the name says something of the device.
func tellApart(tx *view.Tx, c admission.Change, r ledger.Record) error {
	if !c.Keeps {
		return nil
	}
	return settled(tx, c.Device, r)
}

// doubted reports whether what comes from a device is heard: nothing is, while
// two machines answer to its name, and intake records nothing.
func doubted(was view.DeviceRow) bool {
	return was.Twice != (view.Twice{}) && was.Twice.Settled.IsZero()
}
