package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/proof"
)

func (l *Ledger) view() published {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.published
}

// Size returns the number of entries that are synced.
func (l *Ledger) Size() uint64 { return l.view().size }

// Root returns the number of entries that are synced, and their tree hash.
func (l *Ledger) Root() (size uint64, root proof.Digest) {
	v := l.view()
	return v.size, v.tree.root()
}

func (l *Ledger) entryInfo(i Index) (entryInfo, error) {
	row := make([]byte, entryInfoSize)
	if n, err := l.entries.ReadAt(row, int64(i)*entryInfoSize); n < len(row) {
		return entryInfo{}, fmt.Errorf("find entry %d: %w", i, err)
	}
	return readEntryInfo(row), nil
}

// Read returns the entry at index i.
func (l *Ledger) Read(ctx context.Context, i Index) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	return l.read(i)
}

// read finds an entry by its row. Rows and stored hashes can be made again from
// the envelopes: where they are damaged, the entry is looked for without them.
func (l *Ledger) read(i Index) (Record, error) {
	v := l.view()
	if uint64(i) >= v.size {
		return Record{}, fmt.Errorf("read entry %d of %d: %w", i, v.size, ErrNotFound)
	}
	r, err := l.readByRow(v, i)
	if _, damaged := errors.AsType[*CorruptError](err); damaged {
		if found, ok := l.search(v, i); ok {
			return found, nil
		}
	}
	return r, err
}

// search reads an entry's segment from its beginning, and proves what it finds
// by the tree in memory.
func (l *Ledger) search(v published, i Index) (found Record, ok bool) {
	n, exact := slices.BinarySearch(v.starts, i)
	if !exact {
		n--
	}
	if n < 0 {
		return Record{}, false
	}
	limit := v.end
	if n < len(v.starts)-1 {
		limit = spot{uint32(n), -1}
	}
	err := l.disk.walk(v.starts, v.starts[n], spot{segment: uint32(n)}, limit, func(r Record, _ spot, _ int64) error {
		if r.Index < i {
			return nil
		}
		found = r
		return errStop
	})
	if !errors.Is(err, errStop) {
		return Record{}, false
	}
	path, err := tlog.ProveRecord(int64(v.size), int64(i), l.tlogHashes())
	if err != nil {
		return Record{}, false
	}
	return found, tlog.CheckRecord(path, int64(v.size), tlog.Hash(v.tree.root()), int64(i), tlog.Hash(proof.LeafHash(found.Encoded))) == nil
}

func (l *Ledger) readByRow(v published, i Index) (_ Record, err error) {
	info, err := l.entryInfo(i)
	if err != nil {
		return Record{}, err
	}
	if int(info.segment) >= len(v.starts) {
		return Record{}, &CorruptError{
			File: entriesFile, Offset: int64(i) * entryInfoSize, Entry: i, Known: true,
			Err: errors.New("it names a segment that there is not; delete the file, and it is made again"),
		}
	}
	name := segmentName(v.starts[info.segment])
	corrupt := func(err error) error {
		return &CorruptError{File: name, Offset: int64(info.offset), Entry: i, Known: true, Err: err}
	}
	f, err := l.disk.readers.take(name)
	if err != nil {
		return Record{}, fmt.Errorf("read entry %d: %w", i, err)
	}
	defer func() { err = errors.Join(err, l.disk.readers.give(f)) }()
	payload, err := durable.ReadFrame(f, int64(info.offset), maxEnvelope)
	var damage *durable.CorruptError
	switch {
	case errors.As(err, &damage), errors.Is(err, io.EOF):
		return Record{}, corrupt(err)
	case err != nil:
		return Record{}, fmt.Errorf("read entry %d: %w", i, err)
	}
	r, err := readEnvelope(i, payload)
	if err != nil {
		return Record{}, corrupt(err)
	}
	leaf, err := l.tlogHashes().ReadHashes([]int64{tlog.StoredHashIndex(0, int64(i))})
	if err != nil {
		return Record{}, err
	}
	if proof.LeafHash(r.Encoded) != proof.Digest(leaf[0]) {
		return Record{}, corrupt(fmt.Errorf("it is not the entry that the tree holds there; verifying the ledger says whether it or %s was changed", hashesFile))
	}
	return r, nil
}

// Entries yields the entries from first to before end, or to the last that is
// synced if that comes sooner. It stops after an error.
func (l *Ledger) Entries(ctx context.Context, first, end Index) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		l.entriesTo(ctx, first, end, yield)
	}
}

var errStop = errors.New("the caller has seen enough")

