package view

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// lookPlace is where a look stands in every list of looks: the newest first.
func lookPlace(k []byte, s viewing.Seen) []byte {
	return number(number(k, ^ms(s.At)), ^s.Entry)
}

func looksOf(school posture.SchoolID, id posture.DeviceID) []byte {
	return text(key(school, famLookOf), string(id))
}

func looksBy(school posture.SchoolID, by string) []byte {
	return text(key(school, famLookBy), strings.ToLower(by))
}

// PutLook records that somebody looked at something.
func (tx *Tx) PutLook(s viewing.Seen) error {
	if err := tx.room(roomy); err != nil {
		return err
	}
	for _, id := range s.Laptops() {
		if err := tx.put(lookPlace(looksOf(tx.school, id), s), nil); err != nil {
			return err
		}
	}
	if err := tx.put(lookPlace(looksBy(tx.school, s.By), s), nil); err != nil {
		return err
	}
	return tx.putJSON(lookPlace(key(tx.school, famLook), s), s)
}

// LookQuery asks for a page of who looked at what, the newest first. Empty fields
// select all.
type LookQuery struct {
	// Device selects looks at this laptop, at evidence of it, and at single things
	// that name it, such as an incident. Looks at lists, in which it was one of
	// many, are not among them.
	Device posture.DeviceID
	By     string       // the account, or the operator as console:NAME; in any case
	Person string       // whose laptop it was at the time, as the register calls them, or of whom all was shown
	What   viewing.What //
	From   time.Time    // looks from then on
	To     time.Time    // looks before then
	After  string       // Next of the page before; "" for the first
	Limit  int          // 0 for 50; at most 500
}

// Looked is a look, with what the laptops are called that it showed.
type Looked struct {
	viewing.Seen
	Showed []LookedAt `json:"showed,omitempty"`
}

// LookedAt is a laptop that somebody looked at, and who had it at the time, as far
// as the register still says so.
type LookedAt struct {
	Device   posture.DeviceID `json:"device"`
	Hostname string           `json:"hostname,omitempty"`
	AssetTag string           `json:"assetTag,omitempty"`
	Role     string           `json:"role,omitempty"`
	Person   string           `json:"person,omitempty"`
}

// Had says who had it; "" if nobody did, or that is forgotten.
func (l LookedAt) Had() string {
	if l.Person != "" && l.Role != "" {
		return l.Person + ", " + l.Role
	}
	return l.Person + l.Role
}

// LookPage is a page of looks. It may hold fewer than were asked for and still
// have a next one.
type LookPage struct {
	Looks []Looked `json:"looks"`
	Next  string   `json:"next,omitempty"` // After for the next page; "" if this is the last
}

// mostLooks bounds how many looks one page examines.
const mostLooks = 5000

// Looks returns a page of who looked at what. Who viewed the record of a person is
// asked for each laptop that they had, from when to when they had it.
func (q *Queries) Looks(ctx context.Context, school posture.SchoolID, query LookQuery, now time.Time) (LookPage, error) {
	page := LookPage{Looks: []Looked{}}
	after, err := parseCursor(query.After)
	if err != nil {
		return page, err
	}
	if after == nil && !query.To.IsZero() {
		after = number(nil, ^ms(query.To))
	}
	err = q.read(ctx, school, now, func(r *reader) error {
		had, err := r.had(query.Person)
		if err != nil {
			return err
		}
		var last []byte
		examined := 0
		return r.each(query.list(school), after, false, func(k []byte, _ *badger.Item) (bool, error) {
			if len(k) != 16 {
				return false, fmt.Errorf("read the looks of school %s: a key has %d bytes", school, len(k))
			}
			when := at(^binary.BigEndian.Uint64(k))
			if when.Before(query.From) {
				return false, nil
			}
			if len(page.Looks) == pageSize(query.Limit) || examined == mostLooks {
				page.Next = cursor(last)
				return false, nil
			}
			examined++
			last = bytes.Clone(k)
			if !query.To.IsZero() && !when.Before(query.To) {
				return true, nil
			}
			var seen viewing.Seen
			if _, err := r.getJSON(append(key(school, famLook), k...), &seen); err != nil {
				return false, err
			}
			if !query.selects(seen) || query.Person != "" && !had.by(seen, query.Person) {
				return true, nil
			}
			one, err := r.looked(seen)
			page.Looks = append(page.Looks, one)
			return true, err
		})
	})
	return page, err
}

// list is the shortest list that holds all that is asked for.
func (q LookQuery) list(school posture.SchoolID) []byte {
	switch {
	case q.Device != "":
		return looksOf(school, q.Device)
	case q.By != "":
		return looksBy(school, q.By)
	}
	return key(school, famLook)
}

func (q LookQuery) selects(s viewing.Seen) bool {
	return (q.By == "" || strings.EqualFold(q.By, s.By)) && (q.What == "" || q.What == s.What)
}

// had is from when to when a person had which laptops.
type had map[posture.DeviceID][]register.Held

// had finds the laptops that a person had, as far as the register still says so.
func (r *reader) had(person string) (had, error) {
	all := had{}
	if person == "" {
		return all, nil
	}
	err := r.each(key(r.school.ID, famAsset), nil, true, func(k []byte, item *badger.Item) (bool, error) {
		var a register.Asset
		if err := item.Value(func(data []byte) error { return unmarshal(data, &a) }); err != nil {
			return false, fmt.Errorf("read who had asset %q: %w", k, err)
		}
		times := slices.Clone(a.Past)
		if a.Held != nil {
			times = append(times, *a.Held)
		}
		for _, h := range times {
			if register.Key(h.Person) != register.Key(person) {
				continue
			}
			for _, id := range append(slices.Clone(a.Before), a.Device) {
				all[id] = append(all[id], h)
			}
		}
		return true, nil
	})
	return all, err
}

// by reports whether a look showed what was the person's at that moment.
func (h had) by(s viewing.Seen, person string) bool {
	if s.What == viewing.Person {
		return register.Key(s.Name) == register.Key(person)
	}
	for _, id := range s.Laptops() {
		for _, held := range h[id] {
			if held.At(s.At) {
				return true
			}
		}
	}
	return false
}

// looked joins a look with what is known of the laptops that it showed.
func (r *reader) looked(s viewing.Seen) (Looked, error) {
	one := Looked{Seen: s}
	for _, id := range s.Laptops() {
		row, _, err := r.row(id)
		if err != nil {
			return one, err
		}
		l := LookedAt{Device: id, Hostname: row.Hostname, AssetTag: row.AssetTag}
		if l.AssetTag != "" {
			var a register.Asset
			if _, err := r.getJSON(assetKey(r.school.ID, l.AssetTag), &a); err != nil {
				return one, err
			}
			if h := a.HeldAt(s.At); h != nil {
				l.Role, l.Person = h.Role, h.Person
			}
		}
		one.Showed = append(one.Showed, l)
	}
	return one, nil
}
