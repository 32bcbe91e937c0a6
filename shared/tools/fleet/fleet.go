package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/caretaker-school/caretaker/agent/enroll"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// fleet is laptops that share a process.
type fleet struct {
	dir      string // each laptop has a folder in it
	machines string // folder of recorded machines
	clock    clock.Clock
	log      *slog.Logger
	counts   counts

	mu      sync.Mutex    // guards changed
	changed chan struct{} // closed when a stream has been welcomed
}

func newFleet(dir, machines string, c clock.Clock, log *slog.Logger) *fleet {
	return &fleet{dir: dir, machines: machines, clock: c, log: log, changed: make(chan struct{})}
}

func (f *fleet) signal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.changed)
	f.changed = make(chan struct{})
}

// atOnce is how many laptops are enrolled or loaded at a time.
const atOnce = 32

// enrol makes laptops of the school out of the first n folders. Those that are
// enrolled already are left as they are. A token admits as many as its share,
// and a collector no more in a second than it will.
func (f *fleet) enrol(ctx context.Context, n int, tokens []string, perSecond float64) error {
	pace := rate.NewLimiter(rate.Limit(perSecond), 1)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i := range n {
		if err := pace.Wait(ctx); err != nil {
			return errors.Join(err, g.Wait())
		}
		g.Go(func() error {
			_, err := enroll.Enroll(ctx, enroll.Options{
				Token: tokens[i*len(tokens)/n], State: f.agentDir(i), Hostname: hostname(i), Platform: posture.Linux, Clock: f.clock,
			})
			if errors.Is(err, enroll.ErrEnrolled) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("laptop %s: %w", hostname(i), err)
			}
			return nil
		})
	}
	return g.Wait()
}

