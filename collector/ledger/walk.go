package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/caretaker-school/caretaker/shared/durable"
)

// disk is a ledger's folder: where its files are, and how they are reached.
type disk struct {
	files   files
	dir     string
	readers *readers // of entries and bodies that are read one by one
}

func (d disk) path(name string) string { return filepath.Join(d.dir, name) }

func (d disk) open(name string, create bool) (file, error) {
	return d.files.Open(d.path(name), create)
}

// segmentName returns the name of the segment that begins with an entry. A
// missing or shortened segment cannot hide, because the next one's name says
// how many entries stand before it.
func segmentName(first Index) string {
	return filepath.Join(segmentsDir, fmt.Sprintf("%016d.seg", uint64(first)))
}

// segments returns the first entry of each segment, in order.
func (d disk) segments() ([]Index, error) {
	names, err := d.files.List(d.path(segmentsDir))
	if err != nil {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	starts := make([]Index, 0, len(names))
	for _, name := range names {
		digits, ok := strings.CutSuffix(name, ".seg")
		first, err := strconv.ParseUint(digits, 10, 63)
		if !ok || err != nil || filepath.Join(segmentsDir, name) != segmentName(Index(first)) {
			return nil, &CorruptError{File: filepath.Join(segmentsDir, name), Err: errors.New("it is not a segment, and does not belong here")}
		}
		starts = append(starts, Index(first))
	}
	slices.Sort(starts)
	return starts, nil
}

// walk reads the envelopes from entry first, which stands at start, to before
// limit, and calls visit for each with its place and the offset after it. A
// limit offset of -1 is the end of the file. Its error is a *CorruptError where
// the bytes are at fault, or visit's.
func (d disk) walk(starts []Index, first Index, start, limit spot, visit func(r Record, at spot, next int64) error) error {
	next, offset := first, start.offset
	for segment := start.segment; segment <= limit.segment && int(segment) < len(starts); segment++ {
		if offset == 0 && starts[segment] != next {
			return &CorruptError{
				File: segmentName(starts[segment]), Entry: next, Known: true,
				Err: fmt.Errorf("it begins with entry %d, but the segments before it end with %d entries: %w", starts[segment], next, errIncomplete),
			}
		}
		end := int64(-1)
		if segment == limit.segment {
			end = limit.offset
		}
		count, err := d.walkSegment(starts[segment], next, spot{segment, offset}, end, visit)
		if err != nil {
			return err
		}
		next += Index(count)
		offset = 0
	}
	return nil
}

func (d disk) walkSegment(name, next Index, start spot, end int64, visit func(Record, spot, int64) error) (count uint64, err error) {
	f, err := d.open(segmentName(name), false)
	if err != nil {
		return 0, fmt.Errorf("open segment: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Size()
	if err != nil {
		return 0, fmt.Errorf("measure segment: %w", err)
	}
	if end < 0 {
		end = size
	}
	if size < end || end < start.offset {
		return 0, &CorruptError{
			File: segmentName(name), Offset: size, Entry: next, Known: start.offset == size,
			Err: fmt.Errorf("it has %d bytes, but had %d", size, max(end, start.offset)),
		}
	}
	scanner := durable.NewScanner(f, start.offset, end, maxEnvelope)
	for scanner.Scan() {
		r, err := readEnvelope(next+Index(count), bytes.Clone(scanner.Payload()))
		if err != nil {
			return count, &CorruptError{File: segmentName(name), Offset: scanner.Offset(), Entry: next + Index(count), Known: true, Err: err}
		}
		if err := visit(r, spot{start.segment, scanner.Offset()}, scanner.Next()); err != nil {
			return count, err
		}
		count++
	}
	if err := scanner.Err(); err != nil {
		return count, &CorruptError{File: segmentName(name), Offset: scanner.Next(), Entry: next + Index(count), Known: true, Err: err}
	}
	return count, nil
}

// readAll reads a small file whole, of at most limit bytes. A file that is not
// there has no bytes.
func (d disk) readAll(name string, limit int64) ([]byte, error) {
	f, err := d.open(name, false)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err == nil && size > limit {
		err = fmt.Errorf("%s has %d bytes, more than the %d allowed", name, size, limit)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	data := make([]byte, size)
	if n, err := f.ReadAt(data, 0); n < len(data) {
		return nil, errors.Join(err, f.Close())
	}
	return data, f.Close()
}
