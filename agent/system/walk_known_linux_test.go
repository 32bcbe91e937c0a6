package system

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// knowing returns limits under which a set of files is known, and the set.
func knowing(t *testing.T, l *linux) (WalkLimits, map[FileIdentity]bool) {
	t.Helper()
	known := map[FileIdentity]bool{}
	_, err := l.Walk(t.Context(), wide, func(f WalkedFile) error { known[f.Identity] = true; return nil })
	must(t, err)
	limits := wide
	limits.Known = func(id FileIdentity) bool { return known[id] }
	return limits, known
}

// met returns what a walk saw: "known" and the class of files that could not
// be read because they are known, and "read", class and content of the others.
func met(t *testing.T, l *linux, limits WalkLimits) ([]string, WalkSummary) {
	t.Helper()
	var seen []string
	s, err := l.Walk(t.Context(), limits, func(f WalkedFile) error {
		text := make([]byte, f.Identity.Size)
		if _, err := f.ReadAt(text, 0); err != nil {
			seen = append(seen, "known "+string(f.Location))
			return nil //nolint:nilerr // it is what is looked for
		}
		seen = append(seen, "read "+string(f.Location)+" "+string(text))
		return nil
	})
	must(t, err)
	slices.Sort(seen)
	return seen, s
}

func TestKnownFilesAreNotOpened(t *testing.T) {
	root, l := machine(t, map[string]string{
		"/home/ada/game": "game", "/home/ada/Documents/letter": "letter", "/tmp/left": "left", "/home/ada/deep/er/still": "still",
	})
	limits, known := knowing(t, l)
	if len(known) != 4 {
		t.Fatalf("%d files are known, want 4", len(known))
	}
	seen, s := met(t, l, limits)
	if diff := cmp.Diff([]string{"known documents", "known home", "known home", "known temp"}, seen); diff != "" {
		t.Errorf("files seen (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(WalkSummary{Files: 4, Stopped: posture.None}, s); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	put(t, root, "/home/ada/game", "another game")
	put(t, root, "/home/ada/new", "new")
	must(t, os.Rename(filepath.Join(root, "tmp/left"), filepath.Join(root, "home/ada/left")))
	seen, _ = met(t, l, limits)
	if diff := cmp.Diff([]string{"known documents", "known home", "read home another game", "read home left", "read home new"}, seen); diff != "" {
		t.Errorf("after a change (-want +got):\n%s", diff)
	}
	limits.Files = 2
	if seen, s = met(t, l, limits); len(seen) > 2 || s.Stopped != posture.TimedOut {
		t.Errorf("with room for two it saw %v and ended with %v", seen, s.Stopped)
	}
}

// What is at the name of a known file is judged as if nothing were known
// unless it is that very file.
func TestKnownFilesAreJudgedAnew(t *testing.T) {
	root, l := machine(t, map[string]string{
		"/home/ada/linked": "linked", "/home/ada/pipe": "pipe", "/home/ada/folder": "folder", "/home/ada/away": "away",
	})
	limits, _ := knowing(t, l)
	at := func(name string) string { return filepath.Join(root, "home/ada", name) }
	must(t, os.Link(at("linked"), filepath.Join(root, "elsewhere")))
	for _, name := range []string{"pipe", "folder", "away"} {
		must(t, os.Rename(at(name), filepath.Join(root, name)))
	}
	must(t, unix.Mkfifo(at("pipe"), 0o666))
	put(t, root, "/home/ada/folder/inside", "inside")
	must(t, os.Symlink("../../away", at("away")))
	seen, s := met(t, l, limits)
	if diff := cmp.Diff([]string{"read home inside"}, seen); diff != "" {
		t.Errorf("files seen (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]posture.Gap{{Source: "home hard links", Absent: posture.NotVisible}}, s.Gaps); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
}

func TestKnownFilesAreNotFoundThroughAMount(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	root, l := machine(t, map[string]string{"/home/ada/game": "game", "/home/ada/cover": "cover"})
	limits, _ := knowing(t, l)
	must(t, os.Rename(filepath.Join(root, "home/ada/game"), filepath.Join(root, "game")))
	must(t, unix.Mount(filepath.Join(root, "game"), filepath.Join(root, "home/ada/cover"), "", unix.MS_BIND, ""))
	t.Cleanup(func() { must(t, unix.Unmount(filepath.Join(root, "home/ada/cover"), unix.MNT_DETACH)) })
	if seen, _ := met(t, l, limits); len(seen) != 0 {
		t.Errorf("saw %v through a mount on a file", seen)
	}
}

// A file system whose program answers nothing can be mounted on a file, too.
func TestKnownFilesDoNotMakeTheWalkWait(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	root, l := machine(t, map[string]string{"/home/ada/game": "game", "/home/ada/trap": "trap"})
	limits, _ := knowing(t, l)
	trap := filepath.Join(root, "home/ada/trap")
	fuse, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("there is no FUSE here: %v", err)
	}
	must(t, unix.Mount("trap", trap, "fuse.trap", 0, fmt.Sprintf("fd=%d,rootmode=100000,user_id=%d,group_id=0,allow_other", fuse, os.Getuid())))
	t.Cleanup(func() { must(t, unix.Unmount(trap, unix.MNT_DETACH)) })
	// Should the walk wait for an answer, it gets one in the end, and fails.
	late := time.AfterFunc(time.Minute, func() { _ = unix.Close(fuse) })
	seen, _ := met(t, l, limits)
	if !late.Stop() {
		t.Error("the walk waited for a file system that does not answer")
	} else {
		must(t, unix.Close(fuse))
	}
	if diff := cmp.Diff([]string{"known home"}, seen); diff != "" {
		t.Errorf("files seen (-want +got):\n%s", diff)
	}
}

// entryOf writes an entry as the kernel does.
func entryOf(kind byte, name string) []byte {
	b := make([]byte, (direntName+len(name)+1+7)/8*8)
	binary.NativeEndian.PutUint16(b[direntLength:], uint16(len(b)))
	b[direntKind] = kind
	copy(b[direntName:], name)
	return b
}

func FuzzDirent(f *testing.F) {
	f.Add(append(entryOf(unix.DT_REG, "letter.odt"), entryOf(unix.DT_DIR, "..")...))
	f.Add(entryOf(unix.DT_REG, "../out"))
	f.Add(entryOf(unix.DT_REG, ""))
	f.Add(entryOf(unix.DT_LNK, "cut")[:20])
	f.Fuzz(func(t *testing.T, b []byte) {
		for rest := b; len(rest) > 0; {
			e, after, err := cutDirent(rest)
			if err != nil {
				return
			}
			name := e.String()
			if name == "" || slices.Contains([]byte(name), 0) || slices.Contains([]byte(name), '/') || len(after) >= len(rest) {
				t.Fatalf("%x gives the name %q and leaves %d of %d bytes", b, name, len(after), len(rest))
			}
			rest = after
		}
	})
}
