//go:build unix

package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// MakePrivate makes the folder at path, with those above it, for this account
// alone. One that is there already must belong to it or to root; if others may
// write it, that is taken from them.
func MakePrivate(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("make folder %s: %w", path, err)
	}
	err := CheckWriters(path)
	var open *openError
	if !errors.As(err, &open) {
		return err
	}
	if err := os.Chmod(path, open.mode&^0o022); err != nil {
		return fmt.Errorf("close folder %s to others: %w", path, err)
	}
	return nil
}

// openError is ErrShared for what belongs to the right account and has a mode
// by which others may write it.
type openError struct {
	path string
	mode fs.FileMode
}

func (e *openError) Error() string {
	return fmt.Sprintf("%s is open to other accounts (mode %v): %v", e.path, e.mode, ErrShared)
}

func (e *openError) Unwrap() error { return ErrShared }

// CheckWriters fails with ErrShared unless the file or folder at path belongs
// to this account or to root, and no other may write it. It does not look at
// the folders above.
func CheckWriters(path string) error {
	for _, look := range []func(string) (fs.FileInfo, error){os.Lstat, os.Stat} {
		info, err := look(path)
		if err != nil {
			return fmt.Errorf("see who may change %s: %w", path, err)
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		switch {
		case !ok:
			return fmt.Errorf("see who may change %s: its owner is not known", path)
		case st.Uid != 0 && int(st.Uid) != os.Geteuid():
			return fmt.Errorf("%s belongs to another account: %w", path, ErrShared)
		case info.Mode()&fs.ModeSymlink == 0 && info.Mode().Perm()&0o022 != 0:
			return &openError{path, info.Mode().Perm()}
		}
	}
	return nil
}
