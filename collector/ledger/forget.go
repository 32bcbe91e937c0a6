package ledger

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/caretaker-school/caretaker/shared/proof"
)

// Forgetting a class and month goes through these states, each reached by one
// durable step, so that a crash between any two leaves one that Open can tell
// and end:
//
//  1. .draft      the bodies to be kept are being copied; nothing is forgotten
//     yet, and Open removes the draft.
//  2. .ready      the copy is whole and synced, and names the section of the
//     purge entry that shall record it.
//  3. the purge entry is appended and synced: from here on there is no way
//     back. Open looks for it: without it .ready is removed, with it Open goes
//     on with
//  4. .seg is renamed .forgotten (as .kept is, when a month is forgotten
//     again),
//  5. .ready is renamed .kept, its rows are made,
//  6. .forgotten is removed.
//
// Deleting a file gives its blocks back to the file system. What an SSD keeps
// of them is beyond any program; encrypting the collector's disk answers that.

// Stored is a body that is not forgotten, with the entry that it came with.
type Stored struct {
	Record  Record
	Number  int // of the section in the entry
	Section proof.Section
}

// Purge says what Forget did, in counts only. Its JSON is the body of the
// purge entry's section "purge".
type Purge struct {
	Class          string `json:"class"` // in words, as proof.Class.String has it
	Month          string `json:"month"` // such as "2026-10"
	Forgotten      uint64 `json:"forgotten"`
	ForgottenBytes uint64 `json:"forgottenBytes"`
	Kept           uint64 `json:"kept"`
	KeptBytes      uint64 `json:"keptBytes"`
}

// ErrNothingToForget means that every body of the class and month is kept, or
// that there is none.
var ErrNothingToForget = errors.New("there is nothing to forget")

// Months returns the months of a class of which bodies are held, in order.
func (l *Ledger) Months(class proof.Class) ([]Month, error) {
	l.bodies.RLock()
	defer l.bodies.RUnlock()
	all, err := l.disk.drawers("seg", "kept")
	if err != nil {
		return nil, err
	}
	var out []Month
	for _, w := range all {
		if w.class != class {
			continue
		}
		size, err := l.disk.size(w.bodies())
		if err != nil && !missing(err) {
			return nil, err
		}
		if size > 0 || l.kept[w].count > 0 {
			out = append(out, w.month)
		}
	}
	return out, nil
}

// Bodies yields the bodies that are held of a class and month, in the order of
// their entries. It stops after an error.
func (l *Ledger) Bodies(ctx context.Context, class proof.Class, month Month) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		w := drawer{class, month}
		source, err := l.source(ctx, w)
		if err == nil {
			err = l.scan(ctx, source, func(s Stored, _ place) error {
				if !yield(s, nil) {
					return errStop
				}
				return nil
			})
		}
		if err != nil && !errors.Is(err, errStop) {
			yield(Stored{}, err)
		}
	}
}

// source is what a class and month holds at one moment.
type source struct {
	drawer drawer
	kept   kept   // as it was; count 0 if there was none
	end    int64  // of the bodies after those
	size   uint64 // entries of the ledger
}

func (l *Ledger) source(ctx context.Context, w drawer) (source, error) {
	s := source{drawer: w}
	err := l.between(ctx, func() error {
		s.kept, s.end, s.size = l.kept[w], l.fold.ends[w].offset, l.fold.tree.size
		return nil
	})
	if err != nil {
		return source{}, err // it may be written yet
	}
	return s, nil
}

// scan calls visit for every body of a source, checked against its entry.
func (l *Ledger) scan(ctx context.Context, s source, visit func(Stored, place) error) error {
	var r Record
	each := func(name string) func(bodyRecord, place) error {
		return func(b bodyRecord, p place) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if b.entry != r.Index || r.Encoded == nil {
				var err error
				if r, err = l.read(b.entry); err != nil {
					return err
				}
			}
			corrupt := func(err error) error {
				return &CorruptError{File: name, Offset: p.offset, Entry: b.entry, Known: true, Err: err}
			}
			if b.number >= len(r.Envelope.Sections) || drawerOf(r.Envelope, b.number) != s.drawer {
				return corrupt(errors.New("the body is not one of its entry"))
			}
			b.body = bytes.Clone(b.body)
			section, err := b.section(r.Envelope.Sections[b.number])
			if err != nil {
				return corrupt(err)
			}
			return visit(Stored{Record: r, Number: b.number, Section: section}, p)
		}
	}
	if s.kept.count > 0 {
		if err := l.scanFile(s.drawer.kept(), keptHeader, -1, each); err != nil {
			return err
		}
	}
	if s.end > 0 {
		return l.scanFile(s.drawer.bodies(), 0, s.end, each)
	}
	return nil
}

func (l *Ledger) scanFile(name string, offset, end int64, each func(name string) func(bodyRecord, place) error) (err error) {
	f, err := l.disk.open(name, false)
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return scanBodies(f, name, offset, end, each(name))
}

// Forget forgets the bodies of a class and month, all but those that keep
// returns true for. Before anything is removed, the bodies to be kept are
// synced elsewhere and the entry that record makes of the counts is appended;
// it must be of kind purge, with one section of class Kept. Afterwards no file
// of the ledger holds a forgotten byte, and the tree still verifies.
//
// It returns ErrNothingToForget if there is nothing to forget.
func (l *Ledger) Forget(ctx context.Context, class proof.Class, month Month,
	keep func(Stored) bool, record func(Purge) (Entry, error),
) (Purge, error) {
	w := drawer{class, month}
	if class == proof.Kept {
		return Purge{}, errors.New("forget: what is kept as long as the ledger cannot be forgotten")
	}
	l.forgetting.Lock()
	defer l.forgetting.Unlock()
	purge, err := l.forget(ctx, w, keep, record)
	if err != nil {
		return Purge{}, fmt.Errorf("forget %s of %s: %w", class, month, err)
	}
	return purge, nil
}

