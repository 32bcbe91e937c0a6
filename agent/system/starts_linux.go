package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// mountedStarts are starts on the mounts of a table.
type mountedStarts struct {
	walkStarts
	mounts []mount
}

// temporary are the folders anybody may write to.
var temporary = []string{"/tmp", "/var/tmp", "/dev/shm"}

// walkStarts finds where to walk. Desktops, downloads, documents, media and
// temporary folders come first and the rest of the homes last, so that a
// limit cuts off what matters least.
func (l *linux) walkStarts(ctx context.Context) (mountedStarts, error) {
	info, err := l.File(ctx, "/proc/self/mountinfo", maxMountinfo)
	if err != nil {
		return mountedStarts{}, err
	}
	s := mountedStarts{mounts: parseMounts(string(info))}
	homes, err := l.homes(ctx, &s)
	if err != nil {
		return mountedStarts{}, err
	}
	media := map[string]bool{}
	for _, m := range s.mounts {
		if !isSystemMount(m.point) && l.isMedia(ctx, m) {
			media[m.point] = true
		}
	}
	var rest []walkStart
	for _, home := range homes {
		dirs := l.dirsOf(ctx, home)
		whole := walkStart{path: home, class: posture.Home, except: map[string]bool{}}
		for _, dir := range slices.Sorted(maps.Keys(dirs)) {
			whole.except[dir] = true
			s.list = append(s.list, walkStart{path: home, below: dir, class: dirs[dir], except: exceptBelow(dirs, dir)})
		}
		rest = append(rest, whole)
		for _, m := range s.mounts {
			if below(home, m.point) && !media[m.point] && reachOf(m.fstype) != elsewhere && s.reachable(m.point, posture.Home) {
				rest = append(rest, walkStart{path: m.point, class: posture.Home})
			}
		}
	}
	for _, point := range slices.Sorted(maps.Keys(media)) {
		if s.reachable(point, posture.OnMedia) {
			s.list = append(s.list, walkStart{path: point, class: posture.OnMedia})
		}
	}
	for _, dir := range temporary {
		if s.reachable(dir, posture.Temp) {
			s.list = append(s.list, walkStart{path: dir, class: posture.Temp})
		}
	}
	s.list = append(s.list, rest...)
	return s, nil
}

// exceptBelow lists the well-known folders that lie inside another one,
// relative to it.
func exceptBelow(dirs map[string]posture.Location, dir string) map[string]bool {
	except := map[string]bool{}
	for other := range dirs {
		if rest, ok := strings.CutPrefix(other, dir+"/"); ok {
			except[rest] = true
		}
	}
	return except
}

// reachable reports whether a path lies on a local file system, before
// anything of it is touched: merely opening a folder of an automounter sets it
// to work. What is not reachable is a gap: the files are there, or were.
func (s *mountedStarts) reachable(name string, class posture.Location) bool {
	why := posture.Unsupported
	if m, ok := mountOf(s.mounts, name); ok {
		switch reachOf(m.fstype) {
		case local:
			return true
		case elsewhere:
			why = posture.NotVisible
		case strange:
		}
	}
	s.gaps = append(s.gaps, posture.Gap{Source: string(class), Absent: why})
	return false
}

// homes returns the homes of people: those of /etc/passwd, those in /home
// whose owner a directory service knows instead, and /root if somebody uses it
// as a person does, which shows by a desktop's own list of folders.
func (l *linux) homes(ctx context.Context, s *mountedStarts) ([]string, error) {
	passwd, err := l.File(ctx, "/etc/passwd", maxPasswd)
	if err != nil {
		return nil, err
	}
	var homes []string
	for _, home := range homesOf(string(passwd)) {
		if home = l.canonical(ctx, home); isHome(home) && s.reachable(home, posture.Home) {
			homes = append(homes, home)
		}
	}
	homes = append(homes, l.homesIn(ctx, s, l.canonical(ctx, "/home"), homes, true)...)
	if _, err := l.Stat(ctx, "/root/.config/user-dirs.dirs"); err == nil && s.reachable("/root", posture.Home) {
		homes = append(homes, "/root")
	}
	slices.Sort(homes)
	return slices.Compact(homes), nil
}

