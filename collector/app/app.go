// Package app is the collector's parts list: it opens the data folder,
// connects the rooms, runs them until told to stop, and carries out the
// operations of the command line, in the running collector or without one.
//
// It decides nothing that a room could decide.
package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/caretaker-school/caretaker/collector/console"
	"github.com/caretaker-school/caretaker/collector/enroll"
	"github.com/caretaker-school/caretaker/collector/intake"
	"github.com/caretaker-school/caretaker/collector/web"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/release"
)

// Config says how to run a collector. Data, Agents, Web and Log are required.
type Config struct {
	Data   string // folder
	Agents string // address for laptops; port 0 chooses one
	Web    string // address for the pages; port 0 chooses one
	// Balancers are addresses and networks of load balancers before Agents that
	// say whom a connection is from, by the PROXY protocol, version 2.
	Balancers      []string
	WebCertificate string  // PEM file; pages beyond this machine need it, or ACME
	WebKey         string  // PEM file
	ACME           ACME    // has the pages' certificate asked for
	Checkpoints    string  // folder for a checkpoint of each school a day; "": none is given away
	Metrics        string  // address for figures, with a port alone on this machine; "": there are none
	MetricsToken   string  // file with what readers of figures show; needed beyond this machine
	TimeZone       string  // in which the pages show times; "": Europe/London
	Updates        Updates // how releases of the agent are handed on
	Log            *slog.Logger
	// Ready is called once both addresses are open: host:port for laptops, the
	// URL of the pages.
	Ready func(agents, web string)
	// Figures is called before that with the address of the figures, if there
	// is one and this is not nil.
	Figures func(address string)
}

// location is the zone in which the pages show times.
func (c Config) location() (*time.Location, error) {
	location, err := time.LoadLocation(cmp.Or(c.TimeZone, web.Zone))
	if err != nil {
		return nil, fmt.Errorf("show times in %s: %w", cmp.Or(c.TimeZone, web.Zone), err)
	}
	return location, nil
}

// Run takes in reports and serves the pages until ctx ends.
func Run(ctx context.Context, c Config, clk clock.Clock) (err error) {
	if err := c.checkCertificate(); err != nil {
		return err
	}
	balancers, err := intake.ParseBalancers(c.Balancers)
	if err != nil {
		return err
	}
	pages, err := web.Listen(ctx, c.Web, c.secure())
	if err != nil {
		return err
	}
	defer pages.Close()
	laptops, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Agents)
	if err != nil {
		return fmt.Errorf("listen for laptops: %w", err)
	}
	defer laptops.Close()
	col, err := c.openWhenFree(ctx, clk)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, col.Close()) }()
	if len(col.records) == 0 {
		c.Log.Warn("there is no school yet: make one with init --school NAME", "data", c.Data)
	}
	if err := col.writeServed(laptops.Addr().String()); err != nil {
		return err
	}
	if err := col.openReleases(c.Updates); err != nil {
		return err
	}
	col.givenTo = c.Checkpoints
	col.running, col.desks = true, enroll.NewService(nil, intakeName, clk, c.Log)
	col.door = intake.New(intake.Options{Name: intakeName, Desk: col.desks, Limits: col.limits(), Releases: handsOn{col}, ReportPage: col.reportPage, Balancers: balancers, Clock: clk, Log: c.Log})
	handler, err := col.pages(c, c.secure())
	if err != nil {
		return err
	}
	renewed, err := col.openCertificate(ctx, c, pages)
	if err != nil {
		return err
	}
	zone, err := c.location()
	if err != nil {
		return err
	}
	figures, err := col.figuresAt(ctx, c)
	if err != nil {
		return err
	}
	calls, err := console.Listen(ctx, c.Data)
	if err != nil {
		return err
	}
	defer collectInTime(room(), clk)()
	g, ctx := errgroup.WithContext(ctx)
	col.keepAll(ctx, g)
	g.Go(func() error { return trim(ctx, clk) })
	g.Go(func() error { return col.giveAway(ctx, c.Checkpoints) })
	g.Go(func() error { return col.retainDaily(ctx, zone) })
	g.Go(func() error { return col.notices.Run(ctx) })
	g.Go(func() error { return figures(ctx) })
	g.Go(func() error { return col.makeTrials(ctx) })
	g.Go(func() error { return col.door.Serve(ctx, laptops) })
	g.Go(func() error { return renewed(ctx) })
	g.Go(func() error { return web.Serve(ctx, col.over(pages), handler, c.Log) })
	g.Go(func() error { return console.Serve(ctx, calls, col.answer, c.Log) })
	if c.Ready != nil {
		c.Ready(laptops.Addr().String(), c.scheme()+"://"+pages.Addr().String()+"/")
	}
	return g.Wait()
}

// openWhenFree is open once no command works on the data folder by itself, which
// lasts a moment. A folder that another collector serves is refused at once.
func (c Config) openWhenFree(ctx context.Context, clk clock.Clock) (*collector, error) {
	for waited := time.Duration(0); ; waited += askAgain {
		col, err := open(ctx, c.Data, c.secure(), clk, c.Log)
		if !errors.Is(err, durable.ErrHeld) || waited >= startsWithin || console.Running(ctx, c.Data) {
			return col, err
		}
		if waited == 0 {
			c.Log.Info("another process works on the data folder; the collector starts once it is done", "data", c.Data)
		}
		if !rested(ctx) {
			return nil, err
		}
	}
}

