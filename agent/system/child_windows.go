package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// filesVariable tells a child the handles of its files.
const filesVariable = "CARETAKER_CHILD_FILES"

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

// ChildFile returns, in a child, the file that the parent gave it as
// Child.Files[n].
func ChildFile(n int, name string) *os.File {
	handles := strings.Split(os.Getenv(filesVariable), ",")
	if n >= len(handles) {
		return os.NewFile(uintptr(windows.InvalidHandle), name)
	}
	handle, err := strconv.ParseUint(handles[n], 16, 64)
	if err != nil {
		return os.NewFile(uintptr(windows.InvalidHandle), name)
	}
	return os.NewFile(uintptr(handle), name)
}

// start starts the process in a job that bounds it and all that it starts,
// with the token of its role.
func (c Child) start(ctx context.Context, answer *os.File, words io.Writer) (_ *childProcess, err error) {
	confined, err := c.Role.confine()
	if err != nil {
		return nil, err
	}
	defer confined.token.Close()
	job, err := newJob(c.Role, c.Limits)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			job.close()
		}
	}()
	var pipes pipes
	defer pipes.closeChilds()
	stdin, err := pipes.to()
	if err != nil {
		return nil, err
	}
	stderr, err := pipes.from()
	if err != nil {
		stdin.Close()
		return nil, err
	}
	process, err := c.create(confined.token, job, pipes.childs[0], answer, pipes.childs[1])
	if err != nil {
		return nil, errors.Join(err, stdin.Close(), stderr.Close())
	}
	p := runningProcess{process: process, job: job, said: make(chan struct{})}
	go func() {
		defer close(p.said)
		defer stderr.Close()
		_, _ = io.Copy(words, stderr) // it only names the reason of a failure
	}()
	stop := context.AfterFunc(ctx, job.kill)
	return &childProcess{
		stdin: stdin, kill: job.kill, unconfined: confined.missing,
		wait: func() error {
			defer stop()
			return p.wait(stderr)
		},
		took: func() (int64, time.Duration) { return p.peak, p.cpu },
	}, nil
}

// pipes are a child's standard input and error.
type pipes struct {
	childs []*os.File // its own ends, in the order in which they were made
}

func (p *pipes) to() (*os.File, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.childs = append(p.childs, read)
	return write, nil
}

func (p *pipes) from() (*os.File, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.childs = append(p.childs, write)
	return read, nil
}

func (p *pipes) closeChilds() {
	for _, f := range p.childs {
		f.Close()
	}
}

// runningProcess is the process of a child.
type runningProcess struct {
	process windows.Handle
	job     *job
	said    chan struct{} // closed at the end of its standard error
	peak    int64
	cpu     time.Duration
}

// wait waits for the end of the process, and ends what it left behind.
func (p *runningProcess) wait(stderr *os.File) error {
	_, err := windows.WaitForSingleObject(p.process, windows.INFINITE)
	if err != nil {
		return fmt.Errorf("wait for it: %w", err)
	}
	var status uint32
	err = windows.GetExitCodeProcess(p.process, &status)
	p.peak, p.cpu = p.job.took(p.process)
	err = errors.Join(err, windows.CloseHandle(p.process))
	p.job.close()
	if !closedSoon(p.said) {
		stderr.Close()
		<-p.said
	}
	switch {
	case err != nil:
		return err
	case status == uint32(windows.STATUS_NO_MEMORY), status == uint32(windows.STATUS_COMMITMENT_LIMIT):
		return ErrMemory
	case status != 0:
		return fmt.Errorf("exit status %#x", status)
	}
	return nil
}

// create creates the process and lets it run. Only the three pipes and the
// child's files are inherited.
func (c Child) create(token windows.Token, job *job, stdin, stdout, stderr *os.File) (windows.Handle, error) {
	inherited, err := inheritable(append([]*os.File{stdin, stdout, stderr}, c.Files...))
	if err != nil {
		return 0, err
	}
	defer inherited.close()
	program, line, err := c.commandLine()
	if err != nil {
		return 0, err
	}
	environment, folder, err := c.surroundings(inherited[3:])
	if err != nil {
		return 0, err
	}
	attributes, err := windows.NewProcThreadAttributeList(2)
	if err != nil {
		return 0, err
	}
	defer attributes.Delete()
	if err := attributes.Update(windows.PROC_THREAD_ATTRIBUTE_HANDLE_LIST, unsafe.Pointer(&inherited[0]),
		uintptr(len(inherited))*unsafe.Sizeof(inherited[0])); err != nil {
		return 0, fmt.Errorf("name what it inherits: %w", err)
	}
	if err := attributes.Update(procThreadAttributeJobList, unsafe.Pointer(&job.handle), unsafe.Sizeof(job.handle)); err != nil {
		return 0, fmt.Errorf("name its job: %w", err)
	}
	startup := windows.StartupInfoEx{ProcThreadAttributeList: attributes.List()}
	startup.Cb = uint32(unsafe.Sizeof(startup))
	startup.Flags = windows.STARTF_USESTDHANDLES
	startup.StdInput, startup.StdOutput, startup.StdErr = inherited[0], inherited[1], inherited[2]
	// Without a console: one would be a process of its own. Suspended until
	// its priorities are set.
	const flags = windows.CREATE_SUSPENDED | windows.DETACHED_PROCESS | windows.CREATE_UNICODE_ENVIRONMENT |
		windows.EXTENDED_STARTUPINFO_PRESENT
	var info windows.ProcessInformation
	err = windows.CreateProcessAsUser(token, program, line, nil, nil, true, flags, &environment[0], folder, &startup.StartupInfo, &info)
	if err != nil {
		return 0, err
	}
	defer func() { _ = windows.CloseHandle(info.Thread) }()
	if err := letRun(info); err != nil {
		job.kill()
		return 0, errors.Join(err, windows.CloseHandle(info.Process))
	}
	return info.Process, nil
}

