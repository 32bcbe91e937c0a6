package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/caretaker-school/caretaker/shared/proof"
)

// prepared is an entry that is checked and encoded, ready for its place.
type prepared struct {
	entry   Entry
	encoded []byte
	leaf    tlog.Hash
	key     subjectKey
}

// stated reports whether the entry carries a statement, and so a sequence
// under which it is recorded once.
func (p prepared) stated() bool { return len(p.entry.Envelope.Statement) > 0 }

// prepare checks an entry and does all of its work that needs no order.
func prepare(school string, e Entry) (prepared, error) {
	if e.Envelope.School != school {
		return prepared{}, fmt.Errorf("it is of school %q, but the ledger of %q", e.Envelope.School, school)
	}
	if len(e.Sections) != len(e.Envelope.Sections) {
		return prepared{}, fmt.Errorf("its envelope names %d sections, but %d came", len(e.Envelope.Sections), len(e.Sections))
	}
	for n, s := range e.Sections {
		if err := s.Check(); err != nil {
			return prepared{}, fmt.Errorf("%w: %w", ErrFalse, err)
		}
		ref := e.Envelope.Sections[n]
		if ref.Name != s.Name || ref.Class != s.Class || ref.Digest != s.Digest() {
			return prepared{}, fmt.Errorf("%w: section %d is not the %s that its envelope names", ErrFalse, n, ref.Name)
		}
	}
	if err := e.Envelope.CheckStatement(); err != nil {
		return prepared{}, fmt.Errorf("%w: %w", ErrFalse, err)
	}
	encoded, err := e.Envelope.Encode()
	if err != nil {
		return prepared{}, err
	}
	return prepared{entry: e, encoded: encoded, leaf: tlog.Hash(proof.LeafHash(encoded)), key: keyOf(e.Envelope)}, nil
}

// size is the number of bytes that the entry will take on disk.
func (p prepared) size() int64 {
	n := envelopeRecordSize(p.encoded, len(p.entry.Sections))
	for _, s := range p.entry.Sections {
		n += bodyRecordSize(s)
	}
	return n
}

// chunk is bytes to be written at an offset of a file.
type chunk struct {
	offset int64
	data   []byte
}

// stage is one batch: what it would write, and the fold as it would be then.
// Nothing of it counts before it is written and synced.
type stage struct {
	l        *Ledger
	base     uint64 // entries before it
	tree     tree
	end      spot
	starts   []Index // of segments that it begins
	ends     map[drawer]bodyEnd
	subjects map[subjectKey]position
	entries  []entryInfo
	fresh    []prepared // the entries, in order
	segments []chunk    // the present segment, then each that it begins
	bodies   map[drawer]*chunk
	spare    []*chunk // of bodies, not in use
	places   []place
	hashes   []byte
	rows     []byte
}

// newStage returns an empty stage, in the memory of one that is done with if
// there is one: a batch has megabytes, and the next is like it.
func newStage(l *Ledger) *stage {
	s, ok := l.stages.Get().(*stage)
	if !ok {
		s = &stage{
			ends: map[drawer]bodyEnd{}, subjects: map[subjectKey]position{}, bodies: map[drawer]*chunk{},
			segments: []chunk{{}},
		}
	}
	f := l.fold
	s.l, s.base, s.tree, s.end = l, f.tree.size, f.tree, f.end
	s.segments[0].offset = f.end.offset
	return s
}

// discard gives a stage's memory to the next.
func (s *stage) discard() {
	clear(s.ends)
	clear(s.subjects)
	clear(s.fresh) // what was appended is not kept in memory by it
	for w, c := range s.bodies {
		c.data = c.data[:0]
		s.spare = append(s.spare, c)
		delete(s.bodies, w)
	}
	clear(s.segments[1:])
	s.segments[0].data = s.segments[0].data[:0]
	s.starts, s.segments, s.entries, s.fresh = nil, s.segments[:1], s.entries[:0], s.fresh[:0]
	s.hashes, s.rows = s.hashes[:0], s.rows[:0]
	s.l.stages.Put(s)
}

