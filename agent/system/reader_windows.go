package system

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/windows"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// windowsReader reads the machine it runs on. Of files it reads what lies on a
// drive of this machine and is there: no link, junction or other reparse point
// is followed, at no place of a path, because it may lead to another machine,
// to which Windows would then present itself; and no file that is a
// placeholder is opened, because that would fetch it.
type windowsReader struct{}

// New returns the Reader of this machine. Root is "/": there is no other on
// Windows.
func New(string) Reader {
	showPlaceholders()
	return windowsReader{}
}

// showPlaceholders makes Windows tell this process of a placeholder that it is
// one. Without it, Windows would hide that from programs it does not know.
// Before Windows 10 1803 there is no such call, and nothing is hidden.
func showPlaceholders() {
	const expose = 2 // PHCM_EXPOSE_PLACEHOLDERS
	if set, err := procedure("ntdll.dll", "RtlSetProcessPlaceholderCompatibilityMode"); err == nil {
		_, _, _ = set.Call(expose)
	}
}

// Platform implements Reader.
func (windowsReader) Platform() posture.Platform { return posture.Windows }

// File implements Reader.
func (windowsReader) File(ctx context.Context, name string, limit int64) ([]byte, error) {
	data, err := within(ctx, func() ([]byte, error) {
		f, err := openRegular(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readAtMost(f, limit)
	})
	if err != nil {
		return nil, fmt.Errorf("read file %s: %w", name, coded(bare(err)))
	}
	return data, nil
}

// Part implements Reader.
func (windowsReader) Part(ctx context.Context, name string, offset int64, length int) ([]byte, error) {
	switch {
	case offset < 0, length < 0:
		return nil, fmt.Errorf("read part of %s: %w", name, fs.ErrInvalid)
	case length > maxPart:
		return nil, fmt.Errorf("read part of %s: %w", name, ErrTooLarge)
	}
	data, err := within(ctx, func() ([]byte, error) {
		if device, ok := devicePath(name); ok {
			return readDevice(device, offset, length)
		}
		f, err := openRegular(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readPart(f, offset, length)
	})
	if err != nil {
		return nil, fmt.Errorf("read part of %s: %w", name, coded(bare(err)))
	}
	return data, nil
}

// Dir implements Reader.
func (windowsReader) Dir(ctx context.Context, name string) ([]Entry, error) {
	list, err := within(ctx, func() ([]Entry, error) {
		f, err := openFolder(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return entriesOf(f)
	})
	if err != nil {
		return nil, fmt.Errorf("read folder %s: %w", name, coded(bare(err)))
	}
	return list, nil
}

// Link implements Reader. What a link or junction points to is as Windows
// wrote it, with '/' between names: "/C:/…" if it is absolute and local.
func (windowsReader) Link(ctx context.Context, name string) (string, error) {
	target, err := within(ctx, func() (string, error) {
		handle, err := openPath(name, windows.FILE_READ_ATTRIBUTES, 0)
		if err != nil {
			return "", err
		}
		defer func() { _ = windows.CloseHandle(handle) }()
		data := make([]byte, windows.MAXIMUM_REPARSE_DATA_BUFFER_SIZE)
		n, err := control(handle, windows.FSCTL_GET_REPARSE_POINT, nil, data)
		if errors.Is(err, windows.ERROR_NOT_A_REPARSE_POINT) {
			return "", fs.ErrInvalid
		}
		if err != nil {
			return "", err
		}
		return linkTarget(data[:n])
	})
	if err != nil {
		return "", fmt.Errorf("read link %s: %w", name, coded(err))
	}
	return target, nil
}

// Stat implements Reader. A link is not followed: it fails.
func (windowsReader) Stat(ctx context.Context, name string) (Stat, error) {
	st, err := within(ctx, func() (Stat, error) {
		handle, err := openPath(name, windows.FILE_READ_ATTRIBUTES, 0)
		if err != nil {
			return Stat{}, err
		}
		defer func() { _ = windows.CloseHandle(handle) }()
		return statHandle(handle)
	})
	if err != nil {
		return Stat{}, fmt.Errorf("stat %s: %w", name, coded(err))
	}
	return st, nil
}

func statHandle(handle windows.Handle) (Stat, error) {
	info, err := describe(handle)
	if err != nil {
		return Stat{}, err
	}
	st := Stat{
		Type:     0o666,
		Size:     int64(info.FileSizeHigh)<<32 | int64(info.FileSizeLow),
		Modified: time.Unix(0, info.LastWriteTime.Nanoseconds()).UTC(),
	}
	if info.FileAttributes&windows.FILE_ATTRIBUTE_READONLY != 0 {
		st.Type = 0o444
	}
	if info.FileAttributes&windows.FILE_ATTRIBUTE_DIRECTORY != 0 {
		st.Type, st.Size = st.Type|fs.ModeDir|0o111, 0
	}
	if info.FileAttributes&windows.FILE_ATTRIBUTE_REPARSE_POINT == 0 {
		return st, nil
	}
	tag, err := reparseTag(handle)
	switch {
	case err != nil:
		return Stat{}, err
	case isSurrogate(tag):
		return Stat{}, errLink
	}
	return st, nil
}

// Run implements Reader: Windows is asked through its own interfaces, not by
// commands.
func (windowsReader) Run(_ context.Context, c Command) (Output, error) {
	_, err := c.spec(posture.Windows)
	if err == nil {
		err = fmt.Errorf("run %s: %w", c, errors.ErrUnsupported)
	}
	return Output{}, err
}

// Ask implements Reader: Windows has no such sockets.
func (windowsReader) Ask(_ context.Context, q Query) ([]byte, error) {
	_, err := q.spec(posture.Windows)
	if err == nil {
		err = fmt.Errorf("ask %s: %w", q, errors.ErrUnsupported)
	}
	return nil, err
}