// letRun gives a new process the lowest priority for processor and disk, and
// lets it run. PROCESS_MODE_BACKGROUND_BEGIN would do the same and hold it to 32 MiB
// of resident memory besides, which has larger processes swap all the time.
func letRun(info windows.ProcessInformation) error {
	if err := windows.SetPriorityClass(info.Process, windows.IDLE_PRIORITY_CLASS); err != nil {
		return fmt.Errorf("lower its priority: %w", err)
	}
	veryLow := uint32(0) // IoPriorityVeryLow
	err := windows.NtSetInformationProcess(info.Process, windows.ProcessIoPriority, unsafe.Pointer(&veryLow), uint32(unsafe.Sizeof(veryLow)))
	if err != nil && !errors.Is(err, windows.STATUS_NOT_IMPLEMENTED) && !errors.Is(err, windows.STATUS_INVALID_INFO_CLASS) {
		return fmt.Errorf("lower its disk priority: %w", err)
	}
	if _, err := windows.ResumeThread(info.Thread); err != nil {
		return fmt.Errorf("let it run: %w", err)
	}
	return nil
}

// commandLine returns the program and the command line.
func (c Child) commandLine() (program, line *uint16, err error) {
	name := c.Path
	if name == "" {
		// A program that runs can be renamed, but only by an administrator.
		if name, err = os.Executable(); err != nil {
			return nil, nil, err
		}
	}
	if program, err = windows.UTF16PtrFromString(name); err != nil {
		return nil, nil, err
	}
	line, err = windows.UTF16PtrFromString(windows.ComposeCommandLine(append([]string{name}, c.Args...)))
	return program, line, err
}

// surroundings returns the environment and the working folder. The variables
// beside the child's own are those without which Windows' own libraries do not
// load; they come from the system, not from this process's environment.
func (c Child) surroundings(files []windows.Handle) (environment []uint16, folder *uint16, err error) {
	root, err := windows.GetSystemWindowsDirectory()
	if err != nil {
		return nil, nil, err
	}
	own, err := windows.GetSystemDirectory()
	if err != nil {
		return nil, nil, err
	}
	data, err := ProgramData()
	if err != nil {
		return nil, nil, err
	}
	if folder, err = windows.UTF16PtrFromString(own); err != nil {
		return nil, nil, err
	}
	variables := append([]string{
		"SystemRoot=" + root, "windir=" + root, "SystemDrive=" + root[:2], "ProgramData=" + data, "ALLUSERSPROFILE=" + data,
	}, c.settings()...)
	if len(files) > 0 {
		var handles []string
		for _, h := range files {
			handles = append(handles, strconv.FormatUint(uint64(h), 16))
		}
		variables = append(variables, filesVariable+"="+strings.Join(handles, ","))
	}
	for _, v := range variables {
		text, err := windows.UTF16FromString(v) // with its final zero
		if err != nil {
			return nil, nil, err
		}
		environment = append(environment, text...)
	}
	return append(environment, 0), folder, nil
}

// handles are handles that a child may inherit.
type handles []windows.Handle

// inheritable duplicates files so that a child inherits them.
func inheritable(files []*os.File) (_ handles, err error) {
	// A process that is started elsewhere without a list would inherit them
	// too; those of the standard library wait for this lock.
	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	var hs handles
	self := windows.CurrentProcess()
	for _, f := range files {
		var h windows.Handle
		if err := windows.DuplicateHandle(self, windows.Handle(f.Fd()), self, &h, 0, true, windows.DUPLICATE_SAME_ACCESS); err != nil {
			hs.close()
			return nil, fmt.Errorf("give it %s: %w", f.Name(), err)
		}
		hs = append(hs, h)
	}
	return hs, nil
}

func (hs handles) close() {
	for _, h := range hs {
		_ = windows.CloseHandle(h)
	}
}

// limitSelf makes sure that this process is in a job. What a child may take
// is set from outside, on its job, before it begins.
func limitSelf(int64) error {
	var in uint32
	ok, _, err := procIsProcessInJob.Call(uintptr(windows.CurrentProcess()), 0, uintptr(unsafe.Pointer(&in)))
	switch {
	case ok == 0:
		return fmt.Errorf("ask for its job: %w", err)
	case in == 0:
		return errors.New("its parent has put it into no job")
	}
	return nil
}
