package view

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Sighting is a medium on a device: when it was first and last put in, and how
// often.
type Sighting struct {
	Device       posture.DeviceID        `json:"device"`
	First        time.Time               `json:"first"`
	Last         time.Time               `json:"last"`
	Times        int                     `json:"times"`
	Encryption   posture.EncryptionState `json:"encryption,omitempty"` // as last seen there; "" if that was never seen
	EncryptionAt time.Time               `json:"encryptionAt,omitzero"`
	Entry        uint64                  `json:"entry"` // of the ledger that says so last, counted from 1
}

// Attached are the media in a device when it last reported.
type Attached struct {
	Serials []string        `json:"serials,omitempty"`
	Unread  posture.Absence `json:"unread"` // why some are not among them; NotAsked: none is missing
	Absent  posture.Absence `json:"absent"` // why nothing is known
}

func (tx *Tx) attachedKey(id posture.DeviceID) []byte {
	return text(key(tx.school, famAttached), string(id))
}

// Attached returns the media in a device. Of one that never said, nothing was
// asked.
func (tx *Tx) Attached(id posture.DeviceID) (a Attached, err error) {
	_, err = tx.getJSON(tx.attachedKey(id), &a)
	return a, err
}

// PutAttached replaces them.
func (tx *Tx) PutAttached(id posture.DeviceID, a Attached) error {
	if err := tx.room(roomy); err != nil {
		return err
	}
	return tx.putJSON(tx.attachedKey(id), a)
}

// See adds what an entry says about a medium on a device. An entry that was
// taken in already changes nothing.
func (tx *Tx) See(serial string, s Sighting, entry uint64) error {
	return tx.see(famSighting, serial, s, entry)
}

// SeeFound is See on a machine that was set aside for found media.
func (tx *Tx) SeeFound(serial string, s Sighting, entry uint64) error {
	return tx.see(famFound, serial, s, entry)
}

func (tx *Tx) see(family, serial string, s Sighting, entry uint64) error {
	k := text(text(key(tx.school, family), serial), string(s.Device))
	var was Sighting
	known, err := tx.getJSON(k, &was)
	if err != nil || known && entry <= was.Entry {
		return err
	}
	if known {
		s.Times += was.Times
		if was.First.Before(s.First) {
			s.First = was.First
		}
		if was.Last.After(s.Last) {
			s.Last = was.Last
		}
		if s.Encryption == "" {
			s.Encryption, s.EncryptionAt = was.Encryption, was.EncryptionAt
		}
	}
	s.Entry = entry
	if err := tx.room(roomy); err != nil {
		return err
	}
	return tx.putJSON(k, s)
}

// Sightings returns the devices on which a medium was seen.
func (tx *Tx) Sightings(serial string) ([]Sighting, error) {
	usual, err := sightings(tx.txn, tx.school, famSighting, serial)
	if err != nil {
		return nil, err
	}
	found, err := sightings(tx.txn, tx.school, famFound, serial)
	return append(usual, found...), err
}

func sightings(txn *badger.Txn, school posture.SchoolID, family, serial string) ([]Sighting, error) {
	var list []Sighting
	it := txn.NewIterator(badger.IteratorOptions{Prefix: text(key(school, family), serial), PrefetchValues: true, PrefetchSize: 20})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		var s Sighting
		if err := it.Item().Value(func(data []byte) error { return unmarshal(data, &s) }); err != nil {
			return nil, fmt.Errorf("read where a medium was seen: %w", err)
		}
		list = append(list, s)
	}
	return list, nil
}

func mediumKey(school posture.SchoolID, number string) []byte {
	return text(key(school, famMedium), register.Key(number))
}

func serialKey(school posture.SchoolID, serial string) []byte {
	return text(key(school, famSerial), serial)
}

// Medium returns the medium of a number; without one it has no number.
func (tx *Tx) Medium(number string) (m register.Medium, err error) {
	_, err = tx.getJSON(mediumKey(tx.school, number), &m)
	return m, err
}

// MediumOf returns the medium that has a serial number.
func (tx *Tx) MediumOf(serial string) (m register.Medium, err error) {
	number, err := tx.get(serialKey(tx.school, serial))
	if err != nil || number == nil {
		return m, err
	}
	return tx.Medium(string(number))
}

