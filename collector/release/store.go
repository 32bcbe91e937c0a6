package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/publisher"
)

// ErrUnknown means that there is no such release here.
var ErrUnknown = errors.New("this collector has no such release")

// ErrBusy means that as much is under way as the line may carry.
var ErrBusy = errors.New("as much is under way as may be: ask again in a while")

// MaxPart bounds a part of a program, in bytes.
const MaxPart = 256 << 10

// mostReleases bounds how many releases are kept: the newest.
const mostReleases = 3

// UsualRate is how many bytes a second all laptops together are given, if nobody
// said otherwise: 16 Mbit/s.
const UsualRate = 2 << 20

// longestTurn is how long at most a laptop waits for its turn before it is told to
// ask again.
const longestTurn = 20 * time.Second

// Options configures a store. Folder and Clock are required.
type Options struct {
	Folder string // of the releases; it need not be there
	Root   []byte // the publisher's; nil: none is taken in
	Rate   int    // bytes a second; 0: UsualRate
	Clock  clock.Clock
}

// Store keeps releases as the publisher signed them. It is safe for concurrent
// use.
type Store struct {
	o    Options
	pace *rate.Limiter

	mu    sync.Mutex // guards all below
	known map[string]Held
}

// Held is a release that is here.
type Held struct {
	publisher.Release
	Metadata publisher.Metadata `json:"-"`
}

// Open opens the releases of a folder. What cannot be read or verified any more is
// not handed on, and is told.
func Open(o Options) (s *Store, bad error, err error) {
	if o.Rate <= 0 {
		o.Rate = UsualRate
	}
	s = &Store{o: o, pace: rate.NewLimiter(rate.Limit(o.Rate), max(o.Rate, MaxPart)), known: map[string]Held{}}
	entries, err := os.ReadDir(o.Folder)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open the agent's releases: %w", err)
	}
	for _, e := range entries {
		if !publisher.IsVersion(e.Name()) {
			continue // one that was being taken in
		}
		h, err := s.read(os.DirFS(filepath.Join(o.Folder, e.Name())), time.Time{})
		if err != nil {
			bad = errors.Join(bad, fmt.Errorf("release %s is not handed on: %w", e.Name(), err))
			continue
		}
		s.known[h.Version] = h
	}
	return s, bad, nil
}

// read reads and verifies a folder's release, its programs aside.
func (s *Store) read(dir fs.FS, now time.Time) (Held, error) {
	m, err := publisher.ReadFolder(dir)
	if err != nil {
		return Held{}, err
	}
	r, taken, err := publisher.Check(s.o.Root, publisher.Metadata{}, m, now)
	if err != nil {
		return Held{}, err
	}
	// Laptops that were built with an earlier root follow from there.
	taken.Roots = m.Roots
	return Held{r, taken}, nil
}

