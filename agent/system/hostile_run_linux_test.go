package system

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestCommandsMadeToHurt runs real ones: each is bounded, and none of what it
// started is left.
func TestCommandsMadeToHurt(t *testing.T) {
	const limit = 1 << 20
	var specs []CommandSpec
	add := func(name Command, deadline time.Duration, script string) {
		specs = append(specs, CommandSpec{Name: name, Paths: []string{"/bin/sh"}, Args: []string{"-c", script}, Deadline: deadline, Limit: limit})
	}
	const short, long = 200 * time.Millisecond, time.Minute
	add("never ends", short, "while :; do :; done")
	add("ends for nobody", short, "trap '' HUP INT QUIT TERM PIPE; while :; do sleep 1000; done")
	add("stops itself", short, "kill -STOP $$")
	add("closes all and stays", short, "exec >&- 2>&- <&-; while :; do sleep 1000; done")
	add("prints for ever", long, "exec yes")
	add("prints gigabytes", long, "exec head -c 8G /dev/zero")
	add("complains at length", long, "head -c 100M /dev/zero >&2; echo done")
	add("says nothing that is text", long, `printf '\377\376\200\0\033[2J\n'`)
	add("reads what is not there", long, "cat; echo end")
	add("multiplies", short, "for i in 1 2 3 4 5 6 7 8 9; do (trap '' TERM; while :; do sleep 1000; done) & done; wait")
	add("leaves somebody with its output", long, "sleep 100000 & echo done")
	l := withCommands(specs...)
	others, err := startedByUs() // of other tests
	must(t, err)

	for name, want := range map[Command]error{
		"never ends": context.DeadlineExceeded, "ends for nobody": context.DeadlineExceeded, "stops itself": context.DeadlineExceeded,
		"closes all and stays": context.DeadlineExceeded, "multiplies": context.DeadlineExceeded,
		"prints for ever": ErrTooLarge, "prints gigabytes": ErrTooLarge,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := l.Run(t.Context(), name)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, want) || Absence(err) == posture.None {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 16*limit {
			t.Errorf("%s: took %d bytes", name, took)
		}
	}
	for name, want := range map[Command]string{
		"complains at length": "done\n", "says nothing that is text": "\xff\xfe\x80\x00\x1b[2J\n", "reads what is not there": "end\n",
	} {
		out, err := l.Run(t.Context(), name)
		if err != nil || string(out.Stdout) != want || len(out.Stderr) > small {
			t.Errorf("%s: got %q and %d bytes of words, %v", name, out.Stdout, len(out.Stderr), err)
		}
	}
	// Whether all was printed cannot be told while somebody may print more.
	if out, err := l.Run(t.Context(), "leaves somebody with its output"); err == nil || Absence(err) != posture.Unreadable {
		t.Errorf("somebody has its output: got %q, %v", out.Stdout, err)
	}
	nothingLeft(t, others)
}

// nothingLeft waits until no process started by this one runs any more: what
// was killed may need a moment.
func nothingLeft(t *testing.T, others []string) {
	t.Helper()
	for {
		left, err := startedByUs()
		must(t, err)
		if !slices.ContainsFunc(left, func(p string) bool { return !slices.Contains(others, p) }) {
			return
		}
		runtime.Gosched()
	}
}

// startedByUs lists the processes of commands, by the variables that were put
// into their environment.
func startedByUs() ([]string, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*/environ")
	var left []string
	for _, name := range dirs {
		environ, readErr := os.ReadFile(name)
		if readErr == nil && strings.Contains(string(environ), "HOME=/nonexistent\x00") && strings.Contains(string(environ), "TZ=UTC\x00") {
			left = append(left, name)
		}
	}
	return left, err
}

// TestACommandThatLeavesItsGroup is given up all the same.
func TestACommandThatLeavesItsGroup(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	l := withCommands(CommandSpec{
		Name: "leaves", Paths: []string{"/bin/sh"}, Deadline: time.Minute, Limit: 1000,
		Args: []string{"-c", "setsid sh -c 'echo $$ > " + pid + "; exec sleep 100000' & while ! [ -s " + pid + " ]; do :; done; echo done"},
	})
	if out, err := l.Run(t.Context(), "leaves"); Absence(err) != posture.Unreadable {
		t.Errorf("got %q, %v", out.Stdout, err)
	}
	text, err := os.ReadFile(pid)
	must(t, err)
	var n int
	_, err = fmt.Sscan(string(text), &n)
	must(t, err)
	must(t, unix.Kill(n, unix.SIGKILL))
}