// entriesTo yields entries and reports how far it came and whether to go on.
func (l *Ledger) entriesTo(ctx context.Context, first, end Index, yield func(Record, error) bool) (next Index, more bool) {
	v := l.view()
	end = min(end, Index(v.size))
	if first >= end {
		return first, true
	}
	info, err := l.entryInfo(first)
	if err == nil && int(info.segment) >= len(v.starts) {
		err = &CorruptError{
			File: entriesFile, Offset: int64(first) * entryInfoSize, Entry: first, Known: true,
			Err: errors.New("it names a segment that there is not; delete the file, and it is made again"),
		}
	}
	next = first
	if err == nil {
		err = l.disk.walk(v.starts, first, spot{info.segment, int64(info.offset)}, v.end, func(r Record, _ spot, _ int64) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if r.Index >= end || !yield(r, nil) {
				return errStop
			}
			next++
			return nil
		})
	}
	switch {
	case err == nil:
		return next, true
	case errors.Is(err, errStop):
		return next, next == end
	}
	yield(Record{}, fmt.Errorf("read entries from %d on: %w", next, err))
	return next, false
}

// Follow yields the entries from first on and waits for more until ctx ends,
// whose error it yields last.
func (l *Ledger) Follow(ctx context.Context, first Index) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		next := first
		for {
			v := l.view()
			var more bool
			if next, more = l.entriesTo(ctx, next, Index(v.size), yield); !more {
				return
			}
			select {
			case <-v.changed:
			case <-l.done:
				yield(Record{}, ErrClosed)
				return
			case <-ctx.Done():
				yield(Record{}, ctx.Err())
				return
			}
		}
	}
}

// Body returns the body of the nth section of the entry at index i. Its error
// wraps ErrForgotten if the body was forgotten.
func (l *Ledger) Body(ctx context.Context, i Index, n int) ([]byte, error) {
	r, err := l.Read(ctx, i)
	if err != nil {
		return nil, err
	}
	s, err := l.Section(ctx, r, n)
	return s.Body, err
}

// Section returns the nth section of a record, salt and body included, once
// its hash is checked. Its error wraps ErrForgotten if the body was forgotten.
func (l *Ledger) Section(ctx context.Context, r Record, n int) (proof.Section, error) {
	if err := ctx.Err(); err != nil {
		return proof.Section{}, err
	}
	l.bodies.RLock()
	defer l.bodies.RUnlock()
	return l.disk.section(l.kept, r, n)
}

// ProveInclusion proves that entry i is among the first size entries.
func (l *Ledger) ProveInclusion(i Index, size uint64) (proof.Inclusion, error) {
	if v := l.view(); size > v.size || uint64(i) >= size {
		return proof.Inclusion{}, fmt.Errorf("prove entry %d among %d of %d: %w", i, size, v.size, ErrNotFound)
	}
	path, err := tlog.ProveRecord(int64(size), int64(i), l.tlogHashes())
	if err != nil {
		return proof.Inclusion{}, fmt.Errorf("prove entry %d: %w", i, err)
	}
	return proof.Inclusion{Index: uint64(i), Size: size, Path: digests(path)}, nil
}

// ProveConsistency proves that the first older entries begin the first newer.
func (l *Ledger) ProveConsistency(older, newer uint64) (proof.Consistency, error) {
	if v := l.view(); newer > v.size || older > newer || older == 0 {
		return proof.Consistency{}, fmt.Errorf("prove that %d entries begin %d of %d: %w", older, newer, v.size, ErrNotFound)
	}
	path, err := tlog.ProveTree(int64(newer), int64(older), l.tlogHashes())
	if err != nil {
		return proof.Consistency{}, fmt.Errorf("prove that %d entries begin %d: %w", older, newer, err)
	}
	return proof.Consistency{Older: older, Newer: newer, Path: digests(path)}, nil
}

// tlogHashes adapts the stored hashes for proofs.
func (l *Ledger) tlogHashes() tlog.HashReader { return hashReader{l.hashes} }

func digests(path []tlog.Hash) []proof.Digest {
	out := make([]proof.Digest, len(path))
	for i, h := range path {
		out[i] = proof.Digest(h)
	}
	return out
}

// Before returns the entry of the statement that the subject of entry i made
// before that one; ok is false if it was the subject's first, or entry i holds
// no statement.
func (l *Ledger) Before(i Index) (before Index, ok bool, err error) {
	if size := l.Size(); uint64(i) >= size {
		return 0, false, fmt.Errorf("find the statement before entry %d of %d: %w", i, size, ErrNotFound)
	}
	info, err := l.entryInfo(i)
	switch {
	case err != nil:
		return 0, false, err
	case info.previous == 0:
		return 0, false, nil
	case info.previous > uint64(i):
		return 0, false, &CorruptError{
			File: entriesFile, Offset: int64(i) * entryInfoSize, Entry: i, Known: true,
			Err: errors.New("it names a later entry as an earlier one; delete the file, and it is made again"),
		}
	}
	return Index(info.previous - 1), true, nil
}
