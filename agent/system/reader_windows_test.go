package system

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/windows"
)

// ownPath returns the path that a Reader takes for a file of the test's.
func ownPath(t *testing.T, name string) string {
	t.Helper()
	full, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return "/" + filepath.ToSlash(full)
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestWindowsReadsFiles(t *testing.T) {
	ctx, r, dir := t.Context(), New("/"), t.TempDir()
	file := ownPath(t, write(t, filepath.Join(dir, "Übung.txt"), "0123456789"))
	data, err := r.File(ctx, file, 10)
	if err != nil || string(data) != "0123456789" {
		t.Errorf("file: got %q, %v", data, err)
	}
	if _, err := r.File(ctx, file, 9); !errors.Is(err, ErrTooLarge) {
		t.Errorf("file of 10 bytes within 9: got %v", err)
	}
	if data, err := r.Part(ctx, file, 4, 3); err != nil || string(data) != "456" {
		t.Errorf("part: got %q, %v", data, err)
	}
	if data, err := r.Part(ctx, file, 8, 100); err != nil || string(data) != "89" {
		t.Errorf("part at the end: got %q, %v", data, err)
	}
	if data, err := r.Part(ctx, file, 80, 100); err != nil || len(data) != 0 {
		t.Errorf("part behind the end: got %q, %v", data, err)
	}
	st, err := r.Stat(ctx, file)
	if err != nil || st.Size != 10 || !st.Type.IsRegular() || st.Modified.IsZero() {
		t.Errorf("stat: got %+v, %v", st, err)
	}
	st, err = r.Stat(ctx, ownPath(t, dir))
	if err != nil || !st.Type.IsDir() {
		t.Errorf("stat of a folder: got %+v, %v", st, err)
	}
	if _, err := r.Link(ctx, file); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("link of what is none: got %v", err)
	}
	if _, err := r.File(ctx, strings.ToUpper(file), 10); err != nil {
		t.Errorf("file in capitals: got %v", err)
	}
	list, err := r.Dir(ctx, ownPath(t, dir))
	if err != nil || len(list) != 1 || list[0] != (Entry{Name: "Übung.txt"}) {
		t.Errorf("folder: got %v, %v", list, err)
	}
}

func TestWindowsSaysWhatIsNotThere(t *testing.T) {
	ctx, r, dir := t.Context(), New("/"), t.TempDir()
	for _, name := range []string{ownPath(t, dir) + "/nothing", ownPath(t, dir) + "/no/thing", "/Q:/x"} {
		_, file := r.File(ctx, name, 10)
		_, part := r.Part(ctx, name, 0, 10)
		_, list := r.Dir(ctx, name)
		_, link := r.Link(ctx, name)
		_, stat := r.Stat(ctx, name)
		for _, err := range []error{file, part, list, link, stat} {
			if !errors.Is(err, fs.ErrNotExist) || CodeOf(err) == 0 {
				t.Errorf("%s: got %v, want that it is not there, and a code", name, err)
			}
		}
	}
	if _, err := r.File(ctx, ownPath(t, dir), 10); err == nil {
		t.Error("a folder was read as a file")
	}
	file := ownPath(t, write(t, filepath.Join(dir, "x"), ""))
	if _, err := r.Dir(ctx, file); err == nil {
		t.Error("a file was read as a folder")
	}
}

