//go:build !linux && !windows && !darwin

package system

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// other is the Reader of a system whose readings are not built yet: it says of
// everything that it is unsupported, so that everything is Not proven.
type other struct{}

// New returns the Reader of this machine. Root is "/".
func New(string) Reader { return other{} }

// Platform implements Reader.
func (other) Platform() posture.Platform {
	return posture.Platform(runtime.GOOS)
}

func unsupported(what, name string) error {
	return fmt.Errorf("%s %s on %s: %w", what, name, runtime.GOOS, errors.ErrUnsupported)
}

// File implements Reader.
func (other) File(_ context.Context, name string, _ int64) ([]byte, error) {
	return nil, unsupported("read file", name)
}

// Part implements Reader.
func (other) Part(_ context.Context, name string, _ int64, _ int) ([]byte, error) {
	return nil, unsupported("read part of", name)
}

// Dir implements Reader.
func (other) Dir(_ context.Context, name string) ([]Entry, error) {
	return nil, unsupported("read folder", name)
}

// Link implements Reader.
func (other) Link(_ context.Context, name string) (string, error) {
	return "", unsupported("read link", name)
}

// Stat implements Reader.
func (other) Stat(_ context.Context, name string) (Stat, error) {
	return Stat{}, unsupported("stat", name)
}

// Run implements Reader.
func (other) Run(_ context.Context, c Command) (Output, error) {
	return Output{}, unsupported("run", string(c))
}

// Ask implements Reader.
func (other) Ask(_ context.Context, q Query) ([]byte, error) {
	return nil, unsupported("ask", string(q))
}

// Key implements Reader.
func (other) Key(_ context.Context, name string) (RegistryKey, error) {
	return RegistryKey{}, unsupported("read key", name)
}

// Rows implements Reader.
func (other) Rows(_ context.Context, r Rowset) ([]Values, error) {
	return nil, unsupported("ask for", string(r))
}

// Processes implements Reader.
func (other) Processes(context.Context) ([]string, error) {
	return nil, unsupported("list", "processes")
}

// Walk implements Reader.
func (other) Walk(context.Context, WalkLimits, func(WalkedFile) error) (WalkSummary, error) {
	return WalkSummary{}, unsupported("walk", "people's folders")
}
