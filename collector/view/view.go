// Package view keeps what pages, lists and the command line show, in a Badger
// database that can be thrown away: everything in it is made from the ledger
// by the projection, and made again it is the same to the byte.
//
// It never judges a fact, never reads a clock and is written by nobody but the
// projection. What depends on the time of asking (silence, grace, the end of an
// exemption) is not stored: queries derive it.
package view

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"
	badgeropts "github.com/dgraph-io/badger/v4/options"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// layout is the version of the keys and rows. A view of another layout is
// thrown away when it is opened, and made again.
const layout = "14"

// FactSource reads the facts of a device's report back from where the ledger
// keeps them. The view holds their places only.
type FactSource interface {
	Facts(ctx context.Context, school posture.SchoolID, places []Place) (posture.Facts, []posture.Finding, error)
}

// Options configures a view.
type Options struct {
	// Facts answers for the facts of one device; nil leaves them not asked.
	Facts FactSource
	// Made identifies what rows are made from beside the ledger, such as the
	// baseline built into the collector. A view made from something else is
	// made again.
	Made string
	// Look is how many devices a search looks at by name before it asks the index
	// of them all; 0: as many as take no time.
	Look int
	// Memory is a view that is gone when it is closed.
	Memory bool
	// Log is told when a view is thrown away; nil tells nobody.
	Log *slog.Logger
}

// View is the database. One projection writes it; any number of queries read.
type View struct {
	db    *badger.DB
	facts FactSource
	look  int
	log   *slog.Logger
	terms calendars
}

// Open opens the view in a directory and makes it if there is none. A view that
// another version made, or that cannot be read, is emptied, and Open says so in
// the log: the projection fills it again from the ledger.
func Open(dir string, o Options) (*View, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	db, err := openSound(dir, o)
	if err != nil {
		return nil, fmt.Errorf("open the view in %s: %w", dir, err)
	}
	v := &View{db: db, facts: o.Facts, look: cmp.Or(o.Look, usualLook), log: o.Log}
	if err := v.checkVersion(layout + " " + o.Made); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return v, nil
}

// openSound opens the database. One that cannot be read, or is not as it was
// written, is emptied first.
func openSound(dir string, o Options) (*badger.DB, error) {
	if o.Memory {
		return badger.Open(options(dir, true))
	}
	open := func() (*badger.DB, error) {
		if err := prepare(dir); err != nil {
			return nil, err
		}
		return badger.Open(options(dir, false))
	}
	err := sound(dir)
	if err == nil {
		var db *badger.DB
		if db, err = open(); err == nil || !disposable(err) {
			return db, err
		}
	} else if !disposable(err) {
		return nil, err
	}
	o.Log.Warn("the view cannot be read and is made again from the ledger", "error", err)
	if err := empty(dir); err != nil {
		return nil, fmt.Errorf("empty the view that cannot be read: %w", err)
	}
	return open()
}

// options are sized for a school's server. Badger's own would take hundreds of
// megabytes more. A view that loses its last moments folds them in again, so
// nothing waits for the disk.
//
// Tables are counted by what they have once compressed, and over a dozen are
// written at once, each held whole and uncompressed meanwhile: with small ones, no
// larger at deeper levels, the collector takes four tenths less while it folds a
// large record. Each takes a file descriptor.
func options(dir string, memory bool) badger.Options {
	if memory {
		dir = ""
	}
	o := badger.DefaultOptions(dir).
		WithInMemory(memory).
		WithLogger(nil).
		WithSyncWrites(false).
		WithDetectConflicts(false). // one writer for each school's rows
		WithMetricsEnabled(false).
		WithVerifyValueChecksum(true).
		WithMemTableSize(memTable).
		WithNumMemtables(2).
		WithNumLevelZeroTables(2).
		WithNumLevelZeroTablesStall(6).
		WithBaseTableSize(1 << 20).
		WithNumCompactors(2).
		WithValueLogFileSize(64 << 20).
		WithValueThreshold(256 << 10).
		WithCompression(badgeropts.Snappy).
		WithBlockCacheSize(16 << 20).
		WithIndexCacheSize(16 << 20)
	o.TableSizeMultiplier = 1
	return o
}

// memTable is the size of Badger's table in memory, of which there are up to
// three while one is written out. A transaction may take up about an eighth of
// it.
const memTable = 8 << 20

// disposable reports whether a view that could not be opened for this reason
// may be thrown away: not while another program has it, nor where the disk is
// at fault.
func disposable(err error) bool {
	return !errors.Is(err, fs.ErrPermission) && !strings.Contains(err.Error(), "directory lock")
}

func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (v *View) checkVersion(want string) error {
	var have string
	fresh := false
	err := v.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get(versionKey())
		if errors.Is(err, badger.ErrKeyNotFound) {
			fresh = true
			return nil
		}
		if err != nil {
			return err
		}
		return item.Value(func(value []byte) error { have = string(value); return nil })
	})
	switch {
	case err != nil:
		return fmt.Errorf("read the version of the view: %w", err)
	case have == want:
		return nil
	case !fresh:
		v.log.Info("the view was made by another version and is made again from the ledger")
		if err := v.db.DropAll(); err != nil {
			return fmt.Errorf("empty the view of another version: %w", err)
		}
	}
	err = v.db.Update(func(txn *badger.Txn) error { return txn.Set(versionKey(), []byte(want)) })
	if err != nil {
		return fmt.Errorf("write the version of the view: %w", err)
	}
	return nil
}

// Close closes the view.
func (v *View) Close() error {
	if err := v.db.Close(); err != nil {
		return fmt.Errorf("close the view: %w", err)
	}
	return nil
}

// Queries returns what answers questions.
func (v *View) Queries() *Queries { return &Queries{view: v} }

// Clear removes every row of a school, its cursor included, so that the
// projection begins at the school's first entry. It must not run beside a
// projection of the school.
func (v *View) Clear(school posture.SchoolID) error {
	if err := v.db.DropPrefix(schoolPrefix(school)); err != nil {
		return fmt.Errorf("clear the view of school %s: %w", school, err)
	}
	return nil
}

// Dump writes every key and value of a school in order, for comparing views.
func (v *View) Dump(w io.Writer, school posture.SchoolID) error {
	return v.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: schoolPrefix(school), PrefetchValues: true, PrefetchSize: 100})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			value, err := it.Item().ValueCopy(nil)
			if err != nil {
				return fmt.Errorf("read a row: %w", err)
			}
			if _, err := fmt.Fprintf(w, "%q %q\n", it.Item().Key(), value); err != nil {
				return err
			}
		}
		return nil
	})
}
