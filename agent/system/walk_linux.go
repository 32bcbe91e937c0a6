package system

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// inside is how every name on a walk is resolved: one element at a time, in
// the folder that is already open, never through a link of any kind and never
// onto another file system.
const inside = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV

// Walk implements Reader. It goes by handle: a folder is opened inside the
// folder above it and nothing is ever found by its path, so that nobody can
// lead it elsewhere while it walks. It stays on the local file system on which
// a walk starts, looks only at regular files that have one name, never waits
// for a FIFO or a device, and never reads a file that visit does not read.
// A file that is known is recognised by what its folder's handle tells of its
// name, and not opened at all; whatever is to be read is judged anew by its
// own handle.
//
// A kernel that cannot do this (before Linux 5.6) is unsupported: there is no
// weaker walk.
func (l *linux) Walk(ctx context.Context, limits WalkLimits, visit func(WalkedFile) error) (WalkSummary, error) {
	ctx, cancel := context.WithTimeout(ctx, limits.Time)
	defer cancel()
	starts, err := l.walkStarts(ctx)
	if err != nil {
		return WalkSummary{}, fmt.Errorf("find people's folders: %w", err)
	}
	w := walker{progress: newProgress(limits, visit)}
	w.gaps(starts.gaps)
	return w.walkAll(ctx, starts.list, func(ctx context.Context, s walkStart) error { return w.start(ctx, l, s) })
}

// walker is the state of one walk.
type walker struct {
	progress
	entries [][]byte     // for the entries of the folders that are open, by depth
	stat    unix.Statx_t // of the name that is looked at
}

// openFolder is a folder on the walk.
type openFolder struct {
	*os.File
	name  string // its path from the start
	mount uint64 // on which it lies; 0 on a kernel that does not tell
	depth int    // how many folders deeper the walk may go
}

// failed records an error of the file system. What went away while it was
// looked at is no gap, and neither is a mount: those that matter are starts of
// their own.
func (w *walker) failed(class posture.Location, err error) error {
	switch {
	case err == nil, errors.Is(err, errStopped):
		return err
	case errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("this kernel cannot walk by handle: %w", errors.ErrUnsupported)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.EXDEV), errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENOTDIR):
		return nil
	}
	w.gap(string(class), Absence(err))
	return nil
}

// start walks one start.
func (w *walker) start(ctx context.Context, l *linux, s walkStart) error {
	top, err := l.openStart(s.path)
	if err != nil {
		return w.failed(s.class, err)
	}
	defer top.Close()
	if err := isLocal(top); err != nil {
		return w.failed(s.class, err)
	}
	if s.below != "" {
		dir, err := openInside(top, s.below, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			return w.failed(s.class, err)
		}
		defer dir.Close()
		top = dir
	}
	return w.folder(ctx, openFolder{File: top, depth: w.limits.Depth}, s)
}

// folder walks an open folder.
func (w *walker) folder(ctx context.Context, dir openFolder, s walkStart) error {
	if err := w.enter(); err != nil {
		return err
	}
	fd, buffer := int(dir.Fd()), w.buffer(dir.depth)
	dir.mount = mountOfFolder(fd)
	for {
		n, err := retry(func() (int, error) { return unix.Getdents(fd, buffer) })
		if err != nil || n == 0 {
			return w.failed(s.class, err)
		}
		for rest := buffer[:n]; len(rest) > 0; {
			var e dirent
			if e, rest, err = cutDirent(rest); err != nil {
				return w.failed(s.class, err)
			}
			if ctx.Err() != nil {
				return w.stop()
			}
			if err := w.entry(ctx, dir, e, s); err != nil {
				return err
			}
		}
	}
}

// entriesBytes is how much is asked of a folder at once.
const entriesBytes = 32 << 10

// buffer returns the buffer of the folder at a depth.
func (w *walker) buffer(depth int) []byte {
	for len(w.entries) <= depth {
		w.entries = append(w.entries, nil)
	}
	if w.entries[depth] == nil {
		w.entries[depth] = make([]byte, entriesBytes)
	}
	return w.entries[depth]
}

// entry looks at one name in a folder. What the folder says that it is decides
// only what need not be looked at.
func (w *walker) entry(ctx context.Context, dir openFolder, e dirent, s walkStart) error {
	switch e.kind {
	case unix.DT_REG:
		if done, err := w.recognise(dir, e, s.class); done {
			return err
		}
	case unix.DT_DIR, unix.DT_UNKNOWN:
		if e.isDots() {
			return nil
		}
	default:
		return nil
	}
	name := e.String()
	// A handle that cannot read: it opens nothing and wakes nobody, whatever
	// the name turns out to be.
	handle, err := openInside(dir.File, name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return w.failed(s.class, err)
	}
	defer handle.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(handle.Fd()), &st); err != nil {
		return w.failed(s.class, err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return w.descend(ctx, handle, openFolder{name: path.Join(dir.name, name), depth: dir.depth - 1}, s)
	case unix.S_IFREG:
		return w.file(handle, &st, s.class)
	}
	return nil
}