// openAll loads the first n laptops and gives each a recorded machine.
func (f *fleet) openAll(ctx context.Context, n int) ([]*agent, error) {
	agents := make([]*agent, n)
	var g errgroup.Group
	g.SetLimit(atOnce)
	for i := range n {
		g.Go(func() error {
			var err error
			if agents[i], err = f.open(i); err != nil {
				return fmt.Errorf("laptop %s: %w", hostname(i), err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	t, err := agents[0].terms()
	if err != nil {
		return nil, err
	}
	machines, err := recorded(ctx, f.machines, t, f.clock.Now())
	if err != nil {
		return nil, err
	}
	for i, a := range agents {
		a.machine = machines[i%len(machines)]
	}
	return agents, nil
}

// terms returns what the laptop is judged by: the same for all of a fleet.
func (a *agent) terms() (terms, error) {
	t := terms{mediaKey: a.device.MediaKey}
	body, _, err := a.device.Document(enroll.Assignment)
	if err != nil || body == nil {
		return t, err
	}
	var given policy.Assignment
	if err := json.Unmarshal(body, &given); err != nil {
		return t, fmt.Errorf("read the assignment of %s: %w", a.hostname, err)
	}
	t.assignment = given
	return t, nil
}

// closeAll ends every laptop's stream.
func closeAll(agents []*agent) error {
	var g errgroup.Group
	for _, a := range agents {
		g.Go(a.close)
	}
	return g.Wait()
}

// welcomed waits until n streams have been answered.
func (f *fleet) welcomed(ctx context.Context, n int) error {
	for {
		f.mu.Lock()
		changed := f.changed
		f.mu.Unlock()
		if f.counts.Welcomes.Load() >= int64(n) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for %d streams, of which %d were answered: %w", n, f.counts.Welcomes.Load(), ctx.Err())
		}
	}
}

// empty waits until everything that a laptop has said is acknowledged.
func (a *agent) empty(ctx context.Context) error {
	for a.sends.Stats().Waiting > 0 {
		select {
		case <-a.drained:
		case <-ctx.Done():
			return fmt.Errorf("wait until %s has sent everything: %d still wait: %w", a.hostname, a.sends.Stats().Waiting, ctx.Err())
		}
	}
	return nil
}

func allEmpty(ctx context.Context, agents []*agent) error {
	for _, a := range agents {
		if err := a.empty(ctx); err != nil {
			return err
		}
	}
	return nil
}

// burst has n laptops send reports, all at once, when all are connected, their
// reports lie in their spools and ready has returned. It calls over with how
// long it took from then to the last acknowledgement, before the laptops are
// closed.
func (f *fleet) burst(ctx context.Context, n, reports int, ready func() error, over func(took time.Duration) error) (err error) {
	agents, err := f.openAll(ctx, n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll(agents)) }()
	gate := make(chan struct{})
	release := sync.OnceFunc(func() { close(gate) })
	defer release()
	for _, a := range agents {
		a.gate = gate
	}
	if err := haveReports(ctx, agents, reports); err != nil {
		return err
	}
	for _, a := range agents {
		if err := a.connect(ctx); err != nil {
			return err
		}
	}
	if err := f.welcomed(ctx, n); err != nil {
		return err
	}
	if err := ready(); err != nil {
		return err
	}
	began := f.clock.Now()
	release()
	if err := allEmpty(ctx, agents); err != nil {
		return err
	}
	return over(f.clock.Now().Sub(began))
}

// haveReports gives each laptop so many reports that wait to be sent.
func haveReports(ctx context.Context, agents []*agent, reports int) error {
	var g errgroup.Group
	g.SetLimit(atOnce)
	for _, a := range agents {
		g.Go(func() error {
			for range reports {
				if err := a.do(ctx, found); err != nil {
					return err
				}
			}
			var err error
			a.sends, err = readAhead(a.spool)
			return err
		})
	}
	return g.Wait()
}

// comeBack has n laptops, each with reports that wait, connect one after the other
// within a time and send them, once ready has returned. It calls over with how long
// it took from then until the last of them had sent everything, before the laptops
// are closed.
func (f *fleet) comeBack(ctx context.Context, n, reports int, within time.Duration, ready func() error, over func(took time.Duration) error) (err error) {
	agents, err := f.openAll(ctx, n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll(agents)) }()
	if err := haveReports(ctx, agents, reports); err != nil {
		return err
	}
	if err := ready(); err != nil {
		return err
	}
	began := f.clock.Now()
	if err := f.connectWithin(ctx, ctx, agents, within); err != nil {
		return err
	}
	if err := f.welcomed(ctx, n); err != nil {
		return err
	}
	if err := allEmpty(ctx, agents); err != nil {
		return err
	}
	return over(f.clock.Now().Sub(began))
}

// connectWithin has laptops connect one after the other, evenly within a time. Their
// streams last until streams ends.
func (f *fleet) connectWithin(ctx, streams context.Context, agents []*agent, within time.Duration) error {
	began := f.clock.Now()
	for i, a := range agents {
		due := began.Add(within * time.Duration(i) / time.Duration(len(agents)))
		passed, stop := f.clock.After(due.Sub(f.clock.Now()))
		select {
		case <-passed:
		case <-ctx.Done():
			stop()
			return ctx.Err()
		}
		if err := a.connect(streams); err != nil {
			return err
		}
	}
	return nil
}

// idle connects n laptops, has each send its first report, calls connected
// and keeps the streams open until ctx ends.
func (f *fleet) idle(ctx context.Context, n int, within time.Duration, connected func() error) (err error) {
	agents, err := f.openAll(ctx, n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll(agents)) }()
	streams, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	for _, a := range agents {
		if a.memory.Chain.Sequence == 0 {
			if err := a.do(ctx, found); err != nil {
				return err
			}
		}
	}
	if err := f.connectWithin(ctx, streams, agents, within); err != nil {
		return err
	}
	if err := f.welcomed(ctx, n); err != nil {
		return err
	}
	if err := allEmpty(ctx, agents); err != nil {
		return err
	}
	if err := connected(); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// day has n laptops live one day of a profile.
func (f *fleet) day(ctx context.Context, n int, p profile, seed uint64, speed float64) (err error) {
	agents, err := f.openAll(ctx, n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll(agents)) }()
	began := f.clock.Now()
	g, ctx := errgroup.WithContext(ctx)
	for i, a := range agents {
		g.Go(func() error {
			if err := play(ctx, f.clock, began, speed, p.plan(i, seed), a.do); err != nil {
				return fmt.Errorf("laptop %s: %w", a.hostname, err)
			}
			return nil
		})
	}
	return g.Wait()
}
