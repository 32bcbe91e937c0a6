package system

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// arena is the unit in which the Go runtime asks for memory.
	arena = 64 << 20
	// maxWords bounds what is kept of a child's standard error.
	maxWords = 16 << 10
	// maxFile bounds each file that it writes, or what it starts, in bytes.
	maxFile = 256 << 20
)

// Run starts the child, gives it the request and waits for its answer.
func (c Child) Run(ctx context.Context, request []byte) (Ended, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Limits.Deadline)
	defer cancel()
	type result struct {
		ended Ended
		err   error
	}
	done := make(chan result)
	go func() {
		// Priorities, the ban on new rights and on writing, and "dies with
		// its parent" belong to a thread and are inherited by what it starts.
		// The thread is never given back: it ends with this goroutine.
		runtime.LockOSThread()
		ended, err := c.run(ctx, request)
		done <- result{ended, err}
	}()
	r := <-done
	if r.err != nil {
		return r.ended, fmt.Errorf("run child %s: %w", strings.Join(c.Args, " "), r.err)
	}
	return r.ended, nil
}

func (c Child) run(ctx context.Context, request []byte) (Ended, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	keep, err := c.Role.capabilities()
	if err != nil {
		return Ended{}, err
	}
	scratch := ""
	if c.Role == SystemChild {
		scratch = scratchDir
	}
	if err := confineThread(keep, scratch); err != nil {
		return Ended{}, err
	}
	answer := &limited{limit: int(c.Limits.MaxAnswer), full: func() { stop(ErrTooLarge) }}
	words := &limited{limit: maxWords, full: func() {}}
	read, write, err := os.Pipe()
	if err != nil {
		return Ended{}, err
	}
	cmd, stdin, err := c.start(ctx, keep, write, words)
	write.Close()
	if err != nil {
		read.Close()
		return Ended{}, err
	}
	p := follow(cmd, stdin, request, read, answer)
	waited, left := p.end(ctx)
	if !left {
		return outcome(ctx, p, waited, answer, words)
	}
	ended := Ended{Gone: p.gone}
	if cause := context.Cause(ctx); cause != nil {
		return ended, cause
	}
	// It closed its standard output and was not killed before that.
	ended.Answer = answer.kept.Bytes()
	return ended, nil
}

// reapWithin is how long a child that has answered, or was killed, and its
// pipes may take to be gone before they are not waited for any more.
const reapWithin = time.Second

// childProcess is a child that runs.
type childProcess struct {
	cmd      *exec.Cmd
	answered chan struct{} // closed at the end of its standard output
	gone     chan struct{} // closed once it is gone
	waited   error         // how it ended, once gone is closed
}

