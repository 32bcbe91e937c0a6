package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/agent/probe"
	"github.com/caretaker-school/caretaker/agent/system"
)

// rounds is how often what is short is measured; the best round counts, since
// what else runs can only make one worse.
const rounds = 5

// hash measures a first walk over programs against openssl over the same
// files, each in a process of its own on one core, by their processor time.
func (b *bench) hash(ctx context.Context) ([]row, error) {
	if _, err := exec.LookPath("openssl"); err != nil {
		return nil, fmt.Errorf("find the peer: %w", err)
	}
	root, files, total, err := writePrograms(b.dir)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(root) // the folder above it is removed at the end
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	var ours, theirs time.Duration
	for range rounds {
		out, ended, err := call(ctx, "env", "GOMAXPROCS=1", self, "walk", root)
		if err != nil {
			return nil, err
		}
		if found, err := strconv.Atoi(strings.TrimSpace(out)); err != nil || found != programs {
			return nil, fmt.Errorf("walk over %d programs: it found %q", programs, strings.TrimSpace(out))
		}
		ours = best(ours, ended.UserTime()+ended.SystemTime())
		_, ended, err = call(ctx, "openssl", append([]string{"dgst", "-sha256"}, files...)...)
		if err != nil {
			return nil, err
		}
		theirs = best(theirs, ended.UserTime()+ended.SystemTime())
	}
	const megabyte = 1e6
	return []row{{
		what: "agent: SHA-256 of programs at the first walk, one core", unit: "MB/s",
		ours: float64(total) / megabyte / ours.Seconds(), limit: float64(total) / megabyte / theirs.Seconds(),
		against: "openssl dgst", want: atLeast, bound: 0.9,
	}}, nil
}

// best returns the shorter of two times, of which the first may be none yet.
func best(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// walkCommand walks a machine's folder in this process, for hash.
func walkCommand() *cobra.Command {
	return &cobra.Command{
		Use: "walk ROOT", Args: cobra.ExactArgs(1), Hidden: true,
		RunE: func(c *cobra.Command, args []string) error {
			limits := system.WalkLimits{Depth: 24, Files: 300_000, Time: 10 * time.Minute}
			found, _ := probe.Executables(c.Context(), system.New(args[0]), nil, nil, limits)
			hashed := 0
			for _, e := range found.Items {
				if e.SHA256.Known() {
					hashed++
				}
			}
			fmt.Fprintln(c.OutOrStdout(), hashed)
			return nil
		},
	}
}
