package app

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/agent/system/systemtest/crafted"
	"github.com/caretaker-school/caretaker/agent/system/systemtest/fuse"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// TestMain makes of this program the children of its own tests. Their machine
// is a recorded one, or one that lies in a folder.
func TestMain(m *testing.M) {
	if !IsChild(os.Args) {
		os.Exit(m.Run())
	}
	if err := folderChild(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func folderChild(args []string) error {
	request, err := system.ChildRequest(os.Stdin, maxRequest)
	if err != nil {
		return err
	}
	var answer any
	if args[1] == foldersCommand {
		answer, err = answerWalk(system.New(args[2]), request)
	} else {
		answer, err = answerAssess(system.New(args[2]), request)
	}
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		return err
	}
	return os.Stdout.Close()
}

// dressed is a laptop whose machine lies in a folder, and whose children are
// real: processes with the limits that they have.
type dressed struct {
	*laptop
	root  string
	asker *processes
}

func newDressed(t *testing.T) *dressed {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a laptop in a folder needs root")
	}
	root := t.TempDir()
	for dir := root; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o755))
	}
	d := &dressed{laptop: newLaptop(t), root: root, asker: &processes{replay: root}}
	d.put("/etc/passwd", "ada:x:1000:1000::/home/ada:/bin/bash\nbob:x:1001:1001::/home/bob:/bin/bash\n")
	d.mounts("")
	d.assessor.children = d.asker
	return d
}

func (d *dressed) put(name, text string) {
	d.t.Helper()
	full := filepath.Join(d.root, name)
	must(d.t, os.MkdirAll(filepath.Dir(full), 0o755))
	must(d.t, os.WriteFile(full, []byte(text), 0o644))
}

// mounts says what the machine's table of mounts says beside its disk.
func (d *dressed) mounts(more string) {
	d.t.Helper()
	d.put("/proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"+more)
}

// reported is what the last report says.
func (d *dressed) reported() (facts posture.Facts, findings []posture.Finding) {
	d.t.Helper()
	last := d.last()
	for _, ref := range last.Sections {
		for p, message := range d.waiting() {
			m := new(pb.AgentMessage)
			must(d.t, wire.Unmarshal(message, m))
			if p.Sequence != ref.Carried || p.Contact != 0 {
				continue
			}
			for _, s := range m.GetReport().GetSections() {
				if s.GetName() == ref.Name {
					must(d.t, wire.DecodeSection(ref.Name, s.GetBody(), time.UnixMilli(int64(ref.ReadAt)), &facts, &findings))
				}
			}
		}
	}
	return facts, findings
}

// judged returns the results of a rule, by subject.
func judged(findings []posture.Finding, rule string) map[string]posture.Result {
	results := map[string]posture.Result{}
	for _, f := range findings {
		if f.Rule == rule {
			results[f.Subject.Key] = f.Result
		}
	}
	return results
}

// notProven says what of a rule about executables is passed or failed that
// nobody can know: the finding about the rest, without a key.
func notProven(t *testing.T, findings []posture.Finding) {
	t.Helper()
	if rest, ok := judged(findings, "EXE-03")[""]; !ok || rest != posture.Error {
		t.Errorf("of all that was not seen EXE-03 says %v", judged(findings, "EXE-03"))
	}
}

