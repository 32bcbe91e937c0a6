package ledger

import (
	"encoding/binary"
	"hash/crc32"
)

// mark says up to where everything is surely synced. It is written and synced
// before each batch of envelopes, together with the batch's bodies; what lies
// beyond it belongs to that one batch and may be torn anywhere, because a disk
// that loses power writes pages in any order. What lies before it was
// acknowledged, and damage there is never taken for a torn tail.
//
// The file has two slots, written in turn, so that one is always whole:
//
//	uint64 number; uint64 entries; uint32 segment; uint64 offset; uint32 crc32c;
type mark struct {
	number  uint64 // rises by one; the higher of two slots counts
	entries uint64
	end     spot
}

const (
	markSize = 8 + 8 + 4 + 8 + 4
	markSlot = 4096 // a page apart, so that writing one cannot tear the other
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (m mark) bytes() []byte {
	b := make([]byte, 0, markSize)
	b = binary.BigEndian.AppendUint64(b, m.number)
	b = binary.BigEndian.AppendUint64(b, m.entries)
	b = binary.BigEndian.AppendUint32(b, m.end.segment)
	b = binary.BigEndian.AppendUint64(b, uint64(m.end.offset))
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func readMark(b []byte) (mark, bool) {
	if len(b) != markSize || crc32.Checksum(b[:markSize-4], castagnoli) != binary.BigEndian.Uint32(b[markSize-4:]) {
		return mark{}, false
	}
	m := mark{
		number:  binary.BigEndian.Uint64(b),
		entries: binary.BigEndian.Uint64(b[8:]),
		end:     spot{segment: binary.BigEndian.Uint32(b[16:]), offset: int64(binary.BigEndian.Uint64(b[20:]))},
	}
	return m, m.end.offset >= 0
}

// loadMark returns the higher slot that is whole. ok is false if neither is:
// the file is new, or damaged.
func loadMark(f file) (m mark, ok bool) {
	for slot := range int64(2) {
		b := make([]byte, markSize)
		if n, _ := f.ReadAt(b, slot*markSlot); n < markSize { // too short counts as not whole
			continue
		}
		if v, whole := readMark(b); whole && (!ok || v.number > m.number) {
			m, ok = v, true
		}
	}
	return m, ok
}

// store writes the mark into the slot whose turn it is. The caller syncs.
func (m mark) store(f file) error {
	_, err := f.WriteAt(m.bytes(), int64(m.number%2)*markSlot)
	return err
}
