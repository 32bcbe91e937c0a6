package durable

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/windows"
)

// TestPrivateFolder reads back who may do what. Wine keeps of that only what
// a Unix file's mode can say; what others may, it can say.
func TestPrivateFolder(t *testing.T) {
	dir := t.TempDir()
	made := filepath.Join(dir, "a", "b")
	for range 2 {
		if err := MakePrivate(made); err != nil {
			t.Fatal(err)
		}
	}
	if got := describe(t, made); strings.Contains(got, ";;;WD)") || strings.Contains(got, ";;;BU)") || !strings.Contains(got, ";;;SY)") {
		t.Errorf("a private folder: got %s", got)
	}
	ours := "(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
	for sddl, want := range map[string]error{
		"D:P" + ours:                            nil,
		"D:P" + ours + "(A;OICI;FRFX;;;WD)":     nil,
		"D:P" + ours + "(A;OICI;FRFXFW;;;WD)":   ErrShared,
		"D:P" + ours + "(A;OICI;FRFXSDDC;;;WD)": ErrShared,
	} {
		folder := filepath.Join(made, "c")
		file := filepath.Join(folder, "planted")
		if err := errors.Join(os.Mkdir(folder, 0o700), os.WriteFile(file, nil, 0o600), grant(folder, sddl)); err != nil {
			t.Fatal(err)
		}
		if kept := describe(t, folder); want != nil && !strings.Contains(kept, ";;;WD)") {
			t.Logf("left out: of %s is kept %s", sddl, kept)
		} else if err := MakePrivate(folder); !errors.Is(err, want) {
			t.Errorf("%s, kept as %s: got %v, want %v", sddl, kept, err, want)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		// Where nobody can have put anything, it is put right.
		if err := MakePrivate(folder); err != nil {
			t.Errorf("%s, and empty: %v", sddl, err)
		}
		if err := os.Remove(folder); err != nil {
			t.Fatal(err)
		}
	}
}

// describe returns who may do what with a file, in Windows' own notation.
func describe(t *testing.T, path string) string {
	t.Helper()
	sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		t.Fatal(err)
	}
	return sd.String()
}

// grant says who may do what with a file.
func grant(path, sddl string) error {
	sd, err := windows.SecurityDescriptorFromString(sddl)
	if err != nil {
		return err
	}
	dacl, _, err := sd.DACL()
	if err != nil {
		return err
	}
	return windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT,
		windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, dacl, nil)
}

func TestEverybodyMayReadWhatIsPublished(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "private")
	if err := MakePrivate(dir); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"secret": 0o600, "status": 0o644} {
		path := filepath.Join(dir, name)
		if err := WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
		got := describe(t, path)
		if underWine() && mode == 0o600 {
			continue // there, a file takes nothing from its folder
		}
		if open := strings.Contains(got, ";;;WD)") || strings.Contains(got, ";;;BU)"); open != (mode == 0o644) {
			t.Errorf("%s: got %s", name, got)
		}
		if err := CheckWriters(path); err != nil {
			t.Error(err)
		}
	}
}

func underWine() bool {
	return windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil
}

func TestBusyFilesAreWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if err := WriteFile(path, []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		t.Fatal(err)
	}
	hold := func() windows.Handle {
		h, err := windows.CreateFile(name, windows.GENERIC_READ, windows.FILE_SHARE_READ, nil, windows.OPEN_EXISTING, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	for what, do := range map[string]func() error{
		"replace": func() error { return WriteFile(path, []byte("second"), 0o600) },
		"remove":  func() error { return Remove(path) },
	} {
		h := hold()
		done := make(chan error)
		go func() { done <- do() }()
		windows.CloseHandle(h)
		if err := <-done; err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if err := WriteFile(path, []byte("first"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h := hold()
	defer windows.CloseHandle(h)
	if err := WriteFile(path, []byte("second"), 0o600); err == nil {
		t.Error("replaced a file that is held for good")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "first" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestReadOnlyAndLongNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("a", 100), strings.Repeat("b", 100), strings.Repeat("c", 100))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "state")
	for _, content := range []string{"first", "second"} {
		if err := WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("got %q, %v", got, err)
		}
		if err := os.Chmod(path, 0o400); err != nil {
			t.Fatal(err)
		}
	}
	if err := Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
