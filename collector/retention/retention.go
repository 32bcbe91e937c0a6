// Package retention says what of a school's record may be forgotten and when,
// and what must be kept all the same: the present state of every device, and of
// each device's contacts the last of each day.
//
// It forgets nothing by itself, and never touches what is kept as long as the
// ledger.
package retention

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// Ledger is the part of a ledger that is read to find what must be kept.
type Ledger interface {
	Months(class proof.Class) ([]ledger.Month, error)
	Bodies(ctx context.Context, class proof.Class, month ledger.Month) iter.Seq2[ledger.Stored, error]
}

// Roster is the part of a roster that knows the present state of devices.
type Roster interface {
	CatchUp(ctx context.Context) error
	Devices() iter.Seq[roster.Device]
	Sections(ctx context.Context, d roster.Device) ([]proof.SectionRef, error)
}

// Classes lists the classes that can be forgotten.
func Classes() []proof.Class {
	return []proof.Class{proof.Posture, proof.Media, proof.Inventory, proof.Contacts, proof.People, proof.Incidents}
}

// ParseClass reads a class by its name.
func ParseClass(name string) (proof.Class, error) {
	if name == proof.Kept.String() {
		return 0, errors.New("what is of the class kept stays as long as the ledger")
	}
	for _, c := range Classes() {
		if c.String() == name {
			return c, nil
		}
	}
	return 0, fmt.Errorf("%.40q is no class that can be forgotten: give one of %v", name, Classes())
}

// Past reports whether a month is over: in one that is not, more is still to
// come.
func Past(month ledger.Month, now time.Time) bool {
	return !now.Before(end(month))
}

// end returns the first moment after a month.
func end(m ledger.Month) time.Time {
	return time.Date(m.Year, m.Month+1, 1, 0, 0, 0, 0, time.UTC)
}

// presentState keeps the sections that the last report of a device names,
// however long ago they came: they say what is so now. Of a device that was
// revoked nothing is so now.
func presentState(ctx context.Context, r Roster) (func(ledger.Stored) bool, error) {
	if err := r.CatchUp(ctx); err != nil {
		return nil, err
	}
	current := map[proof.Digest]bool{}
	silent := map[string]bool{} // has enrolled and not reported: what it said then is all there is
	for d := range r.Devices() {
		if d.Revoked {
			continue
		}
		refs, err := r.Sections(ctx, d)
		if err != nil {
			return nil, fmt.Errorf("find the present state of device %s: %w", d.ID, err)
		}
		silent[string(d.ID)] = d.Last == 0
		for _, ref := range refs {
			if ref.Name != wire.MediaEvents { // what came and went is history, also in the last report
				current[ref.Digest] = true
			}
		}
	}
	return func(s ledger.Stored) bool {
		e := s.Record.Envelope
		return current[e.Sections[s.Number].Digest] || e.Kind == proof.KindEnrolment && silent[e.Subject]
	}, nil
}

// MediaCame counts the media that came in a body that is about what came and
// went: the count is what stays of it. What cannot be read counts nothing.
func MediaCame(b ledger.Stored) uint64 {
	if b.Section.Name != wire.MediaEvents {
		return 0
	}
	var facts posture.Facts
	if err := wire.DecodeSection(wire.MediaEvents, b.Section.Body, time.Time{}, &facts, nil); err != nil {
		return 0
	}
	n := uint64(0)
	for _, e := range facts.MediaEvents.Items {
		if e.Action == posture.Attached {
			n++
		}
	}
	return n
}

// lastOfDays keeps each device's last contact of each day, and of what came before
// and after it was recorded as lost, or as found: what it says while it is lost does
// not stand for what it said before.
func (s *Survey) lastOfDays(ctx context.Context, l Ledger, month ledger.Month) (func(ledger.Stored) bool, error) {
	type day struct {
		device  string
		date    int64
		stretch int
	}
	type place struct {
		entry  ledger.Index
		number int
	}
	dayOf := func(b ledger.Stored) (day, error) {
		signed, err := proof.DecodeSignedContact(b.Section.Body)
		if err != nil {
			return day{}, err
		}
		c, err := proof.DecodeContactStatement(signed.Statement)
		const dayLong = 24 * 60 * 60 * 1000
		return day{c.Device, int64(b.Record.Envelope.ReceivedAt / dayLong), s.stretch(posture.DeviceID(c.Device), b.Record.Index)}, err
	}
	last := map[day]place{}
	for b, err := range l.Bodies(ctx, proof.Contacts, month) {
		if err != nil {
			return nil, err
		}
		d, err := dayOf(b)
		if err != nil {
			continue // kept below
		}
		last[d] = place{b.Record.Index, b.Number} // in the order of entries
	}
	return func(b ledger.Stored) bool {
		d, err := dayOf(b)
		return err != nil || last[d] == place{b.Record.Index, b.Number}
	}, nil
}
