package app

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/posture"
)

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
	return func() {
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
	}
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

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestAFullDisk fills the disk under a collector that runs and under one that
// does not: every operation ends in words, nothing that was recorded is lost,
// and when there is room again the same process goes on.
func TestAFullDisk(t *testing.T) {
	data := t.TempDir()
	err := unix.Mount("tmpfs", data, "tmpfs", 0, "size=256m,mode=700")
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		t.Skip("a full disk can only be made by root")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(data, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	school := do[InitAnswer](t, data, "init", InitArguments{School: "Hollybank Primary School"}).School
	makeToken(t, data, school)
	made := uint64(1)
	refused := func(what string) {
		t.Helper()
		var err error
		for range 200 { // the last page of each file may have room for a few
			err = Do(t.Context(), data, "token.create", TokenArguments{
				Uses: 1, Lifetime: time.Hour, Ownership: posture.SchoolSingleUser, Addresses: []string{"127.0.0.1:1"},
			}, &TokenAnswer{}, clock.System{})
			if err != nil {
				break
			}
			made++
		}
		if err == nil || !strings.Contains(err.Error(), "no space left") && !strings.Contains(err.Error(), "is full") {
			t.Errorf("%s: got %v, want words about the disk", what, err)
		}
		if r := do[LedgerReport](t, data, "ledger.verify", LedgerArguments{}); !r.Good {
			t.Errorf("%s: verify: %s", what, r.Trouble)
		}
	}
	free := fill(t, data)
	refused("without a collector")
	free()

	stop := running(t, data)
	free = fill(t, data)
	refused("with a collector")
	if err := Do(t.Context(), data, "view.rebuild", struct{}{}, &RebuildAnswer{}, clock.System{}); err == nil || !strings.Contains(err.Error(), "is full") {
		t.Errorf("rebuild: got %v, want words about the disk", err)
	}
	// Nobody looks unseen: who lists the devices is kept until it can be recorded.
	waits := func() bool {
		return slices.ContainsFunc(do[[]SchoolStatus](t, data, "status", struct{}{})[0].Trouble, func(s string) bool { return strings.Contains(s, "1 looks at devices wait") })
	}
	do[view.DevicePage](t, data, "device.list", ListArguments{Limit: 10})
	if !waits() {
		t.Error("a look at the devices on a full disk does not wait to be recorded")
	}
	free()
	makeToken(t, data, school)
	made += 2
	for waits() {
		runtime.Gosched()
	}
	do[RebuildAnswer](t, data, "view.rebuild", struct{}{})
	fill(t, data)
	if err := stop(); err != nil {
		t.Errorf("stopped on a full disk: %v", err)
	}
	if r := do[LedgerReport](t, data, "ledger.verify", LedgerArguments{}); !r.Good || r.Entries != made {
		t.Errorf("at the end: %+v, want %d entries", r, made)
	}
}

// TestARestoreOntoAFullDisk: where there is no room when it begins, and where
// the disk fills up meanwhile, it ends in words and leaves nothing that a
// collector believes; when there is room, the same folder takes the backup.
func TestARestoreOntoAFullDisk(t *testing.T) {
	_, plain := backedUp(t)
	disk := t.TempDir()
	err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=256m,mode=700")
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		t.Skip("a full disk can only be made by root")
	}
	must(t, err)
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	data, filler := filepath.Join(disk, "data"), filepath.Join(disk, "filler")
	take := func() { // all the room but one page
		t.Helper()
		var room unix.Statfs_t
		must(t, unix.Statfs(disk, &room))
		must(t, os.WriteFile(filler, make([]byte, (int64(room.Bavail)-1)*room.Bsize), 0o600))
	}
	nothing := func(what string, err error, words string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: got %v, want words about %q", what, err, words)
		}
		left := filesOf(t, data)
		delete(left, lockFile) // it is empty
		if len(left) != 0 {
			t.Errorf("%s: it left %v", what, left)
		}
		must(t, os.Remove(filler))
	}
	must(t, os.Mkdir(data, 0o700))
	take()
	_, err = restoreTo(t, data, bytes.NewReader(plain))
	nothing("before it began", err, "no space left")

	taken := false
	_, err = Restore(t.Context(), data, bytes.NewReader(plain), func(_, _ int64) {
		if !taken {
			taken = true
			take()
		}
	}, clock.System{}, slog.New(slog.DiscardHandler))
	nothing("while it ran", err, "no space left")

	if a, err := restoreTo(t, data, bytes.NewReader(plain)); err != nil || len(a.Records) != 2 {
		t.Errorf("when there is room: got %+v, %v", a, err)
	}
}
