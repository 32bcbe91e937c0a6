//go:build unix

package durable

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestPrivateFolder(t *testing.T) {
	dir := t.TempDir()
	made := filepath.Join(dir, "a", "b")
	for range 2 {
		if err := MakePrivate(made); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(made); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got %v, %v", info, err)
	}
	for mode, want := range map[os.FileMode]error{0o711: nil, 0o755: nil, 0o770: ErrShared, 0o702: ErrShared} {
		if err := os.Chmod(made, mode); err != nil {
			t.Fatal(err)
		}
		if err := CheckWriters(made); !errors.Is(err, want) {
			t.Errorf("mode %v: got %v, want %v", mode, err, want)
		}
		if err := errors.Join(MakePrivate(made), CheckWriters(made)); err != nil {
			t.Errorf("mode %v, put right: got %v", mode, err)
		}
	}
	if err := CheckWriters(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	link := filepath.Join(dir, "link")
	if err := errors.Join(os.Symlink(made, link), os.Chmod(made, 0o770)); err != nil {
		t.Fatal(err)
	}
	if err := CheckWriters(link); !errors.Is(err, ErrShared) {
		t.Errorf("a link to a folder that others may write: got %v", err)
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can give a folder away")
	}
	given := filepath.Join(dir, "given")
	if err := errors.Join(os.Mkdir(given, 0o700), os.Chown(given, 1000, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := MakePrivate(given); !errors.Is(err, ErrShared) {
		t.Errorf("a folder of somebody else's: got %v", err)
	}
}
