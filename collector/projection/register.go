package projection

import (
	"context"
	"errors"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// keeps takes in a change of what the school keeps about its things; ok is
// false if the entry is none. Who made it may be forgotten: the change counts
// all the same.
func (f *folder) keeps(ctx context.Context, tx *view.Tx, r ledger.Record) (ok bool, err error) {
	data, ok, err := f.body(ctx, r, register.Section)
	if err != nil || !ok {
		return false, err
	}
	c, err := register.Decode(data)
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
		made.By, made.Person, made.Forgotten = d.By, d.Person, false
	}
	err = f.change(ctx, tx, r, c, made)
	if why, ok := errors.AsType[*register.VoidError](err); ok {
		f.log.Info("a change of the register changes nothing", "entry", uint64(r.Index), "why", why.Why)
		return true, nil
	}
	return true, err
}

// change takes in one change.
func (f *folder) change(ctx context.Context, tx *view.Tx, r ledger.Record, c register.Change, made register.Made) error {
	if c.What == register.Import {
		for _, item := range c.Items {
			if err := f.importItem(ctx, tx, r, item, c.AsOf, made); err != nil {
				return err
			}
		}
		return nil
	}
	switch {
	case c.OfMedium():
		return f.medium(ctx, tx, r, c, made)
	case c.OfLicence():
		return f.licence(ctx, tx, r, c, made)
	case c.What == register.AcknowledgeUse:
		return f.use(ctx, tx, r, c, made)
	case c.What == register.SetNotice:
		return f.guestNotice(tx, c, made)
	case c.What == register.ListsLast:
		return tx.PutListsLast(view.ListsLast{Days: c.Days})
	}
	was, err := tx.Asset(c.Tag)
	if err != nil {
		return err
	}
	next, err := was.Take(c, made)
	if err != nil || next.Entry == was.Entry {
		return err
	}
	if c.What == register.Tie || c.What == register.TieBySerial {
		free, err := f.free(tx, c.Device, next.Tag)
		if err != nil {
			return err
		}
		if !free {
			return &register.VoidError{Why: "the device is not enrolled, or is another asset"}
		}
	}
	if c.What == register.Recovery {
		if err := tx.PutRecovery(next.Tag, uint64(r.Index)); err != nil { // evidence takes it from there
			return err
		}
	}
	return f.putAsset(ctx, tx, r, was, next)
}

// importItem takes in one line of a list. A device that is another asset is not
// tied; the rest of the line counts.
func (f *folder) importItem(ctx context.Context, tx *view.Tx, r ledger.Record, item register.Item, asOf time.Time, made register.Made) error {
	was, err := tx.Asset(item.Tag)
	if err != nil {
		return err
	}
	if item.Device != "" {
		free, err := f.free(tx, item.Device, item.Tag)
		if err != nil {
			return err
		}
		if !free {
			item.Device = ""
		}
	}
	next := was.Import(item, asOf, made)
	if next.Entry == was.Entry {
		return nil
	}
	return f.putAsset(ctx, tx, r, was, next)
}

// free reports whether a device is enrolled and no asset but one of a tag.
func (f *folder) free(tx *view.Tx, id posture.DeviceID, tag string) (bool, error) {
	row, known, err := tx.Device(id)
	return known && row.RevokedAt.IsZero() && (row.AssetTag == "" || register.Key(row.AssetTag) == register.Key(tag)), err
}

// putAsset records an asset, and judges the device that it is, and the one that
// it was, by what is known now. The asset comes last: until it is recorded the
// entry can be folded in again.
func (f *folder) putAsset(ctx context.Context, tx *view.Tx, r ledger.Record, was, next register.Asset) error {
	if was.Device != "" && was.Device != next.Device {
		if err := f.retell(ctx, tx, r, was.Device, "", register.Asset{}); err != nil {
			return err
		}
	}
	if next.Device != "" {
		if err := f.retell(ctx, tx, r, next.Device, next.Tag, next); err != nil {
			return err
		}
	}
	if err := tx.PutSerial(was, next); err != nil {
		return err
	}
	return tx.PutAsset(next)
}

// retell judges a device by what its asset says now.
func (f *folder) retell(ctx context.Context, tx *view.Tx, r ledger.Record, id posture.DeviceID, tag string, a register.Asset) error {
	was, known, err := tx.Device(id)
	if err != nil || !known || was.ReplacedBy != "" {
		return err
	}
	j, err := f.judge(ctx, tx, was, moment(r.Envelope.ReceivedAt), order(r.Index, 0))
	if err != nil {
		return err
	}
	if err := j.lapseAll(); err != nil {
		return err
	}
	j.row.AssetTag, j.asset = tag, &a
	return j.again(was)
}

// again judges a device by the school's rules, and writes it.
func (j *judgement) again(was view.DeviceRow) error {
	tx := j.tx
	assignment, _, err := tx.Assignment(was.ID, was.Assignment)
	if err != nil {
		return err
	}
	if err := j.school(assignment); err != nil {
		return err
	}
	return j.save(was)
}

// kept reads what the school keeps about the device, and says until when it is
// lent, and when whoever has it leaves.
func (j *judgement) kept() (policy.SchoolFacts, error) {
	var facts policy.SchoolFacts
	if j.asset == nil {
		j.asset = &register.Asset{}
		if j.row.AssetTag != "" {
			a, err := j.tx.Asset(j.row.AssetTag)
			if err != nil {
				return facts, err
			}
			j.asset = &a
		}
	}
	a := j.asset
	j.row.SetLoan(time.Time{})
	if a.Held != nil {
		j.row.SetLoan(a.Held.Ends)
	}
	leaves, _ := a.Leaves()
	j.row.SetLeaves(leaves)
	if a.Escrow != "" {
		facts.Escrow = answer(a.EscrowAt, policy.Escrow{Held: posture.Read(a.Escrow == register.KeyHeld)})
	}
	if a.Held != nil || len(a.Past) > 0 {
		facts.Allocation = answer(j.received, allocation(*a, j.administratorsSince(a.Held), j.received))
	}
	unknown, err := j.unknownMedia()
	if err != nil {
		return facts, err
	}
	facts.Register = answer(j.received, policy.Register{UnknownMedia: unknown})
	if facts.Licences, err = j.licences(); err != nil {
		return facts, err
	}
	facts.AcceptableUse, err = j.acceptableUse(*a)
	return facts, err
}

// administratorsSince returns how many accounts could administer the device when
// it was last looked at since somebody has it: what was read before is of another.
func (j *judgement) administratorsSince(h *register.Held) posture.Reading[int64] {
	if h != nil && !j.row.Vector.LastRead(wire.Security).After(h.From) {
		return posture.Unread[int64](posture.NotVisible)
	}
	return j.row.Administrators
}

// allocation says who has an asset at a moment, without saying who, and how many
// accounts of people can administer it.
func allocation(a register.Asset, administrators posture.Reading[int64], now time.Time) policy.Allocation {
	leaves, leaving := a.Leaves()
	out := policy.Allocation{
		Held:  posture.Read(a.Held != nil),
		Guest: posture.Read(a.Held != nil && a.Held.Guest), Administrators: administrators,
		Ends: posture.Read(false), EndsAt: posture.Unread[time.Time](posture.NotAsked),
		Leaver: posture.Read(leaving && !now.Before(leaves)),
	}
	if a.Held != nil && !a.Held.Ends.IsZero() {
		out.Ends, out.EndsAt = posture.Read(true), posture.Read(a.Held.Ends)
	}
	return out
}
