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

// UnreadableError says that what is kept of accounts or keys cannot be read.
// Nobody is let in then, and nothing is written over what may still be mended.
type UnreadableError struct {
	What string // "accounts", "keys"
	File string
	Err  error
}

// Error implements error. It says what no longer works and what to do.
func (e *UnreadableError) Error() string {
	loss := "nobody can sign in and no key works"
	switch e.What {
	case keysIn.what:
		loss = "no key works"
	case stepsIn.what:
		loss = "nobody can sign in"
	case providersIn.what:
		loss = "nobody can sign on with one"
	}
	return fmt.Sprintf(
		"the %s cannot be read, so %s: put %s back from a backup, or move it away and make them anew, and start the collector again (%v)",
		e.What, loss, e.File, e.Err,
	)
}

// Unwrap returns what was wrong with the file.
func (e *UnreadableError) Unwrap() error { return e.Err }

// open returns the list, and why there is none if the file is there and cannot
// be read.
func (f file[T]) open(dir string) ([]T, *UnreadableError) {
	list, err := f.read(dir)
	if err != nil {
		return nil, &UnreadableError{What: f.what, File: filepath.Join(dir, f.name), Err: err}
	}
	return list, nil
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

// change writes what amend makes of the list, and returns it. The caller has seen
// to it that the list could be read.
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
