package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestS3OfTheBinaries gives the released agent a laptop with a real game in a
// real folder: it is found by its hash, the file stays as it is, neither its path
// nor whose it is was stored by either program, and another user of the laptop
// reads what the school sees without any right.
func TestS3OfTheBinaries(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a laptop of its own can only be had by root")
	}
	dir := openDir(t)
	content, sum := game()
	saved := filepath.Join(dir, "home", teacher, "Downloads", "for the staff party.exe")
	must(t, os.MkdirAll(filepath.Dir(saved), 0o755))
	must(t, os.WriteFile(saved, content, 0o644))
	before, err := os.Stat(saved)
	must(t, err)
	passwd, err := os.ReadFile("/etc/passwd")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "passwd"), append([]byte(teacher+":x:1000:1000:Zuleika Plumtree:/home/"+teacher+":/bin/bash\n"), passwd...), 0o644))
	must(t, os.Link(program(t, "caretaker-agent"), filepath.Join(dir, "agent")))

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
	var found view.Finding
	until(t, "the game shows", func() bool {
		if status().Acknowledged == 0 {
			return false
		}
		d := asJSON[view.DeviceDetail](t, good(t, "caretaker-collector", "device", "show", status().Device, "--data", data, "--json"))
		for _, f := range d.Findings {
			if f.Rule == "EXE-03" && f.Result == posture.Fail && f.Subject.Key == "downloads:"+sum {
				found = f
			}
		}
		return found.Rule != ""
	})
	if !strings.Contains(found.Message, "Moonshot Racer") || !strings.Contains(found.Message, "Nobody signed it") {
		t.Errorf("found: %s", found.Message)
	}

	// Nothing is deleted: the file is there and unchanged.
	after, err := os.Stat(saved)
	must(t, err)
	if now, err := os.ReadFile(saved); err != nil || !bytes.Equal(now, content) || !after.ModTime().Equal(before.ModTime()) || after.Mode() != before.Mode() {
		t.Errorf("the file was changed: %v", err)
	}
	all := bytes.ToLower(stored(t, data, state))
	for _, planted := range []string{teacher, "plumtree", "staff party"} {
		if bytes.Contains(all, []byte(planted)) {
			t.Errorf("%q was stored", planted)
		}
	}

	// Anybody who sits there may read it.
	cmd := exec.CommandContext(t.Context(), program(t, "caretaker-agent"), "status", "--state", state)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	told, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(told, []byte("What the school can see about this laptop")) || !bytes.Contains(told, []byte("Moonshot Racer")) {
		t.Errorf("an ordinary user reads: %v\n%s", err, told)
	}
}
