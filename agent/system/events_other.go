//go:build !linux && !windows && !darwin

package system

import (
	"context"
	"errors"
	"fmt"
)

// Events calls handle for each change to a disk. It is not built here yet.
func Events(context.Context, func(Event)) error {
	return fmt.Errorf("listen for device events: %w", errors.ErrUnsupported)
}

// Watch calls changed after one of the files changed. It is not built here yet.
func Watch(context.Context, []string, func()) error {
	return fmt.Errorf("watch files: %w", errors.ErrUnsupported)
}
