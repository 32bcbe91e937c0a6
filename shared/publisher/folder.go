package publisher

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/caretaker-school/caretaker/shared/durable"
)

// A release's folder is a repository of TUF with consistent snapshots:
//
//	metadata/<n>.root.json, metadata/timestamp.json, metadata/<n>.snapshot.json, metadata/<n>.targets.json
//	targets/caretaker-agent/<version>/<SHA-256>.<system>

// ProgramPath returns where in a release's folder a program lies.
func ProgramPath(version string, p Program) string {
	return "targets/" + programName + "/" + version + "/" + hex.EncodeToString(p.SHA256[:]) + "." + p.Platform
}

// ReadFolder reads the metadata of a release's folder, all its roots included. It
// verifies nothing.
func ReadFolder(dir fs.FS) (m Metadata, err error) {
	if m.Roots, err = readRoots(dir); err != nil {
		return Metadata{}, err
	}
	if m.Timestamp, err = readFile(dir, "metadata/timestamp.json", MaxTimestamp); err != nil {
		return Metadata{}, err
	}
	var timestamp, snapshot listed
	if _, _, err := unseal(m.Timestamp, roleTimestamp, &timestamp); err != nil {
		return Metadata{}, err
	}
	if m.Snapshot, err = readFile(dir, numbered(timestamp.Meta[snapshotFile], snapshotFile), MaxSnapshot); err != nil {
		return Metadata{}, err
	}
	if _, _, err := unseal(m.Snapshot, roleSnapshot, &snapshot); err != nil {
		return Metadata{}, err
	}
	m.Targets, err = readFile(dir, numbered(snapshot.Meta[targetsFile], targetsFile), MaxTargets)
	if err != nil {
		return Metadata{}, err
	}
	return m, nil
}

func numbered(f file, name string) string {
	return "metadata/" + strconv.FormatInt(f.Version, 10) + "." + name
}

// readRoots reads all roots, from the first that is there on.
func readRoots(dir fs.FS) (roots [][]byte, err error) {
	for n := 1; n <= MaxRoots; n++ {
		root, err := readFile(dir, fmt.Sprintf("metadata/%d.root.json", n), MaxRoot)
		switch {
		case err == nil:
			roots = append(roots, root)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		case len(roots) > 0:
			return roots, nil
		}
	}
	return roots, nil
}

func readFile(dir fs.FS, name string, most int) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read a release: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err != nil {
		return nil, fmt.Errorf("read a release: %w", err)
	}
	if len(data) > most {
		return nil, fmt.Errorf("read a release: %w: %s has more than %d bytes", ErrMalformed, name, most)
	}
	return data, nil
}

// RootNumber returns the version that a root says that it has. It verifies
// nothing.
func RootNumber(data []byte) (n int64, err error) {
	var r root
	if _, _, err := unseal(data, roleRoot, &r); err != nil {
		return 0, err
	}
	return r.Version, nil
}

// CheckPrograms holds the programs that lie in a release's folder against what was
// signed.
func CheckPrograms(dir fs.FS, r Release) error {
	for _, p := range r.Programs {
		f, err := dir.Open(ProgramPath(r.Version, p))
		if err != nil {
			return fmt.Errorf("read a release's program for %s: %w", p.Platform, err)
		}
		err = errors.Join(p.Check(f), f.Close())
		if err != nil {
			return fmt.Errorf("read a release's program for %s: %w", p.Platform, err)
		}
	}
	return nil
}

// Check reads a program to its end and holds it against what was signed.
func (p Program) Check(r io.Reader) error {
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(r, p.Length+1))
	if err != nil {
		return err
	}
	if n != p.Length || [sha256.Size]byte(sum.Sum(nil)) != p.SHA256 {
		return fmt.Errorf("%w: its bytes are others", ErrNotSigned)
	}
	return nil
}

// WriteFolder writes metadata as ReadFolder reads it, into a folder that is made.
// What it is named is read of it, and not verified here.
func WriteFolder(dir string, m Metadata) error {
	var timestamp, snapshot listed
	if _, _, err := unseal(m.Timestamp, roleTimestamp, &timestamp); err != nil {
		return err
	}
	if _, _, err := unseal(m.Snapshot, roleSnapshot, &snapshot); err != nil {
		return err
	}
	files := map[string][]byte{
		"metadata/timestamp.json": m.Timestamp, numbered(timestamp.Meta[snapshotFile], snapshotFile): m.Snapshot,
		numbered(snapshot.Meta[targetsFile], targetsFile): m.Targets,
	}
	for _, data := range m.Roots {
		n, err := RootNumber(data)
		if err != nil {
			return err
		}
		files[fmt.Sprintf("metadata/%d.root.json", n)] = data
	}
	if err := os.MkdirAll(filepath.Join(dir, "metadata"), 0o700); err != nil {
		return fmt.Errorf("write a release's metadata: %w", err)
	}
	for name, data := range files {
		if err := durable.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), data, 0o600); err != nil {
			return fmt.Errorf("write a release's metadata: %w", err)
		}
	}
	return nil
}