func TestWindowsRefusesOtherPaths(t *testing.T) {
	ctx, r, dir := t.Context(), New("/"), t.TempDir()
	file := ownPath(t, write(t, filepath.Join(dir, "a"), "seen"))
	for _, name := range []string{
		file + ":stream", file + "::$DATA", file + ".", file + " ", file + "/", strings.ReplaceAll(file, "/", `\`),
		"//localhost/c$/Windows/win.ini", "/localhost/c$/Windows/win.ini", `\\?\C:\Windows\win.ini`, "/C:/../C:/x", "C:/Windows/win.ini",
		"/C:/nul", "/C:/CON", "/pipe/x", "/device/PhysicalDrive0/x", "/device/C:", "/",
	} {
		_, file := r.File(ctx, name, 1<<20)
		_, part := r.Part(ctx, name, 0, 10)
		_, list := r.Dir(ctx, name)
		_, link := r.Link(ctx, name)
		_, stat := r.Stat(ctx, name)
		for _, err := range []error{file, part, list, link, stat} {
			if !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("%q: got %v, want that it is no path", name, err)
			}
		}
	}
	if _, err := r.File(ctx, "/device/PhysicalDrive0", 10); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a disk as a file: got %v", err)
	}
}

func TestWindowsFollowsNoLink(t *testing.T) {
	ctx, r, dir := t.Context(), New("/"), t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "real"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "real", "file"), "seen")
	if err := os.Symlink(filepath.Join(dir, "real"), filepath.Join(dir, "link")); err != nil {
		t.Skipf("this system makes no links here: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "link")); err != nil {
		t.Skipf("this system says that it made a link, and there is none: %v", err)
	}
	link := ownPath(t, filepath.Join(dir, "link"))
	for _, name := range []string{link, link + "/file"} {
		_, file := r.File(ctx, name, 10)
		_, list := r.Dir(ctx, name)
		_, stat := r.Stat(ctx, name)
		for _, err := range []error{file, list, stat} {
			if err == nil {
				t.Errorf("%s: a link was followed", name)
			}
		}
	}
	if target, err := r.Link(ctx, link); err != nil || !strings.HasSuffix(target, "/real") || target[0] != '/' {
		t.Errorf("link: got %q, %v", target, err)
	}
}

func TestWindowsFetchesNoPlaceholder(t *testing.T) {
	ctx, r, dir := t.Context(), New("/"), t.TempDir()
	file := write(t, filepath.Join(dir, "far.txt"), "far")
	name, err := windows.UTF16PtrFromString(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := windows.SetFileAttributes(name, windows.FILE_ATTRIBUTE_OFFLINE); err != nil {
		t.Fatal(err)
	}
	if attributes, err := windows.GetFileAttributes(name); err != nil || attributes&windows.FILE_ATTRIBUTE_OFFLINE == 0 {
		t.Skipf("this system keeps no such attribute: %#x, %v", attributes, err)
	}
	if data, err := r.File(ctx, ownPath(t, file), 10); !errors.Is(err, errPlaceholder) {
		t.Errorf("a placeholder: got %q, %v", data, err)
	}
	if st, err := r.Stat(ctx, ownPath(t, file)); err != nil || st.Size != 3 {
		t.Errorf("stat of a placeholder: got %+v, %v", st, err)
	}
}

func TestCheckPlace(t *testing.T) {
	for attributes, want := range map[uint32]error{
		windows.FILE_ATTRIBUTE_NORMAL:                                                       nil,
		windows.FILE_ATTRIBUTE_HIDDEN | windows.FILE_ATTRIBUTE_SYSTEM:                       nil,
		windows.FILE_ATTRIBUTE_OFFLINE:                                                      errPlaceholder,
		windows.FILE_ATTRIBUTE_RECALL_ON_OPEN:                                               errPlaceholder,
		windows.FILE_ATTRIBUTE_RECALL_ON_DATA_ACCESS | windows.FILE_ATTRIBUTE_ARCHIVE:       errPlaceholder,
		windows.FILE_ATTRIBUTE_REPARSE_POINT | windows.FILE_ATTRIBUTE_RECALL_ON_DATA_ACCESS: errPlaceholder,
		windows.FILE_ATTRIBUTE_REPARSE_POINT:                                                errLink,
	} {
		if got := checkPlace(attributes); !errors.Is(got, want) {
			t.Errorf("attributes %#x: got %v, want %v", attributes, got, want)
		}
	}
}

func TestWindowsReadsWithinItsTime(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := New("/")
	_, file := r.File(ctx, "/C:/windows/win.ini", 10)
	_, part := r.Part(ctx, "/device/PhysicalDrive0", 0, 10)
	_, list := r.Dir(ctx, "/C:")
	_, key := r.Key(ctx, `HKLM\SOFTWARE`)
	_, rows := r.Rows(ctx, MachineRow)
	_, processes := r.Processes(ctx)
	for _, err := range []error{file, part, list, key, rows, processes} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("after its time: got %v", err)
		}
	}
}

func TestWindowsHasNoCommands(t *testing.T) {
	ctx, r := t.Context(), New("/")
	for _, c := range Commands() {
		if _, err := r.Run(ctx, c.Name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("run %s: got %v", c.Name, err)
		}
	}
	for _, q := range Queries() {
		if _, err := r.Ask(ctx, q.Name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("ask %s: got %v", q.Name, err)
		}
	}
	if _, err := r.Run(ctx, "format c:"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("what is not in the list: got %v", err)
	}
	if _, err := r.Rows(ctx, "format c:"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("what is not in the list: got %v", err)
	}
}

func TestWindowsListsProcesses(t *testing.T) {
	list, err := New("/").Processes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Base(os.Args[0])
	found := false
	for i, name := range list {
		found = found || strings.EqualFold(name, own)
		if strings.ContainsAny(name, `\/`) || i > 0 && list[i-1] >= name {
			t.Errorf("process %q, after %q", name, list[max(i-1, 0)])
		}
	}
	if !found {
		t.Errorf("this process, %q, is not among %q", own, list)
	}
}

func TestWindowsReadsDisks(t *testing.T) {
	data, err := New("/").Part(t.Context(), "/device/PhysicalDrive0", 3, 8)
	if err != nil {
		t.Logf("disk 0: %v", err)
		return
	}
	t.Logf("disk 0: %q", data)
}
