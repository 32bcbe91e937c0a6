package system

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/windows"
)

// maxProcesses bounds the list of processes.
const maxProcesses = 65536

// Processes implements Reader.
func (windowsReader) Processes(ctx context.Context) ([]string, error) {
	list, err := within(ctx, processImages)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", coded(err))
	}
	return list, nil
}

// processImages returns the names of the programs that run, without their
// folders. The first entry, which stands for no process, is left out.
func processImages() ([]string, error) {
	snapshot, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = windows.CloseHandle(snapshot) }()
	var list []string
	var entry windows.ProcessEntry32
	entry.Size = uint32(unsafe.Sizeof(entry))
	for err = windows.Process32First(snapshot, &entry); err == nil; err = windows.Process32Next(snapshot, &entry) {
		if entry.ProcessID != 0 {
			list = append(list, windows.UTF16ToString(entry.ExeFile[:]))
		}
		if len(list) > maxProcesses {
			return nil, ErrTooLarge
		}
	}
	if !errors.Is(err, windows.ERROR_NO_MORE_FILES) {
		return nil, err
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}
