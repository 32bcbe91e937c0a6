package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/caretaker-school/caretaker/collector/enroll"
	"github.com/caretaker-school/caretaker/collector/intake"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/projection"
	"github.com/caretaker-school/caretaker/collector/restricted"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// record is a school's place in the collector: its record at work, or why it is
// not. One school's trouble is not another's: each record is opened, kept and
// stopped by itself.
type record struct {
	id    posture.SchoolID
	name  string
	found *enroll.School // nil if a part of it, such as a key, cannot be read

	looks   *viewing.Book // who looks at what; nil if found is
	written chan struct{} // has a value when something was recorded while looks wait

	mu      sync.RWMutex     // guards what follows
	school  *school          // as it was last opened; nil if it is closed
	stopped *stopped         // why nothing is recorded; nil while it is at work
	refused *stopped         // why the last attempt to record something failed; nil if it did not
	damage  error            // what was found to be damaged while it is at work
	reserve *viewing.Reserve // of looks that cannot be recorded at present; nil if it cannot be had
}

// school is one school whose record is open.
type school struct {
	*enroll.School
	verifier   identity.SchoolVerifier
	ledger     *ledger.Ledger
	roster     *roster.Roster
	projection *projection.Projection
	policies   policyBook
	casebook   casebook
	rebuilds   chan chan<- error
	decided    atomic.Uint64 // the entries before this one hold every decision
	daysKept   time.Time     // when the counts of days were last written with a purge; casebook guards it
}

// stopped says since when something does not work, and why.
type stopped struct {
	at  time.Time
	err error
}

// damaged reports whether the reason is damage, which trying again does not
// mend, and waiting must not: a record that is being put back from a backup is
// not to be opened meanwhile.
func (s *stopped) damaged() bool {
	_, corrupt := errors.AsType[*ledger.CorruptError](s.err)
	_, unreadable := errors.AsType[*enroll.UnreadableError](s.err)
	return corrupt || unreadable
}

// present returns the school if its record is open, at work or not.
func (r *record) present() *school {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.school
}

// working returns the school if its record is at work.
func (r *record) working() *school {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.stopped != nil {
		return nil
	}
	return r.school
}

// why returns why the record is stopped; nil while it is at work.
func (r *record) why() *stopped {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.stopped
}

// refusal is why a command cannot be carried out while the record is stopped.
func (r *record) refusal() error {
	return fmt.Errorf("the record of %s is stopped: %w", r.name, r.why().err)
}

func (r *record) close() error {
	r.mu.Lock()
	s := r.school
	r.school = nil
	r.mu.Unlock()
	if s == nil {
		return nil
	}
	return s.ledger.Close()
}

// stop notes why nothing is recorded any more. The ledger stays open for
// reading.
func (r *record) stop(now time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped == nil {
		r.stopped = &stopped{at: now, err: err}
		return
	}
	r.stopped = &stopped{at: r.stopped.at, err: err} // still
}

// hurt notes damage in a record that is at work.
func (r *record) hurt(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.damage = err
}

// open opens a record, or notes why it cannot be.
func (c *collector) open(ctx context.Context, r *record) {
	if r.found == nil {
		return
	}
	c.reserve(r)
	s, err := c.openSchool(ctx, r)
	if err != nil {
		r.stop(c.clock.Now(), err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.school, r.stopped, r.refused, r.damage = s, nil, nil, nil
}

func (c *collector) openSchool(ctx context.Context, r *record) (_ *school, err error) {
	s, err := c.openLedger(r)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open %s: %w", r.name, err), s.ledger.Close())
		}
	}()
	s.roster, err = roster.Open(ctx, roster.Options{
		School: s.ID, Ledger: s.ledger, Verifier: s.verifier, Snapshot: s.SnapshotFile(), Log: c.log,
	})
	if err != nil {
		return nil, err
	}
	s.projection, err = projection.New(projection.Options{
		View: c.view, Baseline: c.baseline, Room: c.room, Clock: c.clock, Log: c.log,
		Schools: []projection.School{{ID: s.ID, Name: s.Name, Ledger: s.ledger, Verifier: s.verifier}},
	})
	if err != nil {
		return nil, err
	}
	s.decided.Store(s.ledger.Size())
	return s, s.cases(ctx, func(*restricted.Book) error { return nil })
}

