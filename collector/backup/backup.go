// Package backup is the form of a collector's backup: an age file, encrypted to
// a passphrase or to keys, that holds a tar archive of plain files. Any age and
// any tar open it.
//
// It never decides what belongs into a backup, and never whether what was
// restored is good. What it reads it trusts in nothing: an archive writes below
// the folder that it is given, plain files alone, each once.
package backup

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Manifest is what a backup says of itself, before everything else.
type Manifest struct {
	Format  int       `json:"format"`
	At      time.Time `json:"at"`
	Version string    `json:"version"` // of the collector
	Bytes   int64     `json:"bytes"`   // of its files, about: what is written meanwhile may grow
	Schools []School  `json:"schools"`
	Left    []Left    `json:"left"` // what is not in it
}

// School is a school whose record is in the backup, whole up to here.
type School struct {
	ID         posture.SchoolID `json:"id"`
	Name       string           `json:"name"`
	Key        string           `json:"key"` // with which what the school signs is checked
	Entries    uint64           `json:"entries"`
	Root       proof.Digest     `json:"root"`
	Checkpoint string           `json:"checkpoint,omitempty"` // the last that was given
}

// Left is something that a backup does not hold, and why.
type Left struct {
	What   string           `json:"what"`
	School posture.SchoolID `json:"school,omitempty"`
	Why    string           `json:"why"`
}

// The names of what is in an archive and no file of the collector: the first
// entry and the last.
const (
	manifestName = "caretaker-backup.json"
	endName      = "caretaker-backup.end"
)

// Format is the form that this program writes, and the newest that it reads.
const Format = 1

// Bounds of what is read.
const (
	maxManifest = 16 << 20
	maxFiles    = 1 << 20
	maxName     = 240
	maxDepth    = 8
	maxSize     = 1 << 44 // bytes of one file
)

// end is the last entry: without it an archive is not whole.
type end struct {
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
}

// CheckName refuses a name that a collector's file never has: a backup writes
// none such, and one that is read with it was not made by a collector.
func CheckName(name string) error {
	parts := strings.Split(name, "/")
	if len(name) > maxName || len(parts) > maxDepth || !filepath.IsLocal(filepath.FromSlash(name)) || path.Clean(name) != name {
		return fmt.Errorf("%.80q is no name of a collector's file", name)
	}
	for _, part := range parts {
		if part == "" || part[0] == '.' || part[len(part)-1] == '.' || strings.ContainsFunc(part, strange) {
			return fmt.Errorf("%.80q is no name of a collector's file", name)
		}
	}
	return nil
}

// strange reports whether a collector's files never have r in their names.
func strange(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
}

// Writer writes an archive.
type Writer struct {
	tar *tar.Writer
	at  time.Time
	sum end
}

// NewWriter begins an archive.
func NewWriter(w io.Writer, m Manifest) (*Writer, error) {
	m.Format = Format
	a := &Writer{tar: tar.NewWriter(w), at: m.At}
	return a, a.document(manifestName, m)
}

func (w *Writer) document(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return w.entry(name, int64(len(data)), strings.NewReader(string(data)))
}

// Add adds a file: its name below the data folder, with slashes, and as many of
// its bytes as size says.
func (w *Writer) Add(name string, size int64, r io.Reader) error {
	if err := CheckName(name); err != nil {
		return err
	}
	w.sum.Files++
	w.sum.Bytes += size
	return w.entry(name, size, r)
}

func (w *Writer) entry(name string, size int64, r io.Reader) error {
	// The GNU form has no bound for a size and no extra headers.
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: w.at.Truncate(time.Second), Format: tar.FormatGNU}
	if err := w.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("write %s into the backup: %w", name, err)
	}
	n, err := io.CopyN(w.tar, r, size)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("write %s into the backup: it had %d bytes and now has %d: try again", name, size, n)
	}
	if err != nil {
		return fmt.Errorf("write %s into the backup: %w", name, err)
	}
	return nil
}

// Close ends the archive: only then it is whole.
func (w *Writer) Close() error {
	if err := w.document(endName, w.sum); err != nil {
		return err
	}
	if err := w.tar.Close(); err != nil {
		return fmt.Errorf("end the backup: %w", err)
	}
	return nil
}
