package system

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/windows"

	"github.com/caretaker-school/caretaker/shared/posture"
)

var wide = WalkLimits{Depth: 32, Files: 100_000, Time: 5 * time.Minute}

// profileWith makes a person's folder with files in it, and the starts that
// begin there.
func profileWith(t *testing.T, files map[string]string) (string, walkStarts) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		full := filepath.Join(dir, filepath.FromSlash(name))
		must(t, os.MkdirAll(filepath.Dir(full), 0o755))
		must(t, os.WriteFile(full, []byte(text), 0o644))
	}
	return dir, walkStarts{list: []walkStart{
		{path: dir, below: "Desktop", class: posture.OnDesktop},
		{path: dir, class: posture.Home, except: map[string]bool{"desktop": true}},
	}}
}

// walked returns what a walk saw, as "class content", sorted.
func walked(t *testing.T, starts walkStarts, limits WalkLimits) ([]string, WalkSummary) {
	t.Helper()
	var seen []string
	s, err := walkFrom(t.Context(), starts, limits, func(f WalkedFile) error {
		text, err := io.ReadAll(io.NewSectionReader(f, 0, 1000))
		if err != nil {
			return err
		}
		if int64(len(text)) != f.Identity.Size {
			return fmt.Errorf("read %d bytes of %d", len(text), f.Identity.Size)
		}
		if again, err := f.Again(); err != nil || again != f.Identity {
			return fmt.Errorf("looked at again, %v is %v: %w", f.Identity, again, err)
		}
		seen = append(seen, string(f.Location)+" "+string(text))
		return nil
	})
	must(t, err)
	slices.Sort(seen)
	return seen, s
}

func wantWalk(t *testing.T, starts walkStarts, want []string, gaps ...posture.Gap) {
	t.Helper()
	seen, s := walked(t, starts, wide)
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("files seen (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(WalkSummary{Files: s.Files, Stopped: posture.None, Gaps: gaps}, s); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}

func TestWalkClassesPlaces(t *testing.T) {
	_, starts := profileWith(t, map[string]string{
		"Desktop/a": "a", "Desktop/deep/er/b": "b", "game": "c", "AppData/Local/d": "d", "empty/none/e": "",
	})
	wantWalk(t, starts, []string{"desktop a", "desktop b", "home ", "home c", "home d"})
}

func TestWalkRefusesWhatIsMadeToHurt(t *testing.T) {
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o644))
	dir, starts := profileWith(t, map[string]string{"game": "game", "one": "linked", "shelf/inner": "inner"})
	must(t, os.Link(filepath.Join(dir, "one"), filepath.Join(dir, "two")))
	junction(t, outside, filepath.Join(dir, "junction"))
	junction(t, dir, filepath.Join(dir, "shelf", "loop"))
	symlink(t, outside, filepath.Join(dir, "directory"))
	attributes(t, filepath.Join(dir, "game"), windows.FILE_ATTRIBUTE_HIDDEN|windows.FILE_ATTRIBUTE_READONLY|windows.FILE_ATTRIBUTE_SYSTEM)
	gaps := []posture.Gap{{Source: "home hard links", Absent: posture.NotVisible}}
	if isWine() {
		// It does not tell what kind of link it is, which may be one to content
		// that is seen nowhere else.
		gaps = slices.Insert(gaps, 0, posture.Gap{Source: "home placeholders", Absent: posture.NotVisible})
	}
	wantWalk(t, starts, []string{"home game", "home inner"}, gaps...)
	t.Run("a start that leads elsewhere is a gap", func(t *testing.T) {
		if isWine() {
			t.Skip("under Wine, the handle of a link is that of its target")
		}
		junction(t, outside, filepath.Join(dir, "Desktop"))
		wantWalk(t, starts, []string{"home game", "home inner"}, slices.Insert(gaps, 0, posture.Gap{Source: "desktop", Absent: posture.NotVisible})...)
	})
}

// isWine reports whether this is not Windows but Wine, which lacks some of it.
func isWine() bool {
	_, err := procedure("ntdll.dll", "wine_get_version")
	return err == nil
}

// junction makes a junction, as anybody may; where that cannot be had, a link
// that a walk takes for one.
func junction(t *testing.T, target, link string) {
	t.Helper()
	must(t, os.Mkdir(link, 0o755))
	if err := setJunction(target, link); err != nil {
		must(t, os.Remove(link))
		t.Logf("there are no junctions here: %v", err)
		symlink(t, target, link)
		return
	}
	leads(t, target, link)
}

