package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"

	"golang.org/x/sync/semaphore"
)

// Ledger is one school's ledger, open for appending. It is safe for
// concurrent use.
type Ledger struct {
	disk    disk
	o       Options
	log     *slog.Logger
	release func() error
	report  OpenReport

	hashes, entries, mark file // open until Close

	requests chan *Pending
	room     *semaphore.Weighted // bytes of appends that may wait
	stages   sync.Pool           // of *stage
	stop     chan struct{}       // closed by Close
	stopOnce sync.Once
	broken   chan struct{} // closed when nothing can be appended any more
	done     chan struct{} // closed when run has ended
	closeErr error         // of run, once done is closed

	// These belong to run; Open fills them before it starts.
	fold       *fold
	starts     []Index // first entry of each segment
	marked     mark
	markKnown  bool             // while opening: there was a mark
	tail       map[drawer]int64 // while opening: the first body that may not be synced
	snapshotAt uint64
	failing    bool // the last batch could not be written
	bodyFiles  map[drawer]file
	segment    openSegment
	unsettled  map[drawer]bool // while opening: a purge was interrupted there

	mu        sync.Mutex // guards published
	published published

	bodies sync.RWMutex // held for reading while a body is read; guards kept
	kept   map[drawer]kept

	forgetting sync.Mutex // one purge at a time

	checkpoints sync.Mutex // guards what follows
	latest      latest
}

// published is what readers may see: all of it is synced.
type published struct {
	size    uint64
	end     spot
	tree    tree
	starts  []Index
	changed chan struct{} // closed when there is more
	err     error         // why nothing can be appended any more
}

type openSegment struct {
	number uint32
	file   file
}

// Pending is an append that was begun, or work that run shall do between two
// batches.
type Pending struct {
	l       *Ledger
	ctx     context.Context //nolint:containedctx // of whoever waits for it
	after   *Pending        // is recorded first, or this is not; nil once that is settled
	entries []prepared
	one     [1]prepared // which most are
	bytes   int64
	held    int64 // of room, until it is done
	work    func() error
	indexes []Index
	err     error
	done    chan struct{}
}

// Report says what Open found and repaired.
func (l *Ledger) Report() OpenReport { return l.report }

// Append records entries in order and returns their indexes once they are
// synced to disk. Many concurrent calls share one sync. A statement that the
// subject has already under the same sequence is not recorded again: its index
// is returned. Either all entries are recorded or none.
//
// If ctx ends while the entries wait, they may be recorded or not: append them
// again, which is harmless. The caller must not change the entries' bytes
// afterwards.
func (l *Ledger) Append(ctx context.Context, entries ...Entry) ([]Index, error) {
	p, err := l.Begin(ctx, nil, entries...)
	if err != nil {
		return nil, err
	}
	return p.Wait(ctx)
}

// Begin begins what Append does, and does not wait for the sync: nothing of it
// may be acknowledged before Wait says so. Whoever begins one append after
// another names the one before, and then this one is recorded only if that one
// is: a report must never stand in the ledger without those before it. They
// are done in the order in which they were begun.
func (l *Ledger) Begin(ctx context.Context, after *Pending, entries ...Entry) (*Pending, error) {
	r := &Pending{l: l, ctx: ctx, after: after, done: make(chan struct{})}
	if r.entries = r.one[:]; len(entries) != 1 {
		r.entries = make([]prepared, len(entries))
	}
	for n, e := range entries {
		p, err := prepare(l.o.School, e)
		if err != nil {
			return nil, fmt.Errorf("append entry of %q: %w", e.Envelope.Subject, err)
		}
		r.entries[n] = p
		r.bytes += p.size()
	}
	r.held = min(r.bytes, l.o.PendingBytes)
	if err := l.room.Acquire(ctx, r.held); err != nil {
		return nil, fmt.Errorf("wait to append: %w", err)
	}
	if err := l.submit(ctx, r); err != nil {
		l.room.Release(r.held)
		return nil, err
	}
	return r, nil
}

// Wait returns the indexes of the entries once they are synced to disk.
func (p *Pending) Wait(ctx context.Context) ([]Index, error) {
	if err := p.l.await(ctx, p); err != nil {
		return nil, err
	}
	return p.indexes, p.err
}

// Recorded reports whether the entries are synced to disk by now.
func (p *Pending) Recorded() bool {
	select {
	case <-p.done:
		return p.err == nil
	default:
		return false
	}
}

// submit hands a request to run.
func (l *Ledger) submit(ctx context.Context, r *Pending) error {
	select {
	case l.requests <- r:
		return nil
	case <-l.stop:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("wait to append: %w", ctx.Err())
	}
}

// await waits until a request is done.
func (l *Ledger) await(ctx context.Context, r *Pending) error {
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the sync of an append: %w", ctx.Err())
	case <-l.done:
	}
	select {
	case <-r.done:
		return nil
	default:
		return ErrClosed
	}
}

// settled tells whoever waits for a request that it is done.
func (l *Ledger) settled(r *Pending) {
	// Whoever keeps it, to begin another after it, keeps nothing else alive.
	r.after, r.entries, r.one = nil, nil, [1]prepared{}
	l.room.Release(r.held)
	close(r.done)
}

