// Fleet is the laptops of a school in one process, for measuring and for
// trying a collector out: each has its own key, certificate, chain of reports
// and spool, and speaks to the collector through the agent's own code. What
// the laptops are like comes from recorded machines, judged by the agent's own
// assessment.
//
// It reads nothing of the machine that it runs on, and it is no load test of
// anything but a collector: the laptops share one processor and one disk.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/shared/clock"
)

func main() {
	// Laptops do not share one heap: what it takes to clean up after all of
	// them at once is no laptop's work.
	debug.SetGCPercent(400)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

// options are the flags that every command has.
type options struct {
	dir, machines string
	agents        int
	patience      time.Duration
}

// answer is what a command prints, as one line of JSON.
type answer struct {
	Agents    int     `json:"agents"`
	Reports   int64   `json:"reports"`
	Contacts  int64   `json:"contacts"`
	Bytes     int64   `json:"bytes"` // of the two, as the stream carries them
	Seconds   float64 `json:"seconds"`
	Welcomes  int64   `json:"welcomes"`
	Ended     int64   `json:"ended"` // streams that ended otherwise than by the laptop
	SendFulls int64   `json:"sendFulls"`
}

func root() *cobra.Command {
	o := &options{}
	c := &cobra.Command{
		Use:           "fleet",
		Short:         "The laptops of a school in one process",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c.CompletionOptions.HiddenDefaultCmd = true
	f := c.PersistentFlags()
	f.StringVar(&o.dir, "dir", "", "folder of the laptops' state; on a RAM disk their disks cost nothing")
	f.StringVar(&o.machines, "machines", "shared/e2e/testdata/machines", "folder of recorded machines")
	f.IntVar(&o.agents, "agents", 100, "how many laptops")
	f.DurationVar(&o.patience, "patience", 10*time.Minute, "how long to wait for the collector; 0 for ever")
	c.AddCommand(enrollCommand(o), burstCommand(o), returnCommand(o), idleCommand(o), dayCommand(o), streamsCommand(o))
	return c
}

// run calls what a command does and prints what came of it.
func (o *options) run(c *cobra.Command, do func(context.Context, *fleet) (time.Duration, error)) error {
	return o.work(c, func(ctx context.Context, f *fleet) error {
		took, err := do(ctx, f)
		if err != nil {
			return err
		}
		return o.print(c, f, took)
	})
}

// work calls what a command does.
func (o *options) work(c *cobra.Command, do func(context.Context, *fleet) error) error {
	if o.dir == "" || o.agents < 1 {
		return fmt.Errorf("a fleet needs --dir and at least one of --agents")
	}
	ctx, cancel := c.Context(), context.CancelFunc(func() {})
	if o.patience > 0 {
		ctx, cancel = context.WithTimeout(ctx, o.patience)
	}
	defer cancel()
	return do(ctx, newFleet(o.dir, o.machines, clock.System{}, slog.New(slog.NewTextHandler(os.Stderr, nil))))
}

func (o *options) print(c *cobra.Command, f *fleet, took time.Duration) error {
	n := &f.counts
	return json.NewEncoder(c.OutOrStdout()).Encode(answer{
		Agents: o.agents, Reports: n.Reports.Load(), Contacts: n.Contacts.Load(), Bytes: n.Bytes.Load(), Seconds: took.Seconds(),
		Welcomes: n.Welcomes.Load(), Ended: n.Ended.Load(), SendFulls: n.SendFulls.Load(),
	})
}

func enrollCommand(o *options) *cobra.Command {
	var tokens []string
	var perSecond float64
	c := &cobra.Command{
		Use: "enroll", Short: "Make the laptops devices of the school that made the tokens", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return o.run(c, func(ctx context.Context, f *fleet) (time.Duration, error) {
				if len(tokens) == 0 {
					return 0, fmt.Errorf("enrolling needs a --token with as many uses as there are laptops")
				}
				began := f.clock.Now()
				err := f.enrol(ctx, o.agents, tokens, perSecond)
				return f.clock.Now().Sub(began), err
			})
		},
	}
	c.Flags().StringSliceVar(&tokens, "token", nil, "an enrolment token; may repeat, and each then admits its share")
	c.Flags().Float64Var(&perSecond, "per-second", 15, "how many to enrol in a second; a collector takes 50 with one token")
	return c
}

func burstCommand(o *options) *cobra.Command {
	var reports int
	var profile string
	var wait bool
	c := &cobra.Command{
		Use: "burst", Short: "Connect all, then have each send reports as fast as they are acknowledged", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return o.work(c, func(ctx context.Context, f *fleet) error {
				var p profiling
				return f.burst(ctx, o.agents, reports, func() error {
					if wait {
						if err := o.started(c, f); err != nil {
							return err
						}
					}
					return p.start(profile)
				}, func(took time.Duration) error { return errors.Join(p.stop(), o.print(c, f, took)) })
			})
		},
	}
	c.Flags().IntVar(&reports, "reports", 20, "reports of each laptop")
	c.Flags().BoolVar(&wait, "wait", false, "when all are connected and have their reports, print a line and wait for one on standard input")
	c.Flags().StringVar(&profile, "profile", "", "write what the processor does from then on to this file")
	return c
}

