package update

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/publisher"
)

// ErrPlaced means that a new version is placed: whoever runs this program is to end
// it, and the service manager starts the new one.
var ErrPlaced = errors.New("a new version is placed, and starts when this one has ended")

// ErrBusy means that the collector gives to others at the moment.
var ErrBusy = errors.New("the collector has no room for this now")

// Source is where releases come from: the collector. Nothing that it says is
// believed.
type Source interface {
	// Release returns the metadata of what is offered, with roots after the one of
	// the number; ok is false if nothing is offered.
	Release(ctx context.Context, root uint64) (m publisher.Metadata, ok bool, err error)
	// Part returns a part of the program of a version for a system, from an offset
	// on.
	Part(ctx context.Context, version, system string, offset uint64) ([]byte, error)
}

// Offer says that something may be offered.
type Offer struct {
	Version string        // as the collector says
	Within  time.Duration // in which the laptops that are offered it are to come
}

// Config is what an updater needs. All fields are required.
type Config struct {
	Folder    Folder
	Installed Installed // of this program, whichever it is
	Source    Source
	Offered   <-chan Offer
	Clock     clock.Clock
	// Now returns the time by which the publisher's word must not have expired.
	Now func() time.Time
	Log *slog.Logger
	// Tell is told why an attempt ended without a new version; "" before each.
	Tell func(trouble string)
}

// How long an updater waits after an attempt that failed, and while others are
// given theirs.
const (
	firstPause   = time.Minute
	longestPause = 4 * time.Hour
	busyPause    = 10 * time.Second
	// longestWithin bounds for how long the collector may have it wait.
	longestWithin = 24 * time.Hour
)

// Able says why this program takes no releases; "" if it does.
func (i Installed) Able() string {
	switch {
	case i.System == "":
		return "the service takes new versions, and this is not it"
	case i.Root == nil:
		return publisher.ErrNoRoot.Error()
	case !publisher.IsVersion(i.Version):
		return fmt.Sprintf("this program was built by hand (%s), and nothing follows it", i.Version)
	}
	return ""
}

// Run takes what is offered until ctx ends or a new version is placed, which is
// ErrPlaced. Whatever goes wrong with a release, nothing else stops for it.
func Run(ctx context.Context, c Config) error {
	if why := c.Installed.Able(); why != "" {
		c.Log.Info("this program does not update itself", "reason", why)
		<-ctx.Done()
		return nil
	}
	u := &updater{Config: c}
	for {
		select {
		case <-ctx.Done():
			return nil
		case o := <-c.Offered:
			if !publisher.Newer(o.Version, c.Installed.Version) {
				continue
			}
			// Anywhere in the time, so that a school's line is not filled.
			if !u.rest(ctx, rand.N(min(max(o.Within, 0), longestWithin)+1)) {
				return nil
			}
			if err := u.attempts(ctx); err != nil || ctx.Err() != nil {
				return err
			}
		}
	}
}

type updater struct{ Config }

// rest waits, and returns false if ctx ended.
func (u *updater) rest(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	over, stop := u.Clock.After(d)
	defer stop()
	select {
	case <-over:
		return true
	case <-ctx.Done():
		return false
	}
}

// attempts tries to take what is offered until it is placed, or not offered any
// more, or refused for good.
func (u *updater) attempts(ctx context.Context) error {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		u.Tell("")
		again, err := u.attempt(ctx)
		if errors.Is(err, ErrPlaced) || ctx.Err() != nil {
			return err
		}
		if err == nil {
			return nil
		}
		u.Log.Warn("a new version is not taken; this one goes on", "reason", err, "again", again)
		u.Tell(err.Error())
		// Anywhere from half to all of it: laptops that failed together do not
		// come back together.
		if !again || !u.rest(ctx, pause/2+rand.N(pause/2+1)) {
			return nil
		}
	}
}

// attempt tries once. again says whether it is worth trying the same again; if it
// is not, the collector's next word is waited for.
func (u *updater) attempt(ctx context.Context) (again bool, err error) {
	var held publisher.Metadata
	if _, err := u.Folder.load(&held, heldFile); err != nil {
		// What was seen is not known any more. The version still has to rise.
		u.Log.Warn("what the publisher signed before cannot be read and begins anew", "reason", err)
		held = publisher.Metadata{}
	}
	root, err := publisher.RootVersion(u.Installed.Root, held)
	if err != nil {
		return false, err
	}
	m, ok, err := u.Source.Release(ctx, uint64(root))
	if err != nil {
		return true, fmt.Errorf("ask for the release that is offered: %w", err)
	}
	if !ok {
		return false, nil
	}
	r, taken, err := publisher.Check(u.Installed.Root, held, m, u.Now())
	if err != nil {
		return false, err
	}
	if err := u.Folder.make(); err != nil {
		return true, err
	}
	if err := u.Folder.save(taken, heldFile); err != nil {
		return true, err
	}
	p, ok := r.Program(u.Installed.System)
	switch {
	case !publisher.Newer(r.Version, u.Installed.Version):
		return false, nil
	case !ok:
		return false, fmt.Errorf("%s has no program for this system (%s)", r.Version, u.Installed.System)
	}
	rec, err := u.Folder.record()
	if err != nil {
		u.Log.Warn("which versions were tried cannot be read and begins anew", "reason", err)
		if err := u.Folder.save(record{}, recordFile); err != nil {
			return true, err
		}
	}
	if rec.Trial != nil && rec.Trial.Version == u.Installed.Version {
		return true, errors.New("this version is on trial itself: the next is taken after that")
	}
	if why := rec.mayTry(r.Version, u.Clock.Now()); why != "" {
		return false, errors.New(why)
	}
	if err := u.fetch(ctx, r.Version, p); err != nil {
		return true, err
	}
	if err := u.Folder.place(r.Version, p, taken); err != nil {
		return true, err
	}
	err = u.Folder.change(func(rec *record) bool {
		rec.Trial = &trial{Version: r.Version}
		return true
	})
	if err != nil {
		return true, err
	}
	u.Log.Info("a new version is placed and starts on trial", "version", r.Version)
	return false, ErrPlaced
}
