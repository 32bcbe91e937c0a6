package projection

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/caretaker-school/caretaker/collector/ledger"
)

// The door has precedence. Laptops wait to be told that their reports are
// recorded, and forget them then; a page can wait a little. So while entries
// keep coming in numbers the view is not folded, until patience is over: then
// everything is folded that was recorded by that moment, at full speed. A lone
// report is shown at once.
//
// The view is therefore never further behind than patience and the time it
// takes to fold what came in meanwhile, and Progress says how far. Who has
// decided something waits to see it (Await): for them it does not give way.
const (
	// calm is how many entries may wait, or come within a pause, without the
	// door counting as busy.
	calm = 64
	// pause is how long the projection gives way before it looks again.
	pause = 250 * time.Millisecond
	// patience is for how long an entry waits at most because of the door.
	patience = 10 * time.Second
	// rest is after how long without an entry what is kept of devices is
	// dropped.
	rest = time.Minute
)

// follow folds in what the ledger holds and what is appended, until ctx ends or
// something fails.
func (f *folder) follow(ctx context.Context) error {
	if err := f.catchUp(ctx); err != nil {
		return err
	}
	waiting := f.clock.Now() // since when the first entry that is not folded in may have waited
	for {
		folded, err := f.view.Next(f.school.ID)
		if err != nil {
			return err
		}
		if f.school.Ledger.Size() == folded {
			if err := f.await(ctx, folded); err != nil {
				return err
			}
			waiting = f.clock.Now()
		}
		if err := f.giveWay(ctx, folded, waiting); err != nil {
			return err
		}
		waiting = f.clock.Now()
		if err := f.foldTo(ctx, f.school.Ledger.Size()); err != nil {
			return err
		}
		f.came.waits(waiting)
	}
}

// giveWay waits while the door is busy, unless somebody waits for what is not
// folded in.
func (f *folder) giveWay(ctx context.Context, folded uint64, waiting time.Time) error {
	size := f.school.Ledger.Size()
	for came := size - folded; came > calm; {
		now := f.clock.Now()
		f.came.to(folded, size, now)
		hurried, news := f.came.hurried()
		if hurried || now.Sub(waiting) >= patience {
			return nil
		}
		tick, stop := f.clock.After(pause)
		select {
		case <-tick:
		case <-news:
		case <-ctx.Done():
		}
		stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		before := size
		size = f.school.Ledger.Size()
		came = size - before
	}
	return nil
}

// await waits for an entry that is not folded in. After a while nothing is kept
// of devices any more: memory is for bursts.
func (f *folder) await(ctx context.Context, folded uint64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	there := make(chan error, 1)
	go func() { there <- f.listen(ctx, folded) }()
	idle, stop := f.clock.After(rest)
	defer stop()
	select {
	case err := <-there:
		return err
	case <-idle:
		f.memories.clear()
		return <-there
	}
}

func (f *folder) listen(ctx context.Context, folded uint64) error {
	for _, err := range f.school.Ledger.Follow(ctx, ledger.Index(folded)) {
		if _, damaged := errors.AsType[*ledger.CorruptError](err); damaged {
			return nil // it is there, and looked at as it is folded in
		}
		return err
	}
	return ctx.Err()
}

// catchUp folds in everything that the ledger holds.
func (f *folder) catchUp(ctx context.Context) error { return f.foldTo(ctx, math.MaxUint64) }

// foldTo folds in the entries before an index, or all if there are less, and
// notes what it ended with.
func (f *folder) foldTo(ctx context.Context, end uint64) error {
	err := f.foldSteps(ctx, end)
	if ctx.Err() == nil {
		f.came.stop(err)
	}
	return err
}

func (f *folder) foldSteps(ctx context.Context, end uint64) error {
	if err := f.room(); err != nil {
		return err
	}
	if err := f.introduce(); err != nil {
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
		if f.came.by() >= end {
			return nil
		}
	}
}

// introduce writes what does not come from the ledger, once.
func (f *folder) introduce() error {
	if f.introduced {
		return nil
	}
	err := f.view.Update(f.school.ID, f.prelude)
	if err != nil {
		return err
	}
	f.introduced = true
	f.came.introduced()
	return nil
}
