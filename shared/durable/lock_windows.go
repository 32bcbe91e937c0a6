package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// askingTakes says whether the one who asks for a lock takes it for an instant.
const askingTakes = true

// The lock covers one byte far beyond the content, so that the one who finds
// it held can still read who holds it.
const lockedByte = 1 << 30

func lockFile(f *os.File) error { return lockByte(f, windows.LOCKFILE_EXCLUSIVE_LOCK) }

// held can only try: for that instant nobody else can take the lock.
func held(f *os.File) (bool, error) {
	err := lockByte(f, 0)
	if errors.Is(err, ErrHeld) {
		return true, nil
	}
	return false, err
}

func lockByte(f *os.File, how uint32) error {
	err := windows.LockFileEx(windows.Handle(f.Fd()), how|windows.LOCKFILE_FAIL_IMMEDIATELY,
		0, 1, 0, &windows.Overlapped{Offset: lockedByte})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrHeld
	}
	return err
}