// admit gives the entries of one append their indexes, or refuses them all.
func (s *stage) admit(entries []prepared) ([]Index, error) {
	indexes := make([]Index, len(entries))
	before := len(s.entries)
	var undo map[subjectKey]*position // only what is one of several can be undone
	if len(entries) > 1 {
		undo = make(map[subjectKey]*position, len(entries))
	}
	for n, p := range entries {
		index, known, err := s.recorded(p)
		if err != nil {
			s.entries, s.fresh = s.entries[:before], s.fresh[:before]
			for key, old := range undo {
				if old == nil {
					delete(s.subjects, key)
				} else {
					s.subjects[key] = *old
				}
			}
			return nil, fmt.Errorf("append entry of %q with sequence %d: %w", p.entry.Envelope.Subject, p.entry.Envelope.Sequence, err)
		}
		if known {
			indexes[n] = index
			continue
		}
		if _, noted := undo[p.key]; !noted && undo != nil {
			undo[p.key] = nil
			if old, ok := s.subjects[p.key]; ok {
				undo[p.key] = &old
			}
		}
		indexes[n] = s.take(p)
	}
	for _, p := range s.fresh[before:] {
		s.write(p)
	}
	return indexes, nil
}

// recorded looks for an entry's statement among those that the subject has.
func (s *stage) recorded(p prepared) (i Index, known bool, err error) {
	if !p.stated() {
		return 0, false, nil
	}
	sequence := p.entry.Envelope.Sequence
	last, ok := s.position(p.key)
	if !ok || sequence > last.sequence {
		return 0, false, nil
	}
	for i = last.index; ; {
		info, err := s.info(i)
		switch {
		case err != nil:
			return 0, false, err
		case info.sequence == sequence:
			return i, true, s.same(p.entry.Envelope, i)
		case info.sequence < sequence || info.previous == 0:
			return 0, false, ErrOrder
		case info.previous > uint64(i):
			return 0, false, &CorruptError{
				File: entriesFile, Offset: int64(i) * entryInfoSize, Entry: i, Known: true,
				Err: errors.New("it names a later entry as an earlier one; delete the file, and it is made again"),
			}
		}
		i = Index(info.previous - 1)
	}
}

// same compares an envelope with the one that is recorded at i.
func (s *stage) same(e proof.Envelope, i Index) error {
	var old proof.Envelope
	if uint64(i) >= s.base {
		old = s.fresh[uint64(i)-s.base].entry.Envelope
	} else {
		r, err := s.l.read(i)
		if err != nil {
			return err
		}
		old = r.Envelope
	}
	if old.Kind != e.Kind || old.Subject != e.Subject || !bytes.Equal(old.Statement, e.Statement) {
		return fmt.Errorf("%w, as entry %d", ErrConflict, i)
	}
	return nil
}

func (s *stage) position(k subjectKey) (position, bool) {
	if p, ok := s.subjects[k]; ok {
		return p, true
	}
	p, ok := s.l.fold.subjects[k]
	return p, ok
}

func (s *stage) info(i Index) (entryInfo, error) {
	if uint64(i) >= s.base {
		return s.entries[uint64(i)-s.base], nil
	}
	return s.l.entryInfo(i)
}

// take gives an entry the next index.
func (s *stage) take(p prepared) Index {
	i := Index(s.base + uint64(len(s.entries)))
	s.fresh = append(s.fresh, p)
	s.entries = append(s.entries, s.follow(i, p.key, p.entry.Envelope))
	return i
}

// follow makes the row of an entry, all but its place, and moves its subject's
// position on.
func (s *stage) follow(i Index, key subjectKey, e proof.Envelope) entryInfo {
	if len(e.Statement) == 0 {
		return entryInfo{}
	}
	info := entryInfo{sequence: e.Sequence}
	if last, ok := s.position(key); ok {
		info.previous = uint64(last.index) + 1
	}
	s.subjects[key] = position{sequence: e.Sequence, index: i}
	return info
}

// write lays an entry out: its bodies, its envelope, its row and its hashes.
func (s *stage) write(p prepared) {
	i := Index(s.tree.size)
	places := s.places[:0]
	month := MonthOf(p.entry.Envelope.ReceivedAt)
	for n, section := range p.entry.Sections {
		w := drawer{class: p.entry.Envelope.Sections[n].Class, month: month}
		places = append(places, s.writeBody(w, i, n, section))
	}
	s.places = places
	size := envelopeRecordSize(p.encoded, len(places))
	if s.end.offset > 0 && s.end.offset+size > s.l.o.SegmentBytes || len(s.l.starts)+len(s.starts) == 0 {
		if len(s.l.starts)+len(s.starts) > 0 {
			s.end = spot{segment: s.end.segment + 1}
			s.segments = append(s.segments, chunk{})
		}
		s.starts = append(s.starts, i)
	}
	at := s.end
	last := &s.segments[len(s.segments)-1]
	last.data = appendEnvelope(roomFor(last.data, int(size)), p.encoded, places)
	s.end.offset += size
	s.derive(p.leaf, at)
}

