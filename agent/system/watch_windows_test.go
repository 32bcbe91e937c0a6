package system

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/windows/registry"
)

// asReader writes a path as Reader takes it.
func asReader(path string) string { return "/" + filepath.ToSlash(path) }

func watchForTests(t *testing.T, names []string) (changed chan struct{}, end func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	changed = make(chan struct{}, 1000)
	ended := make(chan error, 1)
	go func() {
		defer close(changed)
		ended <- Watch(ctx, names, func() { changed <- struct{}{} })
	}()
	t.Cleanup(cancel)
	return changed, func() error {
		cancel()
		return <-ended
	}
}

func TestWatchKeys(t *testing.T) {
	own := fmt.Sprintf(`SOFTWARE\CaretakerTest%d`, os.Getpid())
	key, _, err := registry.CreateKey(registry.LOCAL_MACHINE, own+`\Watched`, registry.ALL_ACCESS|registry.WOW64_64KEY)
	if err != nil {
		t.Fatal(err)
	}
	defer key.Close()
	t.Cleanup(func() {
		for _, name := range []string{own + `\Watched\Program`, own + `\Watched`, own + `\Other`, own} {
			_ = registry.DeleteKey(registry.LOCAL_MACHINE, name)
		}
	})
	changed, end := watchForTests(t, []string{`HKLM\` + own + `\Watched`, `HKLM\` + own + `\Absent`})
	<-changed
	sub, _, err := registry.CreateKey(key, "Program", registry.ALL_ACCESS)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	<-changed
	if err := sub.SetStringValue("DisplayName", "Scratch"); err != nil {
		t.Fatal(err)
	}
	<-changed
	if err := registry.DeleteKey(key, "Program"); err != nil {
		t.Fatal(err)
	}
	<-changed
	// Not below the key: if it were told, something would be left at the end.
	other, _, err := registry.CreateKey(registry.LOCAL_MACHINE, own+`\Other`, registry.ALL_ACCESS)
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	if err := key.SetDWordValue("Last", 1); err != nil {
		t.Fatal(err)
	}
	<-changed
	if err := end(); err != nil {
		t.Errorf("after the context ended: got %v, want nil", err)
	}
}

// TestWatchAKeyThatGoesAway ends with a word.
func TestWatchAKeyThatGoesAway(t *testing.T) {
	if _, err := procedure("ntdll.dll", "wine_get_version"); err == nil {
		t.Skip("Wine does not tell that a key was deleted itself")
	}
	own := fmt.Sprintf(`SOFTWARE\CaretakerTestGone%d`, os.Getpid())
	key, _, err := registry.CreateKey(registry.LOCAL_MACHINE, own, registry.ALL_ACCESS|registry.WOW64_64KEY)
	if err != nil {
		t.Fatal(err)
	}
	key.Close()
	ended := make(chan error, 1)
	changed := make(chan struct{}, 100)
	go func() { ended <- Watch(t.Context(), []string{`HKLM\` + own}, func() { changed <- struct{}{} }) }()
	<-changed
	if err := registry.DeleteKey(registry.LOCAL_MACHINE, own); err != nil {
		t.Fatal(err)
	}
	<-changed
	if err := <-ended; !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want %v", err, fs.ErrNotExist)
	}
}

func TestWatchFiles(t *testing.T) {
	dir := t.TempDir()
	status := filepath.Join(dir, "status")
	changed, end := watchForTests(t, []string{asReader(status), asReader(filepath.Join(dir, "absent", "x"))})
	<-changed
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(filepath.Join(dir, "other"), nil, 0o600))
	must(os.WriteFile(status+".new", []byte("x"), 0o600))
	must(os.Rename(status+".new", status))
	<-changed
	must(os.WriteFile(status, []byte("more than x"), 0o600))
	<-changed
	must(os.Remove(status))
	<-changed
	if lookAt(status).there {
		t.Error("it is still there")
	}
	if err := end(); err != nil {
		t.Errorf("after the context ended: got %v, want nil", err)
	}
}

func TestWatchNothing(t *testing.T) {
	for _, names := range [][]string{nil, {`HKLM\SOFTWARE\CaretakerTestAbsent`}, {asReader(filepath.Join(t.TempDir(), "absent", "x"))}} {
		if err := Watch(t.Context(), names, func() {}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v: got %v, want %v", names, err, fs.ErrNotExist)
		}
	}
	if err := Watch(t.Context(), []string{`//server/share/x`}, func() {}); err == nil || strings.Contains(err.Error(), "0x") {
		t.Errorf("a file on another machine: got %v", err)
	}
}
