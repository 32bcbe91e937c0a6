//go:build unix

package durable

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestWriteFileGivesTheModeThatWasAskedFor: whatever the service manager took
// from every file that the process makes.
func TestWriteFileGivesTheModeThatWasAskedFor(t *testing.T) {
	was := syscall.Umask(0o077)
	defer syscall.Umask(was)
	for _, mode := range []os.FileMode{0o600, 0o644} {
		path := filepath.Join(t.TempDir(), "file")
		if err := WriteFile(path, []byte("what"), mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != mode {
			t.Errorf("asked for %o it has %o", mode, got)
		}
	}
}
