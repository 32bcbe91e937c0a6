package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/caretaker-school/caretaker/shared/durable"
)

// file is a list that is kept whole in one file: there are few and they are
// small.
type file[T any] struct {
	name  string
	what  string // "accounts": in errors
	parse func([]byte) ([]T, error)
	pack  func([]T) any // what the file's JSON is
}

// read returns the list; nothing if there is no file yet.
func (f file[T]) read(dir string) ([]T, error) {
	data, err := os.ReadFile(filepath.Join(dir, f.name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the %s: %w", f.what, err)
	}
	return f.parse(data)
}

// change writes what amend makes of the list, and returns it.
func (f file[T]) change(dir string, list []T, amend func([]T) ([]T, error)) ([]T, error) {
	next, err := amend(slices.Clone(list))
	if err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(f.pack(next), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the %s: %w", f.what, err)
	}
	if err := durable.WriteFile(filepath.Join(dir, f.name), append(data, '\n'), 0o600); err != nil {
		return nil, fmt.Errorf("store the %s: %w", f.what, err)
	}
	return next, nil
}
