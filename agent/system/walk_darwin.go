package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Walk implements Reader. It goes by handle: a name is looked at, and opened,
// in the folder that is open above it, and no link is followed. It stays on
// the local volume on which a walk starts, looks only at regular files that
// have one name, never opens a file or folder that is only in the cloud, which
// would fetch it, and never reads a file that visit does not read.
//
// Desktops, documents, downloads and much of each Library are guarded: without
// Full Disk Access they are refused, and that is a gap of their place.
func (d *darwin) Walk(ctx context.Context, limits WalkLimits, visit func(WalkedFile) error) (WalkSummary, error) {
	ctx, cancel := context.WithTimeout(ctx, limits.Time)
	defer cancel()
	starts, err := d.walkStarts(ctx)
	if err != nil {
		return WalkSummary{}, fmt.Errorf("find people's folders: %w", err)
	}
	w := walker{darwin: d, progress: newProgress(limits, visit)}
	w.gaps(starts.gaps)
	return w.walkAll(ctx, starts.list, w.start)
}

// walker is the state of one walk.
type walker struct {
	*darwin
	progress
}

// openFolder is a folder on the walk.
type openFolder struct {
	*os.File
	name  string // its path from the start
	dev   int32  // the volume that it lies on
	depth int    // how many folders deeper the walk may go
}

// failed records an error of the file system. What went away while it was
// looked at is no gap, and neither is a link.
func (w *walker) failed(class posture.Location, err error) error {
	switch {
	case err == nil, errors.Is(err, errStopped):
		return err
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENOTDIR):
		return nil
	}
	w.gap(string(class), Absence(err))
	return nil
}

// start walks one start.
func (w *walker) start(ctx context.Context, s walkStart) error {
	// The kernel is asked for a path without any link in it.
	top, err := patiently(ctx, w.darwin, func() (*os.File, error) {
		return openFolderAt(unix.AT_FDCWD, path.Join(s.path, s.below), unix.O_NOFOLLOW_ANY)
	})
	if s.below != "" && errors.Is(err, unix.ELOOP) {
		// A well-known folder that leads elsewhere is not looked at, and that
		// is said: its owner may use what is there every day.
		w.gap(string(s.class), posture.NotVisible)
		return nil
	}
	if err != nil {
		return w.failed(s.class, err)
	}
	defer top.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(top.Fd()), &st); err != nil {
		return w.failed(s.class, err)
	}
	if err := isLocalMac(top); err != nil {
		return w.failed(s.class, err)
	}
	return w.folder(ctx, openFolder{File: top, dev: st.Dev, depth: w.limits.Depth}, s)
}

func openFolderAt(dir int, name string, flags int) (*os.File, error) {
	fd, err := retry(func() (int, error) {
		return unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK|unix.O_CLOEXEC|flags, 0)
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), ""), nil
}

// isLocalMac refuses a folder that does not lie on a local file system.
func isLocalMac(dir *os.File) error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &st); err != nil {
		return err
	}
	if !mountedHere(&st) {
		return fmt.Errorf("it is not on a local volume that is walked: %w", errors.ErrUnsupported)
	}
	return nil
}

// macFormats are the file systems that are walked: anything else is refused,
// and with it every network and every file system in user space.
var macFormats = []string{"apfs", "hfs", "msdos", "exfat", "ntfs", "cd9660", "udf"}

func mountedHere(st *unix.Statfs_t) bool {
	return st.Flags&unix.MNT_LOCAL != 0 && slices.Contains(macFormats, unix.ByteSliceToString(st.Fstypename[:]))
}

// folder walks an open folder.
func (w *walker) folder(ctx context.Context, dir openFolder, s walkStart) error {
	if err := w.enter(); err != nil {
		return err
	}
	for {
		list, err := dir.ReadDir(512)
		for _, e := range list {
			if ctx.Err() != nil {
				return w.stop()
			}
			if err := w.entry(ctx, dir, e.Name(), s); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || err == nil && len(list) == 0 {
			return nil
		}
		if err != nil {
			return w.failed(s.class, bare(err))
		}
	}
}

// entry looks at one name in a folder, which opens nothing.
func (w *walker) entry(ctx context.Context, dir openFolder, name string, s walkStart) error {
	var st unix.Stat_t
	if err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return w.failed(s.class, err)
	}
	kind := st.Mode & unix.S_IFMT
	switch {
	case st.Dev != dir.dev, kind != unix.S_IFDIR && kind != unix.S_IFREG:
		return nil
	case st.Flags&unix.SF_DATALESS != 0:
		w.gap(string(s.class)+" placeholders", posture.NotVisible)
		return nil
	case kind == unix.S_IFDIR:
		return w.descend(ctx, dir, name, &st, s)
	}
	return w.file(dir, name, &st, s.class)
}

func (w *walker) descend(ctx context.Context, dir openFolder, name string, st *unix.Stat_t, s walkStart) error {
	next := openFolder{name: path.Join(dir.name, name), dev: dir.dev, depth: dir.depth - 1}
	switch {
	case s.except[next.name]:
		return nil
	case next.depth < 0:
		w.summary.Stopped = posture.TimedOut
		return nil
	}
	f, err := openFolderAt(int(dir.Fd()), name, unix.O_NOFOLLOW)
	if err != nil {
		return w.failed(s.class, err)
	}
	defer f.Close()
	var opened unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &opened); err != nil {
		return w.failed(s.class, err)
	}
	if opened.Dev != st.Dev || opened.Ino != st.Ino {
		return nil // it was exchanged meanwhile
	}
	next.File = f
	return w.folder(ctx, next, s)
}

