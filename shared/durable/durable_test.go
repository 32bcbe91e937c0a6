package durable

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	for _, content := range []string{"first", "", "a longer third"} {
		if err := WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("got %q, %v, want %q", got, err, content)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("got %d files, %v, want the one", len(entries), err)
	}
}

// TestWriteFileLeftOver finds what a crash left beside the file.
func TestWriteFileLeftOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(path+".tmp", []byte("half"), 0o400); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, []byte("whole"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "whole" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestWriteFileFails keeps the old content, and leaves nothing beside it.
func TestWriteFileFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	if err := os.MkdirAll(filepath.Join(path, "a folder in its place"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, []byte("new"), 0o600); err == nil {
		t.Error("replaced a folder with a file")
	}
	if _, err := os.Stat(path + ".tmp"); err == nil {
		t.Error("left its temporary file behind")
	}
	if err := WriteFile(filepath.Join(dir, "no such folder", "state"), nil, 0o600); err == nil {
		t.Error("wrote into a folder that there is not")
	}
}

const holderVariable = "CARETAKER_LOCK_HOLDER"

// TestLockHeld finds the lock held by another process, and free once that is
// gone, however it went.
func TestLockHeld(t *testing.T) {
	if path := os.Getenv(holderVariable); path != "" {
		release, err := Lock(path)
		if err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("held\n")
		_, _ = os.Stdin.Read(make([]byte, 1)) // until it is killed
		runtime.KeepAlive(release)
	}
	path := filepath.Join(t.TempDir(), "lock")
	cmd := exec.Command(os.Args[0], "-test.run=^TestLockHeld$")
	cmd.Env = append(os.Environ(), holderVariable+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	if _, err = Lock(path); !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), "process ") {
		t.Errorf("got %v, want ErrHeld with the process that holds it", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the holder ended by itself")
	}
	for range 2 {
		release, err := Lock(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Lock(path); !errors.Is(err, ErrHeld) {
			t.Errorf("locked twice in one process: got %v, want ErrHeld", err)
		}
		if err := release(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSyncData(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	if err := SyncData(f); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := SyncData(f); err == nil {
		t.Error("synced a file that is closed")
	}
	if err := SyncDir(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Skip("folders need no sync here")
	}
}

func TestAskingForALockIsNotInTheWay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	if held, err := Held(path); held || err != nil {
		t.Fatalf("a lock that never was: held %v, %v", held, err)
	}
	for range 200 {
		asked := make(chan error)
		go func() {
			_, err := Held(path)
			asked <- err
		}()
		release, err := Lock(path)
		if err != nil {
			t.Fatalf("somebody asked, and so it could not be taken: %v", err)
		}
		if held, err := Held(path); !held || err != nil {
			t.Fatalf("a lock that is taken: held %v, %v", held, err)
		}
		if err := <-asked; err != nil {
			t.Fatal(err)
		}
		if err := release(); err != nil {
			t.Fatal(err)
		}
		if held, err := Held(path); held || err != nil {
			t.Fatalf("a lock that was given back: held %v, %v", held, err)
		}
	}
}
