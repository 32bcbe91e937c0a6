package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
)

// mounted makes a world whose data folder is a disk of its own.
func mounted(t *testing.T, size string) *world {
	t.Helper()
	w := emptyWorld(t)
	smallDisk(t, w.data, size)
	must(t, w.do("init", collectorapp.InitArguments{School: schoolName}, new(collectorapp.InitAnswer)))
	return w
}

// serves runs a collector that is expected to end by itself.
func (w *world) serves() error {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	return collectorapp.Run(ctx, collectorapp.Config{
		Data: w.data, Agents: "127.0.0.1:0", Web: "127.0.0.1:0", Log: logTo(w.t, "collector"),
	}, w.clock)
}

// TestAReadOnlyDataFolder: nothing can be recorded, and every command says why;
// but what was recorded can be verified, on the copy as it is.
func TestAReadOnlyDataFolder(t *testing.T) {
	w := mounted(t, "192m")
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	must(t, l.stop())
	must(t, c.stop())
	want := w.verified()
	remount := func(flags uintptr) { t.Helper(); must(t, unix.Mount("", w.data, "", unix.MS_REMOUNT|flags, "")) }
	remount(unix.MS_RDONLY)
	refusedWith(t, w.serves(), w.data, "cannot be written")
	refusedWith(t, w.do("device.list", collectorapp.ListArguments{Limit: 10}, new(view.DevicePage)), w.data, "cannot be written")
	if got := w.verified(); got != want {
		t.Errorf("on the copy verify says\n%+v\nand said\n%+v", got, want)
	}

	// Also of a copy that a crash left, and of one that is damaged.
	remount(0)
	segment := w.segment(want.School)
	info, err := os.Stat(segment)
	must(t, err)
	must(t, os.Remove(filepath.Join(w.record(want.School), "mark")))
	must(t, os.Truncate(segment, info.Size()-3))
	remount(unix.MS_RDONLY)
	if got := ask[collectorapp.LedgerReport](w, "ledger.verify", collectorapp.LedgerArguments{}); got.Good {
		t.Error("a ledger that lacks what was given a checkpoint verifies")
	}
	if now, err := os.Stat(segment); err != nil || now.Size() != info.Size()-3 {
		t.Errorf("verifying changed the copy: %v, %v", now, err)
	}
}

// TestADataFolderOfAnotherAccount is left alone, with a word.
func TestADataFolderOfAnotherAccount(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be another account")
	}
	w := newWorld(t)
	must(t, os.Chmod(w.data, 0o700))
	for _, words := range [][]string{
		{"serve", "--agents", "127.0.0.1:0", "--web", "127.0.0.1:0"},
		{"device", "list"},
		{"ledger", "verify"},
		{"status"},
		{"token", "create"},
		{"account", "list"},
		{"view", "rebuild"},
		{"ledger", "forget", "--class", "media", "--dry-run"},
	} {
		cmd := exec.CommandContext(t.Context(), program(t, "caretaker-collector"), append(words, "--data", w.data)...)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &said
		err := cmd.Run()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(said.String(), w.data) || !strings.Contains(said.String(), "permission denied") {
			t.Errorf("%v: ended with %v and said %q", words, err, said.String())
		}
	}
	w.verified()
}

// TestLessRoomThanTheViewNeeds: the view's database writes through mapped
// memory, where a full disk ends the program. It is not let near.
func TestLessRoomThanTheViewNeeds(t *testing.T) {
	w := mounted(t, "192m")
	free := fill(t, w.data)
	refusedWith(t, w.serves(), w.data, "is full", "96 MB")
	free()
	c := w.collect()
	must(t, c.stop())
}

// TestAFullDiskShowsOnThePages while it lasts, and is over when there is room.
func TestAFullDiskShowsOnThePages(t *testing.T) {
	w := mounted(t, "256m")
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	free := fill(t, w.data)
	l.becomes("encrypted-laptop")
	w.clock.Advance(2 * time.Hour)
	w.untilPassing(10*time.Second, "a report is refused", func() bool { return !w.status(w.only()).Recording })
	if s := l.status(); s.Acknowledged != 1 {
		t.Errorf("report %d is acknowledged, with no room for it", s.Acknowledged)
	}
	free() // an account needs room too
	p := w.signIn(c, "technician")
	page := "/schools/" + string(w.only())
	p.shows(page, "could not be recorded", "no space left on device", "nothing is lost")
	w.untilPassing(10*time.Second, "the report shows", func() bool { return l.shown().LastReport == 2 })
	if _, body := p.get(page); strings.Contains(body, "could not be recorded") {
		t.Error("the pages still say that nothing could be recorded")
	}
	w.once(l)
}

// TestACollectorWhoseClockWasSetBack: pages and the command say so, a session
// that was open is over, a token that had ended stays so, and what is recorded
// stays whole.
func TestACollectorWhoseClockWasSetBack(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report is recorded", func() bool { return l.status().Acknowledged == 1 })
	ended := ask[collectorapp.TokenAnswer](w, "token.create", tokenFor(c.agents))
	w.clock.Advance(25 * time.Hour)
	ask[collectorapp.TokenAnswer](w, "token.create", tokenFor(c.agents)) // by now the record knows how late it is
	old := w.signIn(c, "head")
	page := "/schools/" + string(w.only())
	old.shows(page, schoolName)
	must(t, l.stop())
	must(t, c.stop())

	late := w.clock.Now()
	w.clock = clocktest.NewDriven(late.AddDate(-1, 0, 0))
	c = w.collect()
	old.web = strings.TrimSuffix(c.web, "/")
	if _, body := old.get(page); !strings.Contains(body, "Password") {
		t.Error("a session of a year ahead is still open")
	}
	p := w.signIn(c, "dpo")
	p.shows(page, "The collector's clock was set back", "times on these pages may be wrong")
	if s := w.status(w.only()); s.Well() || s.ClockBack.IsZero() {
		t.Errorf("the command says %+v", s)
	}
	// Its certificate is older than the authority that made it: nobody enrols,
	// by this token or another, until the clock is right.
	refusedWith(t, w.enrols("another", ended.Token, c.agents, clocktest.NewDriven(late)), "the collector's clock is wrong")
	w.verified()
}