// file hands one regular file to the visitor.
func (w *walker) file(dir openFolder, name string, st *unix.Stat_t, class posture.Location) error {
	id := identityOf(st)
	if st.Nlink == 1 {
		if done, err := w.recognised(id, class); done {
			return err
		}
	}
	if err := w.count(); err != nil {
		return err
	}
	if st.Nlink != 1 {
		w.hardLink(class)
		return nil
	}
	content := &macContent{id: id}
	content.open = func() (openContent, error) { return content.openAt(int(dir.Fd()), name) }
	defer content.close()
	return w.visit(WalkedFile{Location: class, Identity: id, ReaderAt: content, Again: content.identity})
}

func identityOf(st *unix.Stat_t) FileIdentity {
	return FileIdentity{
		Device: uint64(uint32(st.Dev)), Inode: st.Ino, Size: st.Size, Modified: st.Mtim.Nano(), Changed: st.Ctim.Nano(),
	}
}

// macContent is the content of a file on the walk.
type macContent struct {
	walkedContent
	id    FileIdentity
	opens *os.File
}

// openAt opens the file, and sees that it is the one that was looked at.
func (c *macContent) openAt(dir int, name string) (openContent, error) {
	fd, err := retry(func() (int, error) {
		return unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "")
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && (st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink != 1 || identityOf(&st) != c.id) {
		err = errors.New("it was exchanged while it was opened")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	c.opens = f
	return f, nil
}

// identity returns what the file is by now.
func (c *macContent) identity() (FileIdentity, error) {
	if err := c.opened(); err != nil {
		return FileIdentity{}, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(c.opens.Fd()), &st); err != nil {
		return FileIdentity{}, fmt.Errorf("look at a file on the walk again: %w", err)
	}
	return identityOf(&st), nil
}

// macTemporary are the folders that anybody may write to.
var macTemporary = []string{"/private/tmp", "/private/var/tmp", "/Users/Shared"}

// walkStarts finds where to walk. Desktops, downloads, documents, media and
// temporary folders come first and the rest of the homes last, so that a limit
// cuts off what matters least. What is mounted, the kernel's table says,
// without a question to any file system.
func (d *darwin) walkStarts(ctx context.Context) (walkStarts, error) {
	mounts, err := macMounts()
	if err != nil {
		return walkStarts{}, err
	}
	var s walkStarts
	homes, err := d.Dir(ctx, "/Users")
	if err != nil {
		return walkStarts{}, err
	}
	var rest []walkStart
	for _, e := range homes {
		home := "/Users/" + e.Name
		if e.Type != fs.ModeDir || e.Name == "Shared" || strings.HasPrefix(e.Name, ".") {
			continue
		}
		if why := mounts.reach(home); why != posture.None {
			s.gaps = append(s.gaps, posture.Gap{Source: string(posture.Home), Absent: why})
			continue
		}
		whole := walkStart{path: home, class: posture.Home, except: map[string]bool{}}
		for _, dir := range []string{"Desktop", "Documents", "Downloads"} {
			whole.except[dir] = true
			s.list = append(s.list, walkStart{path: home, below: dir, class: usualDirs[dir]})
		}
		rest = append(rest, whole)
	}
	for _, m := range mounts {
		switch {
		case !below("/Volumes", m.point), m.snapshot:
		case m.local:
			s.list = append(s.list, walkStart{path: m.point, class: posture.OnMedia})
		default:
			s.gaps = append(s.gaps, posture.Gap{Source: string(posture.OnMedia), Absent: posture.NotVisible})
		}
	}
	for _, dir := range macTemporary {
		s.list = append(s.list, walkStart{path: dir, class: posture.Temp})
	}
	s.list = append(s.list, rest...)
	return s, nil
}

// macMount is one line of the kernel's table of mounts.
type macMount struct {
	point    string
	local    bool // it may be walked
	snapshot bool // of a volume as it was, as backups have them
}

type macMountTable []macMount

func macMounts() (macMountTable, error) {
	n, err := unix.Getfsstat(nil, unix.MNT_NOWAIT)
	if err != nil {
		return nil, fmt.Errorf("list what is mounted: %w", err)
	}
	table := make([]unix.Statfs_t, n+16)
	if n, err = unix.Getfsstat(table, unix.MNT_NOWAIT); err != nil {
		return nil, fmt.Errorf("list what is mounted: %w", err)
	}
	var list macMountTable
	for i := range table[:min(n, len(table))] {
		list = append(list, macMount{
			point: unix.ByteSliceToString(table[i].Mntonname[:]), local: mountedHere(&table[i]), snapshot: table[i].Flags&unix.MNT_SNAPSHOT != 0,
		})
	}
	return list, nil
}

// reach says why a folder is out of reach, by the mount that it lies on: on
// another machine, or in a file system in user space.
func (t macMountTable) reach(name string) posture.Absence {
	best := macMount{}
	for _, m := range t {
		if (m.point == name || below(m.point, name)) && len(m.point) >= len(best.point) {
			best = m
		}
	}
	if best.local {
		return posture.None
	}
	return posture.NotVisible
}
