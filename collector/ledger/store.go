package ledger

import (
	"errors"
	"fmt"
	"slices"
	"sync"
)

// store makes a batch durable and then lets readers see it.
//
// All of it is written, then all is synced at once: the bodies, the envelopes,
// and the mark, which says that everything before this batch is synced. A crash
// may leave any part of it. Open therefore looks at every entry beyond the mark,
// bodies included, and cuts from the first that is not whole: that can only be
// one that was never acknowledged.
func (l *Ledger) store(s *stage) error {
	dirty, err := l.write(s)
	if err == nil {
		err = syncAll(dirty)
	}
	if err != nil {
		return l.giveUp(s, err)
	}
	s.commit()
	l.publish()
	return nil
}

// syncError marks a failed sync, after which nobody knows what is on disk.
type syncError struct{ err error }

func (e syncError) Error() string { return e.err.Error() }
func (e syncError) Unwrap() error { return e.err }

// write writes a batch and returns the files that are to be synced. What Open
// could make again is written too, and not synced.
func (l *Ledger) write(s *stage) (dirty []file, err error) {
	if err := s.writeDerived(); err != nil {
		return nil, err
	}
	l.marked = l.nextMark()
	if err := l.marked.store(l.mark); err != nil {
		return nil, fmt.Errorf("write %s: %w", markFile, err)
	}
	dirty = []file{l.mark}
	if len(l.bodyFiles) > 64 { // months and classes that are not written any more
		if err := l.closeBodies(); err != nil {
			return nil, err
		}
	}
	for _, w := range s.drawers() {
		f, err := l.bodyFile(w)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", w.bodies(), err)
		}
		if _, err := f.WriteAt(s.bodies[w].data, s.bodies[w].offset); err != nil {
			return nil, fmt.Errorf("write %s: %w", w.bodies(), err)
		}
		dirty = append(dirty, f)
	}
	last, err := l.writeEnvelopes(s)
	return append(dirty, last), err
}

func syncAll(dirty []file) error {
	errs := make([]error, len(dirty))
	var wg sync.WaitGroup
	for n, f := range dirty {
		wg.Go(func() { errs[n] = f.Sync() })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return syncError{err}
	}
	return nil
}

func (l *Ledger) bodyFile(w drawer) (file, error) {
	if f, ok := l.bodyFiles[w]; ok {
		return f, nil
	}
	f, err := l.disk.open(w.bodies(), false)
	if missing(err) {
		if err := l.disk.files.MakeDir(l.disk.path(w.dir())); err != nil {
			return nil, err
		}
		if f, err = l.disk.open(w.bodies(), true); err != nil {
			return nil, err
		}
		if err := l.disk.files.SyncDir(l.disk.path(w.dir())); err != nil {
			return nil, errors.Join(syncError{err}, f.Close())
		}
	} else if err != nil {
		return nil, err
	}
	l.bodyFiles[w] = f
	return f, nil
}

// writeEnvelopes writes the envelopes and returns the last segment. Those
// before it, which are full now, are synced one by one.
func (l *Ledger) writeEnvelopes(s *stage) (last file, err error) {
	starts := slices.Concat(l.starts, s.starts)
	number := l.fold.end.segment
	for n, c := range s.segments {
		if last, err = l.segmentFile(number, starts[number]); err != nil {
			return nil, fmt.Errorf("open segment: %w", err)
		}
		if _, err := last.WriteAt(c.data, c.offset); err != nil {
			return nil, fmt.Errorf("write segment: %w", err)
		}
		if n < len(s.segments)-1 {
			if err := last.Sync(); err != nil {
				return nil, syncError{fmt.Errorf("sync segment: %w", err)}
			}
		}
		number++
	}
	return last, nil
}

func (l *Ledger) segmentFile(number uint32, first Index) (file, error) {
	if l.segment.file != nil {
		if l.segment.number == number {
			return l.segment.file, nil
		}
		if err := l.segment.file.Close(); err != nil {
			return nil, err
		}
		l.segment.file = nil
	}
	f, err := l.disk.open(segmentName(first), false)
	if missing(err) {
		if f, err = l.disk.open(segmentName(first), true); err != nil {
			return nil, err
		}
		if err := l.disk.files.SyncDir(l.disk.path(segmentsDir)); err != nil {
			return nil, errors.Join(syncError{err}, f.Close())
		}
	} else if err != nil {
		return nil, err
	}
	l.segment = openSegment{number, f}
	return f, nil
}

// giveUp takes a batch back that could not be written, such as on a full disk,
// so that later ones can be. If that fails too, or a sync failed, nothing is
// appended until the ledger is opened again.
func (l *Ledger) giveUp(s *stage, why error) error {
	var lost syncError
	if !errors.As(why, &lost) {
		undo := l.takeBack(s)
		if undo == nil {
			return why
		}
		why = errors.Join(why, undo)
	}
	why = fmt.Errorf("%w: %w", ErrClosed, why)
	l.fail(why)
	return why
}

// takeBack removes what a batch wrote. Envelopes go first, and durably: one
// must never be found without its bodies.
func (l *Ledger) takeBack(s *stage) error {
	if l.segment.file != nil {
		if err := l.segment.file.Close(); err != nil {
			return err
		}
		l.segment.file = nil
	}
	for _, first := range s.starts {
		if err := l.disk.files.Remove(l.disk.path(segmentName(first))); err != nil && !missing(err) {
			return err
		}
	}
	if len(s.starts) > 0 {
		if err := l.disk.files.SyncDir(l.disk.path(segmentsDir)); err != nil {
			return err
		}
	}
	if len(l.starts) > 0 {
		if _, err := l.disk.cut(segmentName(l.starts[l.fold.end.segment]), l.fold.end.offset); err != nil {
			return err
		}
	}
	for _, w := range s.drawers() {
		if f, ok := l.bodyFiles[w]; ok {
			if err := f.Truncate(l.fold.ends[w].offset); err != nil {
				return err
			}
		}
	}
	return nil
}

// publish lets readers see what is synced.
func (l *Ledger) publish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.published.changed
	l.published = published{
		size: l.fold.tree.size, end: l.fold.end, tree: l.fold.tree,
		starts: slices.Clip(l.starts), changed: make(chan struct{}), err: l.published.err,
	}
	close(old)
}

// saveSnapshot saves the fold, and first makes durable what it vouches for.
func (l *Ledger) saveSnapshot() error {
	if err := syncAll([]file{l.hashes, l.entries}); err != nil {
		return fmt.Errorf("sync the tree: %w", err)
	}
	if err := l.disk.files.Replace(l.disk.path(subjectsFile), l.fold.snapshot()); err != nil {
		return err
	}
	l.snapshotAt = l.fold.tree.size
	return nil
}