// Add takes in a release from a folder as the publisher gave it out: every part of
// it must be signed, and not expired. One that is here already is renewed. It
// replaces nothing that is newer.
func (s *Store) Add(folder string) (Held, error) {
	dir := os.DirFS(folder)
	h, err := s.read(dir, s.o.Clock.Now())
	if err != nil {
		return Held{}, fmt.Errorf("take in the release in %s: %w", folder, err)
	}
	if err := publisher.CheckPrograms(dir, h.Release); err != nil {
		return Held{}, fmt.Errorf("take in the release in %s: %w", folder, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for v, other := range s.known {
		if _, _, err := publisher.Check(s.o.Root, other.Metadata, h.Metadata, time.Time{}); errors.Is(err, publisher.ErrOlder) {
			return Held{}, fmt.Errorf("take in the release in %s: the publisher signed it before %s, which is here: %w", folder, v, err)
		}
	}
	if err := s.copy(dir, h); err != nil {
		return Held{}, fmt.Errorf("take in release %s: %w", h.Version, err)
	}
	s.known[h.Version] = h
	return h, s.thin()
}

// copy copies a release in, whole or not at all.
func (s *Store) copy(from fs.FS, h Held) error {
	if err := durable.MakePrivate(s.o.Folder); err != nil {
		return err
	}
	to, part, old := filepath.Join(s.o.Folder, h.Version), filepath.Join(s.o.Folder, "taking-in"), filepath.Join(s.o.Folder, "replaced")
	for _, left := range []string{part, old} {
		if err := os.RemoveAll(left); err != nil {
			return fmt.Errorf("remove what was left of another: %w", err)
		}
	}
	if err := publisher.WriteFolder(part, h.Metadata); err != nil {
		return err
	}
	for _, p := range h.Programs {
		if err := copyFile(from, publisher.ProgramPath(h.Version, p), part, p.Length); err != nil {
			return err
		}
	}
	// The disk may have been changed under us.
	if err := publisher.CheckPrograms(os.DirFS(part), h.Release); err != nil {
		return err
	}
	if err := os.Rename(to, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("put it in place: %w", err)
	}
	if err := os.Rename(part, to); err != nil {
		return fmt.Errorf("put it in place: %w", err)
	}
	return errors.Join(durable.SyncDir(s.o.Folder), os.RemoveAll(old))
}

func copyFile(from fs.FS, name, to string, most int64) (err error) {
	in, err := from.Open(name)
	if err != nil {
		return fmt.Errorf("copy a program: %w", err)
	}
	defer in.Close()
	path := filepath.Join(to, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("copy a program: %w", err)
	}
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("copy a program: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, io.LimitReader(in, most)); err != nil {
		return fmt.Errorf("copy a program: %w", err)
	}
	return durable.SyncData(out)
}

// thin removes the oldest releases beyond what is kept. It is called with mu held.
func (s *Store) thin() error {
	all := s.newest()
	for _, h := range all[min(len(all), mostReleases):] {
		if err := os.RemoveAll(filepath.Join(s.o.Folder, h.Version)); err != nil {
			return fmt.Errorf("remove release %s, which is not needed any more: %w", h.Version, err)
		}
		delete(s.known, h.Version)
	}
	return nil
}

// newest lists what is here, the newest first. It is called with mu held.
func (s *Store) newest() []Held {
	var all []Held
	for _, h := range s.known {
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, b Held) int {
		switch {
		case publisher.Newer(a.Version, b.Version):
			return -1
		case publisher.Newer(b.Version, a.Version):
			return 1
		}
		return strings.Compare(a.Version, b.Version)
	})
	return all
}

// List returns what is here, the newest first.
func (s *Store) List() []Held {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newest()
}

// Get returns a release.
func (s *Store) Get(version string) (Held, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, ok := s.known[version]
	return h, ok
}

// Trusted reports whether this collector was built with a publisher's root.
func (s *Store) Trusted() bool { return len(s.o.Root) > 0 }

// Metadata returns the metadata of a release, of roots those after a number.
func (s *Store) Metadata(version string, root uint64) (publisher.Metadata, error) {
	h, ok := s.Get(version)
	if !ok {
		return publisher.Metadata{}, ErrUnknown
	}
	m := h.Metadata
	m.Roots = slices.DeleteFunc(slices.Clone(m.Roots), func(data []byte) bool {
		n, err := publisher.RootNumber(data)
		return err != nil || n < 1 || uint64(n) <= root
	})
	return m, nil
}

// Part returns a part of the program of a release for a system, once it is its
// turn. What is beyond the end is empty.
func (s *Store) Part(ctx context.Context, version, system string, offset uint64) ([]byte, error) {
	h, ok := s.Get(version)
	if !ok {
		return nil, ErrUnknown
	}
	p, ok := h.Program(system)
	if !ok || offset >= uint64(p.Length) {
		return nil, ErrUnknown
	}
	size := min(int64(MaxPart), p.Length-int64(offset))
	if err := s.turn(ctx, int(size)); err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(s.o.Folder, version, filepath.FromSlash(publisher.ProgramPath(version, p))))
	if err != nil {
		return nil, fmt.Errorf("read release %s: %w", version, err)
	}
	data := make([]byte, size)
	_, err = f.ReadAt(data, int64(offset))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read release %s: %w", version, err)
	}
	return data, nil
}

// turn waits until so many bytes may go.
func (s *Store) turn(ctx context.Context, size int) error {
	now := s.o.Clock.Now()
	r := s.pace.ReserveN(now, size)
	wait := r.DelayFrom(now)
	if !r.OK() || wait > longestTurn {
		r.CancelAt(now)
		return ErrBusy
	}
	if wait <= 0 {
		return nil
	}
	over, stop := s.o.Clock.After(wait)
	defer stop()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
