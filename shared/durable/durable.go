// Package durable puts bytes on disk so that they are still there after a
// crash: files that are replaced whole or not at all, records whose torn or
// changed bytes are noticed, and a lock that keeps a second program out.
//
// It never knows what it writes.
package durable

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// WriteFile replaces the file at path with data, or leaves it as it was: it
// writes a new file beside it, syncs it, renames it over the old one and syncs
// the folder. When it returns nil, the new content survives a power cut.
//
// What perm grants to others is granted on Windows too; who else may use the
// file there is its folder's to say. Two calls for one path must not run at
// once.
func WriteFile(path string, data []byte, perm fs.FileMode) (err error) {
	temporary := path + ".tmp"
	defer func() {
		if err != nil {
			err = fmt.Errorf("replace %s: %w", path, err)
		}
	}()
	// A crash may have left an earlier one; its permissions may differ.
	if err := removeIfThere(temporary); err != nil {
		return err
	}
	if err := writeNew(temporary, data, perm); err != nil {
		return errors.Join(err, removeIfThere(temporary))
	}
	if err := rename(temporary, path); err != nil {
		return errors.Join(err, removeIfThere(temporary))
	}
	return SyncDir(filepath.Dir(path))
}

func writeNew(path string, data []byte, perm fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return admit(path, perm)
}

func removeIfThere(path string) error {
	if err := Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Rename puts a file in place of another, or where there is none. Its new name
// survives a power cut once SyncDir was called for its folder.
func Rename(from, to string) error { return rename(from, to) }

// SyncDir makes the names in a folder durable: files created, renamed or
// removed there stay so after a power cut. Where the system offers no such
// thing, names are durable by themselves and it does nothing.
func SyncDir(path string) error {
	if err := syncDir(path); err != nil {
		return fmt.Errorf("sync folder %s: %w", path, err)
	}
	return nil
}

// SyncData makes the content and the length of a file durable. It may leave
// out what is not needed to read them back, such as the time of change.
func SyncData(f *os.File) error {
	if err := syncData(f); err != nil {
		return fmt.Errorf("sync %s: %w", f.Name(), err)
	}
	return nil
}

// rest waits for what another program does meanwhile.
func rest(d time.Duration) {
	over, stop := context.WithTimeout(context.Background(), d)
	defer stop()
	<-over.Done()
}
