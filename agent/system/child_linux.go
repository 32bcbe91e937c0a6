package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxrssUnit is the unit in which the kernel counts resident memory.
const maxrssUnit = 1 << 10

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

// start starts the process, without a network of its own if the role wants
// none and the kernel grants that.
func (c Child) start(ctx context.Context, answer *os.File, words io.Writer) (*childProcess, error) {
	keep, err := c.Role.capabilities()
	if err != nil {
		return nil, err
	}
	scratch := ""
	if c.Role == SystemChild {
		scratch = scratchDir
	}
	if err := confineThread(keep, scratch); err != nil {
		return nil, err
	}
	isolate := c.Role == FolderChild && os.Geteuid() == 0
	for {
		cmd := c.confined(ctx, keep, isolate, answer, words)
		stdin, err := cmd.StdinPipe()
		if err != nil {
			return nil, err
		}
		err = cmd.Start()
		if err == nil {
			return started(cmd, stdin), nil
		}
		if !isolate || !errors.Is(err, unix.EPERM) {
			return nil, err
		}
		isolate = false // as in some containers
	}
}

func (c Child) confined(ctx context.Context, keep []uintptr, isolate bool, answer *os.File, words io.Writer) *exec.Cmd {
	program := c.Path
	if program == "" {
		// Not its path: that may lead elsewhere since, or be closed to nobody.
		program = "/proc/self/exe"
	}
	cmd := c.command(ctx, program, answer, words)
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		cmd.SysProcAttr.AmbientCaps = keep
	}
	if isolate {
		cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWNET
	}
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
	return setLimits(set)
}
