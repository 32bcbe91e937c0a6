package system

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Watch calls changed once it watches, so that whoever looks at that moment
// misses nothing, and again after one or more of the files or folders were
// written, replaced or removed, until the context ends, which is no error. It
// watches their folders too, so that one may come later; a folder that is not
// there is left out. If there is none to watch, or one goes away, it fails
// with fs.ErrNotExist. It sleeps in the kernel between changes. Of a folder
// only the names in it are watched, not what is below them.
func Watch(ctx context.Context, files []string, changed func()) error {
	if err := watch(ctx, files, changed); err != nil {
		return fmt.Errorf("watch files: %w", err)
	}
	return nil
}

func watch(ctx context.Context, files []string, changed func()) error {
	folders, err := newVnodes()
	if err != nil {
		return err
	}
	defer folders.close()
	looks := map[string]look{}
	for _, file := range files {
		err := folders.add(ctx, path.Dir(file))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
			continue
		}
		if err != nil {
			return err
		}
		looks[file] = look{}
	}
	if len(looks) == 0 {
		return fs.ErrNotExist
	}
	defer folders.wakeWhenDone(ctx)()
	kept := len(folders.open)
	if err := folders.addThere(ctx, looks); err != nil {
		return err
	}
	lookAgain(looks)
	changed()
	for {
		gone, err := folders.wait()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		// A file may be another one now.
		folders.drop(kept)
		if err := folders.addThere(ctx, looks); err != nil {
			return err
		}
		if lookAgain(looks) {
			changed()
		}
		if slices.ContainsFunc(gone, func(fd int) bool { return slices.Contains(folders.open[:kept], fd) }) {
			changed()
			return fmt.Errorf("a folder went away: %w", fs.ErrNotExist)
		}
	}
}

// vnodes are files and folders whose changes the kernel tells.
type vnodes struct {
	queue int
	open  []int
}

func newVnodes() (*vnodes, error) {
	queue, err := unix.Kqueue()
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(queue)
	v := &vnodes{queue: queue}
	// Number 0 is what wakes who waits.
	wake := unix.Kevent_t{Filter: unix.EVFILT_USER, Flags: unix.EV_ADD | unix.EV_CLEAR}
	if err := v.register(wake); err != nil {
		v.close()
		return nil, err
	}
	return v, nil
}

func (v *vnodes) register(e unix.Kevent_t) error {
	_, err := unix.Kevent(v.queue, []unix.Kevent_t{e}, nil, nil)
	return err
}

func (v *vnodes) close() {
	v.drop(0)
	_ = unix.Close(v.queue)
}

// drop stops watching all but the first.
func (v *vnodes) drop(first int) {
	for _, fd := range v.open[first:] {
		_ = unix.Close(fd)
	}
	v.open = v.open[:first]
}

// openWithin bounds the opening of a file, which privacy protection has been
// seen to hold up for good.
const openWithin = 10 * time.Second

func (v *vnodes) add(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	fd, err := within(ctx, func() (int, error) { return unix.Open(name, unix.O_EVTONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0) })
	if err != nil {
		return err
	}
	v.open = append(v.open, fd)
	e := unix.Kevent_t{Fflags: unix.NOTE_WRITE | unix.NOTE_EXTEND | unix.NOTE_DELETE | unix.NOTE_RENAME | unix.NOTE_REVOKE}
	unix.SetKevent(&e, fd, unix.EVFILT_VNODE, unix.EV_ADD|unix.EV_CLEAR)
	return v.register(e)
}

// addThere adds those of the files that are there.
func (v *vnodes) addThere(ctx context.Context, files map[string]look) error {
	for file := range files {
		if err := v.add(ctx, file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// wakeWhenDone wakes who waits when the context ends. The function it returns
// waits for that to be over.
func (v *vnodes) wakeWhenDone(ctx context.Context) func() {
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = v.register(unix.Kevent_t{Filter: unix.EVFILT_USER, Fflags: unix.NOTE_TRIGGER})
		close(woken)
	})
	return func() {
		if !stop() {
			<-woken
		}
	}
}

// wait waits for changes and returns which of what it watches went away.
func (v *vnodes) wait() (gone []int, err error) {
	events := make([]unix.Kevent_t, 16)
	n, err := unix.Kevent(v.queue, nil, events, nil)
	if errors.Is(err, unix.EINTR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range events[:n] {
		if e.Filter == unix.EVFILT_VNODE && e.Fflags&(unix.NOTE_DELETE|unix.NOTE_RENAME|unix.NOTE_REVOKE) != 0 {
			gone = append(gone, int(e.Ident))
		}
	}
	return gone, nil
}
