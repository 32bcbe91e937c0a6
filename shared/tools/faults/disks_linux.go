package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// smallDisks mounts a disk of its own, in memory, for each of the two
// programs' folders, so that it can be full. What it returns takes them away;
// what lies on them is kept then.
func smallDisks(dir string) (unmount func() error, err error) {
	var mounted []string
	unmount = func() error {
		var all []error
		for _, m := range mounted {
			kept := m + ".kept"
			_ = os.Remove(filepath.Join(m, "console.sock")) // no copy of it is worth anything
			all = append(all, os.CopyFS(kept, os.DirFS(m)), unix.Unmount(m, unix.MNT_DETACH), os.Remove(m), os.Rename(kept, m))
		}
		return errors.Join(all...)
	}
	for name, size := range map[string]string{"data": "256m", "state": "8m"} {
		folder := filepath.Join(dir, name)
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return unmount, fmt.Errorf("make a small disk: %w", err)
		}
		if err := unix.Mount("tmpfs", folder, "tmpfs", 0, "mode=0700,size="+size); err != nil {
			return unmount, fmt.Errorf("mount a small disk at %s: %w", folder, err)
		}
		mounted = append(mounted, folder)
	}
	return unmount, nil
}

const filler = "filler"

// fill leaves no room on the disk of a folder.
func fill(folder string) error {
	f, err := os.Create(filepath.Join(folder, filler))
	if err != nil {
		return fmt.Errorf("fill the disk: %w", err)
	}
	for chunk := make([]byte, 1<<20); len(chunk) > 0; {
		n, err := f.Write(chunk)
		if errors.Is(err, unix.ENOSPC) {
			if chunk = chunk[:n/2]; n == 0 {
				break
			}
		} else if err != nil {
			return errors.Join(fmt.Errorf("fill the disk: %w", err), f.Close())
		}
	}
	return f.Close()
}

// free makes room again.
func free(folder string) error { return os.Remove(filepath.Join(folder, filler)) }
