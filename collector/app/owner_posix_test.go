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
