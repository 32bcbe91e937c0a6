//go:build linux || darwin || windows

package system

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

const (
	// arena is room beside the memory that a child holds itself to: the unit
	// in which the Go runtime asks for memory on most systems.
	arena = 64 << 20
	// maxWords bounds what is kept of a child's standard error.
	maxWords = 16 << 10
)

// reapWithin is how long a child that has answered, or was killed, and its
// pipes may take to be gone before they are not waited for any more.
const reapWithin = time.Second

// run starts the child, gives it the request and waits for its answer. What
// start takes from the calling thread it does not give back.
func (c Child) run(ctx context.Context, request []byte) (Ended, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	answer := &limited{limit: int(c.Limits.MaxAnswer), full: func() { stop(ErrTooLarge) }}
	words := &limited{limit: maxWords, full: func() {}}
	read, write, err := os.Pipe()
	if err != nil {
		return Ended{}, err
	}
	p, err := c.start(ctx, write, words)
	write.Close()
	if err != nil {
		read.Close()
		return Ended{}, err
	}
	p.follow(request, read, answer)
	waited, left := p.end(ctx)
	if !left {
		return p.outcome(ctx, waited, answer, words)
	}
	ended := Ended{Gone: p.gone, Unconfined: p.unconfined}
	if cause := context.Cause(ctx); cause != nil {
		return ended, cause
	}
	// It closed its standard output and was not killed before that.
	ended.Answer = answer.kept.Bytes()
	return ended, nil
}

// childProcess is a child that runs. What a system must supply comes first.
type childProcess struct {
	stdin io.WriteCloser
	// wait returns how it ended, once it has, and then gives back what it
	// took. An error that is ErrMemory says that it wanted too much.
	wait func() error
	// kill ends it with everything that it started, if it has not ended. It is
	// also killed when the context ends with which it was started.
	kill func()
	// took returns the most memory that it had resident and its processor
	// time, once wait has returned.
	took       func() (peak int64, cpu time.Duration)
	unconfined string // see Ended

	answered chan struct{} // closed at the end of its standard output
	gone     chan struct{} // closed once it is gone
	waited   error         // how it ended, once gone is closed
}

// follow gives a child its request and takes its answer. The goroutines end
// with the process; they are left behind with one that cannot be ended.
func (p *childProcess) follow(request []byte, read *os.File, answer io.Writer) {
	p.answered, p.gone = make(chan struct{}), make(chan struct{})
	given := make(chan struct{})
	go func() {
		defer close(given)
		// A child that ends before it has read everything says why by its end.
		_, _ = io.Copy(p.stdin, bytes.NewReader(request))
		_ = p.stdin.Close()
	}()
	go func() {
		defer close(p.answered)
		defer read.Close()
		_, _ = io.Copy(answer, read) // what is missing is noticed by who reads the answer
	}()
	go func() {
		p.waited = p.wait()
		if !closedSoon(p.answered) {
			read.Close() // a process that it started holds its standard output open
		}
		<-p.answered
		<-given
		close(p.gone)
	}()
}

// end waits for a child's end, which comes by itself or by the context's, and
// returns how it ended, or that it had to be left behind.
func (p *childProcess) end(ctx context.Context) (waited error, left bool) {
	select {
	case <-p.gone:
		return p.waited, false
	case <-ctx.Done():
	case <-p.answered:
		if closedSoon(p.gone) {
			return p.waited, false
		}
		// It has answered: that it has to be killed takes nothing from that.
		p.kill()
		return nil, !closedSoon(p.gone)
	}
	if closedSoon(p.gone) {
		return p.waited, false
	}
	return nil, true
}

// closedSoon waits for a channel to be closed, but not longer than reapWithin,
// and reports whether it was.
func closedSoon(c <-chan struct{}) bool {
	late, stop := context.WithTimeout(context.Background(), reapWithin)
	defer stop()
	select {
	case <-c:
		return true
	case <-late.Done():
		return false
	}
}

// outcome names how a child ended.
func (p *childProcess) outcome(ctx context.Context, waited error, answer, words *limited) (Ended, error) {
	ended := Ended{Gone: p.gone, Unconfined: p.unconfined}
	ended.PeakMemory, ended.CPU = p.took()
	cause := context.Cause(ctx)
	switch {
	case waited == nil && cause == nil:
		ended.Answer = answer.kept.Bytes()
		return ended, nil
	case cause != nil:
		return ended, cause
	case errors.Is(waited, ErrMemory), bytes.Contains(words.kept.Bytes(), []byte("out of memory")),
		bytes.Contains(words.kept.Bytes(), []byte("cannot allocate memory")):
		return ended, ErrMemory
	}
	first, _, _ := strings.Cut(words.kept.String(), "\n")
	return ended, fmt.Errorf("%w: %w: %.200q", ErrCrashed, waited, first)
}

// settings are the environment of every child.
func (c Child) settings() []string {
	// It ends before it is worth tidying up, unless memory runs short.
	return append([]string{"GOMAXPROCS=1", "GOGC=400", fmt.Sprintf("GOMEMLIMIT=%d", c.Limits.Memory)}, c.Env...)
}
