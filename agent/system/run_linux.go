package system

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
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
		environment := []string{"LC_ALL=C", "LANG=C", "TZ=UTC", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/nonexistent", "TMPDIR=" + scratchDir}
		return runCommand(ctx, program, spec.Args, environment, spec.Limit, &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL})
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
