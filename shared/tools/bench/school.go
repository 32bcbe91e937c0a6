package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/caretaker-school/caretaker/collector/enroll"
	"github.com/caretaker-school/caretaker/collector/intake"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/clock"
)

// school is a collector's folder with one school in it, and the address at
// which its laptops look for it.
type school struct {
	b       *bench
	dir     string // of everything
	data    string // the collector's
	fleet   string // the simulated laptops'
	address string
}

// newSchool makes one in an empty folder of that name. Its laptops' disks are
// in memory where there is such a place: they are not this machine's.
func (b *bench) newSchool(ctx context.Context, name string) (*school, error) {
	s := &school{b: b, dir: filepath.Join(b.dir, name)}
	s.data, s.fleet = filepath.Join(s.dir, "data"), filepath.Join(s.dir, "fleet")
	if err := errors.Join(os.RemoveAll(s.dir), os.MkdirAll(s.dir, 0o755)); err != nil {
		return nil, fmt.Errorf("make a school: %w", err)
	}
	if ram, err := os.MkdirTemp("/dev/shm", "caretaker-bench-"); err == nil {
		s.fleet = ram
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("find a free port: %w", err)
	}
	s.address = l.Addr().String()
	l.Close()
	// Made this morning, so that an enrolment can be later than its school.
	if _, err := enroll.CreateSchool(s.data, "Hollybank Primary School", time.Now().Add(-2*early)); err != nil {
		return nil, err
	}
	return s, nil
}

// remove takes everything away.
func (s *school) remove() error {
	return errors.Join(os.RemoveAll(s.fleet), os.RemoveAll(s.dir))
}

// token makes a token while no collector runs.
func (s *school) token(ctx context.Context, uses int) (string, error) {
	out, _, err := call(ctx, s.b.collector, "token", "create", "--data", s.data, "--uses", fmt.Sprint(uses), "--address", s.address)
	return strings.TrimSpace(out), err
}

// collect starts a collector on the school and returns when it is ready.
func (s *school) collect(ctx context.Context) (*program, error) {
	p, err := launch(ctx, s.dir, s.b.collector, "serve", "--data", s.data, "--agents", s.address, "--web", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	for {
		line, err := p.line()
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(line, "web ") {
			return p, nil
		}
	}
}

// run runs the fleet's command on the first n laptops of the school.
func (s *school) run(ctx context.Context, n int, command string, args ...string) (fleetAnswer, error) {
	var a fleetAnswer
	err := callJSON(ctx, &a, s.b.fleet, s.fleetArgs(n, command, args...)...)
	if err == nil {
		err = a.check()
	}
	return a, err
}

func (s *school) fleetArgs(n int, command string, args ...string) []string {
	return append([]string{command, "--dir", s.fleet, "--agents", fmt.Sprint(n), "--machines", s.b.machines}, args...)
}

// fleetAnswer is what the fleet prints.
type fleetAnswer struct {
	Reports int64   `json:"reports"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
	Ended   int64   `json:"ended"`
}

func (a fleetAnswer) check() error {
	if a.Ended > 0 {
		return fmt.Errorf("%d streams of the fleet ended that should not", a.Ended)
	}
	return nil
}

// hurried is a clock that runs faster than the machine's, so that a school can
// enrol thousands without waiting for the pace that a collector keeps.
type hurried struct {
	clock.System
	began time.Time
}

// hurry is how many times as fast; it starts as much earlier as is needed to
// stay in the past.
const (
	hurry = 30
	early = 3 * time.Hour
)

// Now implements clock.Clock.
func (c hurried) Now() time.Time { return c.began.Add(-early + hurry*time.Since(c.began)) }

// enrol makes n laptops devices of the school: by the collector's own rooms in
// this process, with a hurried clock, before the collector itself is started.
func (s *school) enrol(ctx context.Context, n int) error {
	token, err := s.token(ctx, n)
	if err != nil {
		return err
	}
	return s.serve(ctx, hurried{began: time.Now()}, func() error {
		_, err := s.run(ctx, n, "enroll", "--token", token, "--per-second", "400")
		return err
	})
}

// serve has the rooms of the collector that take in reports serve the school
// in this process, without the view, until do returns.
func (s *school) serve(ctx context.Context, c clock.Clock, do func() error) error {
	schools, err := enroll.LoadSchools(s.data)
	if err != nil {
		return err
	}
	own := schools[0]
	verifier, err := own.Key.Verifier()
	if err != nil {
		return err
	}
	signer, err := own.Key.Signer()
	if err != nil {
		return err
	}
	l, err := ledger.Open(own.LedgerDir(), ledger.Options{School: string(own.ID), Signer: signer, Verifier: verifier.Note})
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	r, err := roster.Open(ctx, roster.Options{School: own.ID, Ledger: l, Verifier: verifier, Snapshot: own.SnapshotFile(), Log: log})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	in := intake.New(intake.Options{
		Name: "bench", Schools: []intake.School{{ID: own.ID, Authority: own.Authority, Roster: r, Ledger: l}},
		Desk:   enroll.NewService([]enroll.Desk{{School: own, Roster: r, Ledger: l}}, "bench", c, log),
		Limits: intake.Limits{Handshake: hurry * time.Minute}, Clock: c, Log: log,
	})
	door, err := new(net.ListenConfig).Listen(ctx, "tcp", s.address)
	if err != nil {
		return errors.Join(fmt.Errorf("listen for the fleet: %w", err), l.Close())
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return in.Serve(ctx, door) })
	g.Go(func() error { return r.Run(ctx) })
	g.Go(func() error {
		defer stop()
		return do()
	})
	return errors.Join(g.Wait(), l.Close())
}
