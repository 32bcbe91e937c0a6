package system

import (
	"bytes"
	"encoding/binary"
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// dirent is one entry of a folder as the kernel tells it. It lies in the
// buffer that it was read into and is gone when that is used again.
type dirent struct {
	kind byte   // one of unix.DT_…: what the folder says that it is
	name []byte // with the zero that ends it
}

// String returns the name.
func (e dirent) String() string { return string(e.name[:len(e.name)-1]) }

// isDots reports whether it is the folder itself or the one above it.
func (e dirent) isDots() bool { return string(e.name) == ".\x00" || string(e.name) == "..\x00" }

// The kernel's struct linux_dirent64: inode (8 bytes), offset (8), length of
// the whole (2), kind (1), and the name up to a zero and some padding.
const (
	direntLength = 16
	direntKind   = 18
	direntName   = 19
)

var errDirent = errors.New("its entries cannot be read")

// cutDirent cuts the first entry from what the kernel wrote. A name that is
// none is an error: on a damaged disk it could lead anywhere.
func cutDirent(b []byte) (e dirent, rest []byte, err error) {
	if len(b) < direntName {
		return e, nil, errDirent
	}
	n := int(binary.NativeEndian.Uint16(b[direntLength:]))
	if n <= direntName || n > len(b) {
		return e, nil, errDirent
	}
	name := b[direntName:n]
	end := bytes.IndexByte(name, 0)
	if end <= 0 || bytes.IndexByte(name[:end], '/') >= 0 {
		return e, nil, errDirent
	}
	return dirent{kind: b[direntKind], name: name[:end+1]}, b[n:], nil
}

// statInside asks for what lies at a name in an open folder and reports
// whether it was told all that is asked. It follows no link, sets no
// automounter to work and, should something be mounted there, has that tell no
// more than is in memory, so that it waits for nobody.
func statInside(dir int, e dirent, st *unix.Statx_t) bool {
	const (
		how  = unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT | unix.AT_STATX_DONT_SYNC
		what = unix.STATX_TYPE | unix.STATX_NLINK | unix.STATX_INO | unix.STATX_SIZE | unix.STATX_MTIME | unix.STATX_CTIME | unix.STATX_MNT_ID
	)
	// Not by package unix, which makes a copy of each name.
	_, _, errno := unix.Syscall6(unix.SYS_STATX, uintptr(dir), uintptr(unsafe.Pointer(&e.name[0])), how, what, uintptr(unsafe.Pointer(st)), 0)
	return errno == 0 && st.Mask&what == what
}

// mountOfFolder returns the mount that an open folder lies on; 0 if the kernel
// does not tell (before Linux 5.8).
func mountOfFolder(dir int) uint64 {
	var st unix.Statx_t
	if err := unix.Statx(dir, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st); err != nil || st.Mask&unix.STATX_MNT_ID == 0 {
		return 0
	}
	return st.Mnt_id
}

func nanoseconds(t unix.StatxTimestamp) int64 { return t.Sec*1e9 + int64(t.Nsec) }
