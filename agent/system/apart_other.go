//go:build !windows

package system

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
)

// ServeApart answers questions that are asked apart. There are none here.
func ServeApart(io.Reader, io.Writer) error {
	return fmt.Errorf("answer questions apart: %w", errors.ErrUnsupported)
}

// EndApart ends the process that answers questions apart. There is none here.
func EndApart() {}

func startApart(*exec.Cmd) {}
