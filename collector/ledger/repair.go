package ledger

import (
	"errors"
	"fmt"

	"github.com/caretaker-school/caretaker/shared/durable"
)

// cutTail decides whether what stopped the walk is a torn tail, and cuts it if
// so; otherwise it returns what was wrong.
func (l *Ledger) cutTail(why error, synced mark, known bool) error {
	var c *CorruptError
	var torn *durable.TornError
	var damaged *durable.CorruptError
	if !errors.As(why, &c) || !errors.As(why, &torn) && !errors.As(why, &damaged) && !errors.Is(why, errIncomplete) {
		return why
	}
	segment := -1
	for i, first := range l.starts {
		if segmentName(first) == c.File {
			segment = i
		}
	}
	at := spot{uint32(max(segment, 0)), c.Offset}
	switch {
	case segment < 0:
		return why
	case known && at.before(synced.end):
		return why
	case !known && (torn == nil || segment < len(l.starts)-1):
		return why
	}
	left := segment + 1
	if c.Offset == 0 { // nothing of the segment counts, nor does its name
		left = segment
	}
	lost, err := l.disk.cut(c.File, c.Offset)
	if err != nil {
		return err
	}
	for i := len(l.starts) - 1; i >= left; i-- {
		if err := l.disk.files.Remove(l.disk.path(segmentName(l.starts[i]))); err != nil {
			return fmt.Errorf("remove a segment that was never acknowledged: %w", err)
		}
	}
	l.starts = l.starts[:left]
	l.report.Torn = append(l.report.Torn, fmt.Sprintf("%s: %d bytes from byte %d on, never acknowledged", c.File, lost, c.Offset))
	return l.disk.files.SyncDir(l.disk.path(segmentsDir))
}

// cut shortens a file, durably, and returns how many bytes went.
func (d disk) cut(name string, size int64) (lost int64, err error) {
	f, err := d.open(name, false)
	if err != nil {
		return 0, fmt.Errorf("cut %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	now, err := f.Size()
	if err != nil {
		return 0, fmt.Errorf("cut %s: %w", name, err)
	}
	if err := errors.Join(f.Truncate(size), f.Sync()); err != nil {
		return 0, fmt.Errorf("cut %s: %w", name, err)
	}
	return now - size, nil
}

func (s spot) before(t spot) bool {
	return s.segment < t.segment || s.segment == t.segment && s.offset < t.offset
}

// checkBodies compares the length of every file of bodies with what the
// envelopes say: longer is the rest of an append that was never acknowledged,
// shorter is a loss.
func (l *Ledger) checkBodies() error {
	there, err := l.disk.drawers("seg")
	if err != nil {
		return err
	}
	sizes := make(map[drawer]int64, len(there))
	for _, w := range there {
		if sizes[w], err = l.disk.size(w.bodies()); err != nil {
			return err
		}
		if end := l.fold.ends[w].offset; sizes[w] > end {
			lost, err := l.disk.cut(w.bodies(), end)
			if err != nil {
				return err
			}
			l.report.Torn = append(l.report.Torn, fmt.Sprintf("%s: %d bytes from byte %d on, of no entry", w.bodies(), lost, end))
		}
	}
	for w, end := range l.fold.ends {
		if sizes[w] < end.offset {
			return &CorruptError{
				File: w.bodies(), Offset: sizes[w],
				Err: fmt.Errorf("it has %d bytes, but had %d, and nothing says that it was forgotten", sizes[w], end.offset),
			}
		}
	}
	return nil
}

func (d disk) size(name string) (int64, error) {
	f, err := d.open(name, false)
	if err != nil {
		return 0, fmt.Errorf("measure %s: %w", name, err)
	}
	size, err := f.Size()
	return size, errors.Join(err, f.Close())
}

// settle makes what was read durable before anything is built on it, and marks
// it so. The batch that may have been under way is written again: a sync that
// failed can leave pages that look written and are not.
func (l *Ledger) settle(synced mark, known bool) error {
	from := spot{}
	if known {
		from = synced.end
	} else if n := len(l.starts); n > 0 {
		from.segment = uint32(n - 1)
	}
	for w, offset := range l.tail {
		if _, ok := l.fold.ends[w]; !ok {
			continue // forgotten
		}
		if !known {
			offset = l.fold.ends[w].offset
		}
		if err := l.rewrite(w.bodies(), offset); err != nil {
			return fmt.Errorf("settle the last bodies: %w", err)
		}
	}
	for segment := from.segment; int(segment) < len(l.starts); segment++ {
		if err := l.rewrite(segmentName(l.starts[segment]), from.offset); err != nil {
			return fmt.Errorf("settle the last segment: %w", err)
		}
		from.offset = 0
	}
	return l.storeMark()
}

func (l *Ledger) rewrite(name string, from int64) (err error) {
	f, err := l.disk.open(name, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	end, err := f.Size()
	if err != nil {
		return err
	}
	buf := make([]byte, 1<<20)
	for ; from < end; from += int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), end-from)]
		if n, err := f.ReadAt(buf, from); n < len(buf) {
			return err
		}
		if _, err := f.WriteAt(buf, from); err != nil {
			return err
		}
	}
	return f.Sync()
}

// errIncomplete means that an entry lacks what was written with it. Beyond the
// mark that is a batch that was never acknowledged.
var errIncomplete = errors.New("a part of it was never written")

// storeMark says durably that everything written so far is synced.
func (l *Ledger) storeMark() error {
	l.marked = l.nextMark()
	if err := errors.Join(l.marked.store(l.mark), l.mark.Sync()); err != nil {
		return fmt.Errorf("write %s: %w", markFile, err)
	}
	return nil
}

func (l *Ledger) nextMark() mark {
	return mark{number: l.marked.number + 1, entries: l.fold.tree.size, end: l.fold.end}
}
