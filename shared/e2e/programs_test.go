package e2e

import (
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/caretaker-school/caretaker/shared/tools/faults/exchange"
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
			// Building them takes most of the time of a single test on a busy machine:
			// those that are built already can be named.
			if built := os.Getenv("CARETAKER_PROGRAMS"); built != "" {
				name := "caretaker-" + p
				data, err := os.ReadFile(filepath.Join(built, name))
				if programs.err = cmp.Or(err, os.WriteFile(filepath.Join(programs.dir, name), data, 0o755)); programs.err != nil {
					return
				}
				continue
			}
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

// command runs a program to its end.
func command(t *testing.T, name string, args ...string) exchange.Outcome {
	t.Helper()
	o, err := exchange.Command(t.Context(), program(t, name), args...)
	must(t, err)
	return o
}

// good is command for one that must succeed; it returns what it printed.
func good(t *testing.T, name string, args ...string) string {
	t.Helper()
	o := command(t, name, args...)
	if o.Status != 0 {
		t.Fatalf("%s %v: status %d: %s%s", name, args, o.Status, o.Stdout, o.Stderr)
	}
	return o.Stdout
}

// asJSON reads the one document that a command printed.
func asJSON[A any](t *testing.T, text string) A {
	t.Helper()
	var v A
	must(t, json.Unmarshal([]byte(text), &v))
	return v
}
