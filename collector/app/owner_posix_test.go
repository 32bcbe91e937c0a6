//go:build unix

package app

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestWhatRootMakesBelongsToTheService: a command that root runs before the service
// has started leaves nothing that the service's account cannot open.
func TestWhatRootMakesBelongsToTheService(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root makes files that are another's")
	}
	data := t.TempDir()
	const service = 998
	if err := os.Chown(data, service, service); err != nil {
		t.Fatal(err)
	}
	school := do[InitAnswer](t, data, "init", InitArguments{School: "Hollybank Primary School"}).School
	makeToken(t, data, school)
	do[AccountAnswer](t, data, "account.create", AccountArguments{Name: "Morgan Ellis", Role: "administrator"})
	seen := 0
	err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != service || st.Gid != service {
			t.Errorf("%s belongs to %d:%d", path, st.Uid, st.Gid)
		}
		seen++
		return nil
	})
	if err != nil || seen < 10 {
		t.Errorf("saw %d files: %v", seen, err)
	}
}

// TestWhatIsElsewhereStaysRoots: an account that owns the data folder gets nothing
// else of root's by what it puts there.
func TestWhatIsElsewhereStaysRoots(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give away what is its own")
	}
	data, elsewhere := t.TempDir(), t.TempDir()
	const service = 998
	if err := os.Chown(data, service, service); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"shadow", "passwd", "group"} {
		if err := os.WriteFile(filepath.Join(elsewhere, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, put := range map[string]func(from, to string) error{"shadow": os.Link, "passwd": os.Symlink, ".": os.Symlink} {
		if err := put(filepath.Join(elsewhere, name), filepath.Join(data, "put "+name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(data, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	do[InitAnswer](t, data, "init", InitArguments{School: "Hollybank Primary School"})
	owner := func(path string) uint32 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Uid
	}
	for _, path := range []string{".", "shadow", "passwd", "group"} {
		if got := owner(filepath.Join(elsewhere, path)); got != 0 {
			t.Errorf("%s belongs to %d now", path, got)
		}
	}
	if got := owner(filepath.Join(data, "schools")); got != service {
		t.Errorf("what was made belongs to %d", got)
	}
}
