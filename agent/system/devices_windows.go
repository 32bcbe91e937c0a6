package system

import (
	"encoding/binary"
	"errors"
	"unsafe"

	"golang.org/x/sys/windows"
)

// maxPart bounds one part of a file or device.
const maxPart = 64 << 20

// ioctlDiskLength is IOCTL_DISK_GET_LENGTH_INFO: it needs the right to read.
const ioctlDiskLength = 0x7405c

// readDevice reads some bytes of a disk or a volume, in whole sectors, as its
// driver demands.
func readDevice(device string, offset int64, length int) ([]byte, error) {
	name, err := windows.UTF16PtrFromString(device)
	if err != nil {
		return nil, err
	}
	handle, err := windows.CreateFile(name, windows.GENERIC_READ, shareAll, nil, windows.OPEN_EXISTING, 0, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = windows.CloseHandle(handle) }()
	sector, size, err := deviceSize(handle)
	if err != nil {
		return nil, err
	}
	from, to := alignedSpan(offset, length, sector, size)
	if from >= to {
		return []byte{}, nil
	}
	data := aligned(int(to - from))
	read, err := readSectors(handle, data, from)
	if err != nil {
		return nil, err
	}
	skip := min(int(offset-from), read)
	return data[skip:min(skip+length, read)], nil
}

// deviceSize returns the size of a sector and of the whole.
func deviceSize(handle windows.Handle) (sector, size int64, err error) {
	if sector, _, err = geometry(handle); err != nil {
		sector = 4096 // a whole number of all that there are
	}
	answer := make([]byte, 8)
	if _, err := control(handle, ioctlDiskLength, nil, answer); err != nil {
		return 0, 0, err
	}
	return sector, int64(binary.LittleEndian.Uint64(answer)), nil
}

// aligned returns bytes that begin at the start of a page: some controllers
// take no others.
func aligned(length int) []byte {
	const page = 4096
	data := make([]byte, length+page)
	skip := int(-uintptr(unsafe.Pointer(&data[0])) & (page - 1))
	return data[skip : skip+length]
}

func readSectors(handle windows.Handle, data []byte, from int64) (int, error) {
	read := 0
	for read < len(data) {
		at := from + int64(read)
		overlapped := windows.Overlapped{Offset: uint32(at), OffsetHigh: uint32(at >> 32)}
		var n uint32
		err := windows.ReadFile(handle, data[read:min(len(data), read+1<<20)], &n, &overlapped)
		if errors.Is(err, windows.ERROR_HANDLE_EOF) || err == nil && n == 0 {
			return read, nil
		}
		if err != nil {
			return read, err
		}
		read += int(n)
	}
	return read, nil
}
