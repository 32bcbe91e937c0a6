package ledger

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// asideFiles reads a folder that it never writes to, such as a copy on a medium
// that cannot be written: every change is kept in memory and gone with it.
type asideFiles struct {
	mu      sync.Mutex // guards all below, and what each of them holds
	changed map[string]*asideContent
}

func newAsideFiles() *asideFiles { return &asideFiles{changed: map[string]*asideContent{}} }

// asideContent is what a file holds instead of what the folder has under its
// name.
type asideContent struct {
	gone bool
	data []byte
}

// Open implements files.
func (a *asideFiles) Open(path string, create bool) (file, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c, ok := a.changed[path]; ok && !c.gone {
		return &asideFile{in: a, path: path}, nil
	} else if !ok {
		base, err := os.Open(path)
		if err == nil {
			return &asideFile{in: a, path: path, base: base}, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if !create {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	a.changed[path] = &asideContent{}
	return &asideFile{in: a, path: path}, nil
}

// Replace implements files.
func (a *asideFiles) Replace(path string, data []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changed[path] = &asideContent{data: bytes.Clone(data)}
	return nil
}

// Rename implements files.
func (a *asideFiles) Rename(from, to string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	data, err := a.read(from)
	if err != nil {
		return err
	}
	a.changed[from], a.changed[to] = &asideContent{gone: true}, &asideContent{data: data}
	return nil
}

// Remove implements files.
func (a *asideFiles) Remove(path string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c, ok := a.changed[path]; ok && c.gone {
		return &fs.PathError{Op: "remove", Path: path, Err: fs.ErrNotExist}
	} else if !ok {
		if _, err := os.Lstat(path); err != nil {
			return err
		}
	}
	a.changed[path] = &asideContent{gone: true}
	return nil
}

// read returns a file whole. It is called with mu held.
func (a *asideFiles) read(path string) ([]byte, error) {
	c, ok := a.changed[path]
	switch {
	case !ok:
		return os.ReadFile(path)
	case c.gone:
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return c.data, nil
}

// MakeDir implements files.
func (*asideFiles) MakeDir(string) error { return nil }

// SyncDir implements files.
func (*asideFiles) SyncDir(string) error { return nil }

// Lock implements files: there is nothing to keep others out of.
func (*asideFiles) Lock(string) (func() error, error) { return func() error { return nil }, nil }

// List implements files.
func (a *asideFiles) List(path string) ([]string, error) {
	names, err := osFiles{}.List(path)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, c := range a.changed {
		if filepath.Dir(name) != filepath.Clean(path) {
			continue
		}
		at, there := slices.BinarySearch(names, filepath.Base(name))
		switch {
		case c.gone && there:
			names = slices.Delete(names, at, at+1)
		case !c.gone && !there:
			names = slices.Insert(names, at, filepath.Base(name))
		}
	}
	return names, nil
}

// asideFile is an open file: of the folder until it is changed.
type asideFile struct {
	in   *asideFiles
	path string
	base *os.File // nil if the folder has none
}

// ReadAt implements file.
func (f *asideFile) ReadAt(p []byte, off int64) (int, error) {
	f.in.mu.Lock()
	c, ok := f.in.changed[f.path]
	if !ok {
		f.in.mu.Unlock()
		return f.base.ReadAt(p, off)
	}
	defer f.in.mu.Unlock()
	return bytes.NewReader(c.data).ReadAt(p, off)
}

// WriteAt implements file. What is there already is not written: that leaves
// large files where they are.
func (f *asideFile) WriteAt(p []byte, off int64) (int, error) {
	there := make([]byte, len(p))
	if n, err := f.ReadAt(there, off); n == len(p) && (err == nil || errors.Is(err, io.EOF)) && bytes.Equal(there, p) {
		return len(p), nil
	}
	f.in.mu.Lock()
	defer f.in.mu.Unlock()
	c, err := f.own()
	if err != nil {
		return 0, err
	}
	if end := off + int64(len(p)); end > int64(len(c.data)) {
		c.data = append(c.data, make([]byte, end-int64(len(c.data)))...)
	}
	return copy(c.data[off:], p), nil
}

// own returns the file's content in memory. It is called with mu held.
func (f *asideFile) own() (*asideContent, error) {
	if c, ok := f.in.changed[f.path]; ok {
		return c, nil
	}
	data, err := os.ReadFile(f.path)
	if err != nil {
		return nil, err
	}
	c := &asideContent{data: data}
	f.in.changed[f.path] = c
	return c, nil
}

// Truncate implements file.
func (f *asideFile) Truncate(size int64) error {
	if now, err := f.Size(); err != nil || now == size {
		return err
	}
	f.in.mu.Lock()
	defer f.in.mu.Unlock()
	c, err := f.own()
	if err != nil {
		return err
	}
	if size <= int64(len(c.data)) {
		c.data = c.data[:size]
	} else {
		c.data = append(c.data, make([]byte, size-int64(len(c.data)))...)
	}
	return nil
}

// Size implements file.
func (f *asideFile) Size() (int64, error) {
	f.in.mu.Lock()
	defer f.in.mu.Unlock()
	if c, ok := f.in.changed[f.path]; ok {
		return int64(len(c.data)), nil
	}
	return osFile{f.base}.Size()
}

// Sync implements file.
func (*asideFile) Sync() error { return nil }

// Close implements file.
func (f *asideFile) Close() error {
	if f.base == nil {
		return nil
	}
	return f.base.Close()
}
