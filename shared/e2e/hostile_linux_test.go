package e2e

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	"github.com/caretaker-school/caretaker/agent/system/systemtest/crafted"
	"github.com/caretaker-school/caretaker/agent/system/systemtest/fuse"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// inPlace starts the agent with other people and other folders in the place of
// this machine's, for the agent alone.
const inPlace = `set -e
mount --rbind "$1" /mnt
mount --rbind /mnt/home /home
mount --bind /mnt/passwd /etc/passwd
for d in /tmp /var/tmp /dev/shm; do mount -t tmpfs -o mode=1777 none "$d"; done
exec /mnt/agent run --state /mnt/state`

// beside starts a program that runs beside the test until the test ends, and
// returns what it says on standard output, line by line.
func beside(t *testing.T, name string, args ...string) *bufio.Scanner {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stderr = &lines{t: t}
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	return bufio.NewScanner(out)
}

// TestALaptopMadeToHurtReports gives the released agent a laptop whose people
// have all that is made to hurt in their folders. The report arrives, with what
// can be known, and what cannot is shown as not proven.
func TestALaptopMadeToHurtReports(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a laptop of its own can only be had by root")
	}
	if os.Getenv("CARETAKER_THOROUGH") != "1" {
		t.Skip("it takes a minute, and agent/app does the same without a collector: set CARETAKER_THOROUGH=1")
	}
	dir := openDir(t)
	downloads := filepath.Join(dir, "home/ada/Downloads")
	for _, d := range []string{downloads, filepath.Join(dir, "home/bob"), filepath.Join(dir, "home/ada/cloud")} {
		must(t, os.MkdirAll(d, 0o755))
	}
	must(t, os.Chown(filepath.Join(dir, "home/ada"), 1000, 1000))
	passwd, err := os.ReadFile("/etc/passwd")
	must(t, err)
	people := "ada:x:1000:1000::/home/ada:/bin/bash\nbob:x:1001:1001::/home/bob:/bin/bash\n"
	must(t, os.WriteFile(filepath.Join(dir, "passwd"), append([]byte(people), passwd...), 0o644))
	must(t, os.Link(program(t, "caretaker-agent"), filepath.Join(dir, "agent")))
	files := crafted.Executables()
	files["harmless"], files["vast"] = crafted.Program("harmless"), crafted.Program("vast")
	for name, content := range files {
		must(t, os.WriteFile(filepath.Join(downloads, name), content, 0o644))
	}
	must(t, os.Truncate(filepath.Join(downloads, "vast"), 1<<40))
	must(t, unix.Mkfifo(filepath.Join(downloads, "fifo"), 0o666))
	must(t, os.Symlink("/etc/shadow", filepath.Join(downloads, "shadow")))
	must(t, os.Link(filepath.Join(downloads, "harmless"), filepath.Join(dir, "home/ada/linked")))
	must(t, os.WriteFile(filepath.Join(downloads, "alone"), crafted.Program("alone"), 0o644))
	for _, point := range []string{"home/bob", "home/ada/cloud"} {
		fuse.Mount(t, filepath.Join(dir, point), nil).Hang(fuse.Requests()...)
	}

	data, state := filepath.Join(dir, "data"), filepath.Join(dir, "state")
	good(t, "caretaker-collector", "init", "--data", data, "--school", schoolName)
	said := beside(t, program(t, "caretaker-collector"), "serve", "--data", data, "--agents", "127.0.0.1:0", "--web", "127.0.0.1:0")
	address := ""
	for address == "" && said.Scan() {
		address, _ = strings.CutPrefix(said.Text(), "agents ")
	}
	token := good(t, "caretaker-collector", "token", "create", "--data", data, "--school", schoolName, "--address", address)
	good(t, "caretaker-agent", "enroll", "--state", state, "--token", strings.TrimSpace(token))
	beside(t, "unshare", "--mount", "--propagation", "private", "sh", "-c", inPlace, "sh", dir)

	status := func() agentapp.Status {
		s, err := agentapp.ReadStatus(state, time.Time{}, time.Now())
		must(t, err)
		return s
	}
	until(t, "the report is acknowledged", func() bool { return status().Acknowledged > 0 })
	var d view.DeviceDetail
	until(t, "the report shows", func() bool {
		d = asJSON[view.DeviceDetail](t, good(t, "caretaker-collector", "device", "show", status().Device, "--data", data, "--json"))
		return d.LastReport > 0
	})
	known := 0
	for _, e := range d.Facts.Executables.Items {
		if e.Location == posture.Downloads && e.SHA256.Known() {
			known++
		}
	}
	if e := d.Facts.Executables; e.Absent != posture.None || known < 10 {
		t.Errorf("%d executables are known, %v", known, e.Absent)
	}
	for _, gap := range []posture.Gap{{Source: "home", Absent: posture.Unsupported}, {Source: "home hard links", Absent: posture.NotVisible}} {
		if !slices.Contains(d.Facts.Executables.Gaps, gap) {
			t.Errorf("it does not say %v: %v", gap, d.Facts.Executables.Gaps)
		}
	}
	rest := view.Standing("")
	for _, f := range d.Findings {
		if f.Rule == "EXE-03" && f.Subject.Key == "" {
			rest = f.Standing
		}
	}
	if rest != view.NotProven {
		t.Errorf("of the executables that were not seen it is shown %q", rest)
	}
	if d.Facts.System.Absent != posture.None || d.Facts.Programs.Absent != posture.None || d.Facts.Volumes.Absent != posture.None {
		t.Errorf("of the rest it says: system %v, programs %v, volumes %v", d.Facts.System.Absent, d.Facts.Programs.Absent, d.Facts.Volumes.Absent)
	}
	good(t, "caretaker-collector", "ledger", "verify", "--data", data)
}
