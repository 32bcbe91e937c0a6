//go:build !linux

package system

import (
	"context"
	"errors"
	"fmt"
)

// Run starts the child. It is not built here yet.
func (c Child) Run(context.Context, []byte) (Ended, error) {
	return Ended{}, fmt.Errorf("run child: %w", errors.ErrUnsupported)
}

func limitSelf(int64) error { return errors.ErrUnsupported }
