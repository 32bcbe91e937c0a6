//go:build linux || darwin

package system

import (
	"context"
	"errors"
	"os/exec"
	"syscall"
)

// runCommand runs a program in a process group of its own, which is killed as a
// whole when the context ends, and keeps what it prints within a limit.
func runCommand(
	ctx context.Context, program string, args, environment []string, limit int, attributes *syscall.SysProcAttr,
) (Output, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	stdout := &limited{limit: limit, full: func() { stop(ErrTooLarge) }}
	stderr := &limited{limit: small, full: func() {}}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = environment
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = attributes
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
