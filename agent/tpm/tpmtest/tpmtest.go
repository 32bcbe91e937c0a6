//go:build linux

// Package tpmtest runs a real TPM in software, swtpm, for tests. It never touches
// the computer's own.
package tpmtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/caretaker-school/caretaker/agent/tpm"
)

// Software is a TPM in software.
type Software struct {
	t     testing.TB
	state string
	dir   string // of its socket: names of sockets are short
	cmd   *exec.Cmd
}

// New makes a TPM and starts it. It ends with the test.
func New(t testing.TB) *Software {
	t.Helper()
	if _, err := exec.LookPath("swtpm"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no swtpm: apt-get install swtpm")
		}
		t.Skip("there is no swtpm: apt-get install swtpm")
	}
	dir, err := os.MkdirTemp("", "tpm")
	if err != nil {
		t.Fatal(err)
	}
	s := &Software{t: t, state: t.TempDir(), dir: dir}
	t.Cleanup(func() {
		s.Stop()
		_ = os.RemoveAll(dir)
	})
	s.Start()
	return s
}

func (s *Software) socket() string { return filepath.Join(s.dir, "s") }

func (s *Software) dial() (net.Conn, error) {
	return (&net.Dialer{}).DialContext(context.Background(), "unix", s.socket())
}

// Start switches it on.
func (s *Software) Start() {
	s.t.Helper()
	s.cmd = exec.CommandContext(context.Background(), "swtpm", "socket", "--tpm2", "--tpmstate", "dir="+s.state, "--server", "type=unixio,path="+s.socket(), "--flags", "not-need-init,startup-clear")
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said bytes.Buffer
	s.cmd.Stderr = &said
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for {
		c, err := s.dial()
		if err == nil {
			_ = c.Close()
			return
		}
		if _, err := os.Stat(fmt.Sprintf("/proc/%d/exe", s.cmd.Process.Pid)); err != nil {
			_ = s.cmd.Wait()
			s.t.Fatalf("swtpm ended: %v: %s", err, said.String())
		}
		runtime.Gosched() // it tells nobody when it is ready
	}
}

// Stop switches it off.
func (s *Software) Stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
	_ = os.Remove(s.socket())
}

// TPM returns it as the agent opens it.
func (s *Software) TPM() *tpm.TPM {
	return &tpm.TPM{Open: func() (io.ReadWriteCloser, error) { return s.dial() }}
}
