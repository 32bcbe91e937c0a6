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

// Due reports whether a month of a class is older than the usual time of its
// class. Posture has none: it is for the life of a device and a year.
func Due(class proof.Class, month ledger.Month, now time.Time) bool {
	from := end(month)
	switch class {
	case proof.Media:
		return !now.Before(from.AddDate(0, 0, 90))
	case proof.Contacts:
		return !now.Before(from.AddDate(0, 0, 30))
	case proof.Inventory:
		return !now.Before(from.AddDate(0, 13, 0))
	case proof.People:
		return !now.Before(from.AddDate(2, 0, 0))
	case proof.Incidents:
		return !now.Before(from.AddDate(6, 0, 0))
	}
	return false
}

// end returns the first moment after a month.
func end(m ledger.Month) time.Time {
	return time.Date(m.Year, m.Month+1, 1, 0, 0, 0, 0, time.UTC)
}

// Keep returns what must be kept of a class and month.
func Keep(ctx context.Context, l Ledger, r Roster, class proof.Class, month ledger.Month) (func(ledger.Stored) bool, error) {
	if class == proof.Contacts {
		return lastOfDays(ctx, l, month)
	}
	return presentState(ctx, r)
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

// lastOfDays keeps each device's last contact of each day.
func lastOfDays(ctx context.Context, l Ledger, month ledger.Month) (func(ledger.Stored) bool, error) {
	type day struct {
		device string
		date   int64
	}
	type place struct {
		entry  ledger.Index
		number int
	}
	dayOf := func(s ledger.Stored) (day, error) {
		signed, err := proof.DecodeSignedContact(s.Section.Body)
		if err != nil {
			return day{}, err
		}
		c, err := proof.DecodeContactStatement(signed.Statement)
		const dayLong = 24 * 60 * 60 * 1000
		return day{c.Device, int64(s.Record.Envelope.ReceivedAt / dayLong)}, err
	}
	last := map[day]place{}
	for s, err := range l.Bodies(ctx, proof.Contacts, month) {
		if err != nil {
			return nil, err
		}
		d, err := dayOf(s)
		if err != nil {
			continue // kept below
		}
		last[d] = place{s.Record.Index, s.Number} // in the order of entries
	}
	return func(s ledger.Stored) bool {
		d, err := dayOf(s)
		return err != nil || last[d] == place{s.Record.Index, s.Number}
	}, nil
}
