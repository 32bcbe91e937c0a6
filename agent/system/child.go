package system

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/debug"
	"time"
)

// Role says what a child is for, and so which rights it keeps.
type Role uint8

// The roles. There is no zero role: a child without one is not started.
const (
	// FolderChild walks people's folders. It may read any file, because homes
	// are closed to others, and nothing else: no network, no other right.
	FolderChild Role = iota + 1
	// SystemChild runs the probes. It may read any file and any disk's
	// headers, and list the kernel's firewall rules.
	SystemChild
)

// Limits bound one child.
type Limits struct {
	Deadline  time.Duration // after which it is killed with everything it started
	Memory    int64         // bytes it should stay within; see Child
	MaxAnswer int64         // bytes of its answer
}

// Child is a short-lived process of this same program that makes one
// assessment or one walk: it gets a request on standard input and answers on
// standard output. Whatever goes wrong in it ends with it.
//
// It runs with the lowest priority for processor and disk, in a folder of the
// system's own, and its environment holds nothing of this process's. It ends
// with everything that it started, at its deadline and with this process.
//
// On Linux it is without core dumps and may gain no rights and write no file;
// only the commands of a SystemChild may make files in /dev/shm. If this
// process is root, the child is the user "nobody" with the few capabilities of
// its role. Otherwise it has this process's own rights.
//
// On Windows it is in a job, with a token from which most was taken; what, and
// what cannot be, stands with Role.confine.
//
// On macOS it keeps this process's rights: the system has no way to give a
// process root's eyes without root's hands. A root process there is bounded by
// its limits, and by what this program does.
//
// In the child, ChildRequest returns the request and is the first thing called:
// it also takes the limits. When the child has answered it closes its standard
// output, because a thread of it that cannot be ended would keep that open.
// The Go runtime holds itself to Limits.Memory by collecting harder; 64 MiB
// (one arena) beyond that, the kernel refuses, and the child ends with
// ErrMemory. Where the kernel does not, as on macOS, the child looks itself.
type Child struct {
	Role   Role
	Path   string     // of the program; "" for this one
	Args   []string   // the hidden subcommand
	Env    []string   // its whole environment beside the runtime's settings
	Files  []*os.File // open in the child: ChildFile(0, …), ChildFile(1, …), …
	Limits Limits
}

// Ended is what is known of a child that has ended.
type Ended struct {
	Answer []byte
	// PeakMemory is the most memory it had resident, in bytes; 0 where the
	// system does not tell. Linux counts from the fork, so that it is never
	// less than what the parent had resident then.
	PeakMemory int64
	CPU        time.Duration // processor time it took; on Windows with what it started
	// Gone is closed once the process is gone. One that waits for a disk or a
	// file system that does not answer cannot be ended, not even by killing
	// it: it is then left behind, with the answer that it gave or without one.
	Gone <-chan struct{}
	// Unconfined says what of its confinement this system did not grant, in
	// words for a log; "" if it granted everything. Where it must be granted,
	// the child does not start: see ErrNotConfined.
	Unconfined string
}

// Errors of a child, beside context.DeadlineExceeded for one that was killed
// at its deadline and ErrTooLarge for one that answered too much. Absence
// names all of them.
var (
	// ErrMemory means that it wanted more memory than it may have.
	ErrMemory = errors.New("it ran out of the memory it may have")
	// ErrCrashed means that it ended without an answer.
	ErrCrashed = errors.New("it ended without an answer")
	// ErrNotConfined means that it was not started, because this system did
	// not take from it the rights that it must not have.
	ErrNotConfined = fmt.Errorf("its rights cannot be taken from it: %w", errors.ErrUnsupported)
)

// ChildRequest puts this process under the limits it was started with and
// reads its request. It fails in a process that no Child started.
func ChildRequest(stdin io.Reader, limit int64) ([]byte, error) {
	memory := debug.SetMemoryLimit(-1) // the runtime has it from its environment
	if memory == math.MaxInt64 {
		return nil, errors.New("take the limits of a child: this process was not started as one")
	}
	if err := limitSelf(memory); err != nil {
		return nil, fmt.Errorf("take the limits of a child: %w", err)
	}
	request, err := io.ReadAll(io.LimitReader(stdin, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read the request to a child: %w", err)
	}
	if int64(len(request)) > limit {
		return nil, fmt.Errorf("read the request to a child: %w", ErrTooLarge)
	}
	return request, nil
}
