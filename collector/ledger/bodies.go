package ledger

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"golang.org/x/crypto/cryptobyte"

	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// kept is the head of a file of bodies that were held back when the rest of
// their class and month was forgotten. The file stays when it holds nothing:
// it is what tells forgetting from loss.
//
//	opaque label[18]; uint64 before; uint64 count; uint64 forgotten; opaque purge[32];
type kept struct {
	before    Index        // bodies of earlier entries are here or forgotten
	count     uint64       // bodies here
	forgotten uint64       // bodies of this class and month that are not
	purge     proof.Digest // the section that records it
}

const (
	keptLabel   = "caretaker/kept/v1\n"
	keptPayload = len(keptLabel) + 3*8 + 32
	keptHeader  = int64(durable.FrameHeader + keptPayload)
)

func (k kept) frame() []byte {
	b := append(make([]byte, 0, keptPayload), keptLabel...)
	b = binary.BigEndian.AppendUint64(b, uint64(k.before))
	b = binary.BigEndian.AppendUint64(b, k.count)
	b = binary.BigEndian.AppendUint64(b, k.forgotten)
	return durable.AppendFrame(nil, append(b, k.purge[:]...))
}

func readKept(f io.ReaderAt, name string) (kept, error) {
	payload, err := durable.ReadFrame(f, 0, keptPayload)
	if err != nil {
		return kept{}, &CorruptError{File: name, Err: err}
	}
	var k kept
	var label []byte
	s := cryptobyte.String(payload)
	if !s.ReadBytes(&label, len(keptLabel)) || string(label) != keptLabel || !s.ReadUint64((*uint64)(&k.before)) ||
		!s.ReadUint64(&k.count) || !s.ReadUint64(&k.forgotten) || !s.CopyBytes(k.purge[:]) || !s.Empty() {
		return kept{}, &CorruptError{File: name, Err: errors.New("it does not begin as a file of kept bodies does")}
	}
	return k, nil
}

// keptRow says where a kept body lies: a row of the file beside it, in the
// order of entries and sections.
//
//	uint64 entry; uint32 section; uint64 offset; uint32 length; uint32 crc32c;
type keptRow struct {
	entry  Index
	number int
	place  place
}

const keptRowSize = 8 + 4 + 8 + 4 + 4

func (r keptRow) bytes() []byte {
	dst := make([]byte, 0, keptRowSize)
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.entry))
	dst = binary.BigEndian.AppendUint32(dst, uint32(r.number))
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.place.offset))
	dst = binary.BigEndian.AppendUint32(dst, r.place.length)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst, castagnoli))
}

func readKeptRow(f io.ReaderAt, name string, i int64) (keptRow, error) {
	b := make([]byte, keptRowSize)
	if n, err := f.ReadAt(b, i*keptRowSize); n < len(b) {
		return keptRow{}, fmt.Errorf("read %s: %w", name, err)
	}
	if crc32.Checksum(b[:keptRowSize-4], castagnoli) != binary.BigEndian.Uint32(b[keptRowSize-4:]) {
		return keptRow{}, &CorruptError{File: name, Offset: i * keptRowSize, Err: errors.New("a row is damaged; delete the file, and it is made again")}
	}
	return keptRow{
		entry:  Index(binary.BigEndian.Uint64(b)),
		number: int(binary.BigEndian.Uint32(b[8:])),
		place:  place{offset: int64(binary.BigEndian.Uint64(b[12:])), length: binary.BigEndian.Uint32(b[20:])},
	}, nil
}

// drawers returns the class and month of every file of bodies with one of the
// suffixes, in order, without repeats.
func (d disk) drawers(suffixes ...string) ([]drawer, error) {
	var out []drawer
	for class := range 256 {
		c := proof.Class(class)
		names, err := d.files.List(d.path(filepath.Join(bodiesDir, c.String())))
		if err != nil {
			return nil, fmt.Errorf("list bodies: %w", err)
		}
		for _, name := range names {
			month, suffix, _ := strings.Cut(name, ".")
			m, err := ParseMonth(month)
			if err != nil || !slices.Contains(suffixes, suffix) {
				continue
			}
			out = append(out, drawer{c, m})
		}
	}
	slices.SortFunc(out, drawer.compare)
	return slices.Compact(out), nil
}

// loadKept reads the heads of all files of kept bodies, and makes the rows
// beside them again where they are missing.
func (d disk) loadKept() (map[drawer]kept, []string, error) {
	drawers, err := d.drawers("kept")
	if err != nil {
		return nil, nil, err
	}
	out := make(map[drawer]kept, len(drawers))
	var rebuilt []string
	for _, w := range drawers {
		k, again, err := d.loadOneKept(w)
		if err != nil {
			return nil, nil, err
		}
		if again {
			rebuilt = append(rebuilt, w.at())
		}
		out[w] = k
	}
	return out, rebuilt, nil
}

