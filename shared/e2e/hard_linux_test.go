package e2e

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/shared/clock"
)

// words keeps a program's log, so that a test can look what it said.
type words struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (w *words) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *words) say(all ...string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, word := range all {
		if !strings.Contains(w.text.String(), word) {
			return false
		}
	}
	return true
}

// runBy starts the laptop's agent with a clock of its own, and returns what it
// says.
func (l *laptop) runBy(c clock.Clock) *words {
	l.w.t.Helper()
	said := &words{}
	l.part = start(l.w.t, func(ctx context.Context) error {
		return agentapp.Run(ctx, agentapp.Config{State: l.state, Replay: l.machine, Log: slog.New(slog.NewTextHandler(said, nil))}, c)
	})
	return said
}

// TestAReadOnlyStateFolderIsSaidAtTheStart: the agent does not run where it
// cannot keep its promises, and goes on where it was once it can.
func TestAReadOnlyStateFolderIsSaidAtTheStart(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	state := filepath.Join(w.dir, "laptop")
	smallDisk(t, state, "8m")
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	must(t, l.stop())

	must(t, unix.Mount("", state, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	err := agentapp.Run(t.Context(), agentapp.Config{State: state, Replay: l.machine, Log: logTo(t, "agent")}, w.clock)
	refusedWith(t, err, state, "read-only")
	must(t, unix.Mount("", state, "", unix.MS_REMOUNT, ""))
	l.becomes("encrypted-laptop")
	l.run()
	until(t, "the next report shows", func() bool { return l.shown().LastReport >= 2 })
	w.once(l)
}

// brokenDisk mounts a disk of its own at a folder. What it returns turns it
// read-only while it is in use, as the kernel does with a disk that fails, and
// mends it.
func brokenDisk(t *testing.T, dir string) (breaks, mends func()) {
	t.Helper()
	image := dir + ".img"
	must(t, os.WriteFile(image, nil, 0o600))
	must(t, os.Truncate(image, 16<<20))
	run := func(name string, args ...string) {
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Skipf("%s: %v: %s", name, err, out)
		}
	}
	run("mkfs.ext4", "-q", image)
	must(t, os.MkdirAll(dir, 0o700))
	run("mount", "-o", "loop,errors=remount-ro", image, dir)
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			t.Error(err)
		}
	})
	device, err := exec.Command("findmnt", "-no", "SOURCE", dir).Output()
	must(t, err)
	trigger := filepath.Join("/sys/fs/ext4", filepath.Base(strings.TrimSpace(string(device))), "trigger_fs_error")
	if _, err := os.Stat(trigger); err != nil {
		t.Skipf("a disk cannot be made to fail here: %v", err)
	}
	return func() { must(t, os.WriteFile(trigger, []byte("broken by a test"), 0)) }, func() {
		must(t, unix.Unmount(dir, 0))
		run("mount", "-o", "loop", image, dir)
	}
}

// TestAStateFolderThatTurnsReadOnlyIsSaidAndLosesNothing: the agent goes on,
// says nothing to the collector that it could not store, and begins where it
// was once the disk is mended.
func TestAStateFolderThatTurnsReadOnlyIsSaidAndLosesNothing(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	breaks, mends := brokenDisk(t, filepath.Join(w.dir, "laptop"))
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	until(t, "the agent knows it", func() bool { return l.status().Acknowledged == 1 })
	must(t, l.stop())
	said := l.runBy(w.clock)
	until(t, "it has looked again", func() bool { return l.status().Connected })

	breaks()
	l.becomes("encrypted-laptop")
	w.untilPassing(time.Minute, "it says what is wrong", func() bool { return said.say("level=ERROR", "cannot be stored", "read-only file system") })
	if n := l.shown().LastReport; n != 1 {
		t.Errorf("report %d arrived, and could not be stored before", n)
	}
	must(t, l.stop())
	mends()
	l.run()
	w.untilPassing(10*time.Second, "the report has arrived", func() bool { return l.shown().LastReport >= 2 })
	w.once(l)
}

