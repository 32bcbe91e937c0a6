package system

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
)

// maxEntries bounds the entries of one folder.
const maxEntries = 65536

// entriesOf reads the entries of an open folder.
func entriesOf(f *os.File) ([]Entry, error) {
	var list []Entry
	for {
		some, err := f.ReadDir(1024)
		for _, e := range some {
			list = append(list, Entry{Name: e.Name(), Type: e.Type()})
		}
		if len(list) > maxEntries {
			return nil, ErrTooLarge
		}
		if errors.Is(err, io.EOF) || err == nil && len(some) == 0 {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// readAtMost reads all of an open file, or fails with ErrTooLarge.
func readAtMost(f *os.File, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, ErrTooLarge
	}
	return data, nil
}

// readPart reads some bytes of an open file; fewer only where it ends.
func readPart(f io.ReaderAt, offset int64, length int) ([]byte, error) {
	part := make([]byte, length)
	n, err := f.ReadAt(part, offset)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return part[:n], err
}
