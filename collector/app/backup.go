package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/backup"
	"github.com/caretaker-school/caretaker/collector/console"
	"github.com/caretaker-school/caretaker/collector/health"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/release"
)

// The names in the data folder that have to do with backups.
const (
	backedFile    = "backup.json"        // when the last backup was taken
	restoringFile = "restore.unfinished" // there while a restore is not done
)

// Backup writes a backup of the collector on the data folder to w, as plain bytes:
// of the one that runs, which goes on with its work, or, if none does, of the
// folder as it lies there. What is written is read along, so that none is taken
// for whole that is not.
func Backup(ctx context.Context, data string, w io.Writer, came func(done, of int64), clk clock.Clock) (m backup.Manifest, err error) {
	from, to := io.Pipe()
	checked := make(chan error, 1)
	go func() {
		a, err := backup.NewReader(from)
		if err == nil {
			m = a.Manifest
			var done int64
			err = a.Check(func(n int64) {
				done += n
				came(done, m.Bytes)
			})
		}
		from.CloseWithError(err) // ends the writing too
		checked <- err
	}()
	err = takeBackup(ctx, data, io.MultiWriter(w, to), clk)
	to.CloseWithError(err)
	if read := <-checked; err == nil {
		err = read
	}
	return m, err
}

func takeBackup(ctx context.Context, data string, w io.Writer, clk clock.Clock) (err error) {
	stream, err := console.Open(ctx, data, "backup.take", struct{}{})
	if err == nil {
		_, err = io.Copy(w, stream)
		return errors.Join(err, stream.Close())
	}
	if !errors.Is(err, console.ErrNotRunning) {
		return err
	}
	c, err := take(data, false, clk, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	for _, r := range c.records {
		if r.found == nil {
			continue
		}
		s, err := c.openLedger(r)
		if err != nil {
			r.stop(clk.Now(), err)
			continue
		}
		r.school = s
	}
	return c.backup(ctx)(w)
}

// backup is a backup of everything that is not made from the rest, ready to be
// written.
func (c *collector) backup(ctx context.Context) console.Stream {
	return func(w io.Writer) (err error) {
		m := backup.Manifest{At: c.clock.Now().UTC(), Version: release.Version(), Schools: []backup.School{}, Left: []backup.Left{}}
		files, err := c.plainFiles()
		if err != nil {
			return err
		}
		copies := map[posture.SchoolID]*ledger.Copy{}
		defer func() {
			for _, l := range copies {
				l.Close()
			}
		}()
		for _, r := range c.all() {
			l, about, err := c.copyOf(ctx, r)
			if err != nil {
				m.Left = append(m.Left, backup.Left{What: r.name, School: r.id, Why: err.Error()})
				continue
			}
			copies[r.id], m.Schools = l, append(m.Schools, about)
			m.Bytes += l.Bytes()
		}
		for _, f := range files {
			m.Bytes += f.size
		}
		return c.writeBackup(ctx, w, m, files, copies)
	}
}

// copyOf begins a copy of a school's ledger.
func (c *collector) copyOf(ctx context.Context, r *record) (*ledger.Copy, backup.School, error) {
	s := r.present()
	if s == nil {
		return nil, backup.School{}, r.refusal()
	}
	r.mu.RLock()
	damage := r.damage
	r.mu.RUnlock()
	if damage != nil {
		return nil, backup.School{}, damage
	}
	l, err := s.ledger.Copy(ctx)
	if err != nil {
		return nil, backup.School{}, err
	}
	return l, backup.School{ID: r.id, Name: r.name, Key: s.verifier.String(), Entries: l.Size, Root: l.Root, Checkpoint: string(l.Checkpoint)}, nil
}

func (c *collector) writeBackup(ctx context.Context, w io.Writer, m backup.Manifest, files []plainFile, copies map[posture.SchoolID]*ledger.Copy) error {
	a, err := backup.NewWriter(w, m)
	if err != nil {
		return err
	}
	for _, f := range files {
		if school, ok := schoolOf(f.name); ok && copies[school] == nil {
			continue // what is left out is left out whole
		}
		if err := c.addPlain(a, f); err != nil {
			return err
		}
	}
	for _, school := range m.Schools {
		at := path.Join("schools", string(school.ID), "ledger")
		err := copies[school.ID].Each(func(f ledger.CopyFile, r io.Reader) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return a.Add(path.Join(at, f.Name), f.Size, r)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", school.Name, err)
		}
		copies[school.ID].Close()
	}
	return a.Close()
}

// plainFile is a file outside the ledgers.
type plainFile struct {
	name string // below the data folder, with slashes
	size int64  // when it was listed
	data []byte // as it was then; nil if it is read when its turn comes
}

// atOnce is how much of the files outside the ledgers is read before the ledgers'
// moment, in bytes: all of them, but for what is kept of very large schools. So
// nothing in them knows more than the ledgers do.
const atOnce = 64 << 20

// belongs reports whether a file of the data folder belongs into a backup. What
// does not is made again from the rest, or is of this one run: sessions too, so
// that a backup signs nobody in.
func belongs(name string) bool {
	parts := strings.Split(name, "/")
	switch top := parts[0]; {
	case top == lockFile, top == viewFolder, top == pastFolder, top == restoringFile, top == filepath.Base(console.SocketPath("")),
		name == accessFolder+"/sessions.json", strings.HasSuffix(name, ".tmp"):
		return false
	case top != "schools" || len(parts) < 3:
		return true
	case parts[2] != "ledger":
		return parts[2] != "roster.snapshot"
	}
	switch strings.Join(parts[3:], "/") {
	case "lock", "hashes", "entries", "subjects", "mark":
		return false
	}
	return !strings.HasSuffix(name, ".at")
}

// schoolOf returns the school whose folder a file lies in.
func schoolOf(name string) (posture.SchoolID, bool) {
	parts := strings.Split(name, "/")
	if len(parts) < 3 || parts[0] != "schools" {
		return "", false
	}
	return posture.SchoolID(parts[1]), true
}

// plainFiles lists every file outside the ledgers that belongs into a backup. A
// link, or a name that no file of a collector has, stops it: what is not copied
// must not look as if it were.
func (c *collector) plainFiles() ([]plainFile, error) {
	var files []plainFile
	err := filepath.WalkDir(c.data, func(file string, d fs.DirEntry, err error) error {
		switch relative, relErr := filepath.Rel(c.data, file); {
		case errors.Is(err, fs.ErrNotExist):
			return nil // it was replaced or removed just now
		case err != nil || relErr != nil:
			return errors.Join(err, relErr)
		case relative == ".":
			return nil
		default:
			return c.plain(filepath.ToSlash(relative), d, &files)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list what belongs into the backup: %w", err)
	}
	read := int64(0)
	for n, f := range files {
		if read += f.size; read > atOnce {
			break
		}
		data, err := os.ReadFile(filepath.Join(c.data, filepath.FromSlash(f.name)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read what belongs into the backup: %w", err)
		}
		files[n].data = data
	}
	return files, nil
}

func (c *collector) plain(name string, d fs.DirEntry, files *[]plainFile) error {
	ofLedger, _ := path.Match("schools/*/ledger", name)
	switch {
	case d.IsDir() && (ofLedger || !belongs(name) || strings.HasPrefix(d.Name(), ".")):
		return fs.SkipDir
	case d.IsDir() || ofLedger || !belongs(name):
		return nil
	case !d.Type().IsRegular():
		return fmt.Errorf("%s is a link or no plain file: put what it leads to in its place, or take it away", name)
	}
	if err := backup.CheckName(name); err != nil {
		return fmt.Errorf("%w: take it out of the data folder", err)
	}
	info, err := d.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	*files = append(*files, plainFile{name: name, size: info.Size()})
	return nil
}

// addPlain adds a file as it is at this moment. Each is replaced whole or only
// appended to, so that what was there when it was opened stays true.
func (c *collector) addPlain(a *backup.Writer, p plainFile) (err error) {
	if p.data != nil {
		return a.Add(p.name, int64(len(p.data)), bytes.NewReader(p.data))
	}
	f, err := os.Open(filepath.Join(c.data, filepath.FromSlash(p.name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was removed meanwhile
	}
	if err != nil {
		return fmt.Errorf("back up %s: %w", p.name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("back up %s: %w", p.name, err)
	}
	return a.Add(p.name, info.Size(), f)
}

// BackedUp is a backup that was taken and is kept somewhere.
type BackedUp struct {
	At      time.Time          `json:"at"`
	Bytes   int64              `json:"bytes"`
	Schools []posture.SchoolID `json:"schools"` // that are in it
}

// noteBackup remembers that a backup was taken.
func (c *collector) noteBackup(b BackedUp) (BackedUp, error) {
	text, err := json.Marshal(b)
	if err == nil {
		err = durable.WriteFile(filepath.Join(c.data, backedFile), text, 0o600)
	}
	if err != nil {
		return BackedUp{}, fmt.Errorf("remember that a backup was taken: %w", err)
	}
	return b, nil
}

// lastBackup is when a school was last backed up; nil if it never was.
func (c *collector) lastBackup(school posture.SchoolID) (*health.Backup, error) {
	text, err := os.ReadFile(filepath.Join(c.data, backedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // it never was
	}
	var b BackedUp
	if err == nil {
		err = json.Unmarshal(text, &b)
	}
	if err != nil {
		return nil, fmt.Errorf("read when the last backup was taken: %w", err)
	}
	for _, one := range b.Schools {
		if one == school {
			return &health.Backup{At: b.At, Bytes: b.Bytes}, nil
		}
	}
	return nil, nil //nolint:nilnil // others were
}