// TestAStateFolderOfAnotherIsRefused runs the agent as somebody who may not
// write its state, and puts right a folder that is open to all.
func TestAStateFolderOfAnotherIsRefused(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("another user can only be had by root")
	}
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	must(t, l.stop())

	cmd := exec.CommandContext(t.Context(), program(t, "caretaker-agent"), "run", "--state", l.state)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatal("it ran on another's state folder")
	}
	refusedWith(t, errors.New(string(out)), l.state, "permission denied")

	must(t, os.Chmod(l.state, 0o777))
	l.becomes("encrypted-laptop")
	l.run()
	until(t, "the next report shows", func() bool { return l.shown().LastReport >= 2 })
	info, err := os.Stat(l.state)
	must(t, err)
	if info.Mode().Perm()&0o022 != 0 {
		t.Errorf("others may still write to the state folder: %o", info.Mode().Perm())
	}
	w.once(l)
}

// TestAClockSetBackAYearLosesNothing sets a laptop's clock back while its
// agent runs, further between two starts, and right again.
func TestAClockSetBackAYearLosesNothing(t *testing.T) {
	const year = 365 * 24 * time.Hour
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	must(t, l.stop())

	watch := &settable{Driven: w.clock}
	l.becomes("plain-laptop-with-stick")
	said := l.runBy(watch)
	until(t, "the second report shows", func() bool { return l.shown().LastReport >= 2 })
	watch.set(-year)
	l.becomes("encrypted-laptop")
	w.untilPassing(time.Minute, "the third report shows", func() bool { return l.shown().LastReport >= 3 })
	must(t, l.stop())
	if said.say("level=ERROR") {
		t.Errorf("it says: %s", said.text.String())
	}

	watch.set(-2 * year)
	l.becomes("plain-laptop")
	said = l.runBy(watch)
	w.untilPassing(time.Minute, "the fourth report shows", func() bool { return l.shown().LastReport >= 4 })
	if !said.say("the clocks of this device and of the collector differ", "17520h") {
		t.Errorf("it says nothing of its clock: %s", said.text.String())
	}
	watch.set(0)
	l.becomes("encrypted-laptop")
	w.untilPassing(time.Minute, "a report of the right time shows", func() bool { d := l.shown(); return d.LastReport >= 5 && !d.ReportedAt.Before(monday) })
	w.once(l)
}

// TestAPolicyThatIsDamagedOnTheDiskStopsNoReports: the laptop's record goes on under
// the policy that it can read.
func TestAPolicyThatIsDamagedOnTheDiskStopsNoReports(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	network := newLink(t, c.agents)
	l := w.laptop("laptop", "plain-laptop", network.Address())
	source, err := os.ReadFile("testdata/hollybank.yaml")
	must(t, err)
	ask[collectorapp.PublishAnswer](w, "policy.publish", collectorapp.PublishArguments{File: "hollybank.yaml", Source: source})
	until(t, "the laptop is judged by it", func() bool { return l.shown().Policy == 1 })
	until(t, "it has kept it", func() bool { _, err := os.Stat(filepath.Join(l.state, "policy.used.signed")); return err == nil })
	must(t, l.stop())
	must(t, c.stop()) // away from school
	before := l.shown().LastReport

	must(t, os.WriteFile(filepath.Join(l.state, "policy.signed"), []byte("damaged"), 0o600))
	l.becomes("encrypted-laptop")
	said := l.runBy(w.clock)
	until(t, "it says what is wrong", func() bool { return said.say("level=ERROR", "the policy in force cannot be read", "judges=1") })
	until(t, "its status says it", func() bool {
		s := l.status()
		return s.Waiting > 0 && strings.Contains(s.Trouble, "read the policy in force")
	})
	must(t, l.stop())
	network.Mend(w.collect().agents)
	l.run()
	w.untilPassing(time.Minute, "the report has arrived", func() bool { return l.shown().LastReport > before })
	if d := l.shown(); d.Policy != 1 {
		t.Errorf("the report is judged by policy %d", d.Policy)
	}
	until(t, "the school has given its policy again", func() bool { return l.status().Policy == 1 })
	w.once(l)
}
