//go:build unix

package app

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// handOver gives what root made in the data folder to the account that owns the
// folder: whoever runs a command as the system's administrator is often not who the
// collector runs as, which could not open what they made.
//
// That account can change what is in the folder meanwhile. So root leaves the folder
// by no link, gives what it has open, and not what has a second name elsewhere.
func handOver(data string) error {
	folder, err := os.Stat(data)
	if err != nil {
		return fmt.Errorf("see whose the data folder is: %w", err)
	}
	owner := folder.Sys().(*syscall.Stat_t)
	if os.Geteuid() != 0 || owner.Uid == 0 {
		return nil
	}
	root, err := os.OpenRoot(data)
	if err != nil {
		return fmt.Errorf("open the data folder: %w", err)
	}
	defer root.Close()
	give := func(path string) error {
		f, err := root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		made := info.Sys().(*syscall.Stat_t)
		if made.Uid != 0 || info.Mode().IsRegular() && made.Nlink > 1 {
			return nil
		}
		return f.Chown(int(owner.Uid), int(owner.Gid))
	}
	return fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && (d.IsDir() || d.Type().IsRegular()) {
			err = give(path)
		}
		if err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("give %s to the owner of %s: %w", path, data, err)
		}
		return nil
	})
}