// keepAll keeps every record until ctx ends, those of schools made later too.
func (c *collector) keepAll(ctx context.Context, g *errgroup.Group) {
	g.Go(func() error {
		<-ctx.Done()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.begin = nil
		return nil
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begin = func(r *record) {
		if s := r.working(); s != nil {
			c.admit(s)
		} else {
			c.shut(r)
		}
		g.Go(func() error {
			c.keep(ctx, r)
			return nil
		})
	}
	for _, r := range c.records {
		c.begin(r)
	}
}

// rebuild throws the view away and makes it again from the ledgers.
func (c *collector) rebuild(ctx context.Context) (RebuildAnswer, error) {
	a := RebuildAnswer{}
	for _, r := range c.all() {
		s := r.working()
		if s == nil {
			continue // what it showed is all there is
		}
		a.Schools++
		a.Entries += s.ledger.Size()
		if err := s.rebuild(ctx, c.running); err != nil {
			return a, err
		}
	}
	return a, nil
}

func (c *collector) pages(config Config, secure bool) (http.Handler, error) {
	location, err := config.location()
	if err != nil {
		return nil, err
	}
	c.notices.SetZone(location)
	pages, err := web.New(web.Config{
		Looks: c, Queries: queries{c.view.Queries(), c}, Records: c, Prover: c, Decider: c, Assessor: c, Incidents: c, Reports: c, Particulars: c, Updates: c, Subjects: c, Kept: c, Access: c.access, Clock: c.clock, Logger: config.Log, TLS: secure,
		Register: queries{c.view.Queries(), c}, RegisterKeeper: c, Saver: c.saved,
		Trends:   trender{c.view.Queries(), c},
		Desk:     desk{c},
		Policies: policyDesk{c}, Trusts: trustDesk{c}, Grouper: c, Location: location, Version: release.Version(), Concerns: c, Disputes: c, Admissions: c, Waiting: c, Restricted: confidant{c},
	})
	if err != nil {
		return nil, err
	}
	return c.doors(pages)
}

// intakeName names this collector in entries. There is one until several share
// an order of entries.
const intakeName = "collector-1"

// A collector holds its data folder before it can be asked anything, for as long
// as it takes to start; so does a command that works without one.
const (
	startsWithin = time.Minute // a school of 100,000 devices on a slow disk
	askAgain     = 100 * time.Millisecond
)

// Do carries out an operation of the command line and decodes its answer into
// answer: in the collector that runs on the data folder, which may be about to
// start, or, if none does, here.
func Do(ctx context.Context, data, operation string, arguments, answer any, clk clock.Clock) error {
	for waited := time.Duration(0); ; waited += askAgain {
		err := console.Call(ctx, data, operation, arguments, answer)
		if !errors.Is(err, console.ErrNotRunning) {
			return err
		}
		err = doHere(ctx, data, operation, arguments, answer, clk)
		if !errors.Is(err, durable.ErrHeld) || waited >= startsWithin || !rested(ctx) {
			return err
		}
	}
}

// rested waits a little for another process, by its time; false if ctx ended.
func rested(ctx context.Context) bool {
	again, stop := clock.System{}.After(askAgain)
	defer stop()
	select {
	case <-again:
		return true
	case <-ctx.Done():
		return false
	}
}

// doHere is Do where no collector runs.
func doHere(ctx context.Context, data, operation string, arguments, answer any, clk clock.Clock) error {
	body, err := json.Marshal(arguments)
	if err != nil {
		return fmt.Errorf("write the arguments of %s: %w", operation, err)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	here := alone
	if operation == "ledger.verify" {
		here = verifyAlone
	}
	result, err := here(ctx, data, operation, body, clk, log)
	if err != nil {
		return err
	}
	text, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("write the answer to %s: %w", operation, err)
	}
	return json.Unmarshal(text, answer)
}

// alone carries out an operation where no collector runs.
func alone(ctx context.Context, data, operation string, arguments json.RawMessage, clk clock.Clock, log *slog.Logger) (_ any, err error) {
	if operation == "init" {
		if err := os.MkdirAll(data, 0o700); err != nil {
			return nil, fmt.Errorf("make the data folder: %w", err)
		}
	}
	c, err := open(ctx, data, false, clk, log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if operation != "view.rebuild" {
		c.catchUp(ctx)
	}
	return c.answer(ctx, operation, arguments)
}

// catchUp brings the view of every school up to date. What stays behind is said
// and shown as it was.
func (c *collector) catchUp(ctx context.Context) {
	for _, r := range c.all() {
		s := r.working()
		if s == nil {
			continue
		}
		if err := s.projection.CatchUp(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("what is shown of a school is not up to date", "school", r.id, "name", r.name, "reason", err)
		}
	}
}

// verifyAlone verifies a ledger where no collector runs. It opens nothing else,
// and damage that keeps the ledger itself from opening is the answer. A folder
// that cannot be written, such as a copy on a medium, is only read.
func verifyAlone(ctx context.Context, data, _ string, arguments json.RawMessage, clk clock.Clock, log *slog.Logger) (_ any, err error) {
	c, err := take(data, true, clk, log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return with(arguments, func(a LedgerArguments) (LedgerReport, error) {
		r, err := c.record(a.School)
		if err != nil {
			return LedgerReport{}, err
		}
		if r.found == nil {
			return LedgerReport{}, r.refusal()
		}
		s, err := c.openLedger(r)
		if err != nil {
			r.stop(clk.Now(), err)
		} else {
			r.mu.Lock()
			r.school = s
			r.mu.Unlock()
		}
		a.School = string(r.id)
		return c.verify(ctx, a)
	})
}
