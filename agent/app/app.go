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
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/caretaker-school/caretaker/agent/assess"
	"github.com/caretaker-school/caretaker/agent/enroll"
	"github.com/caretaker-school/caretaker/agent/spool"
	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/agent/uplink"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/release"
)

// Config says how to run an agent. Only State and Log are required.
type Config struct {
	State string // folder
	Log   *slog.Logger

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
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)
}

// Run assesses this machine and reports until ctx ends.
func Run(ctx context.Context, c Config, clk clock.Clock) (err error) {
	unlock, err := durable.Lock(state{c.State}.path(lockFile))
	if err != nil {
		return fmt.Errorf("take the agent's state folder %s: %w", c.State, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	s, err := newService(c, clk)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.uplink.Run(ctx) })
	g.Go(func() error { return s.device.KeepCertificate(ctx, clk, c.Log) })
	if c.Replay == "" {
		g.Go(func() error { listen(ctx, s, "disks", system.Events, s.diskChanged); return nil })
		g.Go(func() error { listen(ctx, s, "programs", watchPrograms, s.programsChanged); return nil })
	}
	g.Go(func() error { return s.loop(ctx) })
	return g.Wait()
}

// service is the part that stays.
type service struct {
	clock    clock.Clock
	log      *slog.Logger
	state    state
	device   *enroll.Device
	spool    *spool.Spool
	inbox    *inbox
	uplink   *uplink.Uplink
	assessor assessor
	schedule *schedule
	position position
	boot     string
	booted   time.Time // by the clock, when it was made
	lastSaid time.Time // when the last statement was made
	looked   bool      // an assessment was made since the start
	disks    chan struct{}
	files    chan struct{}
}

func newService(c Config, clk clock.Clock) (*service, error) {
	s := &service{
		clock: clk, log: c.Log, state: state{c.State},
		disks: make(chan struct{}, 1), files: make(chan struct{}, 1),
	}
	var err error
	if s.device, err = enroll.Load(c.State, release.Built()); err != nil {
		return nil, err
	}
	tls, err := s.device.TLS()
	if err != nil {
		return nil, err
	}
	if s.spool, err = spool.Open(s.state.path(spoolFolder), spool.Options{Log: c.Log}); err != nil {
		return nil, err
	}
	if _, err := s.state.load(chainFile, &s.position); err != nil {
		return nil, err
	}
	s.inbox = &inbox{
		state: s.state, device: s.device, log: c.Log, now: clk.Now, wake: make(chan struct{}, 1),
		waiting: func() int { return s.spool.Stats().Waiting },
	}
	if s.inbox.terms, err = loadTerms(s.device); err != nil {
		return nil, err
	}
	if s.inbox.wit, err = s.state.witness(); err != nil {
		return nil, err
	}
	if _, err := s.state.load(statusFile, &s.inbox.run); err != nil {
		c.Log.Warn("the last status is unreadable and begins anew", "reason", err)
	}
	s.inbox.run.Connected, s.inbox.run.Policy = false, s.inbox.terms.number
	if err := s.readBoot(); err != nil {
		c.Log.Warn("the boot is not known", "reason", err)
	}
	if err := s.queuePending(); err != nil {
		return nil, err
	}
	s.assessor = assessor{children: processes{path: c.Program, before: c.Before, replay: c.Replay}, clock: clk, state: &s.state}
	s.schedule = newSchedule(assess.Every(), clk.Now(), rand.Float64)
	s.uplink = uplink.New(uplink.Config{
		Addresses: s.device.Addresses, TLS: tls, School: s.device.Verifier, Spool: s.spool,
		Hello: s.hello, Handler: s.inbox, Clock: clk, Log: c.Log,
	})
	return s, nil
}

// hello is what the agent says of itself when a stream opens.
func (s *service) hello() uplink.Hello {
	t := s.inbox.currentTerms()
	s.inbox.mu.Lock()
	acknowledged := max(s.inbox.acked.Sequence, s.inbox.run.Acknowledged)
	s.inbox.mu.Unlock()
	return uplink.Hello{
		Version: release.Version(), Policy: t.number, Assignment: t.assignment.Number,
		Boot: s.boot, Acknowledged: acknowledged,
	}
}

func (s *service) readBoot() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	boot, uptime, err := system.Boot(ctx, system.New("/"))
	if err != nil {
		return err
	}
	s.boot, s.booted = boot, s.clock.Now().Add(-uptime)
	return nil
}

// watchPrograms tells when a package manager has written its list.
func watchPrograms(ctx context.Context, tell func(struct{})) error {
	return system.Watch(ctx, []string{"/var/lib/dpkg/status", "/var/lib/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/rpmdb.sqlite"}, func() { tell(struct{}{}) })
}
