package system

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"runtime"
	"syscall"
)

// scratchDir is where commands may put what they cannot work without: apt
// takes the signature off each list. It is in memory and never on a disk.
const scratchDir = "/dev/shm"

// Run implements Reader. The command has a process group of its own, which is
// killed as a whole at the deadline, and dies with the process that started it.
func (l *linux) Run(ctx context.Context, c Command) (Output, error) {
	spec, err := l.commands(c)
	if err != nil {
		return Output{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, spec.Deadline)
	defer cancel()
	program, err := within(ctx, func() (string, error) { return l.program(spec) })
	if err != nil {
		return Output{}, fmt.Errorf("run %s: %w", c, err)
	}
	out, err := within(ctx, func() (Output, error) {
		// The kernel ties "dies with its parent" to the thread that started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		return runCommand(ctx, program, spec)
	})
	if err != nil {
		return Output{}, fmt.Errorf("run %s: %w", c, err)
	}
	return out, nil
}

// program finds the command's program. One that others than root may change is
// refused: it would give them whatever rights the agent has.
func (l *linux) program(spec CommandSpec) (string, error) {
	for _, p := range spec.Paths {
		name := path.Join(l.root, p)
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", bare(err)
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok || !info.Mode().IsRegular() || st.Uid != 0 || info.Mode().Perm()&0o022 != 0 {
			return "", fmt.Errorf("%s is not a file that only root may change: %w", p, fs.ErrPermission)
		}
		return name, nil
	}
	return "", fs.ErrNotExist
}

func runCommand(ctx context.Context, program string, spec CommandSpec) (Output, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	stdout := &limited{limit: spec.Limit, full: func() { stop(ErrTooLarge) }}
	stderr := &limited{limit: small, full: func() {}}
	cmd := exec.CommandContext(ctx, program, spec.Args...)
	cmd.Env = []string{"LC_ALL=C", "LANG=C", "TZ=UTC", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/nonexistent", "TMPDIR=" + scratchDir}
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = pipesAfterDeath
	err := cmd.Run()
	if cmd.Process != nil {
		// What it started and left in its group ends with it.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	if cause := context.Cause(ctx); cause != nil {
		return Output{}, cause
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		err = nil
	}
	if err != nil {
		return Output{}, err
	}
	return Output{Stdout: stdout.kept.Bytes(), Stderr: stderr.kept.Bytes(), Exit: cmd.ProcessState.ExitCode()}, nil
}
