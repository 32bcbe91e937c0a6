package system

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/shirou/gopsutil/v3/common"
	"github.com/shirou/gopsutil/v3/process"
	"golang.org/x/sys/unix"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Key implements Reader: there is no registry.
func (l *linux) Key(_ context.Context, name string) (RegistryKey, error) {
	return RegistryKey{}, fmt.Errorf("read key %s: there is no registry: %w", name, fs.ErrNotExist)
}

// Rows implements Reader: Linux answers with files and commands.
func (l *linux) Rows(_ context.Context, r Rowset) ([]Values, error) {
	_, err := r.spec(posture.Linux)
	if err == nil {
		err = fmt.Errorf("ask for %s: %w", r, errors.ErrUnsupported)
	}
	return nil, err
}

// Processes implements Reader.
func (l *linux) Processes(ctx context.Context) ([]string, error) {
	list, err := within(ctx, func() ([]string, error) {
		proc := path.Join(l.root, "proc")
		// Where /proc hides other users' processes (hidepid), a list would
		// look complete and say of a service that it does not run.
		if _, err := l.File(ctx, "/proc/1/stat", small); err != nil {
			return nil, fmt.Errorf("see the processes of others: %w", hidden(err))
		}
		return processNames(context.WithValue(ctx, common.EnvKey, common.EnvMap{common.HostProcEnvKey: proc}))
	})
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	return list, nil
}

// hidden names what /proc hides as denied.
func hidden(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fs.ErrPermission
	}
	return err
}

func processNames(ctx context.Context) ([]string, error) {
	pids, err := process.PidsWithContext(ctx)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, pid := range pids {
		p := process.Process{Pid: pid}
		name, err := p.NameWithContext(ctx)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH):
			continue // it ended since it was listed
		case err != nil:
			return nil, bare(err)
		}
		list = append(list, name)
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}
