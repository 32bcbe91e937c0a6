package system

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/caretaker-school/caretaker/shared/posture"
)

const (
	// readWithin is how long macOS has for one reading. Without Full Disk
	// Access it refuses what it guards, mostly at once, and has been seen never
	// to answer.
	readWithin = 15 * time.Second
	// leftBehind bounds the readings that never came back.
	leftBehind = 16
)

// darwin reads the Mac that it runs on.
type darwin struct {
	commands func(Command) (CommandSpec, error)
	waiting  chan struct{} // holds one for each reading that is under way
}

// New returns the Reader of this Mac. Another machine's files in a folder
// cannot be read as one here: everything is asked of the Mac itself.
func New(string) Reader {
	return &darwin{
		commands: func(c Command) (CommandSpec, error) { return c.spec(posture.MacOS) },
		waiting:  make(chan struct{}, leftBehind),
	}
}

// Platform implements Reader.
func (*darwin) Platform() posture.Platform { return posture.MacOS }

// patiently returns what read returns, or that it took too long. When too many
// readings never came back, no more are begun.
func patiently[T any](ctx context.Context, d *darwin, read func() (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	var none T
	select {
	case d.waiting <- struct{}{}:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	return within(ctx, func() (T, error) {
		defer func() { <-d.waiting }()
		return read()
	})
}

// openFile opens what lies at name for reading if it is a regular file, or
// also a disk if those are allowed. What something is, is asked before it is
// opened: a FIFO waits for a writer, a file that is only in the cloud is
// fetched.
func openFile(name string, disks bool) (*os.File, bool, error) {
	var before, after unix.Stat_t
	if err := statAt(name, &before); err != nil {
		return nil, false, err
	}
	disk, err := isContent(name, &before, disks)
	if err != nil {
		return nil, false, err
	}
	fd, err := retry(func() (int, error) {
		return unix.Open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, false, err
	}
	f := os.NewFile(uintptr(fd), "")
	err = unix.Fstat(fd, &after)
	if err == nil && (before.Dev != after.Dev || before.Ino != after.Ino || before.Mode&unix.S_IFMT != after.Mode&unix.S_IFMT) {
		err = errors.New("it was exchanged while it was opened")
	}
	if err != nil {
		f.Close()
		return nil, false, err
	}
	return f, disk, nil
}

func statAt(name string, st *unix.Stat_t) error {
	if !path.IsAbs(name) {
		return fs.ErrInvalid
	}
	_, err := retry(func() (int, error) { return 0, unix.Stat(name, st) })
	return err
}

// isContent reports whether it is a disk, and fails for what is neither that
// nor a regular file that is there.
func isContent(name string, st *unix.Stat_t, disks bool) (disk bool, err error) {
	rest, raw := strings.CutPrefix(name, "/dev/rdisk")
	switch t := st.Mode & unix.S_IFMT; {
	case t == unix.S_IFREG && st.Flags&unix.SF_DATALESS != 0:
		return false, fmt.Errorf("it is only in the cloud: %w", errors.ErrUnsupported)
	case t == unix.S_IFREG:
		return false, nil
	case t == unix.S_IFCHR && disks && raw && strings.Trim(rest, "0123456789s") == "":
		return true, nil
	case t == unix.S_IFDIR:
		return false, unix.EISDIR
	}
	return false, errors.New("it is not a regular file")
}

// File implements Reader.
func (d *darwin) File(ctx context.Context, name string, limit int64) ([]byte, error) {
	data, err := patiently(ctx, d, func() ([]byte, error) {
		f, _, err := openFile(name, false)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readAtMost(f, limit)
	})
	if err != nil {
		return nil, fmt.Errorf("read file %s: %w", name, bare(err))
	}
	return data, nil
}

// sector is a multiple of the size of every disk's sectors. A disk is read
// only in whole ones.
const sector = 4096

// Part implements Reader.
func (d *darwin) Part(ctx context.Context, name string, offset int64, length int) ([]byte, error) {
	if offset < 0 || length < 0 {
		return nil, fmt.Errorf("read part of %s: %w", name, fs.ErrInvalid)
	}
	data, err := patiently(ctx, d, func() ([]byte, error) {
		f, disk, err := openFile(name, true)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if !disk {
			return readPart(f, offset, length)
		}
		from := offset &^ (sector - 1)
		skip := int(offset - from)
		whole, err := readPart(f, from, (skip+length+sector-1)&^(sector-1))
		skip = min(skip, len(whole))
		return slices.Clip(whole[skip:min(skip+length, len(whole))]), err
	})
	if err != nil {
		return nil, fmt.Errorf("read part of %s: %w", name, bare(err))
	}
	return data, nil
}

// Dir implements Reader.
func (d *darwin) Dir(ctx context.Context, name string) ([]Entry, error) {
	list, err := patiently(ctx, d, func() ([]Entry, error) {
		if !path.IsAbs(name) {
			return nil, fs.ErrInvalid
		}
		fd, err := retry(func() (int, error) {
			return unix.Open(name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		})
		if err != nil {
			return nil, err
		}
		f := os.NewFile(uintptr(fd), "")
		defer f.Close()
		return entriesOf(f)
	})
	if err != nil {
		return nil, fmt.Errorf("read folder %s: %w", name, bare(err))
	}
	return list, nil
}

// Link implements Reader.
func (d *darwin) Link(ctx context.Context, name string) (string, error) {
	target, err := patiently(ctx, d, func() (string, error) {
		if !path.IsAbs(name) {
			return "", fs.ErrInvalid
		}
		return os.Readlink(name)
	})
	if err != nil {
		return "", fmt.Errorf("read link %s: %w", name, bare(err))
	}
	return target, nil
}

// Stat implements Reader.
func (d *darwin) Stat(ctx context.Context, name string) (Stat, error) {
	st, err := patiently(ctx, d, func() (Stat, error) {
		var st unix.Stat_t
		if err := statAt(name, &st); err != nil {
			return Stat{}, err
		}
		return Stat{
			Type: fileMode(uint32(st.Mode)), Size: st.Size, Modified: time.Unix(st.Mtim.Unix()).UTC(), Owner: st.Uid,
		}, nil
	})
	if err != nil {
		return Stat{}, fmt.Errorf("stat %s: %w", name, bare(err))
	}
	return st, nil
}

// Ask implements Reader: nothing on a Mac is asked through a socket.
func (d *darwin) Ask(_ context.Context, q Query) ([]byte, error) {
	return nil, fmt.Errorf("ask %s: it is not asked on macOS: %w", q, fs.ErrNotExist)
}

// Key implements Reader: there is no registry.
func (d *darwin) Key(_ context.Context, name string) (RegistryKey, error) {
	return RegistryKey{}, fmt.Errorf("read key %s: there is no registry: %w", name, fs.ErrNotExist)
}

// Rows implements Reader: macOS answers with files and commands.
func (d *darwin) Rows(_ context.Context, r Rowset) ([]Values, error) {
	_, err := r.spec(posture.MacOS)
	if err == nil {
		err = fmt.Errorf("ask for %s: %w", r, errors.ErrUnsupported)
	}
	return nil, err
}

// Processes implements Reader. The kernel keeps the first 16 bytes of a name.
func (d *darwin) Processes(ctx context.Context) ([]string, error) {
	list, err := patiently(ctx, d, func() ([]string, error) {
		all, err := unix.SysctlKinfoProcSlice("kern.proc.all")
		if err != nil {
			return nil, err
		}
		var names []string
		for _, p := range all {
			if name := unix.ByteSliceToString(p.Proc.P_comm[:]); name != "" {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return slices.Compact(names), nil
	})
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	return list, nil
}

// boot implements booter. The kernel draws the identifier when it starts; its
// clock goes on while the Mac sleeps, and nobody sets it.
func (d *darwin) boot(context.Context) (string, time.Duration, error) {
	raw, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return "", 0, fmt.Errorf("read which boot this is: %w", err)
	}
	id, err := parseBootID(strings.ToLower(raw))
	if err != nil {
		return "", 0, err
	}
	var since unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC_RAW, &since); err != nil {
		return "", 0, fmt.Errorf("read how long the machine is up: %w", err)
	}
	return id, time.Duration(since.Nano()), nil
}
