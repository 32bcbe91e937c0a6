package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/caretaker-school/caretaker/shared/proof"
)

// subjectKey stands for a kind and a subject: the first half of their hash, so
// that a hundred thousand subjects need a few megabytes. What is found by it is
// compared in full before anything is concluded.
type subjectKey [16]byte

func keyOf(e proof.Envelope) subjectKey {
	var b [1 + proof.MaxIdentifier]byte
	b[0] = byte(e.Kind)
	h := sha256.Sum256(append(b[:1], e.Subject...))
	return subjectKey(h[:16])
}

// position is a subject's last statement.
type position struct {
	sequence uint64
	index    Index
}

// entryInfo is a row of the file of entries, which makes reading an entry, and
// finding an old statement, independent of the number of entries.
type entryInfo struct {
	segment  uint32
	offset   uint32
	previous uint64 // index of the subject's statement before, plus 1; 0 if none
	sequence uint64 // of its statement; 0 if it has none
}

const entryInfoSize = 4 + 4 + 8 + 8

func (e entryInfo) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, e.segment)
	dst = binary.BigEndian.AppendUint32(dst, e.offset)
	dst = binary.BigEndian.AppendUint64(dst, e.previous)
	return binary.BigEndian.AppendUint64(dst, e.sequence)
}

func readEntryInfo(row []byte) entryInfo {
	return entryInfo{
		segment:  binary.BigEndian.Uint32(row),
		offset:   binary.BigEndian.Uint32(row[4:]),
		previous: binary.BigEndian.Uint64(row[8:]),
		sequence: binary.BigEndian.Uint64(row[16:]),
	}
}

// spot is the end of what is written: the segment and the offset in it.
type spot struct {
	segment uint32
	offset  int64
}

// fold is everything that is derived from the envelopes in order, and that the
// next append needs. Saved as a snapshot it spares reading them all.
type fold struct {
	tree     tree
	end      spot
	ends     map[drawer]bodyEnd
	subjects map[subjectKey]position
}

// bodyEnd is the length of a file of bodies, and the last entry that has one
// there.
type bodyEnd struct {
	offset int64
	last   Index
}

func newFold() *fold {
	return &fold{ends: map[drawer]bodyEnd{}, subjects: map[subjectKey]position{}}
}

// The snapshot of a fold:
//
//	opaque label[24]; uint64 entries; uint32 segment; uint64 offset;
//	opaque root[32];
//	uint32 count; struct { uint8 class; uint16 year; uint8 month; uint64 end; uint64 last; } ends[count];
//	uint32 count; struct { opaque key[16]; uint64 sequence; uint64 index; } subjects[count];
//	opaque sha256[32] of all before.
const snapshotLabel = "caretaker/subjects/v1\n\n\n"

func (f *fold) snapshot() []byte {
	b := make([]byte, 0, 128+len(f.ends)*20+len(f.subjects)*32)
	b = append(b, snapshotLabel...)
	b = binary.BigEndian.AppendUint64(b, f.tree.size)
	b = binary.BigEndian.AppendUint32(b, f.end.segment)
	b = binary.BigEndian.AppendUint64(b, uint64(f.end.offset))
	root := f.tree.root()
	b = append(b, root[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.ends)))
	for _, d := range slices.SortedFunc(maps.Keys(f.ends), drawer.compare) {
		b = append(b, byte(d.class))
		b = binary.BigEndian.AppendUint16(b, uint16(d.month.Year))
		b = append(b, byte(d.month.Month))
		b = binary.BigEndian.AppendUint64(b, uint64(f.ends[d].offset))
		b = binary.BigEndian.AppendUint64(b, uint64(f.ends[d].last))
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.subjects)))
	for _, k := range slices.SortedFunc(maps.Keys(f.subjects), func(a, b subjectKey) int { return bytes.Compare(a[:], b[:]) }) {
		b = append(b, k[:]...)
		b = binary.BigEndian.AppendUint64(b, f.subjects[k].sequence)
		b = binary.BigEndian.AppendUint64(b, uint64(f.subjects[k].index))
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

var errSnapshot = errors.New("it is not a whole snapshot")

// readSnapshot reads what snapshot wrote. The tree has its size only; its root
// is returned, to be compared with the stored hashes.
func readSnapshot(data []byte) (*fold, proof.Digest, error) {
	var root proof.Digest
	if len(data) < sha256.Size {
		return nil, root, errSnapshot
	}
	content, sum := data[:len(data)-sha256.Size], data[len(data)-sha256.Size:]
	if sha256.Sum256(content) != [sha256.Size]byte(sum) {
		return nil, root, errSnapshot
	}
	f := newFold()
	s := cryptobyte.String(content)
	var label []byte
	var offset uint64
	var count uint32
	if !s.ReadBytes(&label, len(snapshotLabel)) || string(label) != snapshotLabel ||
		!s.ReadUint64(&f.tree.size) || !s.ReadUint32(&f.end.segment) || !s.ReadUint64(&offset) ||
		!s.CopyBytes(root[:]) || !s.ReadUint32(&count) {
		return nil, root, errSnapshot
	}
	f.end.offset = int64(offset)
	for range count {
		var class, month uint8
		var year uint16
		var end, last uint64
		if !s.ReadUint8(&class) || !s.ReadUint16(&year) || !s.ReadUint8(&month) || !s.ReadUint64(&end) || !s.ReadUint64(&last) {
			return nil, root, errSnapshot
		}
		f.ends[drawer{proof.Class(class), Month{int(year), time.Month(month)}}] = bodyEnd{int64(end), Index(last)}
	}
	if !s.ReadUint32(&count) || uint64(count)*32 != uint64(len(s)) {
		return nil, root, errSnapshot
	}
	f.subjects = make(map[subjectKey]position, count)
	for range count {
		var k subjectKey
		var p position
		if !s.CopyBytes(k[:]) || !s.ReadUint64(&p.sequence) || !s.ReadUint64((*uint64)(&p.index)) {
			return nil, root, errSnapshot
		}
		f.subjects[k] = p
	}
	if f.tree.size > 1<<62 || f.end.offset < 0 {
		return nil, root, errSnapshot
	}
	return f, root, nil
}
