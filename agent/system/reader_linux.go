package system

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// linux reads the machine it runs on, or one that lies unpacked in a folder.
type linux struct {
	root     string // "/", or the folder that stands for it
	commands func(Command) (CommandSpec, error)
	queries  func(Query) (QuerySpec, error)
}

// New returns the Reader of this machine. Root is "/", or a folder that holds
// another machine's files.
func New(root string) Reader {
	return &linux{
		root:     root,
		commands: func(c Command) (CommandSpec, error) { return c.spec(posture.Linux) },
		queries:  func(q Query) (QuerySpec, error) { return q.spec(posture.Linux) },
	}
}

// Platform implements Reader.
func (*linux) Platform() posture.Platform { return posture.Linux }

// open opens a path under the root. Links that lead out of a root other than
// "/" are resolved inside it.
func (l *linux) open(name string, flags int) (*os.File, error) {
	if !path.IsAbs(name) {
		return nil, fs.ErrInvalid
	}
	flags |= unix.O_CLOEXEC
	if l.root == "/" {
		fd, err := retry(func() (int, error) { return unix.Open(name, flags, 0) })
		if err != nil {
			return nil, err
		}
		return os.NewFile(uintptr(fd), ""), nil
	}
	root, err := retry(func() (int, error) {
		return unix.Open(l.root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(root) }()
	how := unix.OpenHow{Flags: uint64(flags), Resolve: unix.RESOLVE_IN_ROOT}
	fd, err := retry(func() (int, error) { return unix.Openat2(root, name, &how) })
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), ""), nil
}

// openContent opens what lies at name for reading if it is a regular file, or
// also a block device if those are allowed. What something is, is asked before
// it is opened, because opening alone can block or do things: a FIFO waits for
// a writer, a tape rewinds.
func (l *linux) openContent(name string, devices bool) (*os.File, error) {
	handle, err := l.open(name, unix.O_PATH)
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	before, err := contentStat(handle, devices)
	if err != nil {
		return nil, err
	}
	f, err := l.open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return nil, err
	}
	after, err := contentStat(f, devices)
	if err == nil && (before.Dev != after.Dev || before.Ino != after.Ino) {
		err = errors.New("it was exchanged while it was opened")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func contentStat(f *os.File, devices bool) (unix.Stat_t, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return st, err
	}
	switch t := st.Mode & unix.S_IFMT; {
	case t == unix.S_IFREG, t == unix.S_IFBLK && devices:
		return st, nil
	case t == unix.S_IFDIR:
		return st, unix.EISDIR
	}
	return st, errors.New("it is not a regular file")
}

// File implements Reader.
func (l *linux) File(ctx context.Context, name string, limit int64) ([]byte, error) {
	data, err := within(ctx, func() ([]byte, error) {
		f, err := l.openContent(name, false)
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

// Part implements Reader.
func (l *linux) Part(ctx context.Context, name string, offset int64, length int) ([]byte, error) {
	if offset < 0 || length < 0 {
		return nil, fmt.Errorf("read part of %s: %w", name, fs.ErrInvalid)
	}
	data, err := within(ctx, func() ([]byte, error) {
		f, err := l.openContent(name, true)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readPart(f, offset, length)
	})
	if err != nil {
		return nil, fmt.Errorf("read part of %s: %w", name, bare(err))
	}
	return data, nil
}

// Dir implements Reader.
func (l *linux) Dir(ctx context.Context, name string) ([]Entry, error) {
	list, err := within(ctx, func() ([]Entry, error) {
		f, err := l.open(name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK|unix.O_NOCTTY)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return entriesOf(f)
	})
	if err != nil {
		return nil, fmt.Errorf("read folder %s: %w", name, bare(err))
	}
	return list, nil
}

// Link implements Reader.
func (l *linux) Link(ctx context.Context, name string) (string, error) {
	target, err := within(ctx, func() (string, error) {
		f, err := l.open(name, unix.O_PATH|unix.O_NOFOLLOW)
		if err != nil {
			return "", err
		}
		defer f.Close()
		buffer := make([]byte, unix.PathMax)
		n, err := retry(func() (int, error) { return unix.Readlinkat(int(f.Fd()), "", buffer) })
		switch {
		case errors.Is(err, unix.ENOENT):
			// So the kernel says that an open handle is no link.
			return "", unix.EINVAL
		case err != nil:
			return "", err
		case n == len(buffer):
			return "", ErrTooLarge
		}
		return string(buffer[:n]), nil
	})
	if err != nil {
		return "", fmt.Errorf("read link %s: %w", name, bare(err))
	}
	return target, nil
}

// Stat implements Reader.
func (l *linux) Stat(ctx context.Context, name string) (Stat, error) {
	st, err := within(ctx, func() (Stat, error) {
		f, err := l.open(name, unix.O_PATH)
		if err != nil {
			return Stat{}, err
		}
		defer f.Close()
		var st unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &st); err != nil {
			return Stat{}, err
		}
		return Stat{
			Type:     fileMode(st.Mode),
			Size:     st.Size,
			Modified: time.Unix(st.Mtim.Unix()).UTC(),
			Owner:    st.Uid,
		}, nil
	})
	if err != nil {
		return Stat{}, fmt.Errorf("stat %s: %w", name, bare(err))
	}
	return st, nil
}
