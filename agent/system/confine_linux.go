package system

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel's numbers for I/O priorities (linux/ioprio.h).
const (
	ioprioWhoProcess = 1
	ioprioIdle       = 3 << 13
)

// confineThread takes from the calling thread, and so from what it starts,
// all that a child shall not have. The thread must not be used for anything
// else afterwards. Scratch is the one folder where it may write, or "".
func confineThread(keep []uintptr, scratch string) error {
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, 19); err != nil {
		return fmt.Errorf("lower its priority: %w", err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, ioprioWhoProcess, 0, ioprioIdle); errno != 0 {
		return fmt.Errorf("lower its disk priority: %w", errno)
	}
	if os.Geteuid() == 0 {
		if err := dropBounding(keep); err != nil {
			return fmt.Errorf("drop capabilities: %w", err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid it new rights: %w", err)
	}
	if err := forbidWriting(scratch); err != nil {
		return fmt.Errorf("forbid it to write: %w", err)
	}
	return nil
}

// dropBounding drops all capabilities but those in keep from the set of what
// can ever be had again.
func dropBounding(keep []uintptr) error {
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if slices.Contains(keep, c) {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		// A kernel older than our list, or a container that lacks the right to
		// give rights away: without new rights the set is not needed.
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EPERM) {
			return err
		}
	}
	return nil
}

// writes are all ways to change a file system that the first version of
// Landlock knows; later versions add to them.
const writes = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR |
	unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR |
	unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO |
	unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK | unix.LANDLOCK_ACCESS_FS_MAKE_SYM

// scratchWrites are those that make, fill and remove a file.
const scratchWrites = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
	unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR

// forbidWriting lets the thread write no file but /dev/null and those in
// scratch. A kernel without Landlock (before 5.13, or with it turned off)
// leaves that to the rights of the user "nobody".
func forbidWriting(scratch string) error {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno == unix.ENOSYS || errno == unix.EOPNOTSUPP || errno == unix.EPERM {
		return nil
	}
	if errno != 0 {
		return errno
	}
	handled, truncate := uint64(writes), uint64(0)
	if version >= 2 {
		handled |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if version >= 3 {
		truncate = unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	// The first version knows only the first field.
	rules := unix.LandlockRulesetAttr{Handled_access_fs: handled | truncate}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&rules)), unsafe.Sizeof(rules.Handled_access_fs), 0)
	if errno != 0 {
		return errno
	}
	defer func() { _ = unix.Close(int(fd)) }()
	if err := allow(fd, os.DevNull, unix.LANDLOCK_ACCESS_FS_WRITE_FILE|truncate); err != nil {
		return err
	}
	if scratch != "" {
		if err := allow(fd, scratch, scratchWrites|truncate); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	if _, _, errno = unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// allow adds an exception to a set of rules.
func allow(rules uintptr, name string, access uint64) error {
	fd, err := unix.Open(name, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	// The kernel's struct is packed: eight bytes and four.
	var rule [12]byte
	binary.NativeEndian.PutUint64(rule[:], access)
	binary.NativeEndian.PutUint32(rule[8:], uint32(fd))
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, rules, unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
