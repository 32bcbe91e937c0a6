package view

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// hardwareKinds are the sorts of numbers by which a computer is known again, in
// the order of Hardware.
var hardwareKinds = [...]string{"system-uuid", "system-serial", "board-serial", "chassis-serial"}

// Hardware are the keyed hashes of a computer's own numbers, as its agent said
// them; "" is not known, and never the same as anything.
type Hardware [len(hardwareKinds)]string

// HardwareOf returns what a device's facts say of its hardware.
func HardwareOf(s posture.System) (h Hardware) {
	for i, r := range []posture.Reading[string]{s.SystemUUID, s.SystemSerial, s.BoardSerial, s.ChassisSerial} {
		if r.Known() {
			h[i] = r.Value
		}
	}
	return h
}

// SameRow is what was decided about two enrolments.
type SameRow struct {
	Refused bool      `json:"refused"` // they are not one computer
	By      string    `json:"by,omitempty"`
	At      time.Time `json:"at"`
	Entry   uint64    `json:"entry"`
}

// Same proposes that two enrolments are one computer that was set up anew: what
// its firmware says is the same. Nothing follows from it until somebody says so.
type Same struct {
	Device          posture.DeviceID `json:"device"` // the newer enrolment
	Hostname        string           `json:"hostname"`
	EnrolledAt      time.Time        `json:"enrolledAt"`
	Earlier         posture.DeviceID `json:"earlier"`
	EarlierHostname string           `json:"earlierHostname"`
	AssetTag        string           `json:"assetTag,omitempty"` // of the earlier one
	LastContact     time.Time        `json:"lastContact"`        // of the earlier one
	Agree           []string         `json:"agree"`              // the numbers that are the same
	Differ          []string         `json:"differ,omitempty"`   // those that are known of both and are not
	// Both says that the earlier one was heard from after the newer one had
	// enrolled: there are two that say they are this computer.
	Both bool `json:"both,omitempty"`
	Lost bool `json:"lost,omitempty"` // the earlier one is marked lost
	// Refused says who said that they are not one, and when; nil if nobody has.
	Refused *SameRow `json:"refused,omitempty"`
}

// SameList are the enrolments that may be one computer.
type SameList struct {
	Same []Same `json:"same"` // the newest first
}

// mostBearers is how many enrolments may have one number before it is taken for
// one that a maker left in all of them.
const mostBearers = 4

func hardwareKey(school posture.SchoolID, kind int, hash string) []byte {
	return text(text(key(school, famHardware), hardwareKinds[kind]), hash)
}

func identityKey(school posture.SchoolID, id posture.DeviceID) []byte {
	return text(key(school, famIdentity), string(id))
}

func sameKey(school posture.SchoolID, device, earlier posture.DeviceID) []byte {
	return text(text(key(school, famSame), string(device)), string(earlier))
}

// PutHardware records what a device says of its hardware. What it cannot read
// any more is as it was.
func (tx *Tx) PutHardware(id posture.DeviceID, h Hardware) error {
	if h == (Hardware{}) {
		return nil
	}
	if err := tx.room(roomy); err != nil {
		return err
	}
	var was Hardware
	if _, err := tx.getJSON(identityKey(tx.school, id), &was); err != nil {
		return err
	}
	now := was
	for kind, hash := range h {
		if hash == "" || hash == was[kind] {
			continue
		}
		if was[kind] != "" {
			if err := tx.remove(text(hardwareKey(tx.school, kind, was[kind]), string(id))); err != nil {
				return err
			}
		}
		if err := tx.put(text(hardwareKey(tx.school, kind, hash), string(id)), nil); err != nil {
			return err
		}
		now[kind] = hash
	}
	if now == was {
		return nil
	}
	return tx.putJSON(identityKey(tx.school, id), now)
}

// PutSame records what was decided about two enrolments.
func (tx *Tx) PutSame(device, earlier posture.DeviceID, s SameRow) error {
	return tx.putJSON(sameKey(tx.school, device, earlier), s)
}

// Same returns the enrolments that may be one computer: those of one device if
// its identifier is given, and with all of them also those that somebody said
// are not.
func (q *Queries) Same(ctx context.Context, school posture.SchoolID, device posture.DeviceID, all bool, now time.Time) (SameList, error) {
	list := SameList{Same: []Same{}}
	err := q.read(ctx, school, now, func(r *reader) error {
		pairs, err := r.alike()
		if err != nil {
			return err
		}
		for pair := range pairs {
			if device != "" && pair[0] != device && pair[1] != device {
				continue
			}
			s, ok, err := r.same(pair)
			if err != nil {
				return err
			}
			if ok && (all || s.Refused == nil) {
				list.Same = append(list.Same, s)
			}
		}
		slices.SortFunc(list.Same, func(a, b Same) int {
			return cmp.Or(b.EnrolledAt.Compare(a.EnrolledAt), cmp.Compare(a.Device, b.Device), cmp.Compare(a.Earlier, b.Earlier))
		})
		return nil
	})
	return list, err
}