// recognise visits a file that is known without opening it, and reports
// whether it did. It is for what is plainly a file like most: anything else is
// left to be judged by its handle.
func (w *walker) recognise(dir openFolder, e dirent, class posture.Location) (bool, error) {
	if w.limits.Known == nil || dir.mount == 0 || !statInside(int(dir.Fd()), e, &w.stat) {
		return false, nil
	}
	st := &w.stat
	if st.Mnt_id != dir.mount || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink != 1 {
		return false, nil
	}
	id := FileIdentity{
		Device: unix.Mkdev(st.Dev_major, st.Dev_minor), Inode: st.Ino, Size: int64(st.Size),
		Modified: nanoseconds(st.Mtime), Changed: nanoseconds(st.Ctime),
	}
	return w.recognised(id, class)
}

func (w *walker) descend(ctx context.Context, handle *os.File, dir openFolder, s walkStart) error {
	switch {
	case s.except[dir.name]:
		return nil
	case dir.depth < 0:
		w.summary.Stopped = posture.TimedOut
		return nil
	}
	next, err := openInside(handle, ".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return w.failed(s.class, err)
	}
	defer next.Close()
	dir.File = next
	return w.folder(ctx, dir, s)
}

// file hands one regular file to the visitor.
func (w *walker) file(handle *os.File, st *unix.Stat_t, class posture.Location) error {
	if err := w.count(); err != nil {
		return err
	}
	if st.Nlink != 1 {
		w.hardLink(class)
		return nil
	}
	content := &walkedContent{open: func() (openContent, error) { return reopen(handle) }}
	defer content.close()
	again := func() (FileIdentity, error) { return identityNow(handle) }
	return w.visit(WalkedFile{Location: class, Identity: identityOf(st), ReaderAt: content, Again: again})
}

func identityOf(st *unix.Stat_t) FileIdentity {
	return FileIdentity{
		Device: st.Dev, Inode: st.Ino, Size: st.Size,
		Modified: st.Mtim.Nano(), Changed: st.Ctim.Nano(),
	}
}

// identityNow returns what the file is by now.
func identityNow(handle *os.File) (FileIdentity, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(handle.Fd()), &st); err != nil {
		return FileIdentity{}, fmt.Errorf("look at a file on the walk again: %w", err)
	}
	return identityOf(&st), nil
}

// reopen opens for reading exactly the file that a handle stands for, without
// noting the time of access where that is allowed.
func reopen(handle *os.File) (*os.File, error) {
	name := fmt.Sprintf("/proc/self/fd/%d", handle.Fd())
	flags := unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
	fd, err := retry(func() (int, error) { return unix.Open(name, flags|unix.O_NOATIME, 0) })
	if errors.Is(err, unix.EPERM) {
		fd, err = retry(func() (int, error) { return unix.Open(name, flags, 0) })
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), ""), nil
}

// openInside opens a name inside an open folder.
func openInside(dir *os.File, name string, flags int) (*os.File, error) {
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Resolve: inside}
	if flags&unix.O_PATH == 0 {
		how.Flags |= unix.O_NONBLOCK | unix.O_NOCTTY
	}
	fd, err := retry(func() (int, error) { return unix.Openat2(int(dir.Fd()), name, &how) })
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), ""), nil
}

// localMagic lists the file systems that are walked, as statfs names them.
// Anything else is refused, and with it every network and every FUSE.
var localMagic = []uint32{
	unix.EXT4_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC,
	0xca451a4e, // bcachefs
	0x2fc12fc1, // zfs
	0x3153464a, // jfs
	unix.REISERFS_SUPER_MAGIC, unix.NILFS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.RAMFS_MAGIC,
	unix.OVERLAYFS_SUPER_MAGIC, unix.ECRYPTFS_SUPER_MAGIC, unix.MSDOS_SUPER_MAGIC,
	unix.EXFAT_SUPER_MAGIC,
	0x5346544e, // ntfs
	0x7366746e, // ntfs3
	0x4244,     // hfs
	0x482b,     // hfs+
	unix.ISOFS_SUPER_MAGIC, unix.UDF_SUPER_MAGIC, unix.SQUASHFS_MAGIC, unix.EROFS_SUPER_MAGIC_V1,
}

// isLocal refuses a folder that does not lie on a local file system.
func isLocal(dir *os.File) error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &st); err != nil {
		return err
	}
	if !slices.Contains(localMagic, uint32(st.Type)) {
		return fmt.Errorf("a file system of type %#x is not walked: %w", uint32(st.Type), errors.ErrUnsupported)
	}
	return nil
}
