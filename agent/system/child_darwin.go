package system

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/metrics"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxrssUnit is the unit in which the kernel counts resident memory.
	maxrssUnit = 1
	// Of sys/resource.h: the background band, with the lowest priority for
	// processor, disk and network.
	prioDarwinProcess = 4
	prioDarwinBG      = 0x1000
	// watchEvery is how often a child looks at itself.
	watchEvery = 200 * time.Millisecond
)

// Run starts the child, gives it the request and waits for its answer.
func (c Child) Run(ctx context.Context, request []byte) (Ended, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Limits.Deadline)
	defer cancel()
	ended, err := c.run(ctx, request)
	if err != nil {
		return ended, fmt.Errorf("run child %s: %w", strings.Join(c.Args, " "), err)
	}
	return ended, nil
}

func (c Child) start(ctx context.Context, answer *os.File, words io.Writer) (*childProcess, error) {
	if c.Role != FolderChild && c.Role != SystemChild {
		return nil, fmt.Errorf("%d is not a role", c.Role)
	}
	program := c.Path
	if program == "" {
		// Whoever can put another program in its place is root.
		var err error
		if program, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	cmd := c.command(ctx, program, answer, words)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := started(cmd, stdin)
	if os.Geteuid() == 0 {
		p.unconfined = "it keeps root's rights, which macOS cannot divide"
	}
	return p, nil
}

// limitSelf sets the limits that belong to a whole process, and has it look at
// what the system does not bound: its memory, and whether its parent is there.
func limitSelf(memory int64) error {
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, 19); err != nil {
		return fmt.Errorf("lower its priority: %w", err)
	}
	if err := unix.Setpriority(prioDarwinProcess, 0, prioDarwinBG); err != nil {
		return fmt.Errorf("lower its disk priority: %w", err)
	}
	if err := setLimits(map[int]uint64{unix.RLIMIT_CORE: 0, unix.RLIMIT_NOFILE: 1024, unix.RLIMIT_FSIZE: maxFile}); err != nil {
		return err
	}
	go watchSelf(os.Getppid(), uint64(memory)+arena)
	return nil
}

// watchSelf ends this process when its parent is gone or it has taken too much
// memory. It goes on until then.
func watchSelf(parent int, memory uint64) {
	taken := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	for {
		next, stop := context.WithTimeout(context.Background(), watchEvery)
		<-next.Done()
		stop()
		if os.Getppid() != parent {
			os.Exit(1)
		}
		metrics.Read(taken)
		if taken[0].Value.Uint64()-taken[1].Value.Uint64() > memory {
			fmt.Fprintln(os.Stderr, "out of memory")
			os.Exit(1)
		}
	}
}