// between runs work on the ledger while nothing is being appended. After an error
// work may run yet: what it writes is not to be read then.
func (l *Ledger) between(ctx context.Context, work func() error) error {
	r := &Pending{l: l, ctx: ctx, work: work, done: make(chan struct{})}
	if err := l.submit(ctx, r); err != nil {
		return err
	}
	if err := l.await(ctx, r); err != nil {
		return err
	}
	return r.err
}

// Close ends the ledger. Appends that wait fail with ErrClosed.
func (l *Ledger) Close() error {
	l.stopOnce.Do(func() { close(l.stop) })
	<-l.done
	return l.closeErr
}

// run is the one writer. While it syncs a batch the next one gathers.
func (l *Ledger) run() {
	defer close(l.done)
	for {
		select {
		case <-l.stop:
			l.closeErr = l.end()
			return
		case r := <-l.requests:
			batch, work := l.gather(r)
			if len(batch) > 0 {
				l.commit(batch)
			}
			if work != nil {
				work.err = l.failed()
				if work.err == nil {
					work.err = work.work()
				}
				l.settled(work)
			}
		}
	}
}

// gather takes what waits, up to a batch's bytes or the next piece of work.
func (l *Ledger) gather(r *Pending) (batch []*Pending, work *Pending) {
	var bytes int64
	for {
		if r.work != nil {
			return batch, r
		}
		batch = append(batch, r)
		if bytes += r.bytes; bytes >= l.o.BatchBytes {
			return batch, nil
		}
		if r = l.waiting(); r == nil {
			return batch, nil
		}
	}
}

// waiting returns the next request that waits, if any. Those who were
// acknowledged last get the chance to append again, so that they share this
// sync rather than wait for the next.
func (l *Ledger) waiting() *Pending {
	const chances = 8
	for range chances {
		select {
		case r := <-l.requests:
			return r
		default:
			runtime.Gosched()
		}
	}
	return nil
}

// end leaves everything so that the next Open has nothing to repair.
func (l *Ledger) end() error {
	for {
		select {
		case r := <-l.requests:
			r.err = ErrClosed
			l.settled(r)
			continue
		default:
		}
		break
	}
	var err error
	if l.failed() == nil {
		l.trySnapshot()
		err = errors.Join(l.storeMark(), l.storeMark())
	}
	l.fail(ErrClosed)
	return errors.Join(err, l.closeFiles(), l.release())
}

func (l *Ledger) closeFiles() error {
	var errs []error
	for _, f := range []file{l.hashes, l.entries, l.mark, l.segment.file} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(append(errs, l.closeBodies())...)
}

func (l *Ledger) closeBodies() error {
	var errs []error
	for w, f := range l.bodyFiles {
		errs = append(errs, f.Close())
		delete(l.bodyFiles, w)
	}
	return errors.Join(errs...)
}

// failed returns why nothing can be appended any more, or nil.
func (l *Ledger) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.published.err
}

func (l *Ledger) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.published.err == nil {
		l.published.err = err
		close(l.broken)
	}
}

// Wait returns when nothing can be appended any more, with the reason: the
// ledger was closed, or it failed to write and must be opened again. It
// returns nil when ctx ends first.
func (l *Ledger) Wait(ctx context.Context) error {
	select {
	case <-l.broken:
		return l.failed()
	case <-ctx.Done():
		return nil
	}
}

// commit writes a batch and answers those who wait for it.
func (l *Ledger) commit(batch []*Pending) {
	err := l.failed()
	s := newStage(l)
	defer s.discard()
	accepted := make([]*Pending, 0, len(batch))
	for _, r := range batch {
		switch {
		case err != nil:
			r.err = err
		case r.after != nil && r.after.err != nil:
			r.err = fmt.Errorf("append: what it follows was not recorded: %w", r.after.err)
		case r.ctx.Err() != nil:
			r.err = r.ctx.Err()
		default:
			if r.indexes, r.err = s.admit(r.entries); r.err == nil {
				accepted = append(accepted, r)
			}
		}
	}
	if len(s.fresh) > 0 {
		err := l.store(s)
		l.tell(err)
		if err != nil {
			for _, r := range accepted {
				r.indexes, r.err = nil, fmt.Errorf("append: %w", err)
			}
		}
	}
	for _, r := range batch {
		l.settled(r)
	}
	if l.failed() == nil && l.fold.tree.size-l.snapshotAt >= l.o.SnapshotEvery {
		l.trySnapshot()
	}
}

// tell tells whoever wants to know when batches begin or cease to fail.
func (l *Ledger) tell(err error) {
	if l.o.Wrote != nil && (err != nil || l.failing) {
		l.o.Wrote(err)
	}
	l.failing = err != nil
}

// trySnapshot saves a snapshot, without which nothing is lost but time.
func (l *Ledger) trySnapshot() {
	if err := l.saveSnapshot(); err != nil {
		l.log.Warn("ledger: the index of subjects was not saved; the next start takes longer", "err", err)
	}
}
