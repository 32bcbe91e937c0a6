package systemtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Fault is what goes wrong with a reading.
type Fault string

// The faults.
const (
	Denied      Fault = "denied"
	TimedOut    Fault = "timed out"
	Unsupported Fault = "unsupported"
	Unreadable  Fault = "unreadable"
	Absent      Fault = "absent"    // it does not exist
	Truncated   Fault = "truncated" // only the first half of it arrives, without an error
)

// Faults are all of them.
func Faults() []Fault {
	return []Fault{Denied, TimedOut, Unsupported, Unreadable, Absent, Truncated}
}

var errFault = errors.New("made unreadable by the test")

func (f Fault) err() error {
	switch f {
	case Denied:
		return fs.ErrPermission
	case TimedOut:
		return context.DeadlineExceeded
	case Unsupported:
		return errors.ErrUnsupported
	case Absent:
		return fs.ErrNotExist
	default:
		return errFault
	}
}

// Faulty is a Reader of which one reading goes wrong.
type Faulty struct {
	system.Reader
	nth   int64
	fault Fault
	asked atomic.Int64
}

// NewFaulty makes a Reader whose nth reading, counted from 0, goes wrong. With
// a negative nth it only counts.
func NewFaulty(r system.Reader, nth int, fault Fault) *Faulty {
	return &Faulty{Reader: r, nth: int64(nth), fault: fault}
}

// Asked returns how many readings were asked for.
func (f *Faulty) Asked() int { return int(f.asked.Load()) }

// EachFault calls ask once for each reading that it makes and each fault, with
// a Reader in which that reading goes wrong. What ask concludes must never be
// better than what it concludes when nothing does.
func EachFault(t *testing.T, r system.Reader, ask func(t *testing.T, r system.Reader, fault Fault)) {
	t.Helper()
	count := NewFaulty(r, -1, "")
	ask(t, count, "")
	for nth := range count.Asked() {
		for _, fault := range Faults() {
			t.Run(fmt.Sprintf("reading %d %s", nth, fault), func(t *testing.T) {
				ask(t, NewFaulty(r, nth, fault), fault)
			})
		}
	}
}

// next counts a reading and reports whether it goes wrong.
func (f *Faulty) next() bool { return f.asked.Add(1)-1 == f.nth }

// through makes one reading: whole, cut, or failed.
func through[T any](f *Faulty, read func() (T, error), cut func(T) T) (T, error) {
	if !f.next() {
		return read()
	}
	var none T
	if f.fault != Truncated {
		return none, fmt.Errorf("read: %w", f.fault.err())
	}
	value, err := read()
	if err != nil {
		return none, err
	}
	return cut(value), nil
}

func half[E any](s []E) []E { return s[:len(s)/2] }

// File implements system.Reader.
func (f *Faulty) File(ctx context.Context, path string, limit int64) ([]byte, error) {
	return through(f, func() ([]byte, error) { return f.Reader.File(ctx, path, limit) }, half)
}

// Part implements system.Reader.
func (f *Faulty) Part(ctx context.Context, path string, offset int64, length int) ([]byte, error) {
	return through(f, func() ([]byte, error) { return f.Reader.Part(ctx, path, offset, length) }, half)
}

// Dir implements system.Reader.
func (f *Faulty) Dir(ctx context.Context, path string) ([]system.Entry, error) {
	return through(f, func() ([]system.Entry, error) { return f.Reader.Dir(ctx, path) }, half)
}

// Link implements system.Reader.
func (f *Faulty) Link(ctx context.Context, path string) (string, error) {
	return through(f, func() (string, error) { return f.Reader.Link(ctx, path) },
		func(s string) string { return s[:len(s)/2] })
}

// Stat implements system.Reader.
func (f *Faulty) Stat(ctx context.Context, path string) (system.Stat, error) {
	return through(f, func() (system.Stat, error) { return f.Reader.Stat(ctx, path) },
		func(s system.Stat) system.Stat { s.Size /= 2; return s })
}

// Run implements system.Reader.
func (f *Faulty) Run(ctx context.Context, c system.Command) (system.Output, error) {
	return through(f, func() (system.Output, error) { return f.Reader.Run(ctx, c) },
		func(o system.Output) system.Output { o.Stdout, o.Stderr = half(o.Stdout), half(o.Stderr); return o })
}

// Ask implements system.Reader.
func (f *Faulty) Ask(ctx context.Context, q system.Query) ([]byte, error) {
	return through(f, func() ([]byte, error) { return f.Reader.Ask(ctx, q) }, half)
}

// Key implements system.Reader. Of a truncated key half of the values and of
// the names below it arrive.
func (f *Faulty) Key(ctx context.Context, path string) (system.RegistryKey, error) {
	return through(f, func() (system.RegistryKey, error) { return f.Reader.Key(ctx, path) },
		func(k system.RegistryKey) system.RegistryKey {
			return system.RegistryKey{Values: halfOf(k.Values), Keys: half(k.Keys)}
		})
}

// Rows implements system.Reader. Of truncated rows half of the values arrive.
func (f *Faulty) Rows(ctx context.Context, r system.Rowset) ([]system.Values, error) {
	return through(f, func() ([]system.Values, error) { return f.Reader.Rows(ctx, r) },
		func(rows []system.Values) []system.Values {
			for i := range rows {
				rows[i] = halfOf(rows[i])
			}
			return rows
		})
}

func halfOf(v system.Values) system.Values {
	cut := system.Values{}
	for _, name := range half(slices.Sorted(maps.Keys(v))) {
		cut[name] = v[name]
	}
	return cut
}

// Processes implements system.Reader.
func (f *Faulty) Processes(ctx context.Context) ([]string, error) {
	return through(f, func() ([]string, error) { return f.Reader.Processes(ctx) }, half)
}

// Walk implements system.Reader. A truncated walk ends after half of its files
// and says that its time was over.
func (f *Faulty) Walk(ctx context.Context, limits system.WalkLimits, visit func(system.WalkedFile) error) (system.WalkSummary, error) {
	walk := func() (system.WalkSummary, error) { return f.Reader.Walk(ctx, limits, visit) }
	if f.nth != f.asked.Load() || f.fault != Truncated {
		return through(f, walk, func(s system.WalkSummary) system.WalkSummary { return s })
	}
	f.next()
	files := 0
	if _, err := f.Reader.Walk(ctx, limits, func(system.WalkedFile) error { files++; return nil }); err != nil {
		return system.WalkSummary{}, err
	}
	limits.Files = files / 2
	s, err := f.Reader.Walk(ctx, limits, visit)
	s.Stopped = posture.TimedOut
	return s, err
}
