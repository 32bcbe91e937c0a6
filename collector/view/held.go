package view

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// A transaction keeps the rows that it has read or changed, decoded, and writes
// those that were changed when it is committed: a device that is folded in many
// times is read once and written once. What is written does not depend on it.

// heldDevice is a device's row.
type heldDevice struct {
	stored, row DeviceRow // as the database has it, and as it is; without an ID: not there
	changed     bool
	indexed     bool // room for its block of the index is reckoned
}

// heldStates are the results of a device's rules.
type heldStates struct {
	rules   map[string][]State
	changed bool
}

// heldCase is the breach that is followed under a key.
type heldCase struct {
	stored, b breach.Breach
	there, ok bool // in the database, and now
	changed   bool

	storedBy, by uint64 // the calendars under which they turn: see edition
}

// held is what a transaction holds.
type held struct {
	devices map[posture.DeviceID]*heldDevice
	states  map[posture.DeviceID]*heldStates
	cases   map[breach.Key]*heldCase
}

func newHeld() held {
	return held{
		devices: map[posture.DeviceID]*heldDevice{}, states: map[posture.DeviceID]*heldStates{}, cases: map[breach.Key]*heldCase{},
	}
}

// decodeRow reads a row into row, which is left as it is if there is none.
func (tx *Tx) decodeRow(k []byte, row interface{ code(*coder) }) (bool, error) {
	item, err := tx.txn.Get(k)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return false, nil
	}
	if err == nil {
		err = item.Value(func(data []byte) error { return decode(data, row) })
	}
	if err != nil {
		return false, fmt.Errorf("read row %q: %w", k, err)
	}
	return true, nil
}

func (tx *Tx) device(id posture.DeviceID) (*heldDevice, error) {
	if h, ok := tx.held.devices[id]; ok {
		return h, nil
	}
	h := &heldDevice{}
	if _, err := tx.decodeRow(text(key(tx.school, famDevice), string(id)), &h.stored); err != nil {
		return nil, err
	}
	h.row = h.stored
	tx.held.devices[id] = h
	return h, nil
}

// weight is about what a device's rows take, and rather too much.
func (d *DeviceRow) weight() int {
	w := 1408 + 6*len(d.Hostname) + 80*len(d.Places) + 20*len(d.Vector.Rules) + 64*(len(d.Disagreements)+len(d.Unproven))
	for _, f := range d.Own {
		w += 64 + len(f.Rule) + len(f.Subject.Label) + len(f.Reason) + len(f.Message)
	}
	return w
}

// writeDevice writes a device's row and everything that it is found by.
func (tx *Tx) writeDevice(h *heldDevice) error {
	if h.stored.ID != "" {
		if err := tx.dropDevice(h.stored, h.row); err != nil {
			return err
		}
	}
	row := &h.row
	if err := tx.set(text(key(tx.school, famDevice), string(row.ID)), encode(row)); err != nil {
		return err
	}
	if h.stored.ID == "" {
		if err := tx.set(enrolledKey(tx.school, row), nil); err != nil {
			return err
		}
	}
	if row.ReplacedBy != "" {
		h.stored, h.changed = h.row, false
		return nil
	}
	vector := row.Vector.bytes()
	tag := strings.ToLower(row.AssetTag)
	named := append(append(binary.AppendUvarint(nil, uint64(len(tag))), tag...), vector...)
	if err := tx.set(tx.nameKey(row), named); err != nil {
		return err
	}
	for _, k := range tx.vectorKeys(row) {
		if err := tx.set(k, vector); err != nil {
			return err
		}
	}
	h.stored, h.changed = h.row, false
	return nil
}

func (tx *Tx) statesKey(id posture.DeviceID) []byte {
	return text(key(tx.school, famState), string(id))
}

func (tx *Tx) statesOf(id posture.DeviceID) (*heldStates, error) {
	if h, ok := tx.held.states[id]; ok {
		return h, nil
	}
	h := &heldStates{rules: map[string][]State{}}
	k := tx.statesKey(id)
	data, err := tx.get(k)
	if err != nil {
		return nil, err
	}
	if err := eachStates(data, func(rule string, states []State) { h.rules[rule] = states }); err != nil {
		return nil, fmt.Errorf("read row %q: %w", k, err)
	}
	tx.held.states[id] = h
	return h, nil
}

