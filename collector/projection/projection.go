// Package projection follows each school's ledger and folds its entries into
// the view: rows, running totals and cursor in one transaction.
//
// Folding is a pure function of the entries and their order: following the
// ledger live, in whatever steps, and folding it again from the start give the
// same view to the byte. Time comes from entries alone; the package never asks
// a clock what to make of one. It serves nobody, decides nothing, and is never
// the only home of a fact: what it adds to what devices reported (the school's
// own rules, the second judgement of every report) can be made again.
package projection

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Source is the part of a ledger that the projection needs.
type Source interface {
	// Size returns the number of entries.
	Size() uint64
	// Entries yields the entries from first to before end.
	Entries(ctx context.Context, first, end ledger.Index) iter.Seq2[ledger.Record, error]
	// Follow yields the entries from first on and waits for more until ctx ends.
	Follow(ctx context.Context, first ledger.Index) iter.Seq2[ledger.Record, error]
	// Body returns the body of the nth section of an entry.
	Body(ctx context.Context, i ledger.Index, n int) ([]byte, error)
}

// School is a school whose ledger is followed.
type School struct {
	ID       posture.SchoolID
	Name     string
	Ledger   Source
	Verifier identity.SchoolVerifier // of the school's policies and assignments
}

// Options configures a projection. View, Schools and Baseline are required.
type Options struct {
	View     *view.View
	Schools  []School
	Baseline *policy.Policy // policy 0, as built into agents and collector
	Room     func() error   // why nothing can be written to the view now; nil: it always can
	Clock    clock.Clock    // to wait, and to say since when the view is behind; never to judge
	Log      *slog.Logger   // nil discards
}

// Projection folds the ledgers of schools into a view.
type Projection struct {
	view    *view.View
	clock   clock.Clock
	log     *slog.Logger
	folders []*folder
}

// New makes a projection. It writes nothing yet.
func New(o Options) (*Projection, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Room == nil {
		o.Room = func() error { return nil }
	}
	baseline, err := prepare(o.Baseline)
	if err != nil {
		return nil, fmt.Errorf("prepare the baseline: %w", err)
	}
	p := &Projection{view: o.View, clock: o.Clock, log: o.Log}
	for _, s := range o.Schools {
		f := &folder{
			school: s, view: o.View, room: o.Room, clock: o.Clock, log: o.Log.With("school", s.ID),
			policies: map[uint64]*prepared{0: baseline},
		}
		folded, err := o.View.Next(s.ID)
		if err != nil {
			return nil, err
		}
		f.came.to(folded, s.Ledger.Size(), o.Clock.Now())
		p.folders = append(p.folders, f)
	}
	return p, nil
}

// retryAfter is how long the projection waits after a failure: it is the only
// one that fills the view, so it never gives up. What stays wrong is said again
// after repeatAfter.
const (
	retryAfter  = 10 * time.Second
	repeatAfter = time.Hour
)

// Run follows every school's ledger until ctx ends, and returns nil then.
func (p *Projection) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, f := range p.folders {
		g.Go(func() error {
			var said string
			var saidAt time.Time
			for {
				err := f.follow(ctx)
				if ctx.Err() != nil {
					return nil //nolint:nilerr // it was told to stop
				}
				f.came.stop(err)
				if errors.Is(err, ledger.ErrClosed) {
					return fmt.Errorf("follow the ledger of school %s: %w", f.school.ID, err)
				}
				if now := p.clock.Now(); err.Error() != said || now.Sub(saidAt) >= repeatAfter {
					f.log.Error("the view could not be brought up to date; trying again", "error", err)
					said, saidAt = err.Error(), now
				}
				wait, stop := p.clock.After(retryAfter)
				select {
				case <-wait:
				case <-ctx.Done():
				}
				stop()
			}
		})
	}
	return g.Wait()
}

// CatchUp folds in everything that the ledgers hold now, and returns. It must
// not run beside Run.
func (p *Projection) CatchUp(ctx context.Context) error {
	for _, f := range p.folders {
		if err := f.catchUp(ctx); err != nil {
			return fmt.Errorf("bring the view of school %s up to date: %w", f.school.ID, err)
		}
	}
	return nil
}