// openLedger opens a school's ledger, and nothing else of it.
func (c *collector) openLedger(r *record) (_ *school, err error) {
	found := r.found
	defer func() {
		if err != nil {
			err = fmt.Errorf("open %s: %w", found.Name, err)
		}
	}()
	s := &school{School: found, rebuilds: make(chan chan<- error)}
	if s.verifier, err = found.Key.Verifier(); err != nil {
		return nil, err
	}
	signer, err := found.Key.Signer()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(found.LedgerDir()); c.aside && err != nil {
		return nil, err // nothing is made where nothing is written
	}
	s.ledger, err = ledger.Open(found.LedgerDir(), ledger.Options{
		School: string(found.ID), Signer: signer, Verifier: s.verifier.Note, Log: c.log, Aside: c.aside,
		Wrote: func(err error) { r.noted(c.clock.Now(), err) },
	})
	return s, err
}

// mendEvery is how long the collector waits before it opens a record again
// that failed, such as for want of room.
const mendEvery = time.Minute

// keep has a record do its work until ctx ends. When it fails it is stopped by
// itself: its devices keep what they have, and unless it is damaged it is
// opened again after a while.
func (c *collector) keep(ctx context.Context, r *record) {
	for ctx.Err() == nil {
		if s := r.working(); s != nil {
			err := s.work(ctx, func(ctx context.Context) error { return c.settle(ctx, r, s) })
			if ctx.Err() != nil {
				return
			}
			r.stop(c.clock.Now(), err)
			c.shut(r)
			c.log.Error("a school's record is stopped", "school", r.id, "name", r.name, "reason", err)
		}
		if r.why().damaged() {
			return
		}
		pause, stop := c.clock.After(mendEvery)
		select {
		case <-pause:
			c.mend(ctx, r)
		case <-ctx.Done():
		}
		stop()
	}
}

// mend closes a record that failed and opens it again.
func (c *collector) mend(ctx context.Context, r *record) {
	if err := r.close(); err != nil {
		c.log.Warn("a record that failed was not closed in order", "school", r.id, "error", err)
	}
	c.open(ctx, r)
	if s := r.working(); s != nil {
		c.admit(s)
		c.log.Info("a school's record is at work again", "school", r.id, "name", r.name)
	}
}

// admit opens the doors to a school's devices.
func (c *collector) admit(s *school) {
	c.desks.Put(enroll.Desk{School: s.School, Roster: s.roster, Ledger: s, Assets: registered{c, s}})
	c.door.Put(intake.School{
		ID: s.ID, Authority: s.Authority, Roster: s.roster, Ledger: s.ledger, Still: s.Still,
		Renumber: func(ctx context.Context, id posture.DeviceID, has uint64) error { return c.renumber(ctx, s, id, has) },
	})
}

// shut has a school's devices told to come again, and to keep what they have.
func (c *collector) shut(r *record) {
	if r.found == nil {
		return // without its keys nobody can be told anything
	}
	const words = "the school's record cannot be written at present: try again later; nothing is lost"
	c.desks.Put(enroll.Desk{School: r.found, Shut: words})
	c.door.Put(intake.School{ID: r.id, Authority: r.found.Authority, Shut: words})
}

// work has the school's parts follow its ledger, beside what else is to be done
// for it, until ctx ends or one of them fails.
func (s *school) work(ctx context.Context, beside func(context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return beside(ctx) })
	g.Go(func() error { return s.roster.Run(ctx) })
	g.Go(func() error {
		if err := s.ledger.Wait(ctx); err != nil {
			return fmt.Errorf("record for %s: %w", s.Name, err)
		}
		return nil
	})
	g.Go(func() error { return s.follow(ctx) })
	err := g.Wait()
	s.projection.Abandon()
	return err
}

// follow keeps the school's view up to date until ctx ends, and makes it anew
// when it is asked to.
func (s *school) follow(ctx context.Context) error {
	for {
		running, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- s.projection.Run(running) }()
		select {
		case err := <-ended:
			stop()
			return err
		case answer := <-s.rebuilds:
			stop()
			answer <- errors.Join(<-ended, s.projection.Rebuild(ctx))
		}
	}
}

// rebuild makes the school's view anew: by the goroutine that follows its
// ledger, if there is one.
func (s *school) rebuild(ctx context.Context, followed bool) error {
	if !followed {
		return s.projection.Rebuild(ctx)
	}
	answer := make(chan error, 1)
	select {
	case s.rebuilds <- answer:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// noted notes how an attempt to record something ended.
func (r *record) noted(now time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.refused = nil
		if r.reserve != nil && r.reserve.Waiting() > 0 {
			select {
			case r.written <- struct{}{}:
			default: // it is known already
			}
		}
	case r.refused == nil:
		r.refused = &stopped{at: now, err: err}
	default:
		r.refused = &stopped{at: r.refused.at, err: err}
	}
}
