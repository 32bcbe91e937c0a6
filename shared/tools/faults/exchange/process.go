package exchange

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Process is a program that runs beside this one and can be killed.
type Process struct {
	cmd   *exec.Cmd
	lines chan string   // of its standard output; what nobody waits for is dropped
	gone  chan struct{} // closed at its end
	ended func() error  // waits for its end
	began time.Time
}

// Start starts a program. What it says of itself goes to log.
func Start(log io.Writer, path string, args ...string) (*Process, error) {
	// It outlives every context: only Kill and Terminate end it.
	cmd := exec.CommandContext(context.Background(), path, args...)
	p := &Process{cmd: cmd, lines: make(chan string, 64), gone: make(chan struct{}), began: time.Now()}
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			select {
			case p.lines <- s.Text():
			default:
			}
		}
	}()
	ended := make(chan error, 1)
	go func() {
		<-read
		ended <- cmd.Wait()
		close(p.gone)
	}()
	p.ended = sync.OnceValue(func() error { return <-ended })
	return p, nil
}

// PID returns its number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Gone is closed when it has ended, however it did.
func (p *Process) Gone() <-chan struct{} { return p.gone }

// isGone reports whether it has ended, or was never started.
func (p *Process) isGone() bool {
	if p == nil {
		return true
	}
	select {
	case <-p.gone:
		return true
	default:
		return false
	}
}

// Kill ends it as a power cut would: without a word. One that has ended
// already is no error.
func (p *Process) Kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.cmd.Path, err)
	}
	_ = p.ended() // killed is how it ends
	return nil
}

// Says waits for a line that begins so, and returns the rest of it.
func (p *Process) Says(ctx context.Context, begin string) (string, error) {
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				return "", fmt.Errorf("%s ended before it said %q", filepath.Base(p.cmd.Path), begin)
			}
			if rest, ok := strings.CutPrefix(line, begin); ok {
				return rest, nil
			}
		case <-ctx.Done():
			return "", fmt.Errorf("wait until %s says %q: %w", filepath.Base(p.cmd.Path), begin, ctx.Err())
		}
	}
}

// Outcome is what a command printed and how it ended.
type Outcome struct {
	Stdout, Stderr string
	Status         int
}

// Command runs a program to its end.
func Command(ctx context.Context, path string, args ...string) (Outcome, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		return Outcome{}, fmt.Errorf("run %s %s: %w", filepath.Base(path), strings.Join(args, " "), errors.Join(err, ctx.Err()))
	}
	return Outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}, nil
}

// Good is Command for one that must succeed; it returns what it printed.
func Good(ctx context.Context, path string, args ...string) (string, error) {
	o, err := Command(ctx, path, args...)
	if err == nil && o.Status != 0 {
		err = fmt.Errorf("run %s %s: status %d: %s%s", filepath.Base(path), strings.Join(args, " "), o.Status, o.Stdout, o.Stderr)
	}
	return o.Stdout, err
}