func (d disk) loadOneKept(w drawer) (k kept, again bool, err error) {
	f, err := d.open(w.kept(), false)
	if err != nil {
		return kept{}, false, fmt.Errorf("open kept bodies: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if k, err = readKept(f, w.kept()); err != nil {
		return kept{}, false, err
	}
	rows, err := d.open(w.at(), true)
	if err != nil {
		return kept{}, false, fmt.Errorf("open %s: %w", w.at(), err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	size, err := rows.Size()
	if err != nil || uint64(size) == k.count*keptRowSize {
		return k, false, err
	}
	return k, true, writeRows(f, rows, w.kept(), k.count)
}

// writeRows writes the rows of a file of kept bodies.
func writeRows(bodies, rows file, name string, count uint64) error {
	if err := rows.Truncate(0); err != nil {
		return err
	}
	out := bufio.NewWriterSize(io.NewOffsetWriter(rows, 0), 64<<10)
	var written uint64
	err := scanBodies(bodies, name, keptHeader, -1, func(b bodyRecord, p place) error {
		written++
		_, err := out.Write(keptRow{b.entry, b.number, p}.bytes())
		return err
	})
	if err != nil {
		return err
	}
	if written != count {
		return &CorruptError{File: name, Err: fmt.Errorf("it holds %d bodies, but had %d", written, count)}
	}
	return errors.Join(out.Flush(), rows.Sync())
}

// scanBodies calls visit for every body from an offset to an end; -1 is the end
// of the file. The body is only valid during the call.
func scanBodies(f file, name string, offset, end int64, visit func(bodyRecord, place) error) error {
	size, err := f.Size()
	if err != nil {
		return fmt.Errorf("measure %s: %w", name, err)
	}
	if end < 0 {
		end = size
	}
	if size < end {
		return &CorruptError{File: name, Offset: size, Err: fmt.Errorf("it has %d bytes, but had %d", size, end)}
	}
	scanner := durable.NewScanner(f, offset, end, maxBodyPayload)
	for scanner.Scan() {
		b, err := readBody(scanner.Payload())
		if err != nil {
			return &CorruptError{File: name, Offset: scanner.Offset(), Err: err}
		}
		length := uint32(scanner.Next() - scanner.Offset())
		if err := visit(b, place{scanner.Offset(), length}); err != nil {
			return err
		}
	}
	if err := scanner.Err(); err != nil {
		return &CorruptError{File: name, Offset: scanner.Next(), Err: err}
	}
	return nil
}

// section reads one section of a record. The caller holds what keeps Forget
// away, and gives the kept files.
func (d disk) section(keptFiles map[drawer]kept, r Record, n int) (proof.Section, error) {
	if n < 0 || n >= len(r.Envelope.Sections) {
		return proof.Section{}, fmt.Errorf("entry %d has %d sections, none at %d: %w", r.Index, len(r.Envelope.Sections), n, ErrNotFound)
	}
	w := drawerOf(r.Envelope, n)
	name, at := w.bodies(), r.places[n]
	if k, ok := keptFiles[w]; ok && r.Index < k.before {
		var err error
		if name, at, err = d.findKept(w, k, r.Index, n); err != nil {
			return proof.Section{}, err
		}
	}
	b, err := d.readBodyAt(name, at, r.Index, n)
	if err != nil {
		return proof.Section{}, err
	}
	s, err := b.section(r.Envelope.Sections[n])
	if err != nil {
		return proof.Section{}, &CorruptError{File: name, Offset: at.offset, Entry: r.Index, Known: true, Err: err}
	}
	return s, nil
}

func (d disk) readBodyAt(name string, at place, i Index, n int) (b bodyRecord, err error) {
	corrupt := func(err error) error {
		return &CorruptError{File: name, Offset: at.offset, Entry: i, Known: true, Err: err}
	}
	f, err := d.readers.take(name)
	if missing(err) {
		return b, corrupt(errors.New("the file of bodies is missing, and nothing says that it was forgotten"))
	}
	if err != nil {
		return b, fmt.Errorf("open bodies: %w", err)
	}
	defer func() { err = errors.Join(err, d.readers.give(f)) }()
	payload, err := durable.ReadFrame(f, at.offset, maxBodyPayload)
	var damage *durable.CorruptError
	switch {
	case errors.As(err, &damage), errors.Is(err, io.EOF):
		return b, corrupt(err)
	case err != nil:
		return b, fmt.Errorf("read body: %w", err)
	}
	if b, err = readBody(payload); err != nil {
		return b, corrupt(err)
	}
	if b.entry != i || b.number != n || int64(at.length) != int64(len(payload))+durable.FrameHeader {
		return b, corrupt(errors.New("the record there is another body's"))
	}
	return b, nil
}

// findKept looks a body up among those kept, by halves.
func (d disk) findKept(w drawer, k kept, i Index, n int) (name string, at place, err error) {
	rows, err := d.readers.take(w.at())
	if err != nil {
		return "", place{}, fmt.Errorf("open %s: %w", w.at(), err)
	}
	defer func() { err = errors.Join(err, d.readers.give(rows)) }()
	var readErr error
	row := func(j int) keptRow {
		r, err := readKeptRow(rows, w.at(), int64(j))
		readErr = errors.Join(readErr, err)
		return r
	}
	j := sort.Search(int(k.count), func(j int) bool {
		r := row(j)
		return r.entry > i || r.entry == i && r.number >= n
	})
	var found keptRow
	if uint64(j) < k.count {
		found = row(j)
	}
	switch {
	case readErr != nil:
		return "", place{}, readErr
	case uint64(j) == k.count || found.entry != i || found.number != n:
		return "", place{}, fmt.Errorf("section %d of entry %d: %w", n, i, ErrForgotten)
	}
	return w.kept(), found.place, nil
}
