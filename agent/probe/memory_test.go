package probe

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/agent/system"
)

func TestRecall(t *testing.T) {
	m, asked, inputs := &Memory{}, 0, "a"
	var unread, failing error
	at := time.Date(2026, 11, 23, 8, 5, 0, 0, time.UTC)
	get := func() (int, error) {
		return recall(m, "apt", at, func() (string, error) { return inputs, unread }, func() (int, error) { asked++; return asked, failing })
	}
	for _, step := range []struct {
		name   string
		change func()
		want   int // what is answered, which is how often it was asked by then
	}{
		{"first", func() {}, 1},
		{"unchanged", func() { at = at.Add(time.Hour) }, 1},
		{"carried as JSON", func() {
			data, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			m = new(Memory)
			if err := json.Unmarshal(data, m); err != nil {
				t.Fatal(err)
			}
		}, 1},
		{"changed", func() { inputs = "b" }, 2},
		{"changed back", func() { inputs = "a" }, 3},
		{"too old", func() { at = at.Add(rememberFor) }, 4},
		{"clock set back", func() { at = at.Add(-time.Hour) }, 5},
		{"inputs unknown", func() { unread = errors.New("denied") }, 6},
		{"inputs known again", func() { unread = nil }, 7},
		{"unchanged again", func() {}, 7},
		{"damaged", func() { m.Answers["apt"] = remembered{Inputs: "a", At: at, Answer: []byte(`"no"`)} }, 8},
		{"no memory", func() { m = nil }, 9},
	} {
		step.change()
		if got, err := get(); err != nil || got != step.want {
			t.Errorf("%s: got %d, %v, want %d", step.name, got, err, step.want)
		}
	}
	m, failing = &Memory{}, errors.New("it did not answer")
	if _, err := get(); err == nil || len(m.Answers) != 0 {
		t.Errorf("a failure was remembered: %v", m.Answers)
	}
	failing = nil
	changing := 0
	if _, err := recall(m, "apt", at, func() (string, error) { changing++; return string(rune('a' + changing)), nil }, func() (int, error) { return 1, nil }); err != nil || len(m.Answers) != 0 {
		t.Errorf("an answer whose inputs changed meanwhile was remembered: %v", m.Answers)
	}
}

func TestFingerprint(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string, at int64) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Unix(at, 0), time.Unix(at, 0)); err != nil {
			t.Fatal(err)
		}
	}
	sys := system.New(root)
	seen := map[string]string{}
	look := func(name string) string {
		t.Helper()
		sum, err := fingerprint(context.Background(), sys, "/status", "/lists", "/none")
		if err != nil {
			t.Skipf("this system cannot be read here: %v", err)
		}
		if before, ok := seen[sum]; ok && before != name {
			t.Errorf("%s looks like %s", name, before)
		}
		seen[sum] = name
		return sum
	}
	first := look("nothing there")
	if again := look("nothing there"); again != first {
		t.Error("the same looks different")
	}
	write("status", "one", 1)
	look("a file")
	write("status", "two", 2)
	look("written anew")
	write("lists/a_Packages", "", 1)
	look("a folder")
	write("lists/a_Packages", "", 3)
	look("a file in the folder written anew")
	write("none", "", 1)
	look("a file that was not there")
}

// A program that prints its version is not started again while nothing is
// installed; one that failed is.
func TestSettledCommandsAreRemembered(t *testing.T) {
	root := t.TempDir()
	c := &answering{Reader: system.New(root), out: system.Output{Stdout: []byte("ClamAV 1.4.3\n")}}
	if _, err := fingerprint(t.Context(), c, dpkgStatus); err != nil {
		t.Skipf("this system cannot be read here: %v", err)
	}
	m := &Memory{}
	now := time.Date(2026, 11, 23, 8, 5, 0, 0, time.UTC)
	run := func(name string, command system.Command, want int) {
		t.Helper()
		out, err := remembering{c, m, now}.Run(t.Context(), command)
		if err != nil || string(out.Stdout) != string(c.out.Stdout) || out.Exit != c.out.Exit {
			t.Errorf("%s: got %v, %v, want %v", name, out, err, c.out)
		}
		if c.ran != want {
			t.Errorf("%s: started %d times, want %d", name, c.ran, want)
		}
	}
	run("first", system.ClamscanVersion, 1)
	run("again", system.ClamscanVersion, 1)
	run("another", system.ClamdVersion, 2)
	run("one that must be asked", system.NFTRuleset, 3)
	run("and again", system.NFTRuleset, 4)
	if err := os.MkdirAll(filepath.Join(root, "var/lib/dpkg"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, dpkgStatus), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	run("after something was installed", system.ClamscanVersion, 5)
	now = now.Add(rememberFor)
	c.out.Exit = 2
	run("failed", system.ClamscanVersion, 6)
	run("failed again", system.ClamscanVersion, 7)
}

// answering is a Reader whose commands all say the same.
type answering struct {
	system.Reader
	out system.Output
	ran int
}

func (a *answering) Run(context.Context, system.Command) (system.Output, error) {
	a.ran++
	return a.out, nil
}
