// Package app is the agent's parts list: it opens the state folder, connects
// the rooms and runs them until told to stop.
//
// It keeps the order of things that must not be lost: a statement is stored
// before it is queued, and queued before the next is made. It judges nothing
// and reads nothing of the machine itself; children do.
package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"

	"golang.org/x/sync/errgroup"

	"github.com/caretaker-school/caretaker/agent/enroll"
	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/agent/tpm"
	"github.com/caretaker-school/caretaker/agent/update"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/durable"
)

// Config says how to run an agent. Only State and Log are required.
type Config struct {
	State string // folder
	Log   *slog.Logger
	// Woken receives when the machine was woken from sleep, where the system
	// tells; nil elsewhere.
	Woken <-chan struct{}
	// Installed is this program as releases know it. Its zero value takes none.
	Installed update.Installed

	// TPM is where the laptop's key may be kept; nil keeps a new one in a file.
	TPM *tpm.TPM

	// Program, Before and Replay say how children are started when this
	// process is not the agent's own binary, as in a scenario that runs both
	// programs in one process.
	Program string   // "" is this program
	Before  []string // arguments before the hidden subcommand
	Replay  string   // folder of a recorded machine to read instead of this one
}

// The part that stays keeps its memory small; what needs more is a child.
const (
	gcPercent   = 50
	memoryLimit = 24 * mebibyte
)

// KeepSmall makes the whole process prefer little memory to speed. It is for
// the program that stays, not for one that runs an agent beside other things.
func KeepSmall() {
	// It has little to do at a time, and two processors mostly wait for one
	// another: a fifth of its processor time.
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)
}

// Run assesses this machine and reports until ctx ends.
func Run(ctx context.Context, c Config, clk clock.Clock) (err error) {
	// Whoever may change the folder may make this machine say anything. On
	// Windows anybody may make one of that name before the agent does.
	if _, err := os.Stat(c.State); errors.Is(err, fs.ErrNotExist) {
		return enroll.ErrNotEnrolled
	}
	if err := durable.MakePrivate(c.State); err != nil {
		return fmt.Errorf("trust the agent's state folder: %w", err)
	}
	unlock, err := durable.Lock(state{c.State}.path(lockFile))
	if err != nil {
		return fmt.Errorf("take the agent's state folder %s: %w", c.State, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	defer ended(ctx, c)
	if err := enrolKept(ctx, c, clk); err != nil || ctx.Err() != nil {
		return err
	}
	for {
		// Who this machine is may change while it runs: it begins anew then.
		if err := serve(ctx, c, clk); !errors.Is(err, errWho) || ctx.Err() != nil {
			return err
		}
	}
}

// serve runs the service of a laptop that is a device of a school.
func serve(ctx context.Context, c Config, clk clock.Clock) error {
	asks, err := becomes(c)
	if err != nil {
		return err
	}
	s, err := newService(c, clk)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	if asks != nil {
		s.asking(ctx, c, *asks, g.Go)
		if c.Woken != nil {
			g.Go(func() error { s.wakeUp(ctx, c.Woken); return nil })
		}
		return g.Wait()
	}
	g.Go(func() error { return s.uplinks(ctx, c) })
	g.Go(func() error { return s.twiceTold(ctx, c) })
	g.Go(func() error { return s.device.KeepCertificate(ctx, clk, c.Log, s.renewed) })
	if c.Replay == "" {
		g.Go(func() error { listen(ctx, s, "disks", system.Events, s.diskChanged); return nil })
		g.Go(func() error { listen(ctx, s, "programs", watchPrograms, s.programsChanged); return nil })
	}
	if c.Woken != nil {
		g.Go(func() error { s.wakeUp(ctx, c.Woken); return nil })
	}
	g.Go(func() error { return s.loop(ctx) })
	s.followReleases(ctx, g, c)
	return g.Wait()
}

// renewed is told how an attempt to renew the certificate ended. A new one is
// worth trying at once.
func (s *service) renewed(err error) {
	waits := ""
	if errors.Is(err, enroll.ErrWaits) {
		waits = err.Error()
	}
	s.inbox.mu.Lock()
	was := s.inbox.run.Waits
	s.inbox.mu.Unlock()
	if waits != was {
		s.inbox.report(func(r *running) { r.Waits = waits })
	}
	if err == nil {
		signal(s.reachable)
	}
}

// wakeUp has both that wait, the loop and the uplink, look again when the
// machine was woken: their timers rested while it slept.
func (s *service) wakeUp(ctx context.Context, woken <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-woken:
			signal(s.woken)
			signal(s.reachable)
		}
	}
}

// watchPrograms tells when the system's lists of programs have changed.
func watchPrograms(ctx context.Context, tell func(struct{})) error {
	return system.Watch(ctx, programLists(), func() { tell(struct{}{}) })
}
