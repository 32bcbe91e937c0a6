package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

// ErrHeld means that another process holds the lock.
var ErrHeld = errors.New("another process holds it")

// maxHolder bounds what is read of a lock file.
const maxHolder = 64

// Lock takes the lock file at path, creating it if need be, and returns the
// function that gives it back. The lock ends with the process, however that
// ends; the file stays. If another process holds it, the error wraps ErrHeld
// and names that process where it is known.
func Lock(path string) (release func() error, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	if err := takeLock(f); err != nil {
		if errors.Is(err, ErrHeld) {
			err = fmt.Errorf("lock %s: %w%s", path, err, holder(f))
		} else {
			err = fmt.Errorf("lock %s: %w", path, err)
		}
		return nil, errors.Join(err, f.Close())
	}
	_ = nameHolder(f) // a courtesy, for which a full disk may have no room; the lock holds
	return f.Close, nil
}

// Where one can only ask for a lock by trying to take it, somebody may have
// asked just now: then it is tried again a few times.
const (
	lockTries = 5
	lockPause = 20 * time.Millisecond
)

func takeLock(f *os.File) error {
	for try := 1; ; try++ {
		err := lockFile(f)
		if !errors.Is(err, ErrHeld) || !askingTakes || try == lockTries {
			return err
		}
		rest(lockPause)
	}
}

// Held reports whether somebody holds the lock at path. To ask is not to be in
// the way of one who takes it.
func Held(path string) (_ bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("open lock file: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return false, errors.Join(fmt.Errorf("ask for the lock %s: it is not a file", path), err)
	}
	locked, err := held(f)
	if err != nil {
		return false, fmt.Errorf("ask for the lock %s: %w", path, err)
	}
	return locked, nil
}

// nameHolder writes who holds the lock, for the one who finds it held.
func nameHolder(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// holder says who holds the lock, as far as the file tells.
func holder(f *os.File) string {
	data, err := io.ReadAll(io.LimitReader(f, maxHolder))
	if err != nil {
		return ""
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || pid <= 0 {
		return ""
	}
	return fmt.Sprintf(" (process %d)", pid)
}
