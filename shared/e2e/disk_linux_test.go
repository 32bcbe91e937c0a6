package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
)

// smallDisk mounts a disk of its own at a folder. It needs root.
func smallDisk(t *testing.T, dir, size string) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o700))
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+size)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		t.Skip("a full disk can only be made by root")
	}
	must(t, err)
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
}

// fill leaves no room on a disk and returns what makes room again.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	name := filepath.Join(dir, "filler")
	f, err := os.Create(name)
	must(t, err)
	grow := func(most int64) {
		t.Helper()
		for chunk := make([]byte, 1<<20); len(chunk) > 0 && most > 0; most -= int64(len(chunk)) {
			n, err := f.Write(chunk)
			if errors.Is(err, unix.ENOSPC) {
				chunk = chunk[:n/2]
				continue
			}
			must(t, err)
		}
	}
	// As disks fill: what the view's database does by itself, such as after it
	// was opened, ends before there is no room for it at all.
	var disk unix.Statfs_t
	must(t, unix.Statfs(dir, &disk))
	grow(int64(disk.Bavail)*disk.Bsize - 64<<20)
	quiet(t, filepath.Join(dir, "view"))
	grow(1 << 40)
	must(t, f.Close())
	return func() { must(t, os.Remove(name)) }
}

// quiet waits until nothing in a folder has changed for a second and a half:
// the database begins to tidy up within a second after it was opened.
func quiet(t *testing.T, dir string) {
	t.Helper()
	look := time.NewTicker(25 * time.Millisecond)
	defer look.Stop()
	for was, same := "", 0; same < 60; <-look.C {
		var now strings.Builder
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for _, e := range entries {
			if info, err := e.Info(); err == nil {
				fmt.Fprintln(&now, e.Name(), info.Size(), info.ModTime())
			}
		}
		if same++; now.String() != was {
			was, same = now.String(), 0
		}
	}
}

// TestACollectorOnAFullDiskLosesNothing: what cannot be stored is not
// acknowledged, and arrives once there is room.
func TestACollectorOnAFullDiskLosesNothing(t *testing.T) {
	dir := openDir(t)
	smallDisk(t, filepath.Join(dir, "data"), "256m")
	x := newTalkIn(t, dir)
	free := fill(t, x.Data)
	before := x.status()
	x.says()
	until(t, "the laptop has assessed itself", func() bool { return x.status().AssessedAt.After(before.AssessedAt) })
	if s := x.status(); s.Acknowledged != before.Acknowledged {
		t.Errorf("report %d is acknowledged, with no room for it", s.Acknowledged)
	}
	x.killCollector()
	free()
	x.startCollector()
	x.whole(x.settled())
}

// TestAnAgentOnAFullDiskLosesNothing: it says so and goes on; once there is
// room its chain has no hole.
func TestAnAgentOnAFullDiskLosesNothing(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	smallDisk(t, filepath.Join(w.dir, "laptop"), "4m")
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	must(t, l.stop())

	free := fill(t, l.state)
	l.becomes("encrypted-laptop")
	w.clock.Advance(2 * time.Hour)
	said := &said{words: "no space left"}
	l.part = start(t, func(ctx context.Context) error {
		return agentapp.Run(ctx, agentapp.Config{State: l.state, Replay: l.machine, Log: slog.New(slog.NewTextHandler(said, nil))}, w.clock)
	})
	w.untilPassing(10*time.Second, "it says what is wrong", said.isSaid)
	if n := l.shown().LastReport; n != 1 {
		t.Errorf("report %d arrived, and could not be stored before", n)
	}
	free()
	w.untilPassing(10*time.Second, "the report has arrived", func() bool { return l.shown().LastReport == 2 })
	w.once(l)
}

// said is a log in which a test looks for words.
type said struct {
	words string

	mu   sync.Mutex // guards done
	done bool
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = s.done || strings.Contains(string(p), s.words) && strings.Contains(string(p), "level=ERROR")
	return len(p), nil
}

func (s *said) isSaid() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}
