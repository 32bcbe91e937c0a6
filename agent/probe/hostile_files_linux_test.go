package probe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// downloads makes a laptop of a folder, and returns its reader and a person's
// Downloads.
func downloads(t *testing.T) (system.Reader, string) {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "home/ada/Downloads")
	for name, text := range map[string]string{
		"proc/self/mountinfo": "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n",
		"etc/passwd":          "ada:x:1000:1000::/home/ada:/bin/bash\n",
	} {
		full := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return system.New(root), dir
}

// static is a program in its smallest form.
func static(more string) []byte {
	head := make([]byte, 64)
	copy(head, "\x7fELF\x02\x01\x01")
	head[16], head[18] = elfExecutable, 62
	return append(head, more...)
}

// meddling is a machine on which something happens to a file when it is first
// read.
type meddling struct {
	system.Reader
	happens func()
}

func (m *meddling) Walk(ctx context.Context, limits system.WalkLimits, visit func(system.WalkedFile) error) (system.WalkSummary, error) {
	return m.Reader.Walk(ctx, limits, func(f system.WalkedFile) error {
		f.ReaderAt = &meddled{ReaderAt: f.ReaderAt, by: m}
		return visit(f)
	})
}

type meddled struct {
	io.ReaderAt
	by    *meddling
	reads int
}

func (f *meddled) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.ReaderAt.ReadAt(p, off)
	if f.reads++; f.reads == 2 { // the first tells what it is, the second begins the sum
		f.by.happens()
	}
	return n, err
}

// TestAFileThatChangesWhileItIsHashed has a sum only if it is the sum of what
// was in one file.
func TestAFileThatChangesWhileItIsHashed(t *testing.T) {
	before, after := static("the program as it was"), static("the program as it became")
	sum := func(b []byte) posture.Reading[string] {
		s := sha256.Sum256(b)
		return posture.Read(hex.EncodeToString(s[:]))
	}
	for name, c := range map[string]struct {
		change func(file string) error
		now    posture.Reading[string]
		then   posture.Reading[string]
	}{
		"replaced": {func(file string) error {
			if err := os.WriteFile(file+"~", after, 0o644); err != nil {
				return err
			}
			return os.Rename(file+"~", file)
		}, posture.Unread[string](posture.Unreadable), sum(after)},
		"written over": {func(file string) error { return os.WriteFile(file, after, 0o644) }, posture.Unread[string](posture.Unreadable), sum(after)},
		"grown": {func(file string) error {
			f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteString("!")
			return err
		}, posture.Unread[string](posture.Unreadable), sum(append(before[:len(before):len(before)], '!'))},
		"cut": {func(file string) error { return os.Truncate(file, 64) }, posture.Unread[string](posture.Unreadable), sum(before[:64])},
	} {
		sys, dir := downloads(t)
		file := filepath.Join(dir, "game")
		if err := os.WriteFile(file, before, 0o644); err != nil {
			t.Fatal(err)
		}
		known := NewKnown()
		m := &meddling{Reader: sys, happens: func() {
			if err := c.change(file); err != nil {
				t.Fatal(err)
			}
		}}
		for _, want := range []posture.Reading[string]{c.now, c.then} {
			programs, _ := Executables(t.Context(), m, known, nil, walkLimits)
			m.happens = func() {}
			if len(programs.Items) != 1 || programs.Items[0].SHA256 != want {
				t.Errorf("%s: got %+v, want %v", name, programs, want)
			}
		}
	}
}

// TestASparseFileOfATerabyte is a program whose sum is not known, and does not
// hold up the rest.
func TestASparseFileOfATerabyte(t *testing.T) {
	sys, dir := downloads(t)
	for _, name := range []string{"a-game", "z-vast"} {
		if err := os.WriteFile(filepath.Join(dir, name), static(""), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(filepath.Join(dir, "z-vast"), 1<<40); err != nil {
		t.Skipf("no sparse files here: %v", err)
	}
	programs, _ := Executables(t.Context(), sys, nil, nil, system.WalkLimits{Depth: 4, Files: 9, Time: time.Minute})
	var got []posture.Absence
	for _, e := range programs.Items {
		got = append(got, e.SHA256.Absent)
	}
	if diff := cmp.Diff([]posture.Absence{posture.TimedOut, posture.None}, got); diff != "" || programs.Absent != posture.None {
		t.Errorf("%+v (-want +got):\n%s", programs, diff)
	}
}
