package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// programs are the two programs as they are released, built once.
var programs struct {
	once sync.Once
	dir  string
	err  error
}

// program returns the path of caretaker-agent or caretaker-collector.
func program(t *testing.T, name string) string {
	t.Helper()
	programs.once.Do(func() {
		if programs.dir, programs.err = os.MkdirTemp("", "e2e-bin"); programs.err != nil {
			return
		}
		for _, p := range []string{"agent", "collector"} {
			cmd := exec.Command("go", "build", "-trimpath", "-tags", "grpcnotrace", "-o", filepath.Join(programs.dir, "caretaker-"+p), "./"+p)
			cmd.Dir = "../.."
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := cmd.CombinedOutput(); err != nil {
				programs.err = errors.New(string(out))
				return
			}
		}
		programs.err = os.Chmod(programs.dir, 0o755)
	})
	if programs.err != nil {
		t.Fatalf("build the programs: %v", programs.err)
	}
	return filepath.Join(programs.dir, name)
}

// outcome is what a command printed and how it ended.
type outcome struct {
	stdout, stderr string
	status         int
}

// command runs a program to its end.
func command(t *testing.T, name string, args ...string) outcome {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t, name), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s %v: %v", name, args, err)
	}
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// good is command for one that must succeed; it returns what it printed.
func good(t *testing.T, name string, args ...string) string {
	t.Helper()
	o := command(t, name, args...)
	if o.status != 0 {
		t.Fatalf("%s %v: status %d: %s%s", name, args, o.status, o.stdout, o.stderr)
	}
	return o.stdout
}

// asJSON reads the one document that a command printed.
func asJSON[A any](t *testing.T, text string) A {
	t.Helper()
	var v A
	must(t, json.Unmarshal([]byte(text), &v))
	return v
}

// process is a program that runs beside the test and can be killed.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  chan string // of standard output
	stderr *lines
	gone   chan struct{} // closed at its end
	ended  func() error  // waits for its end
}

func run(t *testing.T, path string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(path, args...), lines: make(chan string, 64), stderr: &lines{t: t}, gone: make(chan struct{})}
	p.cmd.Stderr = p.stderr
	out, err := p.cmd.StdoutPipe()
	must(t, err)
	must(t, p.cmd.Start())
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	ended := make(chan error, 1)
	go func() {
		<-read
		ended <- p.cmd.Wait()
		close(p.gone)
	}()
	p.ended = sync.OnceValue(func() error { return <-ended })
	t.Cleanup(p.kill)
	return p
}

// kill ends it as a power cut would: without a word.
func (p *process) kill() {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("kill %s: %v", p.cmd.Path, err)
	}
	_ = p.ended() // killed is how it ends
}

// says waits for a line that begins so, and returns the rest of it.
func (p *process) says(begin string) string {
	p.t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("%s ended before it said %q", p.cmd.Path, begin)
			}
			if rest, ok := strings.CutPrefix(line, begin); ok {
				return rest
			}
		case <-end.C:
			p.t.Fatalf("%s did not say %q", p.cmd.Path, begin)
		}
	}
}

// serve starts the released collector on a folder, at an address for laptops.
func serve(t *testing.T, data, agents string) (*process, string) {
	t.Helper()
	p := run(t, program(t, "caretaker-collector"), "serve", "--data", data, "--agents", agents, "--web", "127.0.0.1:0")
	address := p.says("agents ")
	p.says("web ")
	return p, address
}
