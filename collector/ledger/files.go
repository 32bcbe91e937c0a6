package ledger

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// files are the few calls by which the ledger reaches the disk, so that tests
// can make each of them fail and lose what was not synced.
type files interface {
	// Open opens a file for reading and writing, making it if create is set.
	Open(path string, create bool) (file, error)
	// Replace replaces a file whole or not at all, durably.
	Replace(path string, data []byte) error
	// Rename renames a file; durable after SyncDir.
	Rename(from, to string) error
	// Remove removes a file; durable after SyncDir.
	Remove(path string) error
	// MakeDir makes a folder and those above it, durably.
	MakeDir(path string) error
	// List returns the names in a folder, sorted; none if there is no folder.
	List(path string) ([]string, error)
	// SyncDir makes the names in a folder durable.
	SyncDir(path string) error
	// Lock keeps other processes out until release is called.
	Lock(path string) (release func() error, err error)
}

// file is an open file.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error // content and length
	Truncate(size int64) error
	Size() (int64, error)
}

// osFiles are the operating system's.
type osFiles struct{}

func (osFiles) Open(path string, create bool) (file, error) {
	flag := os.O_RDWR
	if create {
		flag |= os.O_CREATE
	}
	f, err := os.OpenFile(path, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osFiles) Replace(path string, data []byte) error { return durable.WriteFile(path, data, 0o600) }
func (osFiles) Rename(from, to string) error           { return os.Rename(from, to) }
func (osFiles) Remove(path string) error               { return os.Remove(path) }
func (osFiles) SyncDir(path string) error              { return durable.SyncDir(path) }

func (osFiles) Lock(path string) (func() error, error) { return durable.Lock(path) }

func (osFiles) MakeDir(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

func (osFiles) List(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

type osFile struct{ *os.File }

func (f osFile) Sync() error { return durable.SyncData(f.File) }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Files below the ledger's folder. Those marked * hold nothing that the others
// do not, and are made again if they are missing or wrong.
//
//	lock                            who has the ledger open
//	segments/<8 digits>.seg         envelopes, and where their bodies lie
//	bodies/<class>/<YYYY-MM>.seg    bodies
//	bodies/<class>/<YYYY-MM>.kept   bodies held back when the rest was forgotten
//	bodies/<class>/<YYYY-MM>.at   * where each of these lies
//	checkpoint                      the latest checkpoint that was given
//	checkpoints                     all that were given
//	hashes                        * the tree
//	entries                       * where each entry lies
//	subjects                      * each subject's last statement
//	mark                          * up to where everything is surely synced
const (
	lockFile        = "lock"
	segmentsDir     = "segments"
	bodiesDir       = "bodies"
	checkpointFile  = "checkpoint"
	checkpointsFile = "checkpoints"
	hashesFile      = "hashes"
	entriesFile     = "entries"
	subjectsFile    = "subjects"
	markFile        = "mark"
)

// Month is a month of UTC, in which entries were received. Its zero value is
// no month.
type Month struct {
	Year  int
	Month time.Month
}

// MonthOf returns the month of a time of receipt in milliseconds since 1970.
func MonthOf(receivedAt uint64) Month {
	t := time.UnixMilli(int64(receivedAt)).UTC()
	return Month{Year: t.Year(), Month: t.Month()}
}

// String returns the month as in "2026-10".
func (m Month) String() string {
	return time.Date(m.Year, m.Month, 1, 0, 0, 0, 0, time.UTC).Format("2006-01")
}

// ParseMonth reads what String writes and refuses anything else.
func ParseMonth(s string) (Month, error) {
	t, err := time.Parse("2006-01", s)
	if err != nil {
		return Month{}, err
	}
	return Month{Year: t.Year(), Month: t.Month()}, nil
}

// drawer names the bodies of one class and month: what is forgotten together.
type drawer struct {
	class proof.Class
	month Month
}

func drawerOf(e proof.Envelope, n int) drawer {
	return drawer{class: e.Sections[n].Class, month: MonthOf(e.ReceivedAt)}
}

func (d drawer) dir() string    { return filepath.Join(bodiesDir, d.class.String()) }
func (d drawer) base() string   { return filepath.Join(d.dir(), d.month.String()) }
func (d drawer) bodies() string { return d.base() + ".seg" }
func (d drawer) kept() string   { return d.base() + ".kept" }
func (d drawer) at() string     { return d.base() + ".at" }

// States of a drawer while Forget is at work; see forget.go.
func (d drawer) draft() string     { return d.base() + ".draft" }
func (d drawer) ready() string     { return d.base() + ".ready" }
func (d drawer) forgotten() string { return d.base() + ".forgotten" }

// compare orders drawers, so that files are written in the same order everywhere.
func (d drawer) compare(e drawer) int {
	switch {
	case d.class != e.class:
		return int(d.class) - int(e.class)
	case d.month.Year != e.month.Year:
		return d.month.Year - e.month.Year
	}
	return int(d.month.Month) - int(e.month.Month)
}

// missing reports whether err says that there is no such file.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
