package system

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/caretaker-school/caretaker/agent/system/systemtest/fuse"
)

// hostileChild is the program of children that meet what does not answer.
func hostileChild(mode string, request []byte) int {
	switch mode {
	case "touch":
		touch(string(request))
	case "answer and hang":
		touched := make(chan struct{})
		go func() {
			touch(string(request))
			close(touched)
		}()
		// One byte says that the other has begun to wait.
		_, _ = os.NewFile(3, "told").Read(make([]byte, 1))
		os.Stdout.WriteString("answer")
		os.Stdout.Close()
	case "close and crash":
		os.Stdout.WriteString("half an ans")
		os.Stdout.Close()
		return 7
	}
	return 0
}

// touch asks a file system everything that can be asked of it.
func touch(dir string) {
	_ = unix.Statfs(dir, new(unix.Statfs_t))
	_, _ = os.Stat(filepath.Join(dir, "game"))
	_, _ = os.ReadDir(dir)
	_, _ = os.ReadFile(filepath.Join(dir, "game"))
}

func hanging(t *testing.T) (*fuse.System, string) {
	t.Helper()
	point := t.TempDir()
	return fuse.Mount(t, point, map[string]fuse.Content{"game": {ReaderAt: strings.NewReader("game"), Size: 4}}), point
}

// TestAChildThatCannotBeKilledIsLeftBehind lets a child wait for each answer
// of a file system that gives none. Its end is not waited for, and it is gone
// once there is an answer.
func TestAChildThatCannotBeKilledIsLeftBehind(t *testing.T) {
	t.Parallel()
	for _, request := range fuse.Requests() {
		t.Run(request.String(), func(t *testing.T) {
			t.Parallel()
			f, point := hanging(t)
			f.Hang(request)
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() {
				<-f.Kept()
				cancel(context.DeadlineExceeded)
			}()
			ended, err := child("touch", roomy).Run(ctx, []byte(point))
			if !errors.Is(err, context.DeadlineExceeded) || ended.Answer != nil {
				t.Errorf("got %q, %v; want %v", ended.Answer, err, context.DeadlineExceeded)
			}
			f.Abort()
			<-ended.Gone
		})
	}
}

// TestAnAnswerIsNotLostWithAThreadThatHangs: a child that has answered has
// answered, whatever keeps it from ending.
func TestAnAnswerIsNotLostWithAThreadThatHangs(t *testing.T) {
	t.Parallel()
	f, point := hanging(t)
	f.Hang(fuse.Read)
	read, write, err := os.Pipe()
	must(t, err)
	defer read.Close()
	go func() {
		<-f.Kept()
		write.Close()
	}()
	c := child("answer and hang", roomy)
	c.Files = []*os.File{read}
	ended, err := c.Run(t.Context(), []byte(point))
	if err != nil || string(ended.Answer) != "answer" {
		t.Errorf("got %q, %v", ended.Answer, err)
	}
	select {
	case <-ended.Gone:
		t.Error("nothing hung")
	default:
	}
	f.Abort()
	<-ended.Gone
}

// TestAChildThatFailsAfterItsAnswerHasFailed unless its end is so slow that it
// is not waited for: then what it wrote shows that it is half.
func TestAChildThatFailsAfterItsAnswerHasFailed(t *testing.T) {
	ended, err := child("close and crash", roomy).Run(t.Context(), nil)
	if err == nil && string(ended.Answer) != "half an ans" || err != nil && (!errors.Is(err, ErrCrashed) || ended.Answer != nil) {
		t.Errorf("got %q, %v; want %v", ended.Answer, err, ErrCrashed)
	}
}