func (tx *Tx) writeStates(id posture.DeviceID, h *heldStates) error {
	h.changed = false
	var b []byte
	for _, rule := range slices.Sorted(maps.Keys(h.rules)) {
		states := encodeStates(h.rules[rule])
		b = append(binary.AppendUvarint(b, uint64(len(rule))), rule...)
		b = append(binary.AppendUvarint(b, uint64(len(states))), states...)
	}
	if len(b) == 0 {
		return tx.unset(tx.statesKey(id))
	}
	return tx.set(tx.statesKey(id), b)
}

// eachStates calls f with each rule of a row of states, in order.
func eachStates(b []byte, f func(rule string, states []State)) error {
	for len(b) > 0 {
		rule, rest, ok := takeText(b)
		if !ok {
			return errStates
		}
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return errStates
		}
		states, err := decodeStates(rest[n : n+int(size)])
		if err != nil {
			return err
		}
		f(rule, states)
		b = rest[n+int(size):]
	}
	return nil
}

func (tx *Tx) caseOf(k breach.Key) (*heldCase, error) {
	if h, ok := tx.held.cases[k]; ok {
		return h, nil
	}
	h := &heldCase{}
	var err error
	if h.there, err = tx.decodeRow(caseKey(tx.school, k), breachRow{&h.stored, &h.storedBy}); err != nil {
		return nil, err
	}
	if !h.there {
		h.stored = breach.Breach{Key: k}
	}
	h.b, h.ok, h.by = h.stored, h.there, h.storedBy
	tx.held.cases[k] = h
	return h, nil
}

// writeCase writes a breach, its place in the list and its turns.
func (tx *Tx) writeCase(h *heldCase) error {
	had, err := tx.caseKeys(h.stored, h.storedBy)
	if err != nil {
		return err
	}
	has, err := tx.caseKeys(h.b, h.by)
	if err != nil {
		return err
	}
	for _, r := range had {
		if !slices.ContainsFunc(has, func(other caseRow) bool { return bytes.Equal(other.key, r.key) }) {
			if err := tx.unset(r.key); err != nil {
				return err
			}
		}
	}
	for _, r := range has {
		if slices.ContainsFunc(had, func(other caseRow) bool {
			return bytes.Equal(other.key, r.key) && other.turn == r.turn && bytes.Equal(other.gist, r.gist)
		}) {
			continue
		}
		value := r.gist
		if r.timed {
			value = r.turn[:]
		}
		if err := tx.set(r.key, value); err != nil {
			return err
		}
	}
	if err := tx.set(caseKey(tx.school, h.b.Key), encode(breachRow{&h.b, &h.by})); err != nil {
		return err
	}
	h.stored, h.storedBy, h.there, h.changed = h.b, h.by, true, false
	return nil
}

// caseRow is a row by which a breach is found: in a list, or by when it turns.
type caseRow struct {
	key   []byte
	timed bool
	turn  turn
	gist  []byte
}

func (tx *Tx) caseKeys(b breach.Breach, by uint64) ([]caseRow, error) {
	if b.Number == 0 {
		return nil, nil
	}
	days, err := tx.daysOf(by)
	if err != nil {
		return nil, err
	}
	rows := []caseRow{{key: listKey(tx.school, b), gist: gistOf(b)}, {key: openedKey(tx.school, b)}}
	if !b.ResolvedAt.IsZero() {
		rows = append(rows, caseRow{key: closedKey(tx.school, b)})
	}
	for _, t := range turns(b, at(tx.asOf), days) {
		rows = append(rows, caseRow{key: tx.turnKey(t.at, b.Key), timed: true, turn: t.turn})
	}
	return rows, nil
}

// flush writes everything that was changed.
func (tx *Tx) flush() error {
	index := map[posture.DeviceID]indexChange{}
	for id, h := range tx.held.devices {
		if !h.changed {
			continue
		}
		if c, changed := reindexes(&h.stored, &h.row); changed {
			index[id] = c
		}
		if err := tx.writeDevice(h); err != nil {
			return err
		}
		h.indexed = false
	}
	if err := tx.writeIndex(index); err != nil {
		return err
	}
	for id, h := range tx.held.states {
		if h.changed {
			if err := tx.writeStates(id, h); err != nil {
				return err
			}
		}
	}
	for _, h := range tx.held.cases {
		if h.changed {
			if err := tx.writeCase(h); err != nil {
				return err
			}
		}
	}
	return nil
}
