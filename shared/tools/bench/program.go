package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// program is one that runs beside this.
type program struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner // its standard output
	log   *os.File       // its standard error
}

// launch starts a program. Its standard error goes to a file in dir.
func launch(ctx context.Context, dir, name string, args ...string) (*program, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	log, err := os.Create(filepath.Join(dir, filepath.Base(name)+".log"))
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	cmd.Stderr = log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), log.Close())
	}
	return &program{cmd: cmd, stdin: stdin, lines: bufio.NewScanner(stdout), log: log}, nil
}

func (p *program) pid() int { return p.cmd.Process.Pid }

// line waits for the next line of its output.
func (p *program) line() (string, error) {
	if p.lines.Scan() {
		return p.lines.Text(), nil
	}
	words, err := os.ReadFile(p.log.Name())
	return "", errors.Join(fmt.Errorf("%s ended early: %.2000s", p.cmd.Path, words), err, p.lines.Err())
}

// stop asks it to end and waits until it has.
func (p *program) stop() (*os.ProcessState, error) {
	err := p.cmd.Process.Signal(syscall.SIGTERM)
	return p.wait(err)
}

// leave tells it, by the end of its standard input, that nobody needs it.
func (p *program) leave() (*os.ProcessState, error) { return p.wait(p.stdin.Close()) }

func (p *program) wait(err error) (*os.ProcessState, error) {
	for p.lines.Scan() { // what it still says is read and dropped, or it could not end
	}
	waited := p.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(waited, &exit) && !exit.Exited() {
		waited = nil // by our signal
	}
	return p.cmd.ProcessState, errors.Join(err, waited, p.log.Close())
}

// call runs a program to its end and returns what it printed.
func call(ctx context.Context, name string, args ...string) (string, *os.ProcessState, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var words bytes.Buffer
	cmd.Stderr = &words
	out, err := cmd.Output()
	if err != nil {
		return "", nil, fmt.Errorf("run %s %s: %w: %.2000s", filepath.Base(name), strings.Join(args[:min(len(args), 3)], " "), err, words.String())
	}
	return string(out), cmd.ProcessState, nil
}

// callJSON runs a program to its end and decodes what it printed.
func callJSON(ctx context.Context, into any, name string, args ...string) error {
	out, _, err := call(ctx, name, args...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		return fmt.Errorf("read what %s printed: %w", filepath.Base(name), err)
	}
	return nil
}