// Rebuild throws every school's rows away and folds its ledger again. It must
// not run beside Run.
func (p *Projection) Rebuild(ctx context.Context) error {
	for _, f := range p.folders {
		if err := f.room(); err != nil {
			return err
		}
		if err := f.startAgain(); err != nil {
			return err
		}
	}
	return p.CatchUp(ctx)
}

// startAgain throws a school's rows away. What was forgotten by now is
// forgotten for what is then folded.
func (f *folder) startAgain() error {
	f.begun, f.purged = true, f.school.Ledger.Size()
	if err := f.view.Clear(f.school.ID); err != nil {
		return err
	}
	f.came.to(0, f.school.Ledger.Size(), f.clock.Now())
	return nil
}

// batch is how many entries are folded in one transaction at most.
const batch = 512

func (f *folder) follow(ctx context.Context) error {
	for {
		if err := f.catchUp(ctx); err != nil {
			return err
		}
		next, err := f.view.Next(f.school.ID)
		if err != nil {
			return err
		}
		for _, err := range f.school.Ledger.Follow(ctx, ledger.Index(next)) {
			if err != nil {
				return err
			}
			break // there is something to fold in
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// catchUp folds in everything that the ledger holds, and notes what it ended
// with.
func (f *folder) catchUp(ctx context.Context) error {
	err := f.foldAll(ctx)
	if ctx.Err() == nil {
		f.came.stop(err)
	}
	return err
}

func (f *folder) foldAll(ctx context.Context) error {
	if err := f.room(); err != nil {
		return err
	}
	if err := f.view.Update(f.school.ID, f.prelude); err != nil {
		return err
	}
	for {
		if err := f.room(); err != nil {
			return err
		}
		more, err := f.step(ctx, batch)
		if err != nil || !more {
			return err
		}
	}
}

// prelude writes what does not come from the ledger.
func (f *folder) prelude(tx *view.Tx) error {
	if err := tx.PutSchool(f.school.Name); err != nil {
		return err
	}
	return tx.PutPolicy(f.policies[0].words)
}

// step folds up to most entries in, and reports whether there may be more.
//
// A purge ends it: the rows were made of what is now forgotten, and must hold
// nothing of it. They are thrown away and made again, as a rebuild makes them.
func (f *folder) step(ctx context.Context, most uint64) (more bool, err error) {
	forgotten := false
	var next uint64
	err = f.view.Update(f.school.ID, func(tx *view.Tx) error {
		first := tx.Next()
		f.begin(first)
		next = first
		end := min(f.school.Ledger.Size(), first+most)
		if first >= end {
			return nil
		}
		records := make([]ledger.Record, 0, end-first)
		var latest uint64
		for r, err := range f.school.Ledger.Entries(ctx, ledger.Index(first), ledger.Index(end)) {
			if err != nil {
				return fmt.Errorf("read entry: %w", err)
			}
			if r.Envelope.Kind == proof.KindPurge && uint64(r.Index) >= f.purged {
				forgotten = true
				return nil
			}
			records = append(records, r)
			latest = max(latest, r.Envelope.ReceivedAt)
		}
		if err := tx.Advance(moment(latest)); err != nil {
			return err
		}
		for _, r := range records {
			if err := f.fold(ctx, tx, r); err != nil {
				return fmt.Errorf("fold in entry %d, a %s: %w", r.Index, r.Envelope.Kind, err)
			}
			next = uint64(r.Index) + 1
			tx.SetNext(next)
			if tx.Full() {
				break
			}
		}
		more = true
		return nil
	})
	if err != nil {
		return false, err
	}
	f.came.to(next, f.school.Ledger.Size(), f.clock.Now())
	f.came.stop(nil)
	if !forgotten {
		return more, nil
	}
	f.log.Info("something was forgotten: the view is made again")
	if err := f.startAgain(); err != nil {
		return false, err
	}
	return true, f.view.Update(f.school.ID, f.prelude)
}

// begin notes, before the first entry that this process folds, which purges
// the rows know of.
func (f *folder) begin(first uint64) {
	if f.begun {
		return
	}
	f.begun, f.purged = true, first
	if first == 0 {
		f.purged = f.school.Ledger.Size()
	}
}

// moment returns the time of milliseconds since 1970; 0 is the zero time.
func moment(ms uint64) time.Time {
	if ms == 0 || ms > 1<<62 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}
