// Package app is the collector's parts list: it opens the data folder,
// connects the rooms, runs them until told to stop, and carries out the
// operations of the command line, in the running collector or without one.
//
// It decides nothing that a room could decide.
package app

import (
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
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/web"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/release"
)

// Config says how to run a collector. Data, Agents, Web and Log are required.
type Config struct {
	Data           string // folder
	Agents         string // address for laptops; port 0 chooses one
	Web            string // address for the pages; port 0 chooses one
	WebCertificate string // PEM file; needed for pages beyond this machine
	WebKey         string // PEM file
	TimeZone       string // in which the pages show times; "": Europe/London
	Log            *slog.Logger
	// Ready is called once both addresses are open: host:port for laptops, the
	// URL of the pages.
	Ready func(agents, web string)
}

// Run takes in reports and serves the pages until ctx ends.
func Run(ctx context.Context, c Config, clk clock.Clock) (err error) {
	pages, secure, err := web.Listen(ctx, c.Web, c.WebCertificate, c.WebKey)
	if err != nil {
		return err
	}
	defer pages.Close()
	laptops, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Agents)
	if err != nil {
		return fmt.Errorf("listen for laptops: %w", err)
	}
	defer laptops.Close()
	col, err := open(ctx, c.Data, secure, clk, c.Log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, col.Close()) }()
	if len(col.schools) == 0 {
		return fmt.Errorf("there is no school in %s yet: make one with init --school NAME", c.Data)
	}
	if err := col.writeServed(laptops.Addr().String()); err != nil {
		return err
	}
	col.running, col.door = true, col.intake()
	handler, err := col.pages(c, secure)
	if err != nil {
		return err
	}
	calls, err := console.Listen(ctx, c.Data)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, s := range col.schools {
		g.Go(func() error { return s.roster.Run(ctx) })
		g.Go(func() error {
			if err := s.ledger.Wait(ctx); err != nil {
				return fmt.Errorf("record for %s: %w", s.Name, err)
			}
			return nil
		})
	}
	g.Go(func() error { return col.follow(ctx) })
	g.Go(func() error { return col.door.Serve(ctx, laptops) })
	g.Go(func() error { return web.Serve(ctx, pages, handler, c.Log) })
	g.Go(func() error { return console.Serve(ctx, calls, col.do, c.Log) })
	if c.Ready != nil {
		scheme := "http"
		if secure {
			scheme = "https"
		}
		c.Ready(laptops.Addr().String(), scheme+"://"+pages.Addr().String()+"/")
	}
	return g.Wait()
}

// follow keeps the view up to date until ctx ends, and makes it anew when it
// is asked to.
func (c *collector) follow(ctx context.Context) error {
	for {
		running, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- c.projection.Run(running) }()
		select {
		case err := <-ended:
			stop()
			return err
		case answer := <-c.rebuilds:
			stop()
			answer <- errors.Join(<-ended, c.projection.Rebuild(ctx))
		}
	}
}

// rebuild throws the view away and makes it again from the ledgers.
func (c *collector) rebuild(ctx context.Context) (RebuildAnswer, error) {
	r := RebuildAnswer{Schools: len(c.schools)}
	for _, s := range c.schools {
		r.Entries += s.ledger.Size()
	}
	if !c.running {
		return r, c.projection.Rebuild(ctx)
	}
	answer := make(chan error, 1)
	select {
	case c.rebuilds <- answer:
	case <-ctx.Done():
		return r, ctx.Err()
	}
	select {
	case err := <-answer:
		return r, err
	case <-ctx.Done():
		return r, ctx.Err()
	}
}

func (c *collector) pages(config Config, secure bool) (http.Handler, error) {
	zone := config.TimeZone
	if zone == "" {
		zone = web.Zone
	}
	location, err := time.LoadLocation(zone)
	if err != nil {
		return nil, fmt.Errorf("show times in %s: %w", zone, err)
	}
	return web.New(web.Config{
		Queries: c.view.Queries(), Access: c.access, Clock: c.clock, Logger: config.Log, TLS: secure,
		Location: location, Version: release.Version(),
	})
}

// intake connects the schools to the door for laptops.
func (c *collector) intake() *intake.Intake {
	var schools []intake.School
	var desks []enroll.Desk
	for _, s := range c.schools {
		schools = append(schools, intake.School{ID: s.ID, Authority: s.Authority, Roster: s.roster, Ledger: s.ledger})
		desks = append(desks, enroll.Desk{School: s.School, Roster: s.roster, Ledger: s.ledger})
	}
	return intake.New(intake.Options{
		Name: intakeName, Schools: schools, Desk: enroll.NewService(desks, intakeName, c.clock, c.log), Clock: c.clock, Log: c.log,
	})
}

// intakeName names this collector in entries. There is one until several share
// an order of entries.
const intakeName = "collector-1"

// Do carries out an operation of the command line and decodes its answer into
// answer: in the collector that runs on the data folder or, if none does, here.
func Do(ctx context.Context, data, operation string, arguments, answer any, clk clock.Clock) (err error) {
	err = console.Call(ctx, data, operation, arguments, answer)
	if !errors.Is(err, console.ErrNotRunning) {
		return err
	}
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
		if err := c.projection.CatchUp(ctx); err != nil {
			return nil, err
		}
	}
	return c.do(ctx, operation, arguments)
}

// verifyAlone verifies a ledger where no collector runs. It opens nothing else,
// because a damaged ledger keeps everything else from opening, and damage that
// keeps the ledger itself from opening is the answer.
func verifyAlone(ctx context.Context, data, _ string, arguments json.RawMessage, clk clock.Clock, log *slog.Logger) (_ any, err error) {
	c, found, err := take(data, clk, log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return with(arguments, func(a LedgerArguments) (LedgerReport, error) {
		chosen, err := c.choose(found, a.School)
		if err != nil {
			return LedgerReport{}, err
		}
		_, err = c.openLedger(chosen)
		if _, damaged := errors.AsType[*ledger.CorruptError](err); damaged {
			return LedgerReport{School: chosen.ID, Trouble: err.Error()}, nil
		}
		if err != nil {
			return LedgerReport{}, err
		}
		a.School = string(chosen.ID)
		return c.verify(ctx, a)
	})
}