func (l *Ledger) forget(ctx context.Context, w drawer, keep func(Stored) bool, record func(Purge) (Entry, error)) (Purge, error) {
	from, err := l.source(ctx, w)
	if err != nil {
		return Purge{}, err
	}
	purge, err := l.writeDraft(ctx, from, keep)
	if err == nil && purge.Forgotten == 0 {
		err = ErrNothingToForget
	}
	if err != nil {
		return Purge{}, errors.Join(err, l.disk.removeDraft(w))
	}
	entry, err := record(purge)
	if err == nil {
		err = checkPurge(entry)
	}
	var p prepared
	if err == nil {
		p, err = prepare(l.o.School, entry)
	}
	if err == nil {
		err = l.finishDraft(from, purge, entry.Envelope.Sections[0].Digest)
	}
	if err != nil {
		return Purge{}, errors.Join(err, l.disk.removeDraft(w))
	}
	// It ends only when the files are changed over or are not: who purges holds them.
	return purge, l.between(context.WithoutCancel(ctx), func() error { return l.swap(ctx, from, p) })
}

func checkPurge(e Entry) error {
	goes := func(s proof.SectionRef) bool { return s.Class != proof.Kept }
	if e.Envelope.Kind != proof.KindPurge || len(e.Envelope.Sections) == 0 ||
		slices.ContainsFunc(e.Envelope.Sections, goes) || len(e.Envelope.Statement) != 0 {
		return errors.New("the entry that records it is not of kind purge with sections that stay, the first of which says what was forgotten")
	}
	return nil
}

// writeDraft copies the bodies to be kept and counts.
func (l *Ledger) writeDraft(ctx context.Context, from source, keep func(Stored) bool) (purge Purge, err error) {
	purge = Purge{Class: from.drawer.class.String(), Month: from.drawer.month.String()}
	f, err := l.disk.open(from.drawer.draft(), true)
	if missing(err) {
		return purge, nil // not even the folder is there
	}
	if err != nil {
		return purge, fmt.Errorf("keep bodies aside: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Truncate(0); err != nil {
		return purge, fmt.Errorf("keep bodies aside: %w", err)
	}
	out := bufio.NewWriterSize(io.NewOffsetWriter(f, keptHeader), 256<<10)
	var frame []byte
	err = l.scan(ctx, from, func(s Stored, _ place) error {
		if !keep(s) {
			purge.Forgotten++
			purge.ForgottenBytes += uint64(len(s.Section.Body))
			return nil
		}
		purge.Kept++
		purge.KeptBytes += uint64(len(s.Section.Body))
		frame = appendBody(frame[:0], s.Record.Index, s.Number, s.Section)
		_, err := out.Write(frame)
		return err
	})
	if err != nil {
		return purge, err
	}
	return purge, errors.Join(out.Flush(), f.Sync())
}

// finishDraft gives the draft its head and makes it ready.
func (l *Ledger) finishDraft(from source, purge Purge, section proof.Digest) (err error) {
	f, err := l.disk.open(from.drawer.draft(), false)
	if err != nil {
		return fmt.Errorf("finish the kept bodies: %w", err)
	}
	head := kept{before: Index(from.size), count: purge.Kept, forgotten: from.kept.forgotten + purge.Forgotten, purge: section}
	_, err = f.WriteAt(head.frame(), 0)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("finish the kept bodies: %w", err)
	}
	if err := l.disk.files.Rename(l.disk.path(from.drawer.draft()), l.disk.path(from.drawer.ready())); err != nil {
		return fmt.Errorf("finish the kept bodies: %w", err)
	}
	return l.disk.files.SyncDir(l.disk.path(from.drawer.dir()))
}

// swap appends the purge entry and lets the kept bodies take the place of all.
// It runs between two batches.
func (l *Ledger) swap(ctx context.Context, from source, p prepared) error {
	w := from.drawer
	abandon := func(err error) error { return errors.Join(err, l.disk.removeDraft(w)) }
	if l.fold.ends[w].offset != from.end {
		return abandon(errors.New("bodies of that month arrived meanwhile; try again"))
	}
	if err := ctx.Err(); err != nil {
		return abandon(err)
	}
	// Whoever has seen the purge entry finds the bodies gone.
	l.bodies.Lock()
	defer l.bodies.Unlock()
	r := &Pending{l: l, ctx: ctx, entries: []prepared{p}, done: make(chan struct{})}
	l.commit([]*Pending{r})
	if r.err != nil {
		if l.failed() != nil {
			return r.err // whether it was recorded is for Open to find out
		}
		return abandon(r.err)
	}
	if f, ok := l.bodyFiles[w]; ok {
		delete(l.bodyFiles, w)
		if err := f.Close(); err != nil {
			return l.interrupted(err)
		}
	}
	k, err := l.disk.forgetReady(w)
	if err != nil {
		return l.interrupted(err)
	}
	l.kept[w] = k
	delete(l.fold.ends, w)
	return nil
}

// interrupted stops all appends: the next Open ends what was begun.
func (l *Ledger) interrupted(err error) error {
	err = fmt.Errorf("%w: a purge was interrupted, and ends when the ledger is opened again: %w", ErrClosed, err)
	l.fail(err)
	return err
}
