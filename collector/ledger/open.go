package ledger

import (
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/sync/semaphore"

	"github.com/caretaker-school/caretaker/shared/proof"
)

// maxSnapshot bounds the snapshot that is read: about eight million subjects.
const maxSnapshot = 256 << 20

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = 64 << 20
	}
	o.SegmentBytes = min(o.SegmentBytes, 1<<31) // offsets have 32 bits
	if o.BatchBytes <= 0 {
		o.BatchBytes = 8 << 20
	}
	if o.PendingBytes <= 0 {
		o.PendingBytes = 64 << 20
	}
	if o.SnapshotEvery == 0 {
		o.SnapshotEvery = 1 << 16
	}
	switch {
	case o.files == nil && o.Aside:
		o.files = newAsideFiles()
	case o.files == nil:
		o.files = osFiles{}
	}
	return o
}

// Open opens the ledger in dir, making it if there is none. No other process
// can open it until Close.
//
// A tail that a crash left half-written, and that was never acknowledged, is
// cut: Report says so. Everything else that is not as it was written is
// refused with a *CorruptError, so that nothing is ever appended to a damaged
// ledger: restore the named file from a backup. Open reads what the last
// snapshot does not cover; Verify reads everything.
func Open(dir string, o Options) (_ *Ledger, err error) {
	o = o.withDefaults()
	d := disk{files: o.files, dir: dir}
	for _, name := range []string{"", segmentsDir, bodiesDir} {
		if err := d.files.MakeDir(d.path(name)); err != nil {
			return nil, fmt.Errorf("make ledger: %w", err)
		}
	}
	unlock, err := d.files.Lock(d.path(lockFile))
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	d.readers = newReaders(func(name string) (file, error) { return d.files.Open(d.path(name), false) })
	release := func() error { return errors.Join(d.readers.close(), unlock()) }
	l := &Ledger{
		disk: d, o: o, log: o.Log, release: release,
		requests: make(chan *Pending, 1024), room: semaphore.NewWeighted(o.PendingBytes),
		stop: make(chan struct{}), broken: make(chan struct{}), done: make(chan struct{}), bodyFiles: map[drawer]file{},
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.closeFiles(), release())
		}
	}()
	if err := l.recover(); err != nil {
		if _, damaged := errors.AsType[*CorruptError](err); damaged {
			err = fmt.Errorf("%w (nothing is added to a damaged ledger: restore what is named here from a backup)", err)
		}
		return nil, fmt.Errorf("open ledger %s: %w", dir, err)
	}
	for _, word := range l.report.Torn {
		l.log.Warn("ledger: a torn tail was cut", "what", word)
	}
	for _, word := range l.report.Rebuilt {
		l.log.Info("ledger: a disposable file was made again", "file", word)
	}
	for _, word := range l.report.Purges {
		l.log.Warn("ledger: an interrupted purge was ended", "what", word)
	}
	go l.run()
	return l, nil
}

// recover brings memory and disk to the same state.
func (l *Ledger) recover() error {
	starts, err := l.disk.segments()
	if err != nil {
		return err
	}
	if l.kept, l.report.Rebuilt, err = l.disk.loadKept(); err != nil {
		return err
	}
	interrupted, err := l.disk.drawers("ready")
	if err != nil {
		return err
	}
	l.unsettled, l.tail = map[drawer]bool{}, map[drawer]int64{}
	for _, w := range interrupted {
		l.unsettled[w] = true
	}
	for name, f := range map[string]*file{hashesFile: &l.hashes, entriesFile: &l.entries, markFile: &l.mark} {
		if *f, err = l.disk.open(name, true); err != nil {
			return fmt.Errorf("open %s: %w", name, err)
		}
	}
	synced, known := loadMark(l.mark)
	l.marked, l.markKnown = synced, known
	if !known && len(starts) > 0 {
		l.report.Rebuilt = append(l.report.Rebuilt, markFile)
	}
	l.fold, err = l.loadFold(starts)
	if err != nil {
		return err
	}
	err = l.replayFrom(starts, synced, known)
	if errors.Is(err, errOtherTree) && l.snapshotAt > 0 {
		// The stored hashes may be at fault, and only the envelopes can tell.
		l.report.Rebuilt = append(l.report.Rebuilt, subjectsFile, hashesFile, entriesFile)
		l.fold, l.tail, l.latest, l.snapshotAt = newFold(), map[drawer]int64{}, latest{}, 0
		err = l.replayFrom(l.starts, synced, known)
	}
	if err != nil {
		return err
	}
	if err := l.endPurges(); err != nil {
		return err
	}
	if err := l.checkBodies(); err != nil {
		return err
	}
	if err := l.settle(synced, known); err != nil {
		return err
	}
	if err := l.disk.files.SyncDir(l.disk.dir); err != nil {
		return err
	}
	l.report.Entries = l.fold.tree.size
	return nil
}

