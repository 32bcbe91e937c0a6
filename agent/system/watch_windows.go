package system

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

// Watch calls changed once it watches, so that whoever looks at that moment
// misses nothing, and again after one or more of the files were written,
// replaced or removed, or something in one of the registry's keys (HKLM\…)
// changed, however deep, until the context ends, which is no error. Of a file
// it watches the folder, so that it may come later; a folder or a key that is
// not there is left out. If there is none to watch, or one goes away, it fails
// with fs.ErrNotExist. It sleeps in the kernel between changes.
func Watch(ctx context.Context, names []string, changed func()) error {
	if err := watch(ctx, names, changed); err != nil {
		return fmt.Errorf("watch files: %w", coded(err))
	}
	return nil
}

func watch(ctx context.Context, names []string, changed func()) error {
	ended, err := windows.CreateEvent(nil, 1, 0, nil)
	if err != nil {
		return err
	}
	defer func() { _ = windows.CloseHandle(ended) }()
	w := &watches{handles: []windows.Handle{ended}, again: []func() (bool, error){nil}}
	defer w.close()
	if err := w.add(names); err != nil {
		return err
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = windows.SetEvent(ended)
		close(stopped)
	})
	defer func() {
		if !stop() {
			<-stopped
		}
	}()
	changed()
	for {
		n, err := windows.WaitForMultipleObjects(w.handles, false, windows.INFINITE)
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		if n == 0 || int(n) >= len(w.handles) {
			return fmt.Errorf("wait for changes: it ended with %#x", n)
		}
		// It is watched again before anybody looks.
		told, err := w.again[n]()
		if told || err != nil {
			changed()
		}
		if err != nil {
			return err
		}
	}
}

// mostWatches is how many handles can be waited for: MAXIMUM_WAIT_OBJECTS.
const mostWatches = 64

// watches are the handles that are waited for, and what has each tell again.
type watches struct {
	handles []windows.Handle
	// again says whether what was told is about what is watched.
	again  []func() (bool, error)
	closes []func()
}

func (w *watches) close() {
	for _, c := range w.closes {
		c()
	}
}

func (w *watches) add(names []string) error {
	folders := map[string]map[string]look{}
	for _, name := range names {
		var err error
		if isKeyPath(name) {
			err = w.addKey(name)
		} else {
			err = addFile(folders, name)
		}
		if err = coded(err); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for folder, files := range folders {
		if err := coded(w.addFolder(folder, files)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	switch {
	case len(w.handles) == 1:
		return fs.ErrNotExist
	case len(w.handles) > mostWatches:
		return fmt.Errorf("%d at once: %w", len(w.handles), ErrTooLarge)
	}
	return nil
}

func (w *watches) addKey(name string) error {
	root, path, _ := strings.Cut(name, `\`)
	from := registry.LOCAL_MACHINE
	if strings.EqualFold(root, "HKU") {
		from = registry.USERS
	}
	key, err := registry.OpenKey(from, path, registry.NOTIFY|registry.WOW64_64KEY)
	if err != nil {
		return err
	}
	event, err := windows.CreateEvent(nil, 0, 0, nil)
	if err != nil {
		key.Close()
		return err
	}
	// The notice does not end with the thread that asked for it: which thread
	// of Go's that is, nobody knows.
	const changes = windows.REG_NOTIFY_CHANGE_NAME | windows.REG_NOTIFY_CHANGE_LAST_SET | windows.REG_NOTIFY_THREAD_AGNOSTIC
	again := func() (bool, error) {
		err := coded(windows.RegNotifyChangeKeyValue(windows.Handle(key), true, changes, event, true))
		if CodeOf(err) == uint32(windows.ERROR_KEY_DELETED) {
			err = fmt.Errorf("a key went away: %w", fs.ErrNotExist)
		}
		return true, err
	}
	w.closes = append(w.closes, func() {
		key.Close()
		_ = windows.CloseHandle(event)
	})
	if _, err := again(); err != nil {
		return err
	}
	w.handles, w.again = append(w.handles, event), append(w.again, again)
	return nil
}

// addFile adds a file to those that are watched in its folder.
func addFile(folders map[string]map[string]look, name string) error {
	drive, below, err := localPath(name)
	if err != nil {
		return err
	}
	if len(below) == 0 {
		return fmt.Errorf("%.200q is not a file on a drive: %w", name, fs.ErrInvalid)
	}
	file := string(drive) + `:\` + strings.Join(below, `\`)
	folder := filepath.Dir(file)
	if folders[folder] == nil {
		folders[folder] = map[string]look{}
	}
	folders[folder][file] = look{}
	return nil
}

func (w *watches) addFolder(folder string, files map[string]look) error {
	const changes = windows.FILE_NOTIFY_CHANGE_FILE_NAME | windows.FILE_NOTIFY_CHANGE_DIR_NAME | windows.FILE_NOTIFY_CHANGE_SIZE |
		windows.FILE_NOTIFY_CHANGE_LAST_WRITE
	handle, err := windows.FindFirstChangeNotification(folder, false, changes)
	if err != nil {
		return err
	}
	lookAgain(files)
	w.closes = append(w.closes, func() { _ = windows.FindCloseChangeNotification(handle) })
	w.handles = append(w.handles, handle)
	w.again = append(w.again, func() (bool, error) {
		err := coded(windows.FindNextChangeNotification(handle))
		return lookAgain(files), err
	})
	return nil
}
