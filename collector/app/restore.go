package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/caretaker-school/caretaker/collector/backup"
	"github.com/caretaker-school/caretaker/collector/console"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/durable"
)

// RestoreAnswer is what came of restoring a backup.
type RestoreAnswer struct {
	Data    string          `json:"data"`
	Backup  backup.Manifest `json:"backup"`
	Records []LedgerReport  `json:"records"` // of each school, verified whole
	// Renumbered are the policies in force, under the numbers that they have from now on.
	Renumbered []Renumbered `json:"renumbered"`
}

// Restore makes the data folder what a backup says, which comes as plain bytes,
// and verifies every record in it against what the backup says of it. The folder
// must be empty, or as a collector leaves it that has no school yet. Until all is
// well the folder is marked as unfinished, and no collector opens it; after an
// error nothing is left.
func Restore(ctx context.Context, data string, plain io.Reader, came func(done, of int64), clk clock.Clock, log *slog.Logger) (_ RestoreAnswer, err error) {
	if err := claim(data); err != nil {
		return RestoreAnswer{}, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, emptied(data))
		}
	}()
	archive, err := backup.NewReader(plain)
	if err != nil {
		return RestoreAnswer{}, err
	}
	if err := fits(data, archive.Manifest.Bytes); err != nil {
		return RestoreAnswer{}, err
	}
	if err := unpack(data, archive, came); err != nil {
		return RestoreAnswer{}, err
	}
	a := RestoreAnswer{Data: data, Backup: archive.Manifest}
	if a.Records, a.Renumbered, err = believed(ctx, data, archive.Manifest, clk, log); err != nil {
		return RestoreAnswer{}, err
	}
	if err := handOver(data); err != nil {
		return RestoreAnswer{}, err
	}
	if err := durable.Remove(filepath.Join(data, restoringFile)); err != nil {
		return RestoreAnswer{}, fmt.Errorf("finish the restore: %w", err)
	}
	if err := durable.SyncDir(data); err != nil {
		return RestoreAnswer{}, fmt.Errorf("finish the restore: %w", err)
	}
	return a, nil
}

// restored refuses a folder in which a restore was broken off.
func restored(data string) error {
	if _, err := os.Stat(filepath.Join(data, restoringFile)); err != nil {
		return nil //nolint:nilerr // it is not there, or the folder is not to be read, which whoever opens it says
	}
	return fmt.Errorf("a backup was being restored into %s, and that was broken off: empty the folder and restore it again", data)
}

// claim takes an empty folder for a restore.
func claim(data string) error {
	if err := durable.MakePrivate(data); err != nil {
		return err
	}
	if err := restored(data); err != nil {
		return err
	}
	release, err := durable.Lock(filepath.Join(data, lockFile))
	if errors.Is(err, durable.ErrHeld) {
		return fmt.Errorf("restore into %s: a collector runs there: stop it first: %w", data, err)
	}
	if err != nil {
		return fmt.Errorf("restore into %s: %w", data, err)
	}
	err = unused(data)
	if err == nil {
		err = durable.WriteFile(filepath.Join(data, restoringFile), []byte("a restore into this folder is not done\n"), 0o600)
	}
	return errors.Join(err, release())
}

// unused refuses a folder that holds anything but what a collector makes that has
// neither a school nor an account.
func unused(data string) error {
	fresh := []string{lockFile, servedFile, viewFolder, "notices", accessFolder, filepath.Base(console.SocketPath(""))}
	list, err := os.ReadDir(data)
	if err != nil {
		return fmt.Errorf("look into the data folder: %w", err)
	}
	for _, e := range list {
		if !slices.Contains(fresh, e.Name()) {
			return fmt.Errorf("restore into %s: it holds %s: a backup is restored into an empty folder only", data, e.Name())
		}
	}
	for folder, fresh := range map[string][]string{accessFolder: {"seal.key", "settings.json"}, "notices": nil} {
		list, err := os.ReadDir(filepath.Join(data, folder))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("look into the data folder: %w", err)
		}
		for _, e := range list {
			if !slices.Contains(fresh, e.Name()) {
				return fmt.Errorf("restore into %s: it holds %s/%s: a backup is restored into an empty folder only", data, folder, e.Name())
			}
		}
	}
	return nil
}

// emptied takes away everything that a restore made.
func emptied(data string) error {
	list, err := os.ReadDir(data)
	for _, e := range list {
		if e.Name() != restoringFile { // last: what cannot be taken away is not to be believed
			err = errors.Join(err, os.RemoveAll(filepath.Join(data, e.Name())))
		}
	}
	if err == nil {
		err = durable.Remove(filepath.Join(data, restoringFile))
	}
	if err != nil {
		return fmt.Errorf("take away what was restored: %w", err)
	}
	return nil
}

