package projection

import (
	"context"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// admits takes in what the school decided about enrolments; ok is false if the
// entry is about something else. What is about renewal is for intake alone.
func (f *folder) admits(ctx context.Context, tx *view.Tx, r ledger.Record) (ok bool, err error) {
	data, ok, err := f.body(ctx, r, admission.Section)
	if err != nil || !ok {
		return false, err
	}
	c, err := admission.Decode(data)
	if err != nil {
		return true, &notUnderstoodError{err}
	}
	made := register.Made{At: moment(r.Envelope.ReceivedAt), Entry: uint64(r.Index) + 1, Forgotten: true}
	data, known, err := f.body(ctx, r, decision.Section)
	if err != nil {
		return true, err
	}
	if known {
		d, err := decision.Decode(data)
		if err != nil {
			return true, &notUnderstoodError{err}
		}
		made.By, made.Forgotten = d.By, false
	}
	switch c.What {
	case admission.SameHardware:
		return true, f.replace(ctx, tx, r, c, made)
	case admission.TellApart:
		return true, tellApart(tx, c, r)
	case admission.OtherHardware:
		return true, tx.PutSame(c.Device, c.Earlier, view.SameRow{Refused: true, By: made.By, At: made.At, Entry: made.Entry})
	}
	return true, nil
}

// replace takes in that a device is an earlier one, set up anew: the asset of
// the register is the new one from now on, and the old one is in no list and no
// count. What the old one said stays with it, and nothing of it is said of the
// new: that starts with its own first report. Where things stand otherwise by
// now, nothing follows.
func (f *folder) replace(ctx context.Context, tx *view.Tx, r ledger.Record, c admission.Change, made register.Made) error {
	earlier, ok, err := tx.Device(c.Earlier)
	if err != nil || !ok {
		return err
	}
	newer, ok, err := tx.Device(c.Device)
	if err != nil || !ok {
		return err
	}
	begun := earlier.ReplacedBy == newer.ID // and the rest was not committed with it
	if !begun && !replaceable(earlier, newer) {
		f.log.Info("two enrolments are not taken for one computer, as things stand", "entry", uint64(r.Index), "device", newer.ID, "earlier", earlier.ID)
		return nil
	}
	if err := f.moveAsset(ctx, tx, r, earlier, newer, made); err != nil {
		return err
	}
	if !begun {
		if err := f.settleAll(ctx, tx, r, c, made.By); err != nil {
			return err
		}
	}
	if newer, _, err = tx.Device(c.Device); err != nil {
		return err
	}
	for _, id := range newer.Replaces {
		if id == c.Earlier {
			return nil
		}
	}
	row := newer
	row.Replaces = append(append([]posture.DeviceID{}, newer.Replaces...), c.Earlier)
	if err := tx.PutSame(c.Device, c.Earlier, view.SameRow{By: made.By, At: made.At, Entry: made.Entry}); err != nil {
		return err
	}
	return tx.PutDevice(newer, row)
}

// replaceable reports whether two enrolments can be one computer that was set
// up anew: the earlier one is silent since the newer enrolled, and not lost.
func replaceable(earlier, newer view.DeviceRow) bool {
	return earlier.ReplacedBy == "" && newer.ReplacedBy == "" && newer.RevokedAt.IsZero() &&
		earlier.Apart != view.IsApart && newer.Apart != view.IsApart &&
		!newer.EnrolledAt.Before(earlier.EnrolledAt) && !earlier.LastContact.After(newer.EnrolledAt)
}

// moveAsset makes the asset that the earlier enrolment is the newer one, unless
// that is another asset already.
func (f *folder) moveAsset(ctx context.Context, tx *view.Tx, r ledger.Record, earlier, newer view.DeviceRow, made register.Made) error {
	if earlier.AssetTag == "" || newer.AssetTag != "" {
		return nil
	}
	was, err := tx.Asset(earlier.AssetTag)
	if err != nil || was.Device != earlier.ID {
		return err
	}
	next, err := was.Take(register.Change{What: register.Tie, Tag: was.Tag, Device: newer.ID}, made)
	if err != nil || next.Entry == was.Entry {
		return err
	}
	return f.putAsset(ctx, tx, r, was, next)
}

// settleStep is the place of what settles a replaced enrolment among the events of
// an entry: after everything else that the entry says of it, such as that its
// asset is another device now.
const settleStep = steps - 1

// settleAll settles every breach of an enrolment that was replaced, and has no
// rule judge it any more.
func (f *folder) settleAll(ctx context.Context, tx *view.Tx, r ledger.Record, c admission.Change, by string) error {
	was, _, err := tx.Device(c.Earlier)
	if err != nil {
		return err
	}
	received := moment(r.Envelope.ReceivedAt)
	j, err := f.judge(ctx, tx, was, received, order(r.Index, 0))
	if err != nil {
		return err
	}
	if err := j.lapseAll(); err != nil {
		return err
	}
	for _, id := range tx.Rules(j.row.Vector) {
		states, err := tx.States(was.ID, id)
		if err != nil {
			return err
		}
		for _, s := range states {
			k := breach.Key{Device: was.ID, Rule: id, Kind: s.Kind, ID: s.Key}
			e := breach.Event{What: breach.ResolvedByHand, Order: j.order + settleStep, At: received, Received: received, By: by}
			if err := j.event(k, e); err != nil {
				return err
			}
		}
		if err := tx.PutStates(was.ID, id, nil); err != nil {
			return err
		}
		j.gone = append(j.gone, id)
	}
	j.row.ReplacedBy, j.row.Own = c.Device, nil
	return j.save(was)
}
