package system

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/windows"
)

// otherChild is the program of children that only Windows has.
func otherChild(mode string, _ []byte) int {
	if mode != "start another" {
		return 9
	}
	program, err := os.Executable()
	if err != nil {
		return 6
	}
	fmt.Print(exec.Command(program).Start())
	return 0
}

// underWine reports whether this is Wine, which does not keep all that it is
// told to.
func underWine() bool {
	return windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil
}

// memoryIsBounded reports whether the system holds children to their memory.
func memoryIsBounded(t *testing.T) bool {
	t.Helper()
	if underWine() {
		t.Log("left out: Wine does not hold a job to its memory")
	}
	return !underWine()
}

// peakIsTold reports whether the system says what an ended process took.
func peakIsTold() bool { return !underWine() }

// TestJobIsBounded reads back what a job was told.
func TestJobIsBounded(t *testing.T) {
	if underWine() {
		t.Skip("Wine does not tell the limits of a job")
	}
	for role, processes := range map[Role]uint32{FolderChild: 1, SystemChild: mostProcesses} {
		j, err := newJob(role, roomy)
		must(t, err)
		defer j.close()
		var got windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
		must(t, windows.QueryInformationJobObject(j.handle, windows.JobObjectExtendedLimitInformation,
			uintptr(unsafe.Pointer(&got)), uint32(unsafe.Sizeof(got)), nil))
		const never = windows.JOB_OBJECT_LIMIT_BREAKAWAY_OK | windows.JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK
		flags := got.BasicLimitInformation.LimitFlags
		if flags&windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE == 0 || flags&never != 0 ||
			got.BasicLimitInformation.ActiveProcessLimit != processes || got.ProcessMemoryLimit != uintptr(roomy.Memory+arena) {
			t.Errorf("role %d: got %+v", role, got)
		}
	}
}

func TestFolderChildStartsNothing(t *testing.T) {
	if underWine() {
		t.Skip("Wine does not bound the number of processes in a job")
	}
	ended, err := child("start another", roomy).Run(t.Context(), nil)
	if err != nil || string(ended.Answer) == "<nil>" {
		t.Errorf("got %q, %v", ended.Answer, err)
	}
}

// TestChildIsKilledWithAllItStarted ends a child at a deadline; the process
// that it started must be gone as well.
func TestChildIsKilledWithAllItStarted(t *testing.T) {
	read, write, err := os.Pipe()
	must(t, err)
	defer read.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	c := child("hang", roomy)
	c.Role = SystemChild
	c.Files = []*os.File{write}
	ended := make(chan error, 1)
	go func() {
		_, err := c.Run(ctx, nil)
		write.Close() // so that nobody waits for a child that did not start
		ended <- err
	}()
	var pid uint32
	if _, err := fmt.Fscan(read, &pid); err != nil {
		t.Fatal(err)
	}
	grandchild, err := windows.OpenProcess(windows.SYNCHRONIZE, false, pid)
	must(t, err)
	defer windows.CloseHandle(grandchild)
	cancel(context.DeadlineExceeded)
	if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
	_, err = windows.WaitForSingleObject(grandchild, windows.INFINITE)
	must(t, err)
}

// state is what a child says about itself.
type state struct {
	Privileges int // beside the one that everybody has
	Restricted bool
	Priority   uint32
	Env        []string
	Dir        string
	Write      string // error of trying
	Secret     string
}

// stateRequest says what a child shall try.
type stateRequest struct {
	File   string  // to write
	Secret uintptr // a handle that it must not have, to read
}

func ownState(request []byte) state {
	var r stateRequest
	if err := json.Unmarshal(request, &r); err != nil {
		panic(err)
	}
	s := state{Env: os.Environ()}
	token := windows.GetCurrentProcessToken()
	left, err := privileges(token)
	if err != nil {
		panic(err)
	}
	s.Privileges = len(left)
	s.Restricted, _ = isRestricted(token)
	s.Priority, _ = windows.GetPriorityClass(windows.CurrentProcess())
	s.Dir, _ = os.Getwd()
	s.Write = fmt.Sprint(os.WriteFile(r.File, nil, 0o600))
	secret := make([]byte, 16)
	var n uint32
	_ = windows.ReadFile(windows.Handle(r.Secret), secret, &n, nil)
	s.Secret = string(secret[:n])
	return s
}

// TestChildRights asks children of both roles what they can do.
func TestChildRights(t *testing.T) {
	t.Setenv("SECRET", "of the parent")
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("of the parent"), 0o600))
	secret, err := os.Open(filepath.Join(dir, "secret"))
	must(t, err)
	defer secret.Close()
	must(t, windows.SetHandleInformation(windows.Handle(secret.Fd()), windows.HANDLE_FLAG_INHERIT, windows.HANDLE_FLAG_INHERIT))
	request, err := json.Marshal(stateRequest{File: filepath.Join(dir, "written"), Secret: secret.Fd()})
	must(t, err)
	system, err := windows.GetSystemDirectory()
	must(t, err)
	for _, role := range []Role{FolderChild, SystemChild} {
		c := child("state", roomy)
		c.Role = role
		ended, err := c.Run(t.Context(), request)
		must(t, err)
		var got state
		must(t, json.Unmarshal(ended.Answer, &got))
		if got.Privileges > 0 || got.Priority != windows.IDLE_PRIORITY_CLASS || !strings.EqualFold(got.Dir, system) || got.Secret != "" {
			t.Errorf("role %d: got %+v", role, got)
		}
		if odd := slices.DeleteFunc(got.Env, belongs); len(odd) > 0 {
			t.Errorf("role %d: it has the variables %q", role, odd)
		}
		if told := ended.Unconfined == ""; role == FolderChild && (got.Restricted != told || (got.Write == "<nil>") == told) {
			t.Errorf("it may write %v, is restricted %t, and of that was said %q", got.Write, got.Restricted, ended.Unconfined)
		}
	}
}

// belongs reports whether a variable may be in a child's environment. Wine
// adds some of its own.
func belongs(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return slices.Contains([]string{"SystemRoot", "SystemDrive", "windir", "ProgramData", "ALLUSERSPROFILE", "GOMAXPROCS", "GOGC", "GOMEMLIMIT", childMode}, name) ||
		underWine() && (strings.HasPrefix(name, "WINE") || name == "PROCESSOR_ARCHITECTURE")
}
