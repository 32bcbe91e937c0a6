//go:build unix

package durable

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// MakePrivate makes the folder at path, with those above it, for this account
// alone. One that is there already must be as CheckWriters demands.
func MakePrivate(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("make folder %s: %w", path, err)
	}
	return CheckWriters(path)
}

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
			return fmt.Errorf("%s is open to other accounts (mode %v): %w", path, info.Mode().Perm(), ErrShared)
		}
	}
	return nil
}
