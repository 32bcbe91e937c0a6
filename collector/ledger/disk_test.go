package ledger

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/caretaker-school/caretaker/shared/durable"
)

// MemoryDisk is a disk that forgets what was not synced when its power is cut,
// and fails calls when told to. Names are kept apart from contents, as a real
// one does: a file whose folder was not synced may be gone, or still be under
// its old name.
type MemoryDisk struct {
	mu     sync.Mutex
	names  map[string]*memoryFile // as a process sees them
	synced map[string]*memoryFile // as they are after a power cut
	dirs   map[string]bool
	locked bool

	calls  int
	FailAt int   // the call that fails; 0 means none
	Fault  error // what it fails with, and all that follow if the power is cut
	dead   bool
}

type memoryFile struct {
	now    []byte
	synced []byte
}

var ErrPower = errors.New("the power was cut")

func NewMemoryDisk() *MemoryDisk {
	return &MemoryDisk{names: map[string]*memoryFile{}, synced: map[string]*memoryFile{}, dirs: map[string]bool{}}
}

// call counts a call that changes the disk, and fails the one that is due. The
// caller holds mu.
func (d *MemoryDisk) call() error {
	if d.dead {
		return ErrPower
	}
	d.calls++
	if d.FailAt > 0 && d.calls == d.FailAt {
		d.dead = errors.Is(d.Fault, ErrPower)
		return d.Fault
	}
	return nil
}

// restart cuts the power: of what was not synced, each page and each name is
// kept or lost by chance.
func (d *MemoryDisk) Restart(chance *rand.Rand) *MemoryDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	after := NewMemoryDisk()
	maps.Copy(after.dirs, d.dirs)
	seen := map[*memoryFile]bool{}
	for _, name := range slices.Sorted(maps.Keys(d.names)) {
		if f := d.names[name]; d.synced[name] == f || chance.IntN(2) == 0 {
			after.names[name] = &memoryFile{now: f.torn(chance)}
			seen[f] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.synced)) {
		if f := d.synced[name]; after.names[name] == nil && !seen[f] {
			after.names[name] = &memoryFile{now: f.torn(chance)}
		}
	}
	for name, f := range after.names {
		f.synced = slices.Clone(f.now)
		after.synced[name] = f
	}
	return after
}

// torn returns what is on disk of a file: the synced content, and any of the
// pages written since.
func (f *memoryFile) torn(chance *rand.Rand) []byte {
	const page = 512
	size := len(f.synced)
	if len(f.now) != size && chance.IntN(2) == 0 {
		size = len(f.now)
		if len(f.now) > len(f.synced) {
			size = len(f.synced) + chance.IntN(len(f.now)-len(f.synced)+1)
		}
	}
	out := make([]byte, size)
	copy(out, f.synced)
	for at := 0; at < size; at += page {
		if chance.IntN(2) == 0 && at < len(f.now) {
			copy(out[at:min(at+page, size)], f.now[at:])
		}
	}
	return out
}

func (d *MemoryDisk) Open(path string, create bool) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, ok := d.names[path]
	if !ok {
		if !create || !d.dirs[filepath.Dir(path)] {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
		if err := d.call(); err != nil {
			return nil, err
		}
		f = &memoryFile{}
		d.names[path] = f
	}
	return &memoryHandle{disk: d, file: f}, nil
}

func (d *MemoryDisk) Replace(path string, data []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.call(); err != nil {
		return err
	}
	f := &memoryFile{now: slices.Clone(data), synced: slices.Clone(data)}
	d.names[path], d.synced[path] = f, f
	return nil
}

func (d *MemoryDisk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, ok := d.names[from]
	if !ok {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	if err := d.call(); err != nil {
		return err
	}
	delete(d.names, from)
	d.names[to] = f
	return nil
}

func (d *MemoryDisk) Remove(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.names[path]; !ok {
		return &fs.PathError{Op: "remove", Path: path, Err: fs.ErrNotExist}
	}
	if err := d.call(); err != nil {
		return err
	}
	delete(d.names, path)
	return nil
}

func (d *MemoryDisk) MakeDir(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dirs[path] = true
	return nil
}

func (d *MemoryDisk) List(path string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.dirs[path] {
		return nil, nil // as most of the folders that are looked for
	}
	var out []string
	for name := range d.names {
		if filepath.Dir(name) == path {
			out = append(out, filepath.Base(name))
		}
	}
	slices.Sort(out)
	return out, nil
}

func (d *MemoryDisk) SyncDir(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.dirs[path] {
		return &fs.PathError{Op: "sync", Path: path, Err: fs.ErrNotExist}
	}
	if err := d.call(); err != nil {
		return err
	}
	for name := range d.synced {
		if filepath.Dir(name) == path && d.names[name] == nil {
			delete(d.synced, name)
		}
	}
	for name, f := range d.names {
		if filepath.Dir(name) == path {
			d.synced[name] = f
		}
	}
	return nil
}

func (d *MemoryDisk) Lock(path string) (func() error, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locked {
		return nil, fmt.Errorf("lock %s: %w", path, durable.ErrHeld)
	}
	d.locked = true
	return func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.locked = false
		return nil
	}, nil
}

// holds reports which file holds a text.
func (d *MemoryDisk) Holds(text string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, f := range d.names {
		if strings.Contains(string(f.now), text) {
			return name
		}
	}
	return ""
}

type memoryHandle struct {
	disk *MemoryDisk
	file *memoryFile
}

func (h *memoryHandle) ReadAt(p []byte, offset int64) (int, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if offset >= int64(len(h.file.now)) {
		return 0, io.EOF
	}
	n := copy(p, h.file.now[offset:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *memoryHandle) WriteAt(p []byte, offset int64) (int, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	n, err := len(p), h.disk.call()
	if err != nil {
		n /= 2 // a full disk takes a part
	}
	if end := int(offset) + n; end > len(h.file.now) {
		h.file.now = append(h.file.now, make([]byte, end-len(h.file.now))...)
	}
	copy(h.file.now[offset:], p[:n])
	return n, err
}

func (h *memoryHandle) Sync() error {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if err := h.disk.call(); err != nil {
		return err
	}
	h.file.synced = slices.Clone(h.file.now)
	return nil
}

func (h *memoryHandle) Truncate(size int64) error {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if err := h.disk.call(); err != nil {
		return err
	}
	if int(size) <= len(h.file.now) {
		h.file.now = h.file.now[:size:size]
	} else {
		h.file.now = append(h.file.now, make([]byte, int(size)-len(h.file.now))...)
	}
	return nil
}

func (h *memoryHandle) Size() (int64, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	return int64(len(h.file.now)), nil
}

func (h *memoryHandle) Close() error { return nil }

// clone copies a disk as a backup of a closed ledger would.
func (d *MemoryDisk) Clone() *MemoryDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := NewMemoryDisk()
	maps.Copy(c.dirs, d.dirs)
	for name, f := range d.names {
		g := &memoryFile{now: slices.Clone(f.now), synced: slices.Clone(f.now)}
		c.names[name], c.synced[name] = g, g
	}
	return c
}

// On returns options for a ledger on a memory disk.
func (o Options) On(d *MemoryDisk) Options {
	o.files = d
	return o
}

// Names returns the names of all files.
func (d *MemoryDisk) Names() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.names))
}

// File returns the content of a file, to be changed in place.
func (d *MemoryDisk) File(name string) []byte { return d.names[name].now }

// SetFile replaces the content of a file.
func (d *MemoryDisk) SetFile(name string, content []byte) { d.names[name].now = content }

// Calls returns how many calls changed the disk.
func (d *MemoryDisk) Calls() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls
}