// TestALaptopMadeToHurt has all at once in its people's folders, and real
// children look at it: the report says what can be known, and of the rest that
// it is not.
func TestALaptopMadeToHurt(t *testing.T) {
	d := newDressed(t)
	downloads := "/home/ada/Downloads/"
	for name, content := range crafted.Executables() {
		d.put(downloads+name, string(content))
	}
	d.put(downloads+"harmless", string(crafted.Program("harmless")))
	d.put(downloads+"one", string(crafted.Program("linked")))
	d.put("/etc/secret", string(crafted.Program("secret")))
	at := func(name string) string { return filepath.Join(d.root, name) }
	must(t, os.Link(at(downloads+"one"), at(downloads+"two")))
	must(t, os.Symlink(at("/etc"), at("/home/ada/etc")))
	must(t, os.Symlink(at("/etc/secret"), at("/home/ada/secret")))
	must(t, unix.Mkfifo(at("/home/ada/fifo"), 0o666))
	must(t, unix.Mknod(at("/home/ada/null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))))
	d.put("/home/ada/vast", string(crafted.Program("vast")))
	must(t, os.Truncate(at("/home/ada/vast"), 1<<40))
	for _, name := range []string{strings.Repeat("n", 255), "\xff\xfe", "line\nbreak", "\u202egpj.exe"} {
		d.put("/home/ada/"+name, string(crafted.Program(name)))
	}
	deep := "/home/ada/deep"
	for range 200 {
		deep += "/d"
	}
	d.put(deep+"/program", string(crafted.Program("deep")))
	for _, point := range []string{"/home/ada/cloud", "/home/bob"} {
		must(t, os.MkdirAll(at(point), 0o755))
		fuse.Mount(t, at(point), nil).Hang(fuse.Requests()...)
	}
	d.mounts("2 1 0:99 / /home/ada/cloud rw - fuse.rclone x rw\n3 1 0:98 / /home/bob rw - fuse.gocryptfs x rw\n")
	d.do()
	facts, findings := d.reported()
	sums := map[posture.Location]int{}
	for _, e := range facts.Executables.Items {
		if e.SHA256.Known() {
			sums[e.Location]++
		}
	}
	if facts.Executables.Absent != posture.None || sums[posture.Home] != 4 || sums[posture.Downloads] < 10 {
		t.Errorf("executables %v: %v", facts.Executables.Absent, sums)
	}
	for _, gap := range []posture.Gap{
		{Source: "home", Absent: posture.Unsupported}, {Source: "downloads hard links", Absent: posture.NotVisible}, {Source: "folders", Absent: posture.TimedOut},
	} {
		if !slices.Contains(facts.Executables.Gaps, gap) {
			t.Errorf("it does not say %v: %v", gap, facts.Executables.Gaps)
		}
	}
	notProven(t, findings)
	if facts.System.Absent != posture.None || len(findings) < 10 {
		t.Errorf("of the rest: %+v, %d findings", facts.System, len(findings))
	}
	if trouble := d.trouble(); trouble != "" {
		t.Errorf("its trouble is %q", trouble)
	}
}

// TestAPersonsDiskThatDies hangs a walk on a disk that does not answer any
// more: the child is given up at its deadline, the report says so, and once
// the disk is gone the rest is seen again.
func TestAPersonsDiskThatDies(t *testing.T) {
	d := newDressed(t)
	d.put("/home/bob/Downloads/game", string(crafted.Program("game")))
	dying := dyingDisk(t, filepath.Join(d.root, "home/ada"))
	d.mounts("2 1 7:9 / /home/ada rw - ext4 /dev/loop9 rw\n")
	d.do() // while it is well: what folders hold is in memory from then on
	if facts, _ := d.reported(); len(facts.Executables.Items) != 4 {
		t.Fatalf("while the disk is well: %+v", facts.Executables)
	}
	d.within(2 * time.Second)
	must(t, os.Remove(d.state.path(knownFile)))
	forgetContent(t, filepath.Join(d.root, "home/ada"))
	dying.Hang(fuse.Read)
	d.clock.Advance(time.Hour)
	d.do()
	facts, findings := d.reported()
	if facts.Executables.Absent != posture.TimedOut || facts.Scripts.Absent != posture.TimedOut || facts.System.Absent != posture.None {
		t.Errorf("executables %v, scripts %v, system %v", facts.Executables.Absent, facts.Scripts.Absent, facts.System.Absent)
	}
	notProven(t, findings)

	dying.Abort()
	d.within(15 * time.Minute)
	d.clock.Advance(time.Hour)
	d.do()
	facts, findings = d.reported()
	found := 0
	for _, e := range facts.Executables.Items {
		if e.Location == posture.Downloads && e.SHA256.Known() {
			found++
		}
	}
	if e := facts.Executables; e.Absent != posture.None || found != 1 || len(e.Gaps) == 0 {
		t.Errorf("without the disk: %+v", e)
	}
	notProven(t, findings)
}

// within sets the deadline of the walk.
func (d *dressed) within(deadline time.Duration) {
	if d.asker.limits == nil {
		d.asker.limits, d.asker.left = childLimits(), map[system.Role][]<-chan struct{}{}
	}
	limits := d.asker.limits[system.FolderChild]
	limits.Deadline = deadline
	d.asker.limits[system.FolderChild] = limits
}

// TestOnlyAFewChildrenHangAtOnce: those that cannot be ended are left behind,
// and no more are started until they are gone.
func TestOnlyAFewChildrenHangAtOnce(t *testing.T) {
	d := newDressed(t)
	hangs := fuse.Mount(t, filepath.Join(d.root, "etc"), nil)
	hangs.Hang(fuse.Lookup)
	d.within(300 * time.Millisecond)
	left := func() int { return len(d.asker.left[system.FolderChild]) }
	for left() < mostLeft { // one that is killed before it asks is not left behind
		if _, err := d.asker.walk(t.Context(), walkRequest{Now: monday}, nil); absence(err) != posture.TimedOut {
			t.Fatalf("a walk that hangs: %v", err)
		}
	}
	_, err := d.asker.walk(t.Context(), walkRequest{Now: monday}, nil)
	if absence(err) != posture.TimedOut || !strings.Contains(err.Error(), "does not answer") || left() != mostLeft {
		t.Errorf("one more: %v; %d are left behind", err, left())
	}
	hangs.Abort()
	for _, gone := range d.asker.left[system.FolderChild] {
		<-gone
	}
	d.within(time.Minute)
	if bodies, err := d.asker.walk(t.Context(), walkRequest{Now: monday}, nil); err != nil || len(bodies) != 1 || left() != 0 {
		t.Errorf("afterwards: %d bodies, %v; %d are left behind", len(bodies), err, left())
	}
}

// forgetContent has the kernel forget what files hold, so that it is read from
// the disk again.
func forgetContent(t *testing.T, dir string) {
	t.Helper()
	for name := range filesOf(t, dir) {
		f, err := os.Open(filepath.Join(dir, name))
		must(t, err)
		must(t, unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
		must(t, f.Close())
	}
}

// dyingDisk mounts a real disk with a file system that reads its blocks over
// one that can be made to hang.
func dyingDisk(t *testing.T, point string) *fuse.System {
	t.Helper()
	dir := t.TempDir()
	content, image, lower := filepath.Join(dir, "content"), filepath.Join(dir, "image"), filepath.Join(dir, "lower")
	for _, name := range []string{"Downloads", "Desktop", "Pictures"} {
		must(t, os.MkdirAll(filepath.Join(content, name), 0o755))
		must(t, os.WriteFile(filepath.Join(content, name, "program"), crafted.Program(name), 0o644))
	}
	must(t, os.WriteFile(image, nil, 0o600))
	must(t, os.Truncate(image, 8<<20))
	run := func(name string, args ...string) string {
		out, err := exec.Command(name, args...).CombinedOutput()
		if err != nil {
			t.Skipf("%s: %v: %s", name, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("mkfs.ext4", "-q", "-d", content, image)
	blocks, err := os.Open(image)
	must(t, err)
	t.Cleanup(func() { must(t, blocks.Close()) })
	must(t, os.Mkdir(lower, 0o755))
	f := fuse.Mount(t, lower, map[string]fuse.Content{"disk": {ReaderAt: blocks, Size: 8 << 20}})
	device := run("losetup", "--read-only", "--find", "--show", filepath.Join(lower, "disk"))
	t.Cleanup(func() { run("losetup", "--detach", device) })
	must(t, os.MkdirAll(point, 0o755))
	must(t, unix.Mount(device, point, "ext4", unix.MS_RDONLY, "noload"))
	t.Cleanup(func() {
		f.Abort()
		must(t, unix.Unmount(point, unix.MNT_DETACH))
	})
	return f
}
