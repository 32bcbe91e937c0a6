package daemon

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// A program that runs in place of the one that the service manager started is its
// child, and is told by its standard input what the service manager tells: a line
// wokenLine when the machine was woken, and the end of the input when it is to end.
// Lines that it does not know it passes over. It ends too if its parent is gone.
const wokenLine = "woken"

// endsWithin is how long a program may take to end when it was told to.
const endsWithin = 30 * time.Second

// Attended is a program that runs in place of this one.
type Attended struct {
	Path string
	Args []string
}

// Run runs the program to its end, and tells it to end when ctx ends. It returns its
// exit status, and an error unless it ended because it was told to.
func (a Attended) Run(ctx context.Context, woken <-chan struct{}) (status int, err error) {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), a.Path, a.Args...)
	cmd.SysProcAttr = unseen()
	cmd.WaitDelay = time.Second // what it has left running may hold its standard error
	var words tail
	cmd.Stderr = &words
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, fmt.Errorf("run %s: %w", a.Path, err)
	}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("run %s: %w", a.Path, err)
	}
	var why error // set before ended is closed
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		why = cmd.Wait()
	}()
	for {
		select {
		case <-ended:
			status := cmd.ProcessState.ExitCode()
			if why == nil || errors.Is(why, exec.ErrWaitDelay) {
				why = errors.New("it has ended by itself")
			}
			return status, fmt.Errorf("run %s: %w: %s", a.Path, why, words.String())
		case <-woken:
			_, _ = io.WriteString(in, wokenLine+"\n") // it may have ended
		case <-ctx.Done():
			_ = in.Close() // it may have ended
			return 0, a.ends(cmd, ended)
		}
	}
}

// ends waits for the end of a program that was told to end.
func (a Attended) ends(cmd *exec.Cmd, ended <-chan struct{}) error {
	late, stop := context.WithTimeout(context.Background(), endsWithin)
	defer stop()
	select {
	case <-ended:
		return nil
	case <-late.Done():
	}
	err := cmd.Process.Kill()
	<-ended
	return errors.Join(fmt.Errorf("run %s: it was told to end, and had to be killed after %s", a.Path, endsWithin), err)
}

// tail keeps the end of what is written to it.
type tail struct{ last []byte }

const mostWords = 2 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.last = append(t.last, p...)
	if over := len(t.last) - mostWords; over > 0 {
		t.last = bytes.Clone(t.last[over:])
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.ToValidUTF8(strings.TrimSpace(string(t.last)), "") }

// Attend runs a program in place of the one that started this process, until that
// says on in that it is to end, or is gone. What reads in lasts as long as this
// process: nothing can call it back.
func Attend(ctx context.Context, in io.Reader, run Program) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	woken := make(chan struct{}, 1)
	go func() {
		defer cancel()
		for lines := bufio.NewScanner(in); lines.Scan(); {
			if lines.Text() != wokenLine {
				continue
			}
			select {
			case woken <- struct{}{}:
			default: // it is told already
			}
		}
	}()
	return run(ctx, woken)
}