// PutMedium records a medium, and whose its serial numbers are.
func (tx *Tx) PutMedium(was, m register.Medium) error {
	if err := tx.room(roomy); err != nil {
		return err
	}
	for _, serial := range was.Serials {
		if owner, err := tx.get(serialKey(tx.school, serial)); err != nil {
			return err
		} else if register.Key(string(owner)) != register.Key(m.Number) {
			continue // it is another's since this one was withdrawn
		}
		if err := tx.remove(serialKey(tx.school, serial)); err != nil {
			return err
		}
	}
	for _, serial := range m.Serials {
		if err := tx.put(serialKey(tx.school, serial), []byte(m.Number)); err != nil {
			return err
		}
	}
	return tx.putJSON(mediumKey(tx.school, m.Number), m)
}

// Seen is a sighting with what the device is called.
type Seen struct {
	Sighting
	Hostname string `json:"hostname"`
	AssetTag string `json:"assetTag,omitempty"`
}

// Medium is a medium of the register, with where it was seen.
type Medium struct {
	register.Medium
	Seen []Seen `json:"seen"` // newest first
	// Encryption is as it was last seen anywhere; "" if that was never seen.
	Encryption   posture.EncryptionState `json:"encryption"`
	EncryptionAt time.Time               `json:"encryptionAt,omitzero"`
}

// MediumPage is a page of the register of media.
type MediumPage struct {
	Media []Medium `json:"media"`
	Next  string   `json:"next,omitempty"` // After for the next page; "" if this is the last
}

// Media returns a page of a school's register of media, by number.
func (q *Queries) Media(ctx context.Context, school posture.SchoolID, after string, limit int, now time.Time) (MediumPage, error) {
	page := MediumPage{Media: []Medium{}}
	from, err := parseCursor(after)
	if err != nil {
		return page, err
	}
	var last string
	err = q.read(ctx, school, now, func(r *reader) error {
		return r.each(key(school, famMedium), from, true, func(k []byte, item *badger.Item) (bool, error) {
			if len(page.Media) == pageSize(limit) {
				page.Next = last
				return false, nil
			}
			var m register.Medium
			if err := item.Value(func(data []byte) error { return unmarshal(data, &m) }); err != nil {
				return false, fmt.Errorf("read medium %q: %w", k, err)
			}
			one, err := r.medium(m)
			page.Media = append(page.Media, one)
			last = cursor(k)
			return true, err
		})
	})
	return page, err
}

// Medium returns a medium of a school's register.
func (q *Queries) Medium(ctx context.Context, school posture.SchoolID, number string, now time.Time) (Medium, error) {
	var one Medium
	err := q.read(ctx, school, now, func(r *reader) error {
		var m register.Medium
		ok, err := r.getJSON(mediumKey(school, number), &m)
		if err == nil && !ok {
			err = fmt.Errorf("medium %.40s of school %s: %w", number, school, ErrNotFound)
		}
		if err != nil {
			return err
		}
		one, err = r.medium(m)
		return err
	})
	return one, err
}

// AttachedTo returns the media in a device when it last reported.
func (q *Queries) AttachedTo(ctx context.Context, school posture.SchoolID, id posture.DeviceID, now time.Time) (a Attached, err error) {
	err = q.read(ctx, school, now, func(r *reader) error {
		_, err := r.getJSON(text(key(school, famAttached), string(id)), &a)
		return err
	})
	return a, err
}

func (r *reader) medium(m register.Medium) (Medium, error) {
	out := Medium{Medium: m, Seen: []Seen{}}
	for _, serial := range m.Serials {
		seen, err := r.seen(serial)
		if err != nil {
			return out, err
		}
		out.Seen = append(out.Seen, seen...)
	}
	newestFirst(out.Seen)
	out.Encryption, out.EncryptionAt = encryptionOf(out.Seen)
	return out, nil
}

func newestFirst(list []Seen) {
	slices.SortStableFunc(list, func(a, b Seen) int { return b.Last.Compare(a.Last) })
}

// encryptionOf returns the newest that was seen of a medium's encryption.
func encryptionOf(list []Seen) (state posture.EncryptionState, at time.Time) {
	for _, s := range list {
		if s.Encryption != "" && s.EncryptionAt.After(at) {
			state, at = s.Encryption, s.EncryptionAt
		}
	}
	return state, at
}

// seen lists the devices on which a medium was seen in use.
func (r *reader) seen(serial string) ([]Seen, error) { return r.sighted(famSighting, serial) }

func (r *reader) sighted(family, serial string) ([]Seen, error) {
	list, err := sightings(r.txn, r.school.ID, family, serial)
	out := []Seen{}
	for _, s := range list {
		row, _, rowErr := r.row(s.Device)
		err = errors.Join(err, rowErr)
		out = append(out, Seen{Sighting: s, Hostname: row.Hostname, AssetTag: row.AssetTag})
	}
	newestFirst(out)
	return out, err
}
