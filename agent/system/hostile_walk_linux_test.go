package system

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/caretaker-school/caretaker/agent/system/systemtest/fuse"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// thorough says that tests take the time that they need.
func thorough() bool { return os.Getenv("CARETAKER_THOROUGH") == "1" }

// TestWalkIsNotHeldByAFileSystemThatHangs mounts one that answers nothing in a
// person's folder and in the place of another's. None is asked anything,
// whether the walk knew of it or it came after the table of mounts was read.
func TestWalkIsNotHeldByAFileSystemThatHangs(t *testing.T) {
	gap := func(source string) posture.Gap { return posture.Gap{Source: source, Absent: posture.Unsupported} }
	for _, c := range []struct {
		name, table string
		gaps        []posture.Gap
	}{
		{"known", "2 1 0:99 / /home/ada/cloud rw - fuse.hanging x rw\n3 1 0:98 / /home/bob rw - fuse.hanging x rw\n", []posture.Gap{gap("home")}},
		{"came after", "3 1 8:2 / /home/bob rw - ext4 /dev/sda2 rw\n", []posture.Gap{gap("desktop"), gap("documents"), gap("downloads"), gap("home")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root, l := machine(t, map[string]string{
				"/etc/passwd":          "ada:x:1000:1000::/home/ada:/bin/bash\nbob:x:1001:1001::/home/bob:/bin/bash\n",
				"/home/ada/game":       "game",
				"/home/ada/zoo":        "zoo",
				"/home/ada/mounted-on": "a file with a mount on it",
				"/proc/self/mountinfo": "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n" + c.table,
			})
			var hung []*fuse.System
			for _, point := range []string{"/home/ada/cloud", "/home/bob", "/home/ada/mounted-on"} {
				if point != "/home/ada/mounted-on" {
					must(t, os.MkdirAll(filepath.Join(root, point), 0o755))
				}
				f := fuse.Mount(t, filepath.Join(root, point), nil)
				f.Hang(fuse.Requests()...)
				hung = append(hung, f)
			}
			wantWalk(t, l, []string{"home game", "home zoo"}, c.gaps...)
			known := wide
			known.Known = func(FileIdentity) bool { return true }
			if s, err := l.Walk(t.Context(), known, func(WalkedFile) error { return nil }); err != nil || s.Files != 2 {
				t.Errorf("where all is known: %+v, %v", s, err)
			}
			for _, f := range hung {
				if n := f.Asked(); n != 0 {
					t.Errorf("it was asked %d times", n)
				}
			}
		})
	}
}