// symlink makes a symbolic link. Wine, which says that it did and did not, has
// those of the system that it runs on, and shows them as links.
func symlink(t *testing.T, target, link string) {
	t.Helper()
	if isWine() {
		unix(t, "/bin/ln", "-sT", unixPath(t, target), unixPath(t, link))
		appears(t, link)
		t.Cleanup(func() { unix(t, "/bin/rm", unixPath(t, link)) })
	} else if err := os.Symlink(target, link); err != nil {
		t.Skipf("links are not permitted here: %v", err)
	}
	leads(t, target, link)
}

// appears waits until a file is there that a program of Wine's system makes.
func appears(t *testing.T, name string) {
	t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	late := time.After(time.Minute)
	for {
		_, err := os.Lstat(name)
		if err == nil {
			return
		}
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("%s does not appear: %v", name, err)
		}
	}
}

// unix runs a program of Wine's system. Its output ends with it as a rule, and
// not always: that it has ended is not known.
func unix(t *testing.T, args ...string) {
	t.Helper()
	out, _ := exec.Command("start", append([]string{"/unix"}, args...)...).CombinedOutput()
	if len(out) != 0 {
		t.Fatalf("%v: %s", args, out)
	}
}

// unixPath returns what Wine's system calls a file.
func unixPath(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("winepath", "-u", name).Output()
	must(t, err)
	return strings.TrimSpace(string(out))
}

// leads fails unless whoever follows a link comes to its target.
func leads(t *testing.T, target, link string) {
	t.Helper()
	want, err := os.ReadDir(target)
	must(t, err)
	if got, err := os.ReadDir(link); err != nil || len(got) != len(want) {
		t.Fatalf("%s does not lead to %s: %d entries, %v", link, target, len(got), err)
	}
}

