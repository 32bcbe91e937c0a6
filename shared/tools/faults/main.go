// Faults runs both programs as processes with a network between them, has
// things go wrong at moments that a seed chooses, and checks afterwards that
// nothing was lost: every report that was acknowledged is in the ledger
// exactly once and in order, no gap is recorded, the ledger verifies, the view
// is what a rebuild makes of it, and the laptop has nothing waiting.
//
// It can be pointed at any build. It looks at nothing inside of a program, and
// it cannot tell one the time.
package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

const long = `Faults runs a real exchange of both programs and lets things go wrong in it.
It needs Linux and root: the agent is given a laptop of its own to look at.

In each round the laptop becomes another one and is made to report. At a moment
that the seed chooses one of the faults strikes; then everything is mended, and
all must be acknowledged. Faults:
%s
"full-disk" is both of them. They are not among the usual ones, since they put
both programs' folders into memory, where nothing has to be synced.

What a seed repeats: the faults, their order and their moments, round by round,
whatever the number of rounds. A moment is a number of bytes that have gone over
the network, and there the fault strikes at exactly that byte; or it is a number
of changes seen of files on the disk, which are looked at %.0f times a
millisecond, so that two that follow closely may be seen as one. What it does
not repeat: keys, signatures and times, which make messages some bytes longer or
shorter; how threads and the two programs interleave; how long things take. If a
round's moment does not come before all is acknowledged, its fault strikes then.
When an agent has waited longer for its collector than a run should take, or was
asked to assess more often than it does at once, it is ended and started again.`

func root() *cobra.Command {
	r := &run{}
	var faults []string
	c := &cobra.Command{
		Use:           "faults",
		Short:         "Run both programs, let things go wrong, and check that nothing was lost",
		Long:          fmt.Sprintf(long, about(), float64(time.Millisecond)/float64(glance)),
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if r.faults, err = chosen(faults); err != nil {
				return err
			}
			if r.rounds < 1 || r.every < 1 {
				return errors.New("a run has at least one of --rounds, and looks at everything after at least one")
			}
			if !c.Flags().Changed("seed") {
				r.seed = rand.Uint64()
			}
			return r.report(c, strings.Join(faults, ","))
		},
	}
	c.CompletionOptions.HiddenDefaultCmd = true
	f := c.Flags()
	f.StringVar(&r.agent, "agent", "bin/caretaker-agent", "the agent's program")
	f.StringVar(&r.collector, "collector", "bin/caretaker-collector", "the collector's program")
	f.Uint64Var(&r.seed, "seed", 0, "chooses faults and moments (default: another one each time)")
	f.IntVar(&r.rounds, "rounds", 20, "how many faults")
	f.StringSliceVar(&faults, "faults", strings.Split(usual, ","), "which of them")
	f.DurationVar(&r.stop, "stop", 2*time.Second, "how long a program is stopped; more than 11m is longer than the stream's keepalive")
	f.IntVar(&r.every, "check-every", 10, "after how many rounds both programs are killed and everything is looked at")
	f.StringVar(&r.dir, "dir", "", "folder in which a folder for the run is made (default: the system's for temporary files)")
	return c
}

// report does the run and says what came of it.
func (r *run) report(c *cobra.Command, faults string) error {
	for _, path := range []*string{&r.agent, &r.collector} {
		var err error
		if *path, err = filepath.Abs(*path); err != nil {
			return fmt.Errorf("find %s: %w", *path, err)
		}
	}
	dir, err := os.MkdirTemp(r.dir, "faults")
	if err != nil {
		return fmt.Errorf("make a folder for the run: %w", err)
	}
	given := r.dir
	r.dir, r.out = dir, c.ErrOrStderr()
	fmt.Fprintf(r.out, "faults: seed %d, %d rounds of %s in %s\n", r.seed, r.rounds, faults, dir)
	began := time.Now()
	number, err := r.do(c.Context())
	took := time.Since(began).Round(time.Second)
	if c.Context().Err() != nil {
		return errors.Join(errors.New("ended before its end"), os.RemoveAll(dir))
	}
	if err != nil {
		again := fmt.Sprintf("go run ./shared/tools/faults --agent %s --collector %s --seed %d --rounds %d --faults %s --stop %v --check-every %d",
			r.agent, r.collector, r.seed, max(number, 1), faults, r.stop, r.every)
		if given != "" {
			again += " --dir " + given
		}
		return fmt.Errorf("round %d of seed %d, after %v:\n  %w\nWhat the programs left and said is in %s. To do it again:\n  %s", number, r.seed, took, err, dir, again)
	}
	fmt.Fprintf(c.OutOrStdout(), "faults: good: %d rounds of seed %d in %v, %d of them at their very moment; %d reports, each in the ledger once; %d restarts of the agent without a fault\n",
		r.rounds, r.seed, took, r.atMoment, r.acknowledged, r.x.Restarts())
	return os.RemoveAll(dir)
}