// TestWalkIsNotLedOutByAnExchange exchanges a folder for a link again and
// again while it is walked.
func TestWalkIsNotLedOutByAnExchange(t *testing.T) {
	root, l := machine(t, map[string]string{"/etc/secret/key": "secret", "/home/ada/a/b/inner": "inner", "/home/ada/z/game": "game"})
	out := filepath.Join(root, "home/ada/out")
	must(t, os.Symlink(filepath.Join(root, "etc/secret"), out))
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if err := unix.Renameat2(unix.AT_FDCWD, out, unix.AT_FDCWD, filepath.Join(root, "home/ada/a/b"), unix.RENAME_EXCHANGE); err != nil {
				stopped <- err
				return
			}
		}
	}()
	for range 300 {
		_, err := l.Walk(t.Context(), wide, func(f WalkedFile) error {
			text, err := io.ReadAll(io.NewSectionReader(f, 0, 1000))
			if err != nil {
				return err
			}
			if s := string(text); s != "inner" && s != "game" {
				return fmt.Errorf("it was led to %q", s)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	must(t, <-stopped)
}

// TestWalkIsNotLedOutFromWithinAVisit puts a link in the place of the folder
// that is being walked, and of one that comes after.
func TestWalkIsNotLedOutFromWithinAVisit(t *testing.T) {
	root, l := machine(t, map[string]string{"/etc/secret/key": "secret", "/home/ada/a/1": "1", "/home/ada/a/2": "2", "/home/ada/z/3": "3"})
	moved := false
	var seen []string
	_, err := l.Walk(t.Context(), wide, func(f WalkedFile) error {
		text, err := io.ReadAll(io.NewSectionReader(f, 0, 1000))
		if err != nil {
			return err
		}
		seen = append(seen, string(text))
		for _, dir := range []string{"a", "z"} {
			if full := filepath.Join(root, "home/ada", dir); !moved {
				must(t, os.Rename(full, filepath.Join(root, "gone-"+dir)))
				must(t, os.Symlink(filepath.Join(root, "etc/secret"), full))
			}
		}
		moved = true
		return nil
	})
	if err != nil || slices.Contains(seen, "secret") || len(seen) < 1 {
		t.Errorf("saw %q, %v", seen, err)
	}
}

// TestWalkOfADeepFolder goes as deep as it may and says that there is more.
func TestWalkOfADeepFolder(t *testing.T) {
	levels := 1000
	if thorough() {
		levels = 10_000
	}
	root, l := machine(t, map[string]string{"/home/ada/game": "game"})
	top := filepath.Join(root, "home/ada/deep")
	must(t, os.Mkdir(top, 0o755))
	t.Cleanup(func() {
		if out, err := exec.Command("rm", "-rf", top).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	dir, err := unix.Open(top, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	must(t, err)
	for range levels {
		must(t, unix.Mkdirat(dir, "d", 0o755))
		next, err := unix.Openat(dir, "d", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		must(t, err)
		must(t, unix.Close(dir))
		dir = next
	}
	must(t, unix.Close(dir))
	seen, s := walked(t, l, wide)
	if len(seen) != 1 || s.Stopped != posture.TimedOut || s.Gaps != nil {
		t.Errorf("saw %q, %+v", seen, s)
	}
}

// TestWalkOfAVastFolder looks at as many files as it may, whatever there are.
func TestWalkOfAVastFolder(t *testing.T) {
	entries := 11_000
	if thorough() {
		entries = 1_000_000
	}
	root, l := machine(t, map[string]string{"/home/ada/Documents/game": "game"})
	for i := range entries {
		f, err := os.Create(filepath.Join(root, "home/ada", fmt.Sprintf("%070d", i)))
		must(t, err)
		must(t, f.Close())
	}
	limits := wide
	files := 0
	s, err := l.Walk(t.Context(), limits, func(WalkedFile) error { files++; return nil })
	if err != nil || files != limits.Files || s.Stopped != posture.TimedOut {
		t.Errorf("looked at %d files: %+v, %v", files, s, err)
	}
	limits.Files = entries + 1
	if s, err = l.Walk(t.Context(), limits, func(WalkedFile) error { return nil }); err != nil || s.Files != entries+1 || s.Stopped != posture.None {
		t.Errorf("of %d files: %+v, %v", entries+1, s, err)
	}
}

func TestWalkOfNamesMadeToHurt(t *testing.T) {
	root, l := machine(t, map[string]string{"/home/ada/game": "game"})
	for i, name := range []string{
		strings.Repeat("n", 255), "\xff\xfe\x80", "line\nbreak", "\u202egpj.exe\u2066", "\x1b[2J\x07", "-rf", "...", " ", "a'b\"c`$(reboot)", "\\..\\..",
	} {
		dir := filepath.Join(root, "home/ada", name)
		must(t, os.Mkdir(dir, 0o755))
		must(t, os.WriteFile(filepath.Join(dir, name), fmt.Appendf(nil, "%d", i), 0o644))
	}
	wantWalk(t, l, []string{"home 0", "home 1", "home 2", "home 3", "home 4", "home 5", "home 6", "home 7", "home 8", "home 9", "home game"})
}

// TestWalkDoesNotWaitForALease: whoever holds a lease on a file makes others
// wait to open it.
func TestWalkDoesNotWaitForALease(t *testing.T) {
	root, l := machine(t, map[string]string{"/home/ada/leased": "leased", "/home/ada/game": "game"})
	f, err := os.OpenFile(filepath.Join(root, "home/ada/leased"), os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Skipf("leases are not permitted here: %v", err)
	}
	var seen []string
	var leased error
	_, err = l.Walk(t.Context(), wide, func(f WalkedFile) error {
		text := make([]byte, f.Identity.Size)
		_, err := f.ReadAt(text, 0)
		if err == nil {
			seen = append(seen, string(text))
		}
		leased = errors.Join(leased, err)
		return nil
	})
	must(t, err)
	if !slices.Equal(seen, []string{"game"}) || !errors.Is(leased, unix.EAGAIN) || Absence(leased) != posture.Unreadable {
		t.Errorf("saw %q; of the leased file: %v", seen, leased)
	}
}

func TestWalkSaysThatAFileMayNotBeRead(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("losing rights needs root")
	}
	root, l := machine(t, map[string]string{"/home/ada/closed": "closed"})
	must(t, os.Chmod(filepath.Join(root, "home/ada/closed"), 0))
	for dir := root; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o755))
	}
	asNobody(t, func() {
		files := 0
		_, err := l.Walk(t.Context(), wide, func(f WalkedFile) error {
			files++
			if _, err := f.ReadAt(make([]byte, 1), 0); Absence(err) != posture.Denied {
				t.Errorf("got %v, want that it is denied", err)
			}
			return nil
		})
		if err != nil || files != 1 {
			t.Errorf("%d files, %v", files, err)
		}
	})
}

// TestAFileIsTheOneThatWasOpened: one that is replaced while it is read is
// read to its end; one that is written to says so.
func TestAFileIsTheOneThatWasOpened(t *testing.T) {
	root, l := machine(t, map[string]string{"/home/ada/game": "game"})
	name := filepath.Join(root, "home/ada/game")
	for what, change := range map[string]func(){
		"replaced": func() {
			must(t, os.WriteFile(name+".new", []byte("evil"), 0o644))
			must(t, os.Rename(name+".new", name))
		},
		"grown": func() {
			f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
			must(t, err)
			_, err = f.WriteString("more")
			must(t, err)
			must(t, f.Close())
		},
		"cut": func() { must(t, os.Truncate(name, 1)) },
	} {
		must(t, os.WriteFile(name, []byte("game"), 0o644))
		_, err := l.Walk(t.Context(), wide, func(f WalkedFile) error {
			first, rest := make([]byte, 1), make([]byte, 3)
			if _, err := f.ReadAt(first, 0); err != nil {
				return err
			}
			change()
			n, _ := f.ReadAt(rest, 1)
			now, err := f.Again()
			must(t, err)
			switch {
			case what == "replaced" && string(first)+string(rest[:n]) != "game":
				t.Errorf("replaced: read %q", string(first)+string(rest[:n]))
			case what != "replaced" && now == f.Identity:
				t.Errorf("%s: it says nothing of it", what)
			}
			return nil
		})
		must(t, err)
		for _, left := range []string{name, name + ".new"} {
			_ = os.Remove(left)
		}
	}
}
