package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/windows"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// asideOfThis is this process's one process apart: it is never worth asking
// two of them at once.
var asideOfThis = newApart("", []string{ApartCommand}, apartEnvironment(os.Getenv))

// apartVariable is set in the environment of a process apart, so that it never
// starts another.
const apartVariable = "CARETAKER_APART"

// rowsApart asks a question of the allow-list that is asked apart.
func rowsApart(ctx context.Context, spec RowsetSpec) ([]Values, error) {
	if os.Getenv(apartVariable) != "" {
		return nil, fmt.Errorf("ask for %s: this process answers questions apart itself: %w", spec.Name, errors.ErrUnsupported)
	}
	return asideOfThis.rows(ctx, spec)
}

// EndApart ends the process that answers questions apart, if one was started.
// It belongs to the end of an assessment.
func EndApart() { asideOfThis.end() }

// ServeApart answers questions that are asked apart, until standard input
// ends. On Windows it does not return then: a thread that hangs in an
// interface of the system would keep the process from ending in an orderly
// way.
func ServeApart(stdin io.Reader, stdout io.Writer) error {
	s := apartServer{
		find: func(r Rowset) (RowsetSpec, error) { return r.spec(posture.Windows) },
		open: func() func(RowsetSpec) ([]Values, error) { return openCOM().rows },
	}
	if err := s.serve(stdin, stdout); err != nil {
		return err
	}
	return windows.TerminateProcess(windows.CurrentProcess(), 0)
}

// apartEnvironment returns the environment of the process: what COM needs to
// find itself, and that it has little to do at a time.
func apartEnvironment(get func(string) string) []string {
	list := []string{"GOMAXPROCS=1", apartVariable + "=1"}
	for _, name := range []string{"SystemRoot", "SystemDrive", "windir", "ProgramData", "ALLUSERSPROFILE"} {
		if value := get(name); value != "" {
			list = append(list, name+"="+value)
		}
	}
	return list
}

// startApart says how the process is started: without a console, which would
// be a process of its own.
func startApart(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.DETACHED_PROCESS}
}