func returnCommand(o *options) *cobra.Command {
	var reports int
	var within time.Duration
	c := &cobra.Command{
		Use: "return", Short: "Give each reports that wait, then have them come back within a time and send them", Args: cobra.NoArgs,
		Long: "Return gives each laptop reports that wait, prints a line when they lie there, waits for one on standard input, and has the laptops come back.",
		RunE: func(c *cobra.Command, _ []string) error {
			return o.work(c, func(ctx context.Context, f *fleet) error {
				return f.comeBack(ctx, o.agents, reports, within, func() error { return o.started(c, f) },
					func(took time.Duration) error { return o.print(c, f, took) })
			})
		},
	}
	c.Flags().IntVar(&reports, "reports", 12, "reports of each laptop that wait")
	c.Flags().DurationVar(&within, "within", time.Minute, "how long it takes until all have come back")
	return c
}

// started prints a line and waits for the starting shot, a line too.
func (o *options) started(c *cobra.Command, f *fleet) error {
	if err := o.print(c, f, 0); err != nil {
		return err
	}
	if _, err := bufio.NewReader(c.InOrStdin()).ReadString('\n'); err != nil {
		return fmt.Errorf("wait for the starting shot: %w", err)
	}
	return nil
}

// profiling is a profile of the processor that is being written.
type profiling struct{ file *os.File }

// start begins a profile in a file, unless that has no name.
func (p *profiling) start(name string) (err error) {
	if name == "" {
		return nil
	}
	if p.file, err = os.Create(name); err == nil {
		err = pprof.StartCPUProfile(p.file)
	}
	if err != nil {
		return fmt.Errorf("make a profile: %w", err)
	}
	return nil
}

func (p *profiling) stop() error {
	if p.file == nil {
		return nil
	}
	pprof.StopCPUProfile()
	return p.file.Close()
}

func idleCommand(o *options) *cobra.Command {
	var within time.Duration
	c := &cobra.Command{
		Use: "idle", Short: "Connect all, send what waits, print a line, and stay until standard input ends", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return o.run(c, func(ctx context.Context, f *fleet) (time.Duration, error) {
				ctx, stop := context.WithCancel(ctx)
				defer stop()
				began := f.clock.Now()
				err := f.idle(ctx, o.agents, within, func() error {
					go func() {
						_, _ = io.Copy(io.Discard, c.InOrStdin()) // however it ends, it has ended
						stop()
					}()
					return o.print(c, f, f.clock.Now().Sub(began))
				})
				return f.clock.Now().Sub(began), err
			})
		},
	}
	c.Flags().DurationVar(&within, "within", 20*time.Second, "how long it takes until all have connected")
	return c
}

func dayCommand(o *options) *cobra.Command {
	var name string
	var seed uint64
	var speed float64
	var about []string
	for name, p := range profiles() {
		about = append(about, "  "+name+": "+p.about)
	}
	slices.Sort(about)
	c := &cobra.Command{
		Use: "day", Short: "Have the laptops live one day", Args: cobra.NoArgs,
		Long: "Day has the laptops live one day. Profiles:\n" + strings.Join(about, "\n"),
		RunE: func(c *cobra.Command, _ []string) error {
			p, ok := profiles()[name]
			if !ok || speed <= 0 {
				return fmt.Errorf("there is no day %q at %g times its speed", name, speed)
			}
			return o.run(c, func(ctx context.Context, f *fleet) (time.Duration, error) {
				began := f.clock.Now()
				err := f.day(ctx, o.agents, p, seed, speed)
				return f.clock.Now().Sub(began), err
			})
		},
	}
	c.Flags().StringVar(&name, "profile", "lessons", "what kind of day")
	c.Flags().Uint64Var(&seed, "seed", 1, "the same seed gives the same day")
	c.Flags().Float64Var(&speed, "speed", 60, "how many times as fast as a real day; the times that the reports state are real")
	return c
}

func streamsCommand(o *options) *cobra.Command {
	var messages, size int
	c := &cobra.Command{
		Use: "streams", Short: "Send messages over bare streams to a server that only acknowledges them", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return o.run(c, func(ctx context.Context, f *fleet) (time.Duration, error) {
				return f.streams(ctx, o.agents, messages, size)
			})
		},
	}
	c.Flags().IntVar(&messages, "messages", 100, "messages of each stream")
	c.Flags().IntVar(&size, "size", 1024, "bytes of each message")
	return c
}
