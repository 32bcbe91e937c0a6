package system

import (
	"os"
	"path/filepath"
	"testing"
)

func TestACatalogueIsSeen(t *testing.T) {
	root := filepath.Join(t.TempDir(), "CatRoot")
	seen := func(want bool) {
		t.Helper()
		if got, err := holdsCatalogue(root); got != want || err != nil {
			t.Errorf("got %t, %v, want %t", got, err, want)
		}
	}
	seen(false)
	keeper := filepath.Join(root, "{F750E6C3-38EE-11D1-85E5-00C04FC295EE}")
	must(t, os.MkdirAll(keeper, 0o755))
	must(t, os.WriteFile(filepath.Join(root, "stray.cat"), nil, 0o644))
	must(t, os.WriteFile(filepath.Join(keeper, "catdb"), nil, 0o644))
	seen(false)
	must(t, os.WriteFile(filepath.Join(keeper, "Package_1_for_KB5000001.CAT"), nil, 0o644))
	seen(true)
}

// TestWhatCouldNotBeLookedForIsAsked: only a system of which it is known that it
// keeps no catalogue is not asked.
func TestWhatCouldNotBeLookedForIsAsked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "CatRoot")
	must(t, os.WriteFile(file, nil, 0o644)) // no folder, so that it cannot be read as one
	if found, err := holdsCatalogue(file); found || err == nil {
		t.Errorf("got %t, %v, want an error", found, err)
	}
}
