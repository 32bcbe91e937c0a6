//go:build !linux

package main

import (
	"errors"
	"fmt"
)

func smallDisks(string) (unmount func() error, err error) {
	return func() error { return nil }, fmt.Errorf("mount a small disk: %w", errors.ErrUnsupported)
}

func fill(string) error { return fmt.Errorf("fill the disk: %w", errors.ErrUnsupported) }

func free(string) error { return nil }
