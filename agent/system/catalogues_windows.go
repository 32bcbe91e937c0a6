package system

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
)

// anyCatalogue reports whether the system keeps a catalogue: in a folder of
// CatRoot for each of those who keep some. Where there is none, none lists a
// file, and asking for each of two thousand would take seconds.
func anyCatalogue() (bool, error) {
	system, err := windows.GetSystemDirectory()
	if err != nil {
		return false, fmt.Errorf("find the catalogues: %w", coded(err))
	}
	return holdsCatalogue(filepath.Join(system, "CatRoot"))
}

func holdsCatalogue(root string) (bool, error) {
	// Windows says of what is no folder that it is not there.
	if _, err := os.Lstat(root); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	keepers, err := os.ReadDir(root)
	if err != nil {
		return false, fmt.Errorf("look for catalogues: %w", coded(err))
	}
	for _, k := range keepers {
		if !k.IsDir() {
			continue
		}
		found, err := namesCatalogue(filepath.Join(root, k.Name()))
		if found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// namesCatalogue looks no further than the first catalogue: there are thousands.
func namesCatalogue(folder string) (bool, error) {
	f, err := os.Open(folder)
	if err != nil {
		return false, fmt.Errorf("look for catalogues: %w", coded(err))
	}
	defer f.Close()
	for {
		names, err := f.Readdirnames(64)
		for _, name := range names {
			if strings.EqualFold(filepath.Ext(name), ".cat") {
				return true, nil
			}
		}
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("look for catalogues: %w", coded(err))
		}
	}
}