func setJunction(target, link string) error {
	name, err := windows.UTF16FromString(`\??\` + target)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	size := uint16(2 * (len(name) - 1))
	data := le.AppendUint32(nil, windows.IO_REPARSE_TAG_MOUNT_POINT)
	for _, n := range []uint16{8 + size + 4, 0, 0, size, size + 2, 0} {
		data = le.AppendUint16(data, n)
	}
	for _, unit := range append(name, 0) {
		data = le.AppendUint16(data, unit)
	}
	p, err := windows.UTF16PtrFromString(link)
	if err != nil {
		return err
	}
	h, err := windows.CreateFile(p, windows.GENERIC_WRITE, 0, nil, windows.OPEN_EXISTING,
		windows.FILE_FLAG_BACKUP_SEMANTICS|windows.FILE_FLAG_OPEN_REPARSE_POINT, 0)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(h)
	var n uint32
	return windows.DeviceIoControl(h, windows.FSCTL_SET_REPARSE_POINT, &data[0], uint32(len(data)), nil, 0, &n, nil)
}

// attributes sets a file's attributes, until the test is over.
func attributes(t *testing.T, name string, to uint32) {
	t.Helper()
	p, err := windows.UTF16PtrFromString(name)
	must(t, err)
	must(t, windows.SetFileAttributes(p, to))
	t.Cleanup(func() { must(t, windows.SetFileAttributes(p, windows.FILE_ATTRIBUTE_NORMAL)) })
}

func TestWalkDoesNotFetchWhatIsElsewhere(t *testing.T) {
	dir, starts := profileWith(t, map[string]string{"here": "here", "away": "away", "Desktop/away": "away"})
	kept := true
	for _, name := range []string{"away", "Desktop/away"} {
		full := filepath.Join(dir, name)
		attributes(t, full, windows.FILE_ATTRIBUTE_OFFLINE)
		now, err := windows.GetFileAttributes(windows.StringToUTF16Ptr(full))
		must(t, err)
		kept = kept && now&windows.FILE_ATTRIBUTE_OFFLINE != 0
	}
	if !kept {
		t.Skip("this file system keeps no such attribute")
	}
	wantWalk(t, starts, []string{"home here"},
		posture.Gap{Source: "desktop placeholders", Absent: posture.NotVisible}, posture.Gap{Source: "home placeholders", Absent: posture.NotVisible})
}

// TestWalkIsNotLedElsewhere judges what no test bed can make.
func TestWalkIsNotLedElsewhere(t *testing.T) {
	placeholders := []posture.Gap{{Source: "home placeholders", Absent: posture.NotVisible}}
	for _, c := range []struct {
		name            string
		attributes, tag uint32
		refused         bool
		gaps            []posture.Gap
	}{
		{"file", windows.FILE_ATTRIBUTE_ARCHIVE | windows.FILE_ATTRIBUTE_ENCRYPTED, 0, false, nil},
		{"symbolic link", attributeReparse, windows.IO_REPARSE_TAG_SYMLINK, true, nil},
		{"junction", attributeReparse | attributeDirectory, windows.IO_REPARSE_TAG_MOUNT_POINT, true, nil},
		{"alias of a packaged app", attributeReparse, 0x8000001b, true, nil},
		{"socket", attributeReparse, 0x80000023, true, nil},
		{"OneDrive folder", attributeReparse | attributeDirectory, 0x9000601a, true, placeholders},
		{"OneDrive file that is here", attributeReparse, 0x9000601a, true, placeholders},
		{"OneDrive file that is not", windows.FILE_ATTRIBUTE_RECALL_ON_DATA_ACCESS, 0, true, placeholders},
		{"virtual folder", windows.FILE_ATTRIBUTE_RECALL_ON_OPEN | attributeDirectory, 0, true, placeholders},
		{"file of a container", attributeReparse, 0x80000018, true, placeholders},
		{"deduplicated file", attributeReparse, 0x80000013, true, placeholders},
		{"file on a tape", windows.FILE_ATTRIBUTE_OFFLINE, 0, true, placeholders},
	} {
		var w walker
		if got := w.elsewhere(c.attributes, c.tag, posture.Home); got != c.refused || !slices.Equal(w.summary.Gaps, c.gaps) {
			t.Errorf("%s: refused %v with gaps %v", c.name, got, w.summary.Gaps)
		}
	}
}

func TestWalkStartsOnDisksOfThisMachine(t *testing.T) {
	for _, c := range []struct {
		path, below string
		expected    bool
		want        []posture.Gap
	}{
		{path: `\\server\share\ada`, want: []posture.Gap{{Source: "home", Absent: posture.Unsupported}}},
		{path: `\\?\UNC\server\share`, want: []posture.Gap{{Source: "home", Absent: posture.Unsupported}}},
		{path: `\\?\pipe\`, want: []posture.Gap{{Source: "home", Absent: posture.Unsupported}}},
		{path: `C:relative`, want: []posture.Gap{{Source: "home", Absent: posture.Unsupported}}},
		{path: `C:\no such profile`},
		{path: `C:\no such profile`, expected: true, want: []posture.Gap{{Source: "home", Absent: posture.NotVisible}}},
		{path: `Q:\moved`},
		{path: `Q:\moved`, expected: true, want: []posture.Gap{{Source: "home", Absent: posture.NotVisible}}},
		{path: `\\?\Volume{01234567-89ab-cdef-0123-456789abcdef}\`},
	} {
		starts := walkStarts{list: []walkStart{{path: c.path, below: c.below, class: posture.Home, expected: c.expected}}}
		seen, s := walked(t, starts, wide)
		if len(seen) != 0 || !slices.Equal(s.Gaps, c.want) {
			t.Errorf("%s: saw %q, gaps %v, want %v", c.path, seen, s.Gaps, c.want)
		}
	}
}

func TestWalkStopsAtItsLimits(t *testing.T) {
	files := map[string]string{"Desktop" + strings.Repeat("/d", 20) + "/bottom": "bottom"}
	for i := range 20 {
		files[fmt.Sprintf("%d/%d", i, i)] = "x"
	}
	_, starts := profileWith(t, files)
	for _, c := range []struct {
		name    string
		limits  WalkLimits
		files   int
		stopped posture.Absence
	}{
		{"nothing", WalkLimits{Depth: 64, Files: 100, Time: time.Minute}, 21, posture.None},
		{"files", WalkLimits{Depth: 64, Files: 5, Time: time.Minute}, 0, posture.TimedOut},
		{"depth", WalkLimits{Depth: 1, Files: 100, Time: time.Minute}, 20, posture.TimedOut},
	} {
		_, s := walked(t, starts, c.limits)
		if s.Stopped != c.stopped || c.files > 0 && s.Files != c.files || s.Files > c.limits.Files {
			t.Errorf("limit of %s: got %+v, want %d files, stopped %v", c.name, s, c.files, c.stopped)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen := 0
	s, err := walkFrom(ctx, starts, wide, func(WalkedFile) error { seen++; cancel(); return nil })
	if err != nil || seen != 1 || s.Stopped != posture.TimedOut {
		t.Errorf("walk whose time ran out at the first file: got %d files, %+v, %v", seen, s, err)
	}
	sentinel := errors.New("enough")
	if _, err := walkFrom(t.Context(), starts, wide, func(WalkedFile) error { return sentinel }); !errors.Is(err, sentinel) {
		t.Errorf("got %v, want %v", err, sentinel)
	}
}

func TestWalkOfADeepFolder(t *testing.T) {
	dir, starts := profileWith(t, map[string]string{"game": "game"})
	deep := `\\?\` + filepath.Join(dir, "deep")
	must(t, os.MkdirAll(deep+strings.Repeat(`\d`, 60), 0o755))
	seen, s := walked(t, starts, wide)
	if len(seen) != 1 || s.Stopped != posture.TimedOut || s.Gaps != nil {
		t.Errorf("saw %q, %+v", seen, s)
	}
}

func TestWalkOfAVastFolder(t *testing.T) {
	entries := 1500
	if os.Getenv("CARETAKER_THOROUGH") == "1" || os.Getenv("BED_THOROUGH") == "1" {
		entries = 50_000
	}
	dir, starts := profileWith(t, map[string]string{"Desktop/game": "game"})
	for i := range entries {
		// More than one listing's fill each; Wine takes long to add to a folder
		// that has many.
		folder := filepath.Join(dir, strconv.Itoa(i/1000))
		if i%1000 == 0 {
			must(t, os.Mkdir(folder, 0o755))
		}
		must(t, os.WriteFile(filepath.Join(folder, fmt.Sprintf("%070d", i)), nil, 0o644))
	}
	limits := wide
	known := map[FileIdentity]bool{}
	s, err := walkFrom(t.Context(), starts, limits, func(f WalkedFile) error { known[f.Identity] = true; return nil })
	if err != nil || s.Files != entries+1 || len(known) != entries+1 || s.Stopped != posture.None || s.Gaps != nil {
		t.Errorf("of %d files %d are told apart: %+v, %v", entries+1, len(known), s, err)
	}
	limits.Known = func(id FileIdentity) bool { return known[id] }
	s, err = walkFrom(t.Context(), starts, limits, func(f WalkedFile) error {
		if f.Again != nil {
			return errors.New("a known file was opened")
		}
		return nil
	})
	if err != nil || s.Files != entries+1 {
		t.Errorf("where all is known: %+v, %v", s, err)
	}
	limits.Files = 1000
	if s, err = walkFrom(t.Context(), starts, limits, func(WalkedFile) error { return nil }); err != nil || s.Files != 1000 || s.Stopped != posture.TimedOut {
		t.Errorf("looked at %+v, %v", s, err)
	}
}

func TestWalkOfNamesMadeToHurt(t *testing.T) {
	dir, starts := profileWith(t, map[string]string{"game": "game"})
	want := []string{"home game"}
	for i, name := range []string{
		strings.Repeat("n", 120), "\u202egpj.exe\u2066", "-rf", "...a", "a'b`$(reboot)", "%USERPROFILE%", "ÄÖÜ ß ﬀ", "日本語", "\U0001F9A6", "con.txt", "aux", "trailing ", "dot.",
	} {
		folder := `\\?\` + filepath.Join(dir, "sub") + `\` + name
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Logf("%q cannot be made here: %v", name, err)
			continue
		}
		must(t, os.WriteFile(folder+`\`+name, fmt.Appendf(nil, "%02d", i), 0o644))
		want = append(want, fmt.Sprintf("home %02d", i))
	}
	slices.Sort(want)
	wantWalk(t, starts, want)
}

func TestKnownFilesAreNotOpened(t *testing.T) {
	dir, starts := profileWith(t, map[string]string{"game": "game", "Desktop/letter": "letter", "linked": "linked", "moved": "moved"})
	known := map[FileIdentity]bool{}
	_, err := walkFrom(t.Context(), starts, wide, func(f WalkedFile) error { known[f.Identity] = true; return nil })
	must(t, err)
	limits := wide
	limits.Known = func(id FileIdentity) bool { return known[id] }
	must(t, os.WriteFile(filepath.Join(dir, "game"), []byte("another game"), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "new"), []byte("new"), 0o644))
	must(t, os.Rename(filepath.Join(dir, "moved"), filepath.Join(dir, "Desktop", "moved")))
	var seen []string
	s, err := walkFrom(t.Context(), starts, limits, func(f WalkedFile) error {
		text := make([]byte, f.Identity.Size)
		if _, err := f.ReadAt(text, 0); err != nil {
			text = []byte("(known)")
		}
		seen = append(seen, string(f.Location)+" "+string(text))
		return nil
	})
	slices.Sort(seen)
	// What was only moved is as it was, whether the file system notes that as
	// a change or not.
	seen = slices.DeleteFunc(seen, func(s string) bool { return s == "desktop moved" })
	want := []string{"desktop (known)", "home (known)", "home another game", "home new"}
	if len(seen) == 5 {
		want = slices.Insert(want, 0, "desktop (known)")
	}
	if err != nil || s.Files != 5 || !slices.Equal(seen, want) {
		t.Errorf("saw %q, want %q; %+v, %v", seen, want, s, err)
	}
}

func TestWalkedFileEndsWithItsVisit(t *testing.T) {
	_, starts := profileWith(t, map[string]string{"x": "x"})
	var kept WalkedFile
	_, err := walkFrom(t.Context(), starts, wide, func(f WalkedFile) error { kept = f; return nil })
	must(t, err)
	if _, err := kept.ReadAt(make([]byte, 1), 0); err == nil {
		t.Error("a file could be read after its visit")
	}
	if _, err := kept.Signature(t.Context()); err == nil {
		t.Error("a signature could be judged after its visit")
	}
}

// TestAFileIsTheOneThatWasOpened: one that is replaced while it is read is
// read to its end; one that is written to says so.
func TestAFileIsTheOneThatWasOpened(t *testing.T) {
	dir, starts := profileWith(t, map[string]string{"game": "game"})
	name := filepath.Join(dir, "game")
	for what, change := range map[string]func(){
		"replaced": func() {
			must(t, os.WriteFile(name+".new", []byte("evil"), 0o644))
			must(t, os.Rename(name, name+".old"))
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
		done := false
		_, err := walkFrom(t.Context(), starts, wide, func(f WalkedFile) error {
			if done {
				return nil // what the change left in the same folder
			}
			done = true
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
		for _, left := range []string{name, name + ".new", name + ".old"} {
			_ = os.Remove(left)
		}
	}
}

// TestWalkSaysThatAFileIsHeld: whoever opened a file for themselves alone
// keeps nobody waiting.
func TestWalkSaysThatAFileIsHeld(t *testing.T) {
	dir, starts := profileWith(t, map[string]string{"held": "held"})
	h, err := windows.CreateFile(windows.StringToUTF16Ptr(filepath.Join(dir, "held")), windows.GENERIC_READ|windows.GENERIC_WRITE, 0, nil, windows.OPEN_EXISTING, 0, 0)
	must(t, err)
	defer windows.CloseHandle(h)
	seen := 0
	_, err = walkFrom(t.Context(), starts, wide, func(f WalkedFile) error {
		seen++
		_, err := f.ReadAt(make([]byte, 1), 0)
		if Absence(err) != posture.Unreadable || CodeOf(err) != uint32(windows.ERROR_SHARING_VIOLATION) {
			t.Errorf("a file that is held: %v", err)
		}
		return nil
	})
	if err != nil || seen != 1 {
		t.Errorf("saw %d files, %v", seen, err)
	}
}

// TestWalkDoesNotWaitForAnOplock: whoever holds one on a file makes others
// wait to open it.
func TestWalkDoesNotWaitForAnOplock(t *testing.T) {
	dir, starts := profileWith(t, map[string]string{"held": "held"})
	h, err := windows.CreateFile(windows.StringToUTF16Ptr(filepath.Join(dir, "held")), windows.GENERIC_READ|windows.GENERIC_WRITE,
		shareAll, nil, windows.OPEN_EXISTING, windows.FILE_FLAG_OVERLAPPED, 0)
	must(t, err)
	defer windows.CloseHandle(h)
	event, err := windows.CreateEvent(nil, 1, 0, nil)
	must(t, err)
	defer windows.CloseHandle(event)
	pending := windows.Overlapped{HEvent: event}
	const requestBatchOplock = 0x90008
	if err := windows.DeviceIoControl(h, requestBatchOplock, nil, 0, nil, 0, nil, &pending); !errors.Is(err, windows.ERROR_IO_PENDING) {
		t.Skipf("there are no oplocks here: %v", err)
	}
	_, err = walkFrom(t.Context(), starts, wide, func(f WalkedFile) error {
		if _, err := f.ReadAt(make([]byte, 1), 0); err == nil {
			t.Error("a file was read that somebody holds")
		}
		return nil
	})
	must(t, err)
}
