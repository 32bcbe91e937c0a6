//go:build unix

package exchange

import (
	"errors"
	"fmt"
	"syscall"
)

// Freeze stops it where it is; it keeps its connections and files and answers
// nobody, as on a laptop that sleeps.
func (p *Process) Freeze() error {
	return p.signal(syscall.SIGSTOP)
}

// Thaw lets it go on.
func (p *Process) Thaw() error {
	return p.signal(syscall.SIGCONT)
}

// Terminate asks it to end, also if it is stopped, and waits until it has.
func (p *Process) Terminate() error {
	if err := errors.Join(p.signal(syscall.SIGTERM), p.signal(syscall.SIGCONT)); err != nil {
		return err
	}
	_ = p.ended() // by our signal
	return nil
}

func (p *Process) signal(s syscall.Signal) error {
	if p.isGone() {
		return nil
	}
	if err := p.cmd.Process.Signal(s); err != nil && !p.isGone() {
		return fmt.Errorf("send %s %v: %w", p.cmd.Path, s, err)
	}
	return nil
}
