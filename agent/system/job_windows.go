package system

import (
	"errors"
	"fmt"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// job is the kernel's object that bounds a child and all that it starts.
type job struct {
	handle windows.Handle

	mu     sync.Mutex // guards closed, and the handle against being closed
	closed bool
}

const (
	// procThreadAttributeJobList makes a process begin its life in a job.
	procThreadAttributeJobList = 0x0002000d
	// mostProcesses is how many processes a SystemChild may be: itself and
	// the helpers that ask interfaces which may hang.
	mostProcesses = 8
)

// newJob makes the job of a child. It ends with its last handle, which is in
// this process: the child dies with its parent. Nothing in it may leave it or
// raise its priority, and no dialogue appears when it crashes.
func newJob(r Role, l Limits) (*job, error) {
	handle, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return nil, fmt.Errorf("make its job: %w", err)
	}
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{
		BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{
			LimitFlags: windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | windows.JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION |
				windows.JOB_OBJECT_LIMIT_ACTIVE_PROCESS | windows.JOB_OBJECT_LIMIT_PRIORITY_CLASS |
				windows.JOB_OBJECT_LIMIT_PROCESS_MEMORY | windows.JOB_OBJECT_LIMIT_JOB_MEMORY,
			ActiveProcessLimit: 1, PriorityClass: windows.IDLE_PRIORITY_CLASS,
		},
		ProcessMemoryLimit: uintptr(l.Memory + arena),
		JobMemoryLimit:     uintptr(l.Memory + arena),
	}
	if r == SystemChild {
		limits.BasicLimitInformation.ActiveProcessLimit = mostProcesses
		limits.JobMemoryLimit *= 2
	}
	if _, err := windows.SetInformationJobObject(handle, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits))); err != nil {
		return nil, errors.Join(fmt.Errorf("bound its job: %w", err), windows.CloseHandle(handle))
	}
	return &job{handle: handle}, nil
}

// kill ends all processes in the job.
func (j *job) kill() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.closed {
		_ = windows.TerminateJobObject(j.handle, 1) // it fails if there is nothing to end any more
	}
}

// close gives the job back, which ends what is left in it.
func (j *job) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.closed {
		j.closed = true
		_ = windows.CloseHandle(j.handle)
	}
}

// took returns the most memory that the process, which has ended, had
// resident, and the time that all in the job took. What the system does not
// tell is 0.
func (j *job) took(process windows.Handle) (peak int64, cpu time.Duration) {
	var times struct { // JOBOBJECT_BASIC_ACCOUNTING_INFORMATION
		user, kernel, userPeriod, kernelPeriod  int64 // in 100 ns
		faults, processes, active, terminations uint32
	}
	if err := windows.QueryInformationJobObject(j.handle, windows.JobObjectBasicAccountingInformation,
		uintptr(unsafe.Pointer(&times)), uint32(unsafe.Sizeof(times)), nil); err == nil {
		cpu = time.Duration(times.user+times.kernel) * 100
	}
	var created, ended, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(process, &created, &ended, &kernel, &user); err == nil {
		cpu = max(cpu, time.Duration(ticks(kernel)+ticks(user))*100)
	}
	return peakMemory(process), cpu
}

func ticks(t windows.Filetime) int64 { return int64(t.HighDateTime)<<32 | int64(t.LowDateTime) }

// peakMemory returns the most memory that a process ever had resident, 0 if
// the system does not tell.
func peakMemory(process windows.Handle) int64 {
	var counters struct { // PROCESS_MEMORY_COUNTERS
		size, faults       uint32
		peak, workingSet   uintptr
		quotas             [4]uintptr
		pagefile, mostOfIt uintptr
	}
	counters.size = uint32(unsafe.Sizeof(counters))
	ok, _, _ := procGetProcessMemoryInfo.Call(uintptr(process), uintptr(unsafe.Pointer(&counters)), uintptr(counters.size))
	if ok == 0 {
		return 0
	}
	return int64(counters.peak)
}
