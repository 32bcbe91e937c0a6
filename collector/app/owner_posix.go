//go:build unix

package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// handOver gives what is root's in the data folder to the account that owns the
// folder: whoever runs a command as the system's administrator is often not who the
// collector runs as, which could not open what they made.
//
// That account can change what is in the folder meanwhile. So root leaves the folder
// by no link, gives what it has open, and not what has a second name elsewhere.
func handOver(data string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	root, err := os.OpenRoot(data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open the data folder: %w", err)
	}
	defer root.Close()
	folder, err := root.Stat(".")
	if err != nil {
		return fmt.Errorf("see whose the data folder is: %w", err)
	}
	owner := folder.Sys().(*syscall.Stat_t)
	if owner.Uid == 0 {
		return nil
	}
	roots := func(info fs.FileInfo) bool {
		made := info.Sys().(*syscall.Stat_t)
		return made.Uid == 0 && (info.IsDir() || info.Mode().IsRegular() && made.Nlink == 1)
	}
	give := func(path string, d fs.DirEntry) error {
		if info, err := d.Info(); err != nil || !roots(info) {
			return err
		}
		f, err := root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		if info, err := f.Stat(); err != nil || !roots(info) { // it may be another by now
			return err
		}
		return f.Chown(int(owner.Uid), int(owner.Gid))
	}
	return fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = give(path, d)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("give %s to the owner of %s: %w", path, data, err)
		}
		return nil
	})
}
