// Package beds holds the slow tests: real kernels, disks and sticks, in guests
// under QEMU, and the agent for Windows under Wine. They run with
// CARETAKER_BEDS=1, which `make beds` sets.
//
// No guest can show what only real hardware has: a TPM and Secure Boot as a
// maker ships them, self-encrypting drives, sticks that fail or lie. Wine is
// not Windows: it has no BitLocker, Security Center or Defender, tells of no
// stick, and lets anyone do anything. Nothing here runs on a Mac.
package beds

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// agent is the released agent, built once for all guests.
var agent struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	if to := os.Getenv(countTo); to != "" {
		if err := count(to, os.Args[1:]); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		return
	}
	status := m.Run()
	if agent.dir != "" {
		_ = os.RemoveAll(agent.dir) // a temporary folder
	}
	if wine.release != nil {
		wine.release()
	}
	os.Exit(status)
}

func agentBinary(t *testing.T) string {
	t.Helper()
	agent.once.Do(func() {
		if agent.dir, agent.err = os.MkdirTemp("", "bed-bin"); agent.err != nil {
			return
		}
		cmd := exec.Command("go", "build", "-trimpath", "-tags", "grpcnotrace", "-o", filepath.Join(agent.dir, "caretaker-agent"), "./agent")
		cmd.Dir = "../../.."
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			agent.err = errors.New(string(out))
		}
	})
	if agent.err != nil {
		t.Fatalf("build the agent: %v", agent.err)
	}
	return filepath.Join(agent.dir, "caretaker-agent")
}

// needBeds skips a test where the beds were not asked for.
func needBeds(t *testing.T) {
	t.Helper()
	if os.Getenv("CARETAKER_BEDS") != "1" {
		t.Skip("this test boots a guest under QEMU: run make beds")
	}
	if os.Geteuid() != 0 {
		t.Fatal("the beds need root on Debian, to build the guest's image")
	}
}

// guest is one boot of a guest that runs a script of the folder scripts.
type guest struct {
	t   *testing.T
	out string // folder that the guest's /bed/out is
}

// newGuest makes the folder that host and guest share.
func newGuest(t *testing.T) *guest {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "out"), 0o755))
	return &guest{t: t, out: filepath.Join(dir, "out")}
}

// run boots it and returns when the script has ended, or with what went wrong.
func (g *guest) run(script string, options ...string) error {
	args := append(options, "-b", agentBinary(g.t), "-o", filepath.Dir(g.out), filepath.Join("scripts", script))
	cmd := exec.CommandContext(g.t.Context(), "./qemu-bed.sh", args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	lines := strings.TrimSpace(said.String())
	if err != nil {
		return errors.New(lines)
	}
	g.t.Log(lines[strings.LastIndexByte(lines, '\n')+1:]) // the timings
	return nil
}

// read returns a file that the guest left.
func (g *guest) read(name string) []byte {
	g.t.Helper()
	data, err := os.ReadFile(filepath.Join(g.out, name))
	must(g.t, err)
	return data
}

// document reads a JSON document that the guest left.
func document[A any](g *guest, name string) A {
	g.t.Helper()
	var v A
	must(g.t, json.Unmarshal(g.read(name), &v))
	return v
}

// cannot says what a bed does not prove.
func cannot(t *testing.T, what string) {
	t.Helper()
	t.Log("this bed cannot prove: " + what)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
