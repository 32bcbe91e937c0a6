//go:build linux || windows

package system

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// childMode is set in the environment of this test's own children only.
const childMode = "SYSTEM_TEST_CHILD"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == ApartCommand {
		if err := ServeApart(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	if mode := os.Getenv(childMode); mode != "" {
		os.Exit(childMain(mode))
	}
	os.Exit(m.Run())
}

// childMain is the program of the children.
func childMain(mode string) int {
	request, err := ChildRequest(os.Stdin, 1<<20)
	if err != nil {
		return 3
	}
	switch mode {
	case "echo":
		os.Stdout.Write(request)
	case "hang":
		hang(ChildFile(0, "told"))
	case "eat":
		var eaten [][]byte
		for {
			block := make([]byte, 1<<20)
			for i := range block {
				block[i] = 1
			}
			eaten = append(eaten, block)
			runtime.KeepAlive(eaten)
		}
	case "babble":
		for {
			if _, err := os.Stdout.Write(make([]byte, 1<<16)); err != nil {
				return 4
			}
		}
	case "panic":
		panic("no more")
	case "files":
		io.Copy(ChildFile(1, "out"), ChildFile(0, "in"))
	case "wait":
		read, write, err := os.Pipe()
		if err != nil {
			return 6
		}
		_, _ = read.Read(make([]byte, 1))
		runtime.KeepAlive(write)
	case "state":
		if err := json.NewEncoder(os.Stdout).Encode(ownState(request)); err != nil {
			return 5
		}
	default:
		return otherChild(mode, request)
	}
	return 0
}

// hang starts a process of its own, says which, and waits for ever.
func hang(told *os.File) {
	program, err := os.Executable()
	if err != nil {
		os.Exit(6)
	}
	c := exec.Command(program)
	c.Env = append(os.Environ(), childMode+"=wait")
	if err := c.Start(); err != nil {
		os.Exit(6)
	}
	fmt.Fprintln(told, c.Process.Pid)
	told.Close()
	_ = c.Wait()
}

var roomy = Limits{Deadline: time.Minute, Memory: 128 << 20, MaxAnswer: 1 << 20}

func child(mode string, limits Limits) Child {
	return Child{Role: FolderChild, Args: []string{mode}, Env: []string{childMode + "=" + mode}, Limits: limits}
}

func TestChildAnswers(t *testing.T) {
	request := []byte(strings.Repeat("request ", 50_000))
	ended, err := child("echo", roomy).Run(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if string(ended.Answer) != string(request) {
		t.Errorf("answer: got %d bytes, want the %d of the request", len(ended.Answer), len(request))
	}
	if ended.PeakMemory < 1<<20 && peakIsTold() || ended.CPU <= 0 {
		t.Errorf("what it took: got %d bytes, %v", ended.PeakMemory, ended.CPU)
	}
}

func TestChildFailuresAreNamed(t *testing.T) {
	for _, c := range []struct {
		mode   string
		limits Limits
		want   error
	}{
		{"eat", roomy, ErrMemory},
		{"babble", roomy, ErrTooLarge},
		{"panic", roomy, ErrCrashed},
	} {
		if c.mode == "eat" && (raceDetector || !memoryIsBounded(t)) {
			continue
		}
		ended, err := child(c.mode, c.limits).Run(t.Context(), nil)
		if !errors.Is(err, c.want) || ended.Answer != nil {
			t.Errorf("%s: got %.60q, %v; want %v", c.mode, ended.Answer, err, c.want)
		}
	}
	if _, err := child("echo", roomy).Run(t.Context(), make([]byte, 2<<20)); !errors.Is(err, ErrCrashed) {
		t.Errorf("a request larger than allowed: got %v, want %v", err, ErrCrashed)
	}
	if _, err := ChildRequest(strings.NewReader(""), 1); err == nil {
		t.Error("a process that is no child took its limits")
	}
	if _, err := (Child{Args: []string{"x"}, Limits: roomy}).Run(t.Context(), nil); err == nil {
		t.Error("a child without a role was started")
	}
}

func TestChildDeadline(t *testing.T) {
	c := child("wait", Limits{Deadline: 100 * time.Millisecond, Memory: 128 << 20, MaxAnswer: 1})
	if _, err := c.Run(t.Context(), nil); !errors.Is(err, context.DeadlineExceeded) || Absence(err).String() != "timed out" {
		t.Errorf("got %v, want a deadline", err)
	}
}

func TestChildGetsFiles(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "in"), []byte("known"), 0o600))
	in, err := os.Open(filepath.Join(dir, "in"))
	must(t, err)
	defer in.Close()
	out, err := os.Create(filepath.Join(dir, "out"))
	must(t, err)
	defer out.Close()
	c := child("files", roomy)
	c.Files = []*os.File{in, out}
	if _, err := c.Run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil || string(got) != "known" {
		t.Errorf("what the child wrote to a file it was given: got %q, %v", got, err)
	}
}
