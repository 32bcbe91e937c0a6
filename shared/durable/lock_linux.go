package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// askingTakes says whether the one who asks for a lock takes it for an instant.
const askingTakes = false

// Two locks are taken: one of the file, which excludes others, and one of its
// first byte, of which anyone can ask whether it is held without taking it.
func lockFile(f *os.File) error {
	if err := flock(f); err != nil {
		return err
	}
	// It cannot be held by another than whoever holds the first.
	first := unix.Flock_t{Type: unix.F_WRLCK, Len: 1}
	return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &first)
}

func held(f *os.File) (bool, error) {
	first := unix.Flock_t{Type: unix.F_WRLCK, Len: 1}
	err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &first)
	return err == nil && first.Type != unix.F_UNLCK, err
}

func flock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return ErrHeld
		default:
			return err
		}
	}
}