// alike finds the pairs of enrolments that share a number.
func (r *reader) alike() (map[[2]posture.DeviceID]bool, error) {
	pairs := map[[2]posture.DeviceID]bool{}
	var number []byte
	var all []posture.DeviceID
	settle := func() error {
		if len(all) < 2 {
			return nil // as with nearly all numbers
		}
		var bearers []posture.DeviceID
		for _, id := range all {
			row, known, err := r.row(id)
			if err != nil {
				return err
			}
			if known && row.ReplacedBy == "" {
				bearers = append(bearers, row.ID)
			}
		}
		if len(bearers) > mostBearers {
			return nil
		}
		for i, a := range bearers {
			for _, b := range bearers[i+1:] {
				pairs[[2]posture.DeviceID{a, b}] = true // in the order of identifiers
			}
		}
		return nil
	}
	err := r.each(key(r.school.ID, famHardware), nil, false, func(k []byte, _ *badger.Item) (bool, error) {
		_, rest, ok := part(k)
		_, rest, ok2 := part(rest)
		id, _, ok3 := part(rest)
		if !ok || !ok2 || !ok3 {
			return true, nil
		}
		if n := k[:len(k)-len(rest)]; !bytes.Equal(n, number) {
			if err := settle(); err != nil {
				return false, err
			}
			number, all = bytes.Clone(n), nil
		}
		all = append(all, posture.DeviceID(id))
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return pairs, settle()
}

// same makes a proposal of two enrolments that share a number; ok is false if
// more of their numbers differ than are the same.
func (r *reader) same(pair [2]posture.DeviceID) (s Same, ok bool, err error) {
	var rows [2]DeviceRow
	var hardware [2]Hardware
	for i, id := range pair {
		if rows[i], ok, err = r.row(id); err != nil || !ok {
			return s, false, err
		}
		if _, err := r.getJSON(identityKey(r.school.ID, id), &hardware[i]); err != nil {
			return s, false, err
		}
	}
	earlier, newer := rows[0], rows[1]
	if newer.EnrolledAt.Before(earlier.EnrolledAt) {
		earlier, newer = newer, earlier
	}
	s = Same{
		Device: newer.ID, Hostname: newer.Hostname, EnrolledAt: newer.EnrolledAt,
		Earlier: earlier.ID, EarlierHostname: earlier.Hostname, AssetTag: earlier.AssetTag, LastContact: earlier.LastContact,
		Agree: []string{}, Lost: earlier.Apart == IsApart,
	}
	for kind, name := range hardwareKinds {
		switch a, b := hardware[0][kind], hardware[1][kind]; {
		case a == "" || b == "":
		case a == b:
			s.Agree = append(s.Agree, name)
		default:
			s.Differ = append(s.Differ, name)
		}
	}
	var quarantine Quarantine
	if _, err := r.getJSON(quarantineKey(r.school.ID, earlier.ID), &quarantine); err != nil {
		return s, false, err
	}
	s.Both = earlier.LastContact.After(newer.EnrolledAt) || quarantine.LastContact.After(newer.EnrolledAt)
	var decided SameRow
	known, err := r.getJSON(sameKey(r.school.ID, newer.ID, earlier.ID), &decided)
	if known && decided.Refused {
		s.Refused = &decided
	}
	return s, len(s.Agree) > len(s.Differ) && newer.RevokedAt.IsZero(), err
}

// EarlierInstall is an enrolment of a device before it was set up anew. It is in
// no list and no count; what it said stays.
type EarlierInstall struct {
	Device     posture.DeviceID `json:"device"`
	Hostname   string           `json:"hostname"`
	EnrolledAt time.Time        `json:"enrolledAt"`
	ReplacedAt time.Time        `json:"replacedAt"`
}

// earlier lists the enrolments of a device before this one, the last first.
func (r *reader) earlier(row DeviceRow) ([]EarlierInstall, error) {
	var list []EarlierInstall
	for next := slices.Clone(row.Replaces); len(next) > 0 && len(list) < mostEvents; next = next[1:] {
		was, ok, err := r.row(next[0])
		if err != nil {
			return nil, fmt.Errorf("read an earlier enrolment of device %s: %w", row.ID, err)
		}
		if ok {
			list = append(list, EarlierInstall{was.ID, was.Hostname, was.EnrolledAt, was.RevokedAt})
			next = append(next, was.Replaces...)
		}
	}
	slices.SortStableFunc(list, func(a, b EarlierInstall) int { return b.EnrolledAt.Compare(a.EnrolledAt) })
	return list, nil
}