func (s *stage) writeBody(w drawer, i Index, n int, section proof.Section) place {
	c, ok := s.bodies[w]
	if !ok {
		c = s.chunk()
		c.offset = s.bodyEnd(w).offset
		s.bodies[w] = c
	}
	at := place{offset: c.offset + int64(len(c.data)), length: uint32(bodyRecordSize(section))}
	c.data = appendBody(roomFor(c.data, int(at.length)), i, n, section)
	s.ends[w] = bodyEnd{at.offset + int64(at.length), i}
	return at
}

// roomFor makes room for more bytes, and then at once for as many again: a
// batch of megabytes that grew by quarters would be copied several times.
func roomFor(b []byte, more int) []byte {
	if cap(b)-len(b) >= more {
		return b
	}
	return slices.Grow(b, max(more, len(b), 64<<10))
}

// chunk returns one for a file of bodies.
func (s *stage) chunk() *chunk {
	n := len(s.spare)
	if n == 0 {
		return &chunk{}
	}
	c := s.spare[n-1]
	s.spare = s.spare[:n-1]
	return c
}

func (s *stage) bodyEnd(w drawer) bodyEnd {
	if end, ok := s.ends[w]; ok {
		return end
	}
	return s.l.fold.ends[w]
}

// derive adds an entry that stands at a spot to the tree and to the rows.
func (s *stage) derive(leaf tlog.Hash, at spot) {
	info := &s.entries[s.tree.size-s.base]
	info.segment, info.offset = at.segment, uint32(at.offset)
	s.rows = info.append(s.rows)
	s.hashes = s.tree.add(s.hashes, leaf)
}

// replay adds an entry that is on disk already: what Open and a rebuild do.
func (s *stage) replay(r Record, at spot, next int64) error {
	corrupt := func(format string, args ...any) error {
		return &CorruptError{File: segmentName(s.l.starts[at.segment]), Offset: at.offset, Entry: r.Index, Known: true, Err: fmt.Errorf(format, args...)}
	}
	if r.Envelope.School != s.l.o.School {
		return corrupt("entry %d is of school %q, but the ledger of %q", r.Index, r.Envelope.School, s.l.o.School)
	}
	tail := !s.l.markKnown || !at.before(s.l.marked.end)
	for n := range r.places {
		if !tail || !s.l.markKnown {
			break
		}
		if _, err := s.l.disk.section(s.l.kept, r, n); err != nil && !errors.Is(err, ErrForgotten) {
			return corrupt("%w: %w", errIncomplete, err)
		}
	}
	for n, p := range r.places {
		w := drawerOf(r.Envelope, n)
		if k, ok := s.l.kept[w]; ok && r.Index < k.before {
			continue
		}
		// Where a purge was interrupted, endPurge settles what is there.
		if p.offset != s.bodyEnd(w).offset && !s.l.unsettled[w] {
			return corrupt("entry %d says that a body lies at byte %d of %s, where none can", r.Index, p.offset, w.bodies())
		}
		s.ends[w] = bodyEnd{p.offset + int64(p.length), r.Index}
		if _, ok := s.l.tail[w]; !ok && tail {
			s.l.tail[w] = p.offset
		}
	}
	s.entries = append(s.entries, s.follow(r.Index, keyOf(r.Envelope), r.Envelope))
	s.end = at
	s.derive(tlog.Hash(proof.LeafHash(r.Encoded)), at)
	s.end.offset = next
	if len(s.rows) >= 1<<20 {
		return s.flushReplay()
	}
	return nil
}

// flushReplay writes what replay derived, and makes it the ledger's fold.
func (s *stage) flushReplay() error {
	if err := s.writeDerived(); err != nil {
		return err
	}
	s.commit()
	*s = *newStage(s.l)
	return nil
}

// writeDerived writes the rows and the hashes; they are not synced, because
// Open makes them again.
func (s *stage) writeDerived() error {
	if _, err := s.l.entries.WriteAt(s.rows, int64(s.base)*entryInfoSize); err != nil {
		return fmt.Errorf("write %s: %w", entriesFile, err)
	}
	if _, err := s.l.hashes.WriteAt(s.hashes, storedHashes(s.base)); err != nil {
		return fmt.Errorf("write %s: %w", hashesFile, err)
	}
	return nil
}

// commit makes the fold what the stage says.
func (s *stage) commit() {
	f := s.l.fold
	f.tree, f.end = s.tree, s.end
	s.l.starts = append(s.l.starts, s.starts...)
	maps.Copy(f.ends, s.ends)
	maps.Copy(f.subjects, s.subjects)
}

func (s *stage) drawers() []drawer { return slices.SortedFunc(maps.Keys(s.bodies), drawer.compare) }
