package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caretaker-school/caretaker/shared/tools/faults/exchange"
)

// run is one run of rounds.
type run struct {
	agent, collector string // paths of the programs
	seed             uint64
	rounds           int
	faults           []string
	stop             time.Duration // how long a program is stopped
	every            int           // after how many rounds everything is looked at
	dir              string        // a folder of its own
	out              io.Writer     // of the progress

	x            *exchange.Exchange
	logs         map[string]*os.File
	acknowledged uint64
	atMoment     int // rounds whose moment came
}

// wrongError is what a run finds that must not be.
type wrongError struct{ wrong []string }

func (e *wrongError) Error() string { return strings.Join(e.wrong, "\n  ") }

// do runs all rounds. It returns in which round it ended early.
func (r *run) do(ctx context.Context) (number int, err error) {
	end, err := r.open(ctx)
	defer func() { err = errors.Join(err, end()) }()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	for number = 1; number <= r.rounds; number++ {
		p := plan(r.seed, number, r.faults)
		at := time.Now()
		came, err := r.round(ctx, p)
		if err == nil && (number%r.every == 0 || number == r.rounds) {
			err = r.whole(ctx, number < r.rounds)
		}
		if err != nil {
			return number, fmt.Errorf("%s, %s %s: %w", p.begin, p.fault, p.moment, err)
		}
		if came == "" {
			r.atMoment++
			came = p.moment.String()
		}
		left := time.Since(began) / time.Duration(number) * time.Duration(r.rounds-number)
		fmt.Fprintf(r.out, "faults: round %d of %d: %s, %s %s; report %d acknowledged; %.1f s, about %v to go\n",
			number, r.rounds, p.begin, p.fault, came, r.acknowledged, time.Since(at).Seconds(), left.Round(time.Second))
	}
	return r.rounds, nil
}

// open starts both programs. What it returns ends them, also after an error.
func (r *run) open(ctx context.Context) (end func() error, err error) {
	r.logs = map[string]*os.File{}
	unmount := func() error { return nil }
	end = func() error {
		var all []error
		if r.x != nil {
			all = append(all, r.x.Close())
		}
		for _, f := range r.logs {
			all = append(all, f.Close())
		}
		return errors.Join(append(all, unmount())...)
	}
	for _, name := range []string{"agent", "collector"} {
		if r.logs[name], err = os.OpenFile(filepath.Join(r.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
			return end, fmt.Errorf("keep what the programs say: %w", err)
		}
	}
	if slices.ContainsFunc(r.faults, func(n string) bool { return strings.HasPrefix(n, "full-disk") }) {
		if unmount, err = smallDisks(r.dir); err != nil {
			return end, err
		}
	}
	laptop, err := exchange.NewDressed(filepath.Join(r.dir, "laptop"), r.agent)
	if err != nil {
		return end, err
	}
	r.x, err = exchange.New(ctx, exchange.Options{
		Dir: r.dir, Agent: r.agent, Collector: r.collector, Laptop: laptop,
		Log: func(program string) io.Writer { return r.logs[program] },
	})
	return end, err
}

// round has the laptop report, lets its fault strike at its moment, and waits
// until all is acknowledged. It returns how the moment differed, if it did.
func (r *run) round(ctx context.Context, p round) (came string, err error) {
	if p.fault == "slow" {
		r.x.Network.Slow(p.delay)
		defer r.x.Network.Slow(0)
	}
	struck := make(chan error, 1)
	strike := sync.OnceFunc(func() { struck <- r.strike(p) })
	if err := r.prepare(ctx, p); err != nil {
		return "", err
	}
	leave := r.await(p.moment, strike)
	err = r.x.Talk(ctx)
	if err == nil {
		came, err = r.struck(ctx, p, struck, strike)
	}
	leave()
	if err == nil {
		err = r.mend(ctx, p)
	}
	if err != nil {
		return came, err
	}
	before, err := r.x.Status(ctx)
	if err != nil {
		return came, err
	}
	if r.acknowledged, err = r.x.Settle(ctx); err != nil {
		return came, err
	}
	return came, r.found(r.x.Recorded(ctx, max(before.Acknowledged, r.acknowledged)))
}

// prepare has the laptop as the round begins: without a running agent where one
// is to be started.
func (r *run) prepare(ctx context.Context, p round) error {
	switch p.begin {
	case started:
		return r.x.Agent().Terminate()
	case hoarded:
		return r.x.Hoard(ctx, hoard)
	}
	return nil
}

// struck waits until the fault has struck. If all is acknowledged and its
// moment did not come, it strikes then.
func (r *run) struck(ctx context.Context, p round, struck <-chan error, strike func()) (came string, err error) {
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case err := <-struck:
			return came, err
		case <-ctx.Done():
			return came, ctx.Err()
		case <-look.C:
		}
		if p.fault == "none" {
			came = "to see that all is good"
			strike()
			continue
		}
		if _, ok, err := r.x.Settled(ctx); err == nil && ok && came == "" {
			came = "when all was acknowledged"
			strike()
			if len(struck) == 0 { // its moment came meanwhile
				came = ""
			}
		}
	}
}

// found makes an error of what is wrong.
func (r *run) found(wrong []string, err error) error {
	if err == nil && len(wrong) > 0 {
		err = &wrongError{wrong}
	}
	return err
}

// whole looks at everything, and starts the collector again.
func (r *run) whole(ctx context.Context, again bool) error {
	err := r.found(r.x.Whole(ctx, r.acknowledged))
	if err == nil && again {
		err = r.x.StartCollector(ctx)
	}
	return err
}

// strike does what goes wrong.
func (r *run) strike(p round) error {
	switch p.fault {
	case "kill-agent":
		return r.x.Agent().Kill()
	case "kill-collector":
		return r.x.Collector().Kill()
	case "kill-both", "slow":
		return errors.Join(r.x.Collector().Kill(), r.x.Agent().Kill())
	case "stop-agent":
		return r.x.Agent().Freeze()
	case "stop-collector":
		return r.x.Collector().Freeze()
	case "cut":
		r.x.Network.Cut()
	case "full-disk-agent":
		return fill(r.x.State)
	case "full-disk-collector":
		return fill(r.x.Data)
	}
	return nil
}

// mend waits while the fault lasts and ends it.
func (r *run) mend(ctx context.Context, p round) error {
	switch p.fault {
	case "stop-agent":
		return errors.Join(pause(ctx, r.stop), r.x.Agent().Thaw())
	case "stop-collector":
		return errors.Join(pause(ctx, r.stop), r.x.Collector().Thaw())
	case "cut":
		err := pause(ctx, p.hold)
		r.x.Network.Mend("")
		return err
	case "full-disk-agent":
		return errors.Join(pause(ctx, p.hold), r.x.Agent().Kill(), free(r.x.State))
	case "full-disk-collector":
		return errors.Join(pause(ctx, p.hold), r.x.Collector().Kill(), free(r.x.Data))
	}
	return nil
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
