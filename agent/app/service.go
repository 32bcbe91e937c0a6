package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"time"

	"github.com/caretaker-school/caretaker/agent/assess"
	"github.com/caretaker-school/caretaker/agent/enroll"
	"github.com/caretaker-school/caretaker/agent/spool"
	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/agent/update"
	"github.com/caretaker-school/caretaker/agent/uplink"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/release"
)

// service is the part that stays.
type service struct {
	clock     clock.Clock
	log       *slog.Logger
	state     state
	device    *enroll.Device
	spool     *spool.Spool
	inbox     *inbox
	uplink    *uplink.Uplink
	assessor  assessor
	schedule  *schedule
	boot      func() (id string, uptime time.Duration, err error)
	installed update.Installed
	disks     chan struct{}
	files     chan struct{}
	// woken and reachable hold a token when the machine was woken: for the
	// loop, and for the uplink.
	woken     chan struct{}
	reachable chan struct{}

	// What follows belongs to the loop.

	position  position
	asked     wishes    // what others asked for and was not done yet
	lastSaid  time.Time // when the last statement was made
	looked    bool      // an assessment was made since the start
	restUntil time.Time // no assessment before this, because one failed
	asks      pace      // of what the collector asks for
	plugs     pace      // of looking because a disk came or went
	installs  pace      // of looking because a list of packages changed
}

func newService(c Config, clk clock.Clock) (*service, error) {
	now := wall(clk)
	s := &service{
		clock: clk, log: c.Log, state: state{c.State}, boot: booted(c, clk), installed: c.Installed,
		disks: make(chan struct{}, 1), files: make(chan struct{}, 1), woken: make(chan struct{}, 1), reachable: make(chan struct{}, 1),
		asks: newPace(3, 10*time.Minute), plugs: newPace(10, time.Minute), installs: newPace(2, 10*time.Minute),
		schedule: newSchedule(assess.Every(), now, rand.Float64),
	}
	if c.Replay != "" {
		s.asks = newPace(100, time.Second) // a recorded machine has no battery to spare
	}
	var err error
	if s.device, err = enroll.LoadWith(c.State, release.Built(), c.TPM); err != nil {
		return nil, err
	}
	routes := newRoutes(c.State, c.Log)
	s.device.Routes = routes
	tls, err := s.device.TLS()
	if err != nil {
		return nil, err
	}
	if s.spool, err = spool.Open(s.state.path(spoolFolder), spool.Options{Log: c.Log}); err != nil {
		return nil, err
	}
	s.inbox = newInbox(s)
	s.inbox.way = routes.Used
	if err := s.device.Usable(); err != nil {
		s.inbox.report(func(r *running) { r.Fault = err.Error() }) // whoever asks for its status reads why it does not run
		return nil, err
	}
	if err := s.loadPosition(); err != nil {
		return nil, err
	}
	s.position.Upkeep.begin(s.running(c))
	s.position.Upkeep.Key = s.device.Key.Place()
	if err := s.state.open(); err != nil {
		c.Log.Warn("only the service's own account can read its status", "reason", err)
	}
	if _, _, err := s.boot(); err != nil {
		c.Log.Warn("the boot is not known", "reason", err)
	}
	s.assessor = assessor{children: &processes{path: c.Program, before: c.Before, replay: c.Replay, log: c.Log}, state: &s.state}
	s.uplink = uplink.New(uplink.Config{
		Addresses: s.device.Addresses, TLS: tls, School: s.device.Verifier, Spool: s.spool,
		Hello: s.hello, Handler: s.inbox, Clock: clk, Log: c.Log, Again: s.reachable, Routes: routes,
	})
	return s, nil
}

// newInbox makes the inbox of what was stored. What cannot be read is not worth
// dying for: the collector gives the documents again, and the rest is known
// less well for a while.
func newInbox(s *service) *inbox {
	b := &inbox{
		state: s.state, device: s.device, log: s.log, now: s.clock.Now, wake: make(chan struct{}, 1), twice: make(chan struct{}, 1),
		waiting: func() int { return s.spool.Stats().Waiting }, boot: s.boot,
		offered: make(chan update.Offer, 1), reported: make(chan struct{}, 1),
	}
	if b.terms = loadTerms(s.device); b.terms.unread != nil {
		s.log.Error("nothing is judged until the school gives its assignment again", "reason", b.terms.unread)
	}
	for file, into := range map[string]any{witnessFile: &b.witness, statusFile: &b.run} {
		if _, err := s.state.load(file, into); err != nil {
			s.log.Warn("a file of the agent's state cannot be read and begins anew", "reason", err)
		}
	}
	b.run.Connected, b.run.Policy, b.run.Skew, b.run.Waits = false, b.terms.number, 0, ""
	b.run.Version, b.run.Update = s.version(), ""
	return b
}

// loadPosition reads where the chain of reports stands. If that cannot be
// read, or lies before what is known to have been said, it is put aside, and
// the chain goes on behind that: a number is never used for two reports.
func (s *service) loadPosition() error {
	found, err := s.state.load(chainFile, &s.position)
	known := max(s.spool.Stats().Last.Sequence, s.inbox.run.Acknowledged)
	if made := s.position.Chain.Sequence; err == nil && found && made < known && known-made <= farthest {
		err = fmt.Errorf("read the agent's state: %s: it ends with report %d, and there was a report %d", s.state.path(chainFile), made, known)
	}
	if err == nil && found {
		return nil
	}
	if err != nil {
		aside := s.state.path(chainFile + ".damaged")
		if renamed := os.Rename(s.state.path(chainFile), aside); renamed != nil {
			return errors.Join(err, fmt.Errorf("put it aside: %w", renamed))
		}
		s.log.Error("where the reports stand cannot be read; what came and went and was not reported is lost", "reason", err, "kept", aside)
	}
	s.position = position{Dropped: s.spool.Stats().Dropped}
	if err != nil || known > 0 {
		s.position.Upkeep.StateLostAt = wall(s.clock)
	}
	if known > 0 {
		s.position.Chain = s.position.Chain.Behind(known)
	}
	return nil
}

// hello is what the agent says of itself when a stream opens.
func (s *service) hello() uplink.Hello {
	t := s.inbox.currentTerms()
	s.inbox.mu.Lock()
	acknowledged := max(s.inbox.acked.Sequence, s.inbox.run.Acknowledged)
	s.inbox.mu.Unlock()
	boot, _, _ := s.boot() // an unknown boot is an empty one, and was told at the start
	h := uplink.Hello{
		Version: s.version(), Policy: t.number, Assignment: t.assignment.Number,
		Boot: boot, Acknowledged: acknowledged, Told: s.device.Told,
	}
	s.sayReleases(&h)
	return h
}

// booted returns a function that says which boot this is and how long ago it
// began, by a clock of the system's that nobody sets. In a scenario with a
// clock of its own, that clock goes on from the machine's uptime.
func booted(c Config, clk clock.Clock) func() (string, time.Duration, error) {
	read := func() (string, time.Duration, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return system.Boot(ctx, system.New("/"))
	}
	if c.Replay == "" {
		return read
	}
	id, uptime, err := read()
	steady := clk.Now
	if c, ok := clk.(interface{ Steady() time.Time }); ok {
		steady = c.Steady // a clock that can be set goes on all the same
	}
	began := steady().Add(-uptime)
	return func() (string, time.Duration, error) { return id, max(steady().Sub(began), 0), err }
}

// wall returns the time by the device's clock. Go's own count of time, which
// rests while the machine sleeps, is taken off: what was due in the night is
// due in the morning.
func wall(c clock.Clock) time.Time { return c.Now().Round(0) }