// fits refuses what surely does not fit on the disk.
func fits(data string, bytes int64) error {
	free, err := durable.Free(data)
	if err == nil && bytes > 0 && uint64(bytes) > free {
		return fmt.Errorf("restore into %s: the backup has %d MB, and %d MB are free there", data, bytes>>20, free>>20)
	}
	return nil
}

func unpack(data string, archive *backup.Reader, came func(done, of int64)) (err error) {
	list, err := os.ReadDir(data)
	if err != nil {
		return fmt.Errorf("restore into %s: %w", data, err)
	}
	for _, e := range list { // what a collector without a school left
		if e.Name() == restoringFile {
			continue
		}
		if err := os.RemoveAll(filepath.Join(data, e.Name())); err != nil {
			return fmt.Errorf("restore into %s: %w", data, err)
		}
	}
	root, err := os.OpenRoot(data)
	if err != nil {
		return fmt.Errorf("restore into %s: %w", data, err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	var done int64
	if err := archive.Unpack(root, belongs, func(n int64) {
		done += n
		came(done, archive.Manifest.Bytes)
	}); err != nil {
		return err
	}
	return syncFolders(data)
}

// syncFolders makes the names of files durable; the files are.
func syncFolders(data string) error {
	return filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return durable.SyncDir(path)
	})
}

// believed verifies every record as `ledger verify` does, and compares it with
// what the backup says of it: no more and no fewer schools, entries, or another
// tree. Then it goes on with each.
func believed(ctx context.Context, data string, m backup.Manifest, clk clock.Clock, log *slog.Logger) (reports []LedgerReport, renumbered []Renumbered, err error) {
	c, err := takeAnyway(data, false, clk, log)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	renumbered = []Renumbered{}
	if len(c.records) != len(m.Schools) {
		return nil, nil, fmt.Errorf("verify what was restored: it has %d schools, and the backup says %d", len(c.records), len(m.Schools))
	}
	for _, want := range m.Schools {
		r := c.byID(want.ID)
		if r == nil || r.found == nil {
			return nil, nil, fmt.Errorf("verify what was restored: the keys of %s cannot be read", want.Name)
		}
		s, err := c.openLedger(r)
		if err != nil {
			return nil, nil, fmt.Errorf("verify what was restored: %w", err)
		}
		r.school = s
		if key := r.school.verifier.String(); key != want.Key {
			return nil, nil, fmt.Errorf("verify what was restored: the key of %s is %s, and the backup says %s", want.Name, key, want.Key)
		}
		args := LedgerArguments{School: string(want.ID)}
		if want.Checkpoint != "" {
			args.Against = []GivenCheckpoint{{Name: "the backup’s checkpoint", Note: []byte(want.Checkpoint)}}
		}
		got, err := c.verify(ctx, args)
		if err != nil {
			return nil, nil, fmt.Errorf("verify what was restored of %s: %w", want.Name, err)
		}
		switch {
		case !got.Good:
			return nil, nil, fmt.Errorf("verify what was restored of %s: %s", want.Name, got.Trouble)
		case got.Entries != want.Entries || got.Root != want.Root:
			return nil, nil, fmt.Errorf("verify what was restored of %s: it has %d entries with the tree %s, and the backup says %d with %s", want.Name, got.Entries, got.Root, want.Entries, want.Root)
		}
		reports = append(reports, got)
		again, err := c.resume(ctx, s, m.At)
		if err != nil {
			return nil, nil, fmt.Errorf("go on with what was restored of %s: %w", want.Name, err)
		}
		if again != nil {
			renumbered = append(renumbered, *again)
		}
	}
	_, err = c.noteBackup(noted(m))
	return reports, renumbered, err
}

// noted is a backup as the collector remembers it.
func noted(m backup.Manifest) BackedUp {
	b := BackedUp{At: m.At, Bytes: m.Bytes}
	for _, s := range m.Schools {
		b.Schools = append(b.Schools, s.ID)
	}
	return b
}

// NoteBackup tells the collector on the data folder, running or not, that a
// backup was taken and is kept.
func NoteBackup(ctx context.Context, data string, m backup.Manifest, clk clock.Clock) error {
	var answer json.RawMessage
	return Do(ctx, data, "backup.note", noted(m), &answer, clk)
}
