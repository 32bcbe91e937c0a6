//go:build linux || darwin

package system

import (
	"context"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxFile bounds each file that a child writes, or what it starts, in bytes.
const maxFile = 256 << 20

// pipesAfterDeath is how long a killed command's pipes are waited for: a
// grandchild in another process group may hold them open.
const pipesAfterDeath = time.Second

// ChildFile returns, in a child, the file that the parent gave it as
// Child.Files[n].
func ChildFile(n int, name string) *os.File { return os.NewFile(uintptr(3+n), name) }

// command returns what starts the child from program, in a process group of
// its own that ends with the context.
func (c Child) command(ctx context.Context, program string, answer *os.File, words io.Writer) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, c.Args...)
	cmd.Dir = "/"
	cmd.Env = append([]string{"LC_ALL=C"}, c.settings()...)
	cmd.ExtraFiles = c.Files
	cmd.Stdout, cmd.Stderr = answer, words
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = pipesAfterDeath
	return cmd
}

// started is the child that a command has started.
func started(cmd *exec.Cmd, stdin io.WriteCloser) *childProcess {
	return &childProcess{
		stdin: stdin,
		wait:  cmd.Wait,
		kill:  func() { _ = cmd.Cancel() }, // it fails if there is nothing to end any more
		took: func() (peak int64, cpu time.Duration) {
			state := cmd.ProcessState
			if state == nil {
				return 0, 0
			}
			if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
				peak = usage.Maxrss * maxrssUnit
			}
			return peak, state.UserTime() + state.SystemTime()
		},
	}
}

// setLimits lowers limits of this process for good, as far as they are not
// lower already.
func setLimits(set map[int]uint64) error {
	for resource, limit := range set {
		var now unix.Rlimit
		if err := unix.Getrlimit(resource, &now); err != nil {
			return err
		}
		limit = min(limit, now.Max)
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
			return err
		}
	}
	return nil
}
