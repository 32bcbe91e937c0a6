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
	"runtime"
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
	// Read returns one entry.
	Read(ctx context.Context, i ledger.Index) (ledger.Record, error)
	// Section returns the nth section of an entry.
	Section(ctx context.Context, r ledger.Record, n int) (proof.Section, error)
	// Body returns the body of the nth section of the entry at an index.
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
	Workers  int            // that examine reports at the same time; 0: as many as there are cores, up to 4
	Memory   int            // bytes for what is kept of devices between their reports, about; 0: 8 MiB
	Room     func() error   // why nothing can be written to the view now; nil: it always can
	Clock    clock.Clock    // to wait, and to say since when the view is behind; never to judge
	Log      *slog.Logger   // nil discards
}

// mostWorkers is how many examine reports by themselves at most: what they find
// is applied by one.
const mostWorkers = 4

// usualMemory is enough for the devices of a school of a thousand.
const usualMemory = 8 << 20

// Projection folds the ledgers of schools into a view.
type Projection struct {
	view     *view.View
	clock    clock.Clock
	log      *slog.Logger
	baseline *prepared
	workers  int
	folders  []*folder
}

// New makes a projection. It writes nothing yet.
func New(o Options) (*Projection, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Workers == 0 {
		o.Workers = min(runtime.GOMAXPROCS(0), mostWorkers)
	}
	if o.Memory == 0 {
		o.Memory = usualMemory
	}
	if o.Room == nil {
		o.Room = func() error { return nil }
	}
	baseline, err := prepare(o.Baseline)
	if err != nil {
		return nil, fmt.Errorf("prepare the baseline: %w", err)
	}
	p := &Projection{view: o.View, clock: o.Clock, log: o.Log, baseline: baseline, workers: o.Workers}
	for _, s := range o.Schools {
		f := &folder{
			school: s, view: o.View, room: o.Room, clock: o.Clock, log: o.Log.With("school", s.ID),
			policies: map[uint64]*prepared{0: baseline}, memories: newMemories(o.Memory / max(1, len(o.Schools))), workers: o.Workers, noted: map[uint64]bool{},
		}
		folded, err := o.View.Next(s.ID)
		if err != nil {
			return nil, err
		}
		f.came.to(folded, s.Ledger.Size(), o.Clock.Now())
		if err := f.damageNow(); err != nil {
			return nil, err
		}
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
	f.introduced = false
	f.memories.clear()
	f.permissions = nil
	f.left = left{}
	clear(f.noted)
	f.policies = map[uint64]*prepared{0: f.policies[0]}
	f.came.anew()
	if err := f.view.Clear(f.school.ID); err != nil {
		return err
	}
	f.came.to(0, f.school.Ledger.Size(), f.clock.Now())
	f.came.lack(view.Damage{})
	return nil
}

// prelude writes what does not come from the ledger.
func (f *folder) prelude(tx *view.Tx) error {
	if err := tx.PutSchool(f.school.Name); err != nil {
		return err
	}
	return tx.PutPolicy(f.policies[0].words)
}

// moment returns the time of milliseconds since 1970; 0 is the zero time.
func moment(ms uint64) time.Time {
	if ms == 0 || ms > 1<<62 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}
