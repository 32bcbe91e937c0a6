package system

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// machine unpacks a made-up machine into a folder and reads it as if it were
// "/". Its /proc/self/mountinfo says what the test says; files, links and
// mounts are real.
func machine(t *testing.T, files map[string]string) (string, *linux) {
	t.Helper()
	root := t.TempDir()
	if _, ok := files["/proc/self/mountinfo"]; !ok {
		put(t, root, "/proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n")
	}
	if _, ok := files["/etc/passwd"]; !ok {
		put(t, root, "/etc/passwd", "ada:x:1000:1000::/home/ada:/bin/bash\n")
	}
	for name, text := range files {
		put(t, root, name, text)
	}
	return root, New(root).(*linux)
}

func put(t *testing.T, root, name, text string) {
	t.Helper()
	full := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

var wide = WalkLimits{Depth: 32, Files: 10_000, Time: time.Minute}

// walked returns what a walk saw, as "class content", sorted.
func walked(t *testing.T, l *linux, limits WalkLimits) ([]string, WalkSummary) {
	t.Helper()
	var seen []string
	s, err := l.Walk(t.Context(), limits, func(f WalkedFile) error {
		text, err := io.ReadAll(io.NewSectionReader(f, 0, 1000))
		if err != nil {
			return err
		}
		if int64(len(text)) != f.Identity.Size {
			return fmt.Errorf("read %d bytes of %d", len(text), f.Identity.Size)
		}
		seen = append(seen, string(f.Location)+" "+string(text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(seen)
	return seen, s
}

func wantWalk(t *testing.T, l *linux, want []string, gaps ...posture.Gap) {
	t.Helper()
	seen, s := walked(t, l, wide)
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("files seen (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(WalkSummary{Files: s.Files, Stopped: posture.None, Gaps: gaps}, s); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}

func TestWalkClassesPlaces(t *testing.T) {
	_, l := machine(t, map[string]string{
		"/home/ada/.config/user-dirs.dirs":  "XDG_DESKTOP_DIR=\"$HOME/Bureau\"\nXDG_DOWNLOAD_DIR=\"$HOME/Bureau/Reçus\"\nXDG_MUSIC_DIR=\"$HOME/Musique\"\n",
		"/home/ada/Bureau/a":                "a",
		"/home/ada/Bureau/Reçus/b":          "b",
		"/home/ada/Documents/deep/er/c":     "c",
		"/home/ada/Downloads/d":             "d",
		"/home/ada/.local/share/game/e":     "e",
		"/home/HOLLYBANK/bea/Desktop/f":     "f",
		"/tmp/g":                            "g",
		"/var/tmp/h":                        "h",
		"/dev/shm/i":                        "i",
		"/root/.config/other":               "j",
		"/srv/not-a-home/k":                 "k",
		"/etc/passwd":                       "ada:x:1000:1000::/home/ada:/bin/bash\nclamav:x:120:120::/srv/not-a-home:/bin/false\n",
		"/home/lost+found/not-a-person/l":   "l",
		"/home/HOLLYBANK/not-a-person/file": "m",
	})
	if os.Getuid() != 0 {
		t.Skip("giving a home to another user needs root")
	}
	must(t, os.Chown(filepath.Join(l.root, "home/HOLLYBANK/bea"), 1600, 1600))
	text := "XDG_DESKTOP_DIR=\"$HOME/Bureau\"\nXDG_DOWNLOAD_DIR=\"$HOME/Bureau/Reçus\"\nXDG_MUSIC_DIR=\"$HOME/Musique\"\n"
	wantWalk(t, l, []string{
		"desktop a", "desktop f", "documents c", "downloads b", "home " + text, "home d", "home e",
		"temp g", "temp h", "temp i",
	})
}

func TestWalkTakesRootsFolderOnlyWithADesktop(t *testing.T) {
	root, l := machine(t, map[string]string{"/root/tool": "x"})
	wantWalk(t, l, nil)
	put(t, root, "/root/.config/user-dirs.dirs", "")
	wantWalk(t, l, []string{"home ", "home x"})
}

func TestWalkRefusesWhatIsMadeToHurt(t *testing.T) {
	root, l := machine(t, map[string]string{
		"/home/ada/game":        "game",
		"/home/ada/one":         "linked",
		"/etc/secret":           "secret",
		"/home/ada/shelf/inner": "inner",
	})
	home := filepath.Join(root, "home/ada")
	must(t, os.Link(filepath.Join(home, "one"), filepath.Join(home, "two")))
	must(t, os.Symlink("/etc/secret", filepath.Join(home, "absolute")))
	must(t, os.Symlink("../../etc", filepath.Join(home, "out")))
	must(t, os.Symlink(".", filepath.Join(home, "loop")))
	must(t, os.Symlink("game", filepath.Join(home, "again")))
	must(t, os.Symlink("../../etc", filepath.Join(home, "Downloads")))
	must(t, unix.Mkfifo(filepath.Join(home, "fifo"), 0o666))
	socket, err := net.Listen("unix", filepath.Join(home, "socket"))
	must(t, err)
	defer socket.Close()
	if os.Getuid() == 0 {
		must(t, unix.Mknod(filepath.Join(home, "null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	}
	wantWalk(t, l, []string{"home game", "home inner"}, posture.Gap{Source: "home hard links", Absent: posture.NotVisible})
}

func TestWalkStaysOnItsFileSystem(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	root, l := machine(t, map[string]string{"/home/ada/game": "game", "/etc/secret": "secret"})
	for _, m := range []struct{ source, point, kind string }{
		{"tmpfs", "/home/ada/tmpfs", "tmpfs"},
		{"proc", "/home/ada/proc", "proc"},
		{filepath.Join(root, "etc"), "/home/ada/bound", ""},
	} {
		mountAt(t, m.source, filepath.Join(root, m.point), m.kind)
	}
	put(t, root, "/home/ada/tmpfs/inside", "inside")
	wantWalk(t, l, []string{"home game"})

	t.Run("a local mount in a home is a start of its own", func(t *testing.T) {
		put(t, root, "/proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"+
			"2 1 0:9 / /home/ada/tmpfs rw - tmpfs tmpfs rw\n3 1 0:10 / /home/ada/proc rw - proc proc rw\n")
		wantWalk(t, l, []string{"home game", "home inside"})
	})
	t.Run("what the table of mounts says is not believed", func(t *testing.T) {
		// proc claims to be ext4, as after an exchange of mounts.
		put(t, root, "/proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"+
			"3 1 8:2 / /home/ada/proc rw - ext4 /dev/sda2 rw\n")
		wantWalk(t, l, []string{"home game"}, posture.Gap{Source: "home", Absent: posture.Unsupported})
	})
	t.Run("a file system in user space is a gap", func(t *testing.T) {
		put(t, root, "/proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"+
			"3 1 0:11 / /home/ada/tmpfs rw - fuse.gocryptfs x rw\n4 1 0:12 / /home/ada/cloud rw - fuse.rclone x rw\n")
		wantWalk(t, l, []string{"home game"}, posture.Gap{Source: "home", Absent: posture.Unsupported})
	})
	t.Run("a home on the network is a gap", func(t *testing.T) {
		put(t, root, "/proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n3 1 0:11 / /home autofs rw - autofs x rw\n"+
			"4 3 0:12 / /home/ada rw - nfs4 server:/ada rw\n")
		wantWalk(t, l, nil, posture.Gap{Source: "home", Absent: posture.NotVisible})
	})
}

// mountAt mounts, or skips the test where that is not permitted.
func mountAt(t *testing.T, source, point, kind string) {
	t.Helper()
	must(t, os.MkdirAll(point, 0o755))
	flags := uintptr(0)
	if kind == "" {
		flags = unix.MS_BIND
	}
	if err := unix.Mount(source, point, kind, flags, ""); err != nil {
		t.Skipf("mounting is not permitted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

func TestWalkFindsMedia(t *testing.T) {
	root, l := machine(t, map[string]string{
		"/proc/self/mountinfo": "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n" +
			"2 1 8:17 / /media/ada/STICK rw - vfat /dev/sdb1 rw\n" +
			"3 1 253:0 / /media/ada/LOCKED rw - ext4 /dev/mapper/luks-1 rw\n" +
			"4 1 179:1 / /mnt/card rw - exfat /dev/mmcblk0p1 rw\n" +
			"5 1 179:9 / /mnt/soldered rw - ext4 /dev/mmcblk1p1 rw\n" +
			"6 1 0:40 / /mnt/btrfs rw - btrfs /dev/mapper/luks-1 rw\n" +
			"7 1 8:33 / /media/ada/NTFS rw - fuseblk /dev/sdc1 rw\n" +
			"8 1 8:3 / /mnt/data rw - ext4 /dev/sda3 rw\n" +
			"9 1 8:17 / /boot/efi rw - vfat /dev/sdb1 rw\n",
		"/media/ada/STICK/a":  "a",
		"/media/ada/LOCKED/b": "b",
		"/mnt/card/c":         "c",
		"/mnt/soldered/d":     "d",
		"/mnt/btrfs/e":        "e",
		"/media/ada/NTFS/f":   "f",
		"/mnt/data/g":         "g",
		"/boot/efi/h":         "h",
		"/sys/devices/mmc0/block/mmcblk0/device/type":               "SD\n",
		"/sys/devices/mmc1/block/mmcblk1/device/type":               "MMC\n",
		"/sys/devices/mmc0/block/mmcblk0/mmcblk0p1/partition":       "1\n",
		"/sys/devices/mmc1/block/mmcblk1/mmcblk1p1/partition":       "1\n",
		"/sys/devices/pci0/usb2/2-1/host6/block/sdb/sdb1/partition": "1\n",
		"/sys/devices/pci0/usb2/2-2/host7/block/sdc/sdc1/partition": "1\n",
		"/sys/devices/pci0/ata1/block/sda/sda3/partition":           "3\n",
		"/sys/devices/virtual/block/dm-0/slaves/sdb1/partition":     "1\n",
		"/sys/devices/virtual/block/dm-0/dm/uuid":                   "CRYPT-LUKS2-1\n",
	})
	for _, link := range [][2]string{
		{"/sys/dev/block/8:17", "../../devices/pci0/usb2/2-1/host6/block/sdb/sdb1"},
		{"/sys/dev/block/8:33", "../../devices/pci0/usb2/2-2/host7/block/sdc/sdc1"},
		{"/sys/dev/block/8:3", "../../devices/pci0/ata1/block/sda/sda3"},
		{"/sys/dev/block/253:0", "../../devices/virtual/block/dm-0"},
		{"/sys/dev/block/179:1", "../../devices/mmc0/block/mmcblk0/mmcblk0p1"},
		{"/sys/dev/block/179:9", "../../devices/mmc1/block/mmcblk1/mmcblk1p1"},
		{"/sys/class/block/sdb1", "../../devices/pci0/usb2/2-1/host6/block/sdb/sdb1"},
		{"/sys/class/block/dm-0", "../../devices/virtual/block/dm-0"},
		{"/dev/mapper/luks-1", "../dm-0"},
	} {
		full := filepath.Join(root, link[0])
		must(t, os.MkdirAll(filepath.Dir(full), 0o755))
		must(t, os.Symlink(link[1], full))
	}
	wantWalk(t, l, []string{"media a", "media b", "media c", "media e"}, posture.Gap{Source: "media", Absent: posture.Unsupported})
}

func TestWalkStopsAtItsLimits(t *testing.T) {
	root, l := machine(t, nil)
	for i := range 20 {
		put(t, root, fmt.Sprintf("/home/ada/%d/%d", i, i), "x")
	}
	deep := "/home/ada/Desktop" + strings.Repeat("/d", 40)
	put(t, root, deep+"/bottom", "bottom")
	for _, c := range []struct {
		name    string
		limits  WalkLimits
		files   int
		stopped posture.Absence
	}{
		{"nothing", WalkLimits{Depth: 64, Files: 100, Time: time.Minute}, 21, posture.None},
		{"files", WalkLimits{Depth: 64, Files: 5, Time: time.Minute}, 0, posture.TimedOut},
		{"depth", WalkLimits{Depth: 1, Files: 100, Time: time.Minute}, 20, posture.TimedOut},
		{"time", WalkLimits{Depth: 64, Files: 100}, 0, posture.TimedOut},
	} {
		if c.name == "time" {
			ctx, cancel := context.WithCancel(t.Context())
			files := 0
			s, err := l.Walk(ctx, wide, func(WalkedFile) error {
				files++
				cancel()
				return nil
			})
			if err != nil || files != 1 || s.Stopped != posture.TimedOut {
				t.Errorf("walk whose time ran out at the first file: got %d files, %+v, %v", files, s, err)
			}
			continue
		}
		_, s := walked(t, l, c.limits)
		if s.Stopped != c.stopped || c.files > 0 && s.Files != c.files || s.Files > c.limits.Files {
			t.Errorf("limit of %s: got %+v, want %d files, stopped %v", c.name, s, c.files, c.stopped)
		}
	}
}

func TestWalkSaysWhatItMayNotRead(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("losing rights needs root")
	}
	root, l := machine(t, map[string]string{"/home/ada/closed/x": "x", "/home/ada/open": "open"})
	must(t, os.Chmod(filepath.Join(root, "home/ada/closed"), 0))
	for dir := root; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o755))
	}
	asNobody(t, func() {
		wantWalk(t, l, []string{"home open"}, posture.Gap{Source: "home", Absent: posture.Denied})
	})
}

func TestWalkEndsWithTheVisitorsError(t *testing.T) {
	_, l := machine(t, map[string]string{"/home/ada/x": "x"})
	sentinel := errors.New("enough")
	if _, err := l.Walk(t.Context(), wide, func(WalkedFile) error { return sentinel }); !errors.Is(err, sentinel) {
		t.Errorf("got %v, want %v", err, sentinel)
	}
}

func TestWalkedFileEndsWithItsVisit(t *testing.T) {
	_, l := machine(t, map[string]string{"/home/ada/x": "x"})
	var kept WalkedFile
	_, err := l.Walk(t.Context(), wide, func(f WalkedFile) error { kept = f; return nil })
	must(t, err)
	if _, err := kept.ReadAt(make([]byte, 1), 0); err == nil {
		t.Error("a file could be read after its visit")
	}
}

func FuzzUserDirs(f *testing.F) {
	f.Add("XDG_DESKTOP_DIR=\"$HOME/Schreib\\ tisch\"\n", "/home/ada")
	f.Add("XDG_DOWNLOAD_DIR=\"/home/ada/../../etc\"\n", "/home/ada")
	f.Add("XDG_DOCUMENTS_DIR=\"$HOME/\"\n", "/home/ada")
	f.Fuzz(func(t *testing.T, text, home string) {
		for dir := range userDirs(text, home) {
			if !filepath.IsLocal(dir) || dir == "." {
				t.Errorf("%q leads out of the home", dir)
			}
		}
	})
}

func FuzzPasswd(f *testing.F) {
	f.Add("root:x:0:0:root:/root:/bin/bash\nada:x:1000:1000:Ada,,,:/home/ada:/bin/bash\n")
	f.Add("a:x:1001:1::/etc:/bin/sh\nb:x:65534:1::/nonexistent:/bin/sh\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, home := range homesOf(text) {
			if !isHome(home) || home == "/etc" || home == "/root" {
				t.Errorf("%q is taken for a home", home)
			}
		}
	})
}

func FuzzMounts(f *testing.F) {
	f.Add("29 1 253:1 / / rw,relatime shared:1 - ext4 /dev/mapper/vg-root rw\n")
	f.Add("30 1 8:1 / /media/A\\040B rw - vfat /dev/sdb1 rw\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, m := range parseMounts(text) {
			if got, ok := mountOf([]mount{m}, m.point); !ok || got != m {
				t.Errorf("mount %+v does not cover itself", m)
			}
			if bytes.Contains([]byte(m.point), []byte("//")) {
				t.Errorf("%q is not clean", m.point)
			}
		}
	})
}
