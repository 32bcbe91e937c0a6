//go:build !unix

package exchange

import (
	"errors"
	"fmt"
)

// Freeze is not to be had on this system.
func (p *Process) Freeze() error {
	return fmt.Errorf("stop %s where it is: %w", p.cmd.Path, errors.ErrUnsupported)
}

// Thaw lets it go on.
func (p *Process) Thaw() error { return nil }

// Terminate ends it; this system has no way to ask.
func (p *Process) Terminate() error { return p.Kill() }
