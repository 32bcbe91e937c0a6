package ledger

import (
	"errors"
	"sync"
)

// mostReaders is how many files are kept open for reading: the latest segments
// and the months and classes of which bodies are asked for.
const mostReaders = 24

// readers keeps files open between reads, because opening one costs more than
// reading a body from it. It is safe for concurrent use.
type readers struct {
	files func(name string) (file, error)

	mu     sync.Mutex // guards what follows
	open   map[string]*reader
	closed bool
	turn   uint64 // counts uses
}

// reader is a file that is open for reading.
type reader struct {
	file
	name   string
	users  int
	used   uint64 // the turn of its last use
	doomed bool   // closed by the last of its users
}

func newReaders(open func(name string) (file, error)) *readers {
	return &readers{files: open, open: map[string]*reader{}}
}

// take returns a file for reading. It must be given back.
func (rs *readers) take(name string) (*reader, error) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.turn++
	if r, ok := rs.open[name]; ok {
		r.users++
		r.used = rs.turn
		return r, nil
	}
	f, err := rs.files(name)
	if err != nil {
		return nil, err
	}
	r := &reader{file: f, name: name, users: 1, used: rs.turn, doomed: rs.closed}
	if rs.closed {
		return r, nil
	}
	rs.open[name] = r
	if err := rs.shed(); err != nil {
		return nil, errors.Join(err, rs.doom(r), f.Close())
	}
	return r, nil
}

// give gives a file back.
func (rs *readers) give(r *reader) error {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r.users--
	if r.doomed && r.users == 0 {
		return r.Close()
	}
	return nil
}

// shed closes the file that was not used for longest, if there are too many.
// The caller holds mu.
func (rs *readers) shed() error {
	if len(rs.open) <= mostReaders {
		return nil
	}
	var oldest *reader
	for _, r := range rs.open {
		if r.users == 0 && (oldest == nil || r.used < oldest.used) {
			oldest = r
		}
	}
	if oldest == nil {
		return nil
	}
	return rs.doom(oldest)
}

// doom closes a file once nobody reads it. The caller holds mu.
func (rs *readers) doom(r *reader) error {
	delete(rs.open, r.name)
	r.doomed = true
	if r.users == 0 {
		return r.Close()
	}
	return nil
}

// drop closes files of those names, before they are renamed or removed. The
// caller sees to it that nobody reads them.
func (rs *readers) drop(names ...string) error {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	var errs []error
	for _, name := range names {
		if r, ok := rs.open[name]; ok {
			errs = append(errs, rs.doom(r))
		}
	}
	return errors.Join(errs...)
}

// close closes all files. What is read afterwards is opened for one read.
func (rs *readers) close() error {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.closed = true
	var errs []error
	for _, r := range rs.open {
		errs = append(errs, rs.doom(r))
	}
	return errors.Join(errs...)
}
