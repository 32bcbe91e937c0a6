package system

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// watched are the changes to a folder's files that matter: a package manager
// writes a new file and renames it over the old one.
const watched = unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE | unix.IN_ONLYDIR | unix.IN_EXCL_UNLINK

// Watch calls changed once it watches, so that whoever looks at that moment
// misses nothing, and again after one or more of the files were written,
// replaced or removed, until the context ends, which is no error. It watches
// their folders, so that a file may come later; a folder that is not there is
// left out. If there is none to watch, or one goes away, it fails with
// fs.ErrNotExist. It sleeps in the kernel between changes; what follows within
// one burst is told once.
func Watch(ctx context.Context, files []string, changed func()) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watch files: %w", err)
	}
	notices := os.NewFile(uintptr(fd), "inotify")
	defer notices.Close()
	names, err := watchFolders(fd, files)
	if err != nil {
		return fmt.Errorf("watch files: %w", err)
	}
	defer closeWhenDone(ctx, notices)()
	changed()
	buffer := make([]byte, 64<<10)
	for {
		n, err := notices.Read(buffer)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("watch files: %w", err)
		}
		told, err := concerns(buffer[:n], names)
		if told {
			changed()
		}
		if err != nil {
			return fmt.Errorf("watch files: %w", err)
		}
	}
}

// watchFolders adds a watch for each file's folder and returns the names that
// matter in it, by watch.
func watchFolders(fd int, files []string) (map[int32]map[string]bool, error) {
	names := map[int32]map[string]bool{}
	for _, file := range files {
		wd, err := unix.InotifyAddWatch(fd, path.Dir(file), watched)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if names[int32(wd)] == nil {
			names[int32(wd)] = map[string]bool{}
		}
		names[int32(wd)][path.Base(file)] = true
	}
	if len(names) == 0 {
		return nil, fs.ErrNotExist
	}
	return names, nil
}

// concerns reports whether a batch of notices is about a watched file. Lost
// notices are about every file. It fails if a folder is no longer watched.
func concerns(batch []byte, names map[int32]map[string]bool) (told bool, err error) {
	for len(batch) >= unix.SizeofInotifyEvent {
		wd := int32(binary.NativeEndian.Uint32(batch))
		mask := binary.NativeEndian.Uint32(batch[4:])
		length := binary.NativeEndian.Uint32(batch[12:])
		batch = batch[unix.SizeofInotifyEvent:]
		if uint64(length) > uint64(len(batch)) {
			return true, errors.New("a notice was cut short")
		}
		name := unix.ByteSliceToString(batch[:length])
		batch = batch[length:]
		if mask&unix.IN_IGNORED != 0 {
			return true, fmt.Errorf("a folder went away: %w", fs.ErrNotExist)
		}
		if mask&unix.IN_Q_OVERFLOW != 0 || names[wd][name] {
			told = true
		}
	}
	return told, nil
}
