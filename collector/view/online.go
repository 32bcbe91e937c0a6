package view

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/breach"
)

// How long a device has been online is one number in its row, which grows as it
// is heard from, and the same number as it was at the last contact of each day,
// in that day's row. Nothing is written for a single contact.

// Forgot notes that a contact was forgotten which was received at a moment. Whose
// it was nobody knows any more.
func (tx *Tx) Forgot(received time.Time) { tx.forgot = max(tx.forgot, ms(received)) }

// Credit returns how much of the time since a device was last heard from counts
// as online, now that it is heard from again. Where contacts of that time were
// forgotten, it was heard from as often as it can have been: the last of each day
// is kept, so that those were all made today.
func (tx *Tx) Credit(last, now time.Time) time.Duration {
	credit := breach.Credit(last, now)
	if last.IsZero() || tx.forgot <= ms(last) || now.Before(last) {
		return credit
	}
	midnight := at(dayOf(now) * uint64(dayLong/time.Millisecond))
	if midnight.Before(last) {
		midnight = last
	}
	return min(now.Sub(last), breach.OnlineFor+now.Sub(midnight))
}

// OnlineAt returns how long a device had been online by a moment that has passed,
// or less where that is not known to the minute: what is known of a day is its
// last contact, and the time before that counts as online. So a failure that was
// reported late has no longer grace than one that was reported at once. d is the
// device's row as it is now.
func (tx *Tx) OnlineAt(d DeviceRow, moment time.Time) (time.Duration, error) {
	if !moment.Before(d.LastContact) {
		return d.Online, nil
	}
	online := max(0, d.Online-d.LastContact.Sub(moment))
	if d.LastContact.Sub(moment) <= breach.OnlineFor {
		return online, nil
	}
	before, after, err := tx.heardAbout(d, moment)
	if err != nil {
		return 0, err
	}
	if !before.At.IsZero() {
		online = max(online, before.Online+min(moment.Sub(before.At), breach.OnlineFor))
	}
	if !after.At.IsZero() {
		online = max(online, after.Online-after.At.Sub(moment))
	}
	return min(online, d.Online), nil
}

// heardAbout returns the latest of the last contacts of days before a moment and
// the earliest after it, as far as there are any.
func (tx *Tx) heardAbout(d DeviceRow, moment time.Time) (before, after Heard, err error) {
	take := func(h Heard) {
		switch {
		case h.At.IsZero():
		case h.At.Before(moment) && h.At.After(before.At):
			before = h
		case !h.At.Before(moment) && (after.At.IsZero() || h.At.Before(after.At)):
			after = h
		}
	}
	prefix := dayKey(tx.school, d.ID)
	for _, back := range []bool{true, false} {
		if err := tx.nearest(prefix, dayOf(moment), back, take); err != nil {
			return before, after, fmt.Errorf("read when device %s was heard from: %w", d.ID, err)
		}
	}
	take(d.Heard)
	return before, after, nil
}

// nearest takes the rows of the two days that are nearest to a day, on one side
// of it, the day itself included.
func (tx *Tx) nearest(prefix []byte, day uint64, back bool, take func(Heard)) error {
	it := tx.txn.NewIterator(badger.IteratorOptions{Prefix: prefix, Reverse: back, PrefetchValues: true, PrefetchSize: 2})
	defer it.Close()
	it.Seek(number(bytes.Clone(prefix), day))
	for n := 0; n < 2 && it.Valid(); n++ {
		k := it.Item().Key()[len(prefix):]
		if len(k) != 8 || back && binary.BigEndian.Uint64(k) > day {
			return errDay
		}
		var h Heard
		if err := it.Item().Value(func(data []byte) error { return decode(data, &h) }); err != nil {
			return err
		}
		take(h)
		it.Next()
	}
	return nil
}

// Graces takes in that a device was heard from, as its row says, into the
// breaches whose grace counts time online.
func (tx *Tx) Graces(d *DeviceRow) error {
	d.GraceDue = 0
	cases, err := tx.Cases(d.ID)
	if err != nil {
		return err
	}
	for _, b := range cases {
		next := b.Heard(d.Online, d.LastContact)
		if next != b {
			if err := tx.PutCase(b, next, nil); err != nil {
				return err
			}
		}
		d.Awaits(next)
	}
	return nil
}

// Awaits notes how long the device must have been online for the end of a
// breach's grace to be known.
func (d *DeviceRow) Awaits(b breach.Breach) {
	if !b.Waiting() || !b.Online.Ends.IsZero() {
		return
	}
	due := max(1, b.Online.Since+b.Terms.Grace-breach.OnlineFor)
	if d.GraceDue == 0 || due < d.GraceDue {
		d.GraceDue = due
	}
}

// graceLeft returns how much time online is left at a moment of a grace of which
// the end is not known yet.
func graceLeft(b breach.Breach, row DeviceRow, now time.Time) time.Duration {
	if !b.Waiting() || !b.Online.Ends.IsZero() {
		return 0
	}
	return max(0, b.Left(row.Online+min(max(0, now.Sub(row.LastContact)), breach.OnlineFor)))
}
