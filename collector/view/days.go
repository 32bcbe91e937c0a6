package view

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Heard is where the ledger keeps a contact of a device. The row of a device
// has that of its last one. When the first contact of another day comes, it
// moves to a row of its day, so that a day costs one row however often a device
// is heard from.
type Heard struct {
	Entry   uint64    `json:"entry"`
	Section int       `json:"section"`     // its place among the entry's sections
	At      time.Time `json:"at,omitzero"` // when it was received; zero: there is none
	// Online is how long the device had been online by then: see DeviceRow.
	Online time.Duration `json:"-"`
}

// Day is the last contact that came from a device on a day, by the collector's
// clock in UTC: what retention keeps of it, too.
type Day struct {
	Date time.Time `json:"date"` // its midnight
	Heard
}

const dayLong = 24 * time.Hour

// dayOf numbers the days from 1970 on.
func dayOf(t time.Time) uint64 { return ms(t) / uint64(dayLong/time.Millisecond) }

func (h *Heard) code(c *coder) {
	c.count(&h.Entry)
	codeInt(c, &h.Section)
	c.instant(&h.At)
	codeInt(c, &h.Online)
}

func dayKey(school posture.SchoolID, id posture.DeviceID) []byte {
	return text(key(school, famDay), string(id))
}

// Hear notes in a device's row that a contact of it came. The one before is
// written as the last of its day if that day is another.
func (tx *Tx) Hear(d *DeviceRow, h Heard) error {
	was := d.Heard
	d.Heard = h
	if was.At.IsZero() || dayOf(was.At) == dayOf(h.At) {
		return nil
	}
	return tx.put(number(dayKey(tx.school, d.ID), dayOf(was.At)), encode(&was))
}

// PutRecovery records that an entry says whether the school holds the recovery
// key of an asset.
func (tx *Tx) PutRecovery(tag string, entry uint64) error {
	return tx.put(number(recoveryKey(tx.school, tag), entry), nil)
}

func recoveryKey(school posture.SchoolID, tag string) []byte {
	return text(key(school, famRecovery), register.Key(tag))
}

// History is what the view knows of where the ledger keeps a device's history,
// beside its reports.
type History struct {
	Days     []Day    `json:"days"`    // on which it was heard from, oldest first
	Revoked  uint64   `json:"revoked"` // entry; 0: it was not
	AssetTag string   `json:"assetTag,omitempty"`
	Recovery []uint64 `json:"recovery,omitempty"` // entries that say whether the school holds its recovery key, oldest first
	Policies []Policy `json:"policies"`           // of the school, by number
	Folded   uint64   `json:"folded"`             // entries of the ledger that all this takes account of
	Hostname string   `json:"hostname"`
	// Quarantine are the times in which it was marked lost.
	Quarantine []QuarantineSpan `json:"quarantine,omitempty"`
	// Twice are the times in which two machines answered to its name.
	Twice []TwiceSpan `json:"twice,omitempty"`
	// Disputed are the entries that say that a fact about it is wrong, or answer that.
	Disputed []uint64 `json:"disputed,omitempty"`
}

// History returns where the ledger keeps a device's history.
func (q *Queries) History(ctx context.Context, school posture.SchoolID, id posture.DeviceID) (History, error) {
	var h History
	err := q.read(ctx, school, time.Time{}, func(r *reader) (err error) {
		row, ok, err := r.row(id)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("device %.63s of school %s: %w", id, school, ErrNotFound)
		}
		if h.Days, err = r.heardOn(row); err != nil {
			return err
		}
		if h.Policies, err = r.policies(); err != nil {
			return err
		}
		h.Revoked, h.Hostname, h.AssetTag = row.RevokedIn, row.Hostname, row.AssetTag
		var kept Quarantine
		if _, err = r.getJSON(quarantineKey(school, id), &kept); err != nil {
			return err
		}
		h.Quarantine = kept.Spans
		if h.Twice, err = r.twices(id); err != nil {
			return err
		}
		if h.Disputed, err = r.disputed(id); err != nil {
			return err
		}
		if h.Recovery, err = r.recovery(row.AssetTag); err != nil {
			return err
		}
		_, err = r.get(key(school, famNext), func(data []byte) error { h.Folded = decodeReached(data).next; return nil })
		return err
	})
	return h, err
}

// Policies returns the policies of a school, by number.
func (q *Queries) Policies(ctx context.Context, school posture.SchoolID) ([]Policy, error) {
	var list []Policy
	err := q.read(ctx, school, time.Time{}, func(r *reader) (err error) {
		list, err = r.policies()
		return err
	})
	return list, err
}

var errDay = errors.New("the key of a row is cut short")

func (r *reader) heardOn(row DeviceRow) ([]Day, error) {
	list := []Day{}
	now, standing := dayOf(row.Heard.At), !row.Heard.At.IsZero()
	add := func(day uint64, h Heard) {
		list = append(list, Day{Date: time.UnixMilli(int64(day) * dayLong.Milliseconds()).UTC(), Heard: h})
	}
	err := r.each(dayKey(r.school.ID, row.ID), nil, true, func(k []byte, item *badger.Item) (bool, error) {
		if len(k) != 8 {
			return false, errDay
		}
		day := binary.BigEndian.Uint64(k)
		if standing && now <= day {
			add(now, row.Heard)
			standing = false
			if now == day { // the clock went back to a day that had been left: the later contact counts
				return true, nil
			}
		}
		var h Heard
		if err := item.Value(func(data []byte) error { return decode(data, &h) }); err != nil {
			return false, err
		}
		add(day, h)
		return true, nil
	})
	if standing && err == nil {
		add(now, row.Heard)
	}
	return list, err
}

func (r *reader) policies() ([]Policy, error) {
	list := []Policy{}
	err := r.each(key(r.school.ID, famPolicy), nil, true, func(_ []byte, item *badger.Item) (bool, error) {
		var p Policy
		err := item.Value(func(data []byte) error { return unmarshal(data, &p) })
		list = append(list, p)
		return true, err
	})
	return list, err
}

func (r *reader) recovery(tag string) (list []uint64, err error) {
	if tag == "" {
		return nil, nil
	}
	err = r.each(recoveryKey(r.school.ID, tag), nil, false, func(k []byte, _ *badger.Item) (bool, error) {
		if len(k) != 8 {
			return false, errDay
		}
		list = append(list, binary.BigEndian.Uint64(k))
		return true, nil
	})
	return list, err
}
