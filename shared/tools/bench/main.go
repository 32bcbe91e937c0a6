// Bench measures how fast and how light both programs are and prints one
// table: what, ours, the limit or the peer measured in the same run, and the
// ratio. It runs the programs themselves and, for the laptops, the fleet.
//
// It judges nothing but ratios: absolute figures move from machine to machine,
// and no test depends on any of them.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run.
type bench struct {
	dir, agent, collector, fleet, machines string
	profiles                               string // folder of profiles, "" for none
}

// measure is one part of the table.
type measure struct {
	name string
	take func(*bench, context.Context) ([]row, error)
}

func measures() []measure {
	return []measure{
		{"size", (*bench).size},
		{"hash", (*bench).hash},
		{"agent", (*bench).agentAtRest},
		{"reports", (*bench).reports},
		{"memory", (*bench).memory},
		{"return", (*bench).comeBack},
		{"view", (*bench).view},
		{"pages", (*bench).pages},
		{"windows", (*bench).windows},
	}
}

func root() *cobra.Command {
	var names []string
	for _, m := range measures() {
		names = append(names, m.name)
	}
	b := &bench{}
	var bin string
	c := &cobra.Command{
		Use:   "bench [NAME...]",
		Short: "Measure speed and weight and print one table",
		Args:  cobra.ArbitraryArgs,
		Long:  "Bench measures speed and weight and prints one table. Run it at the top of the source tree.\nNames: " + strings.Join(names, ", ") + "; all of them if none is given.",
		RunE: func(c *cobra.Command, chosen []string) error {
			var err error
			for path, given := range map[*string]string{
				&b.agent: filepath.Join(bin, "caretaker-agent"), &b.collector: filepath.Join(bin, "caretaker-collector"),
				&b.fleet: filepath.Join(b.dir, "fleet"), &b.machines: "shared/e2e/testdata/machines", &b.dir: b.dir,
			} {
				if *path, err = filepath.Abs(given); err != nil {
					return fmt.Errorf("find %s: %w", given, err)
				}
			}
			return b.run(c, chosen)
		},
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c.CompletionOptions.HiddenDefaultCmd = true
	c.Flags().StringVar(&bin, "bin", "bin", "folder of the two programs")
	c.Flags().StringVar(&b.dir, "dir", ".bench", "folder to work in, on the disk that is to be measured; emptied")
	c.Flags().StringVar(&b.profiles, "profiles", "", "folder for profiles of both sides while reports are taken in without the view")
	c.AddCommand(walkCommand())
	return c
}

func (b *bench) run(c *cobra.Command, chosen []string) error {
	for _, name := range chosen {
		known := false
		for _, m := range measures() {
			known = known || m.name == name
		}
		if !known {
			return fmt.Errorf("there is nothing to measure by the name of %q", name)
		}
	}
	if err := errors.Join(os.RemoveAll(b.dir), os.MkdirAll(b.dir, 0o755)); err != nil {
		return fmt.Errorf("make a folder to work in: %w", err)
	}
	defer os.RemoveAll(b.dir) // what is left lies in a folder that is ignored, and emptied at the next run
	if _, _, err := call(c.Context(), "go", "build", "-o", b.fleet, "./shared/tools/fleet"); err != nil {
		return err
	}
	out := c.OutOrStdout()
	fmt.Fprintf(out, "%s, %s/%s, %d cores, load %s\n\n", time.Now().UTC().Format("2006-01-02 15:04 MST"), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), load())
	var rows []row
	for _, m := range measures() {
		if len(chosen) > 0 && !strings.Contains(" "+strings.Join(chosen, " ")+" ", " "+m.name+" ") {
			continue
		}
		began := time.Now()
		fmt.Fprintf(c.ErrOrStderr(), "bench: %s …", m.name)
		measured, err := m.take(b, c.Context())
		fmt.Fprintf(c.ErrOrStderr(), " %s\n", time.Since(began).Round(time.Second))
		if err != nil {
			return fmt.Errorf("measure %s: %w", m.name, err)
		}
		rows = append(rows, measured...)
	}
	if err := printTable(out, rows); err != nil {
		return err
	}
	fmt.Fprintf(out, "load at the end: %s\n", load())
	return nil
}

// load returns the machine's load, which says how far the figures can be
// trusted.
func load() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "not known"
	}
	return string(bytes.Join(bytes.Fields(data)[:3], []byte(" ")))
}

const mebibyte = 1 << 20

// size is that of the stripped agent.
func (b *bench) size(context.Context) ([]row, error) {
	info, err := os.Stat(b.agent)
	if err != nil {
		return nil, fmt.Errorf("read the size of the agent: %w", err)
	}
	return []row{{what: "agent: stripped program", ours: float64(info.Size()) / mebibyte, unit: "MiB", limit: 16, want: atMost, bound: 1}}, nil
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

// until asks again and again whether something is so.
func until(ctx context.Context, what string, so func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		ok, err := so()
		if err != nil || ok {
			return err
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("wait until %s: %w", what, err)
		}
	}
}