// homesIn returns the folders in dir that belong to people and are not known
// yet, and those one level down in folders of root, as in /home/DOMAIN/name.
func (l *linux) homesIn(ctx context.Context, s *mountedStarts, dir string, known []string, deeper bool) []string {
	if !s.reachable(dir, posture.Home) {
		return nil
	}
	list, err := l.Dir(ctx, dir)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.gaps = append(s.gaps, posture.Gap{Source: string(posture.Home), Absent: Absence(err)})
		}
		return nil
	}
	var homes []string
	for _, e := range list {
		name := path.Join(dir, e.Name)
		if e.Type != fs.ModeDir || slices.Contains(known, name) || !s.reachable(name, posture.Home) {
			continue
		}
		st, err := l.Stat(ctx, name)
		switch {
		case err != nil:
			s.gaps = append(s.gaps, posture.Gap{Source: string(posture.Home), Absent: Absence(err)})
		case st.Owner >= firstPerson && st.Owner != nobody:
			homes = append(homes, name)
		case st.Owner == 0 && deeper:
			homes = append(homes, l.homesIn(ctx, s, name, known, false)...)
		}
	}
	return homes
}

// canonical resolves the links in a path of the system's own, such as /home
// where that leads to /var/home. What cannot be resolved stays as it is.
func (l *linux) canonical(ctx context.Context, name string) string {
	for range 40 {
		next, changed := l.resolveFirst(ctx, name)
		if !changed {
			return name
		}
		name = next
	}
	return name
}

func (l *linux) resolveFirst(ctx context.Context, name string) (string, bool) {
	for i := 1; i <= len(name); i++ {
		if i < len(name) && name[i] != '/' {
			continue
		}
		target, err := l.Link(ctx, name[:i])
		if err != nil {
			continue
		}
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(name[:i]), target)
		}
		return path.Join(target, name[i:]), true
	}
	return name, false
}

// openStart opens the folder of a start. Its path has no links, and none that
// came since it was looked up is followed. A file system that may have been
// mounted there since is not asked for anything before the kernel's own table
// says that it is a local one: one in user space, or on a server that went
// away, may never answer, and whoever waits for it cannot be ended.
func (l *linux) openStart(name string) (*os.File, error) {
	root, err := retry(func() (int, error) {
		return unix.Open(l.root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(root) }()
	how := unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	fd, err := retry(func() (int, error) { return unix.Openat2(root, strings.TrimPrefix(name, "/"), &how) })
	if err != nil {
		return nil, err
	}
	handle := os.NewFile(uintptr(fd), "")
	defer handle.Close()
	if err := mountedLocally(handle); err != nil {
		return nil, err
	}
	return openInside(handle, ".", unix.O_RDONLY|unix.O_DIRECTORY)
}

// mountedLocally refuses a folder on a mount that is not of a local file
// system, by the kernel's table of mounts and without a question to the file
// system.
func mountedLocally(handle *os.File) error {
	info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", handle.Fd()))
	if err != nil {
		return err
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	id := mountID(string(info))
	for _, m := range parseMounts(string(table)) {
		if m.id == id && reachOf(m.fstype) == local {
			return nil
		}
	}
	return fmt.Errorf("it is not on a mount that is known to be local: %w", errors.ErrUnsupported)
}

// mountID returns the number of the mount that an open file lies on, of its
// /proc/self/fdinfo; "" if that does not say.
func mountID(fdinfo string) string {
	for line := range strings.Lines(fdinfo) {
		if id, ok := strings.CutPrefix(line, "mnt_id:"); ok {
			return strings.TrimSpace(id)
		}
	}
	return ""
}

// dirsOf returns the well-known folders of a home. The file that names them
// belongs to its user and is read as anything else on the walk.
func (l *linux) dirsOf(ctx context.Context, home string) map[string]posture.Location {
	text, err := within(ctx, func() (string, error) {
		top, err := l.openStart(home)
		if err != nil {
			return "", err
		}
		defer top.Close()
		if err := isLocal(top); err != nil {
			return "", err
		}
		return readUserDirs(top)
	})
	if err != nil {
		text = ""
	}
	return userDirs(text, home)
}

func readUserDirs(home *os.File) (string, error) {
	handle, err := openInside(home, ".config/user-dirs.dirs", unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return "", err
	}
	defer handle.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(handle.Fd()), &st); err != nil {
		return "", err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink != 1 || st.Size > maxUserDirs {
		return "", fs.ErrInvalid
	}
	f, err := reopen(handle)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxUserDirs))
	return string(text), err
}