// follow gives a child its request and takes its answer. The goroutines end
// with the process; they are left behind with one that cannot be ended.
func follow(cmd *exec.Cmd, stdin io.WriteCloser, request []byte, read *os.File, answer io.Writer) *childProcess {
	p := &childProcess{cmd: cmd, answered: make(chan struct{}), gone: make(chan struct{})}
	given := make(chan struct{})
	go func() {
		defer close(given)
		// A child that ends before it has read everything says why by its end.
		_, _ = io.Copy(stdin, bytes.NewReader(request))
		_ = stdin.Close()
	}()
	go func() {
		defer close(p.answered)
		defer read.Close()
		_, _ = io.Copy(answer, read) // what is missing is noticed by who reads the answer
	}()
	go func() {
		p.waited = cmd.Wait()
		if !closedSoon(p.answered) {
			read.Close() // a process that it started holds its standard output open
		}
		<-p.answered
		<-given
		close(p.gone)
	}()
	return p
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
		_ = p.cmd.Cancel()
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

// start starts the process, without a network of its own if the role wants
// none and the kernel grants that.
func (c Child) start(ctx context.Context, keep []uintptr, answer *os.File, words io.Writer) (*exec.Cmd, io.WriteCloser, error) {
	isolate := c.Role == FolderChild && os.Geteuid() == 0
	for {
		cmd := c.command(ctx, keep, isolate)
		cmd.Stdout, cmd.Stderr = answer, words
		stdin, err := cmd.StdinPipe()
		if err != nil {
			return nil, nil, err
		}
		err = cmd.Start()
		if err == nil {
			return cmd, stdin, nil
		}
		if !isolate || !errors.Is(err, unix.EPERM) {
			return nil, nil, err
		}
		isolate = false // as in some containers
	}
}

func (c Child) command(ctx context.Context, keep []uintptr, isolate bool) *exec.Cmd {
	program := c.Path
	if program == "" {
		// Not its path: that may lead elsewhere since, or be closed to nobody.
		program = "/proc/self/exe"
	}
	cmd := exec.CommandContext(ctx, program, c.Args...)
	cmd.Dir = "/"
	cmd.Env = append([]string{
		// It ends before it is worth tidying up, unless memory runs short.
		"LC_ALL=C", "GOMAXPROCS=1", "GOGC=400", "GOMEMLIMIT=" + strconv.FormatInt(c.Limits.Memory, 10),
	}, c.Env...)
	cmd.ExtraFiles = c.Files
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		cmd.SysProcAttr.AmbientCaps = keep
	}
	if isolate {
		cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWNET
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = pipesAfterDeath
	return cmd
}

// capabilities returns what a role keeps of root's rights.
func (r Role) capabilities() ([]uintptr, error) {
	switch r {
	case FolderChild:
		// Homes are closed to others; this right reads and lists, and writes
		// nothing.
		return []uintptr{unix.CAP_DAC_READ_SEARCH}, nil
	case SystemChild:
		// The same right opens /etc/shadow (is a password set?) and block
		// devices for reading (which encryption does a partition have?).
		// CAP_NET_ADMIN is what the kernel demands of nft even for listing
		// rules; it has no right that only reads them.
		//
		// Not kept: CAP_SYS_RAWIO (nothing sends commands to disks),
		// CAP_SYS_PTRACE (process names are public; where they are hidden, the
		// answer is "denied"), CAP_SYS_ADMIN, CAP_FOWNER (would spare the time
		// of access of others' files, but also allow chmod).
		return []uintptr{unix.CAP_DAC_READ_SEARCH, unix.CAP_NET_ADMIN}, nil
	}
	return nil, fmt.Errorf("%d is not a role", r)
}

// limitSelf sets the limits that belong to a whole process.
func limitSelf(memory int64) error {
	set := map[int]uint64{unix.RLIMIT_CORE: 0, unix.RLIMIT_NOFILE: 1024, unix.RLIMIT_FSIZE: maxFile}
	if !raceDetector {
		set[unix.RLIMIT_DATA] = uint64(memory) + arena
	}
	for resource, limit := range set {
		var now unix.Rlimit
		if err := unix.Getrlimit(resource, &now); err != nil {
			return err
		}
		limit = min(limit, now.Max)
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
			return err
		}
	}
	return nil
}

// outcome names how a child ended.
func outcome(ctx context.Context, p *childProcess, waited error, answer, words *limited) (Ended, error) {
	ended := Ended{Gone: p.gone}
	if state := p.cmd.ProcessState; state != nil {
		ended.CPU = state.UserTime() + state.SystemTime()
		if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
			ended.PeakMemory = usage.Maxrss << 10
		}
	}
	cause := context.Cause(ctx)
	switch {
	case waited == nil && cause == nil:
		ended.Answer = answer.kept.Bytes()
		return ended, nil
	case cause != nil:
		return ended, cause
	case bytes.Contains(words.kept.Bytes(), []byte("out of memory")), bytes.Contains(words.kept.Bytes(), []byte("cannot allocate memory")):
		return ended, ErrMemory
	}
	first, _, _ := strings.Cut(words.kept.String(), "\n")
	return ended, fmt.Errorf("%w: %w: %.200q", ErrCrashed, waited, first)
}
