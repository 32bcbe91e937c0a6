package view

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// The index of devices holds of each what a search asks for: its names, and how
// it stands on each rule while nothing goes stale. It is in a fixed number of
// blocks of a school, so that a question about a hundred thousand devices reads a
// few megabytes in one go instead of a row for each, and a change writes one
// block. Contacts, of which there are many, change nothing in it.

// indexBlocks is how many blocks a school has. It is part of the layout.
const indexBlocks = 4096

// indexed is a device in the index.
type indexed struct {
	id, host, tag []byte // in lower case, but for the identifier
	states        []byte // two slots in a byte: 0 for a rule that it was never judged by, else 1 + place
}

func indexKey(school posture.SchoolID, id posture.DeviceID) []byte {
	h := fnv.New32a()
	h.Write([]byte(id))
	return binary.BigEndian.AppendUint16(key(school, famIndex), uint16(h.Sum32()%indexBlocks))
}

// state returns where the device stands on the rule of a slot while nothing goes
// stale; ok is false if it was never judged by it.
func (x *indexed) state(slot uint16) (place int, ok bool) {
	if int(slot/2) >= len(x.states) {
		return 0, false
	}
	n := int(x.states[slot/2]>>(4*(slot%2))) & 0xf
	return n - 1, n > 0
}

// newIndexed returns what the index holds of a device.
func newIndexed(d *DeviceRow) indexed {
	x := indexed{id: []byte(d.ID), host: []byte(strings.ToLower(d.Hostname)), tag: []byte(strings.ToLower(d.AssetTag))}
	if n := len(d.Vector.Rules); n > 0 {
		x.states = make([]byte, d.Vector.Rules[n-1].Slot/2+1)
	}
	for _, s := range d.Vector.Rules {
		x.states[s.Slot/2] |= byte(1+place(s.settled())) << (4 * (s.Slot % 2))
	}
	return x
}

func (x *indexed) equal(o indexed) bool {
	return bytes.Equal(x.id, o.id) && bytes.Equal(x.host, o.host) && bytes.Equal(x.tag, o.tag) && bytes.Equal(x.states, o.states)
}

func (x *indexed) append(block []byte) []byte {
	for _, part := range [][]byte{x.id, x.host, x.tag, x.states} {
		block = append(binary.AppendUvarint(block, uint64(len(part))), part...)
	}
	return block
}

var errIndex = errors.New("a block of the index of devices is cut short")

// eachIndexed calls f with each device of a block, in the order of their
// identifiers. What it is given lies in the block.
func eachIndexed(block []byte, f func(x *indexed)) error {
	var x indexed
	for len(block) > 0 {
		for _, part := range []*[]byte{&x.id, &x.host, &x.tag, &x.states} {
			n, used := binary.Uvarint(block)
			if used <= 0 || n > uint64(len(block)-used) {
				return errIndex
			}
			*part, block = block[used:used+int(n)], block[used+int(n):]
		}
		f(&x)
	}
	return nil
}

// indexChange is what becomes of a device in the index.
type indexChange struct {
	x    indexed
	gone bool
}

// indexWeight is about what a block takes, and rather too much.
func (tx *Tx) indexWeight() int { return 1024 + 160*(tx.counts.Devices/indexBlocks+1) }

// reindexes reports whether a device is in the index otherwise than before, and
// how. Without a row it is in none.
func reindexes(stored, row *DeviceRow) (c indexChange, changed bool) {
	listed := func(d *DeviceRow) bool { return d.ID != "" && d.ReplacedBy == "" }
	c.x = newIndexed(row)
	switch was, is := listed(stored), listed(row); {
	case was && !is:
		c.gone = true
		return c, true
	case was:
		old := newIndexed(stored)
		return c, !old.equal(c.x)
	default:
		return c, is
	}
}

// writeIndex writes the blocks of the devices that changed.
func (tx *Tx) writeIndex(changes map[posture.DeviceID]indexChange) error {
	blocks := map[string][]indexChange{}
	for id, c := range changes {
		k := string(indexKey(tx.school, id))
		blocks[k] = append(blocks[k], c)
	}
	for k, list := range blocks {
		data, err := tx.get([]byte(k))
		if err != nil {
			return err
		}
		block, err := changeBlock(data, list)
		if err != nil {
			return err
		}
		if len(block) == 0 {
			err = tx.unset([]byte(k))
		} else {
			err = tx.set([]byte(k), block)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// changeBlock returns a block with changes made.
func changeBlock(data []byte, changes []indexChange) ([]byte, error) {
	var all []indexed
	err := eachIndexed(data, func(x *indexed) {
		if !slices.ContainsFunc(changes, func(c indexChange) bool { return bytes.Equal(c.x.id, x.id) }) {
			all = append(all, *x)
		}
	})
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		if !c.gone {
			all = append(all, c.x)
		}
	}
	slices.SortFunc(all, func(a, b indexed) int { return bytes.Compare(a.id, b.id) })
	block := make([]byte, 0, len(data)+128*len(changes))
	for i := range all {
		block = all[i].append(block)
	}
	return block, nil
}

// eachOfIndex calls f with every device of the index.
func (r *reader) eachOfIndex(f func(x *indexed)) error {
	return r.each(key(r.school.ID, famIndex), nil, true, func(k []byte, item *badger.Item) (bool, error) {
		err := item.Value(func(block []byte) error { return eachIndexed(block, f) })
		if err != nil {
			return false, fmt.Errorf("read block %x of the index of devices: %w", k, err)
		}
		return true, nil
	})
}