// replayFrom brings the fold up to date with the envelopes, and compares it
// with the latest checkpoint.
func (l *Ledger) replayFrom(starts []Index, synced mark, known bool) error {
	if err := l.catchUp(starts, synced, known); err != nil {
		return err
	}
	l.published = published{
		size: l.fold.tree.size, end: l.fold.end, tree: l.fold.tree,
		starts: l.starts, changed: make(chan struct{}),
	}
	return l.checkCheckpoint()
}

// loadFold returns the fold of the last snapshot, if it and the files that it
// vouches for agree, else an empty one: everything is then read again.
func (l *Ledger) loadFold(starts []Index) (*fold, error) {
	data, err := l.disk.readAll(subjectsFile, maxSnapshot)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", subjectsFile, err)
	}
	f, root, err := readSnapshot(data)
	if err == nil {
		err = l.agrees(f, root, starts)
	}
	if err != nil {
		if len(starts) > 0 {
			l.report.Rebuilt = append(l.report.Rebuilt, subjectsFile, hashesFile, entriesFile)
		}
		f = newFold()
	}
	for w, end := range f.ends { // forgotten since
		if k, ok := l.kept[w]; ok && end.last < k.before {
			delete(f.ends, w)
		}
	}
	l.snapshotAt = f.tree.size
	return f, nil
}

// agrees compares a snapshot with the files that it vouches for.
func (l *Ledger) agrees(f *fold, root proof.Digest, starts []Index) error {
	if n := int(f.end.segment); n < len(starts) && uint64(starts[n]) > f.tree.size {
		return errors.New("a segment is missing")
	}
	entries, err := l.entries.Size()
	if err != nil {
		return err
	}
	if uint64(entries) < f.tree.size*entryInfoSize {
		return errors.New("the file of entries is shorter")
	}
	if f.tree, err = loadTree(f.tree.size, hashReader{l.hashes}); err != nil {
		return err
	}
	if f.tree.root() != root {
		return errors.New("the stored hashes have another root")
	}
	return nil
}

// catchUp reads the envelopes that the fold does not cover, and cuts a tail
// that was never acknowledged.
func (l *Ledger) catchUp(starts []Index, synced mark, known bool) error {
	f := l.fold
	if int(f.end.segment) >= len(starts) && f.end != (spot{}) {
		return &CorruptError{
			File: segmentsDir, Entry: Index(f.tree.size), Known: true,
			Err: fmt.Errorf("there are %d segments, fewer than there were; the ledger held at least %d entries", len(starts), f.tree.size),
		}
	}
	l.starts = starts
	s := newStage(l)
	err := l.disk.walk(starts, Index(f.tree.size), f.end, spot{uint32(max(len(starts)-1, 0)), -1}, s.replay)
	if err := s.flushReplay(); err != nil {
		return err
	}
	if err != nil {
		if err = l.cutTail(err, synced, known); err != nil {
			return err
		}
	}
	if n := len(l.starts); n == 0 {
		f.end = spot{}
	} else if int(f.end.segment) < n-1 { // the last segment holds no entry yet
		f.end = spot{uint32(n - 1), 0}
	}
	if known && f.tree.size < synced.entries {
		return &CorruptError{
			File: segmentsDir, Entry: Index(f.tree.size), Known: true,
			Err: fmt.Errorf("the ledger has %d entries, but %d were synced", f.tree.size, synced.entries),
		}
	}
	return l.checkSchool()
}

// checkSchool refuses to open one school's ledger as another's.
func (l *Ledger) checkSchool() error {
	if l.fold.tree.size == 0 {
		return nil
	}
	l.published = published{size: l.fold.tree.size, end: l.fold.end, tree: l.fold.tree, starts: l.starts}
	r, err := l.read(0)
	if err == nil && r.Envelope.School != l.o.School {
		err = fmt.Errorf("it is the ledger of school %q, not of %q", r.Envelope.School, l.o.School)
	}
	return err
}
