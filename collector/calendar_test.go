package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/collector/fault"
	"github.com/caretaker-school/caretaker/collector/view"
)

const school2026 = `name: Hollybank Primary School, 2026/27
zone: Europe/London
from: 2026-09-01
to: 2027-08-31
terms:
  - {name: Autumn term, from: 2026-09-03, to: 2026-12-18}
closed:
  - {name: Training day, on: 2026-11-02}
`

// TestCalendarCommands sets a calendar at the console, with a slip first, and
// reads it back.
func TestCalendarCommands(t *testing.T) {
	data := t.TempDir()
	file := func(name, text string) string {
		t.Helper()
		name = filepath.Join(data, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	state := filepath.Join(data, "state")
	good, bad := file("good.yaml", school2026), file("bad.yaml", strings.Replace(school2026, "terms", "term", 1))
	if _, err := run("init", "--school", "Hollybank Primary School", "--data", state); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name, words, want string
		fails             bool
	}{
		{"none yet", "calendar show", "there is no term calendar", false},
		{"a slip", "calendar check " + bad, `bad.yaml:5:1: the calendar has no field "term"`, true},
		{"good", "calendar check " + good, "2026-11-02                closed      Training day", false},
		{"a slip is not set", "calendar set " + bad, "", true},
		{"set", "calendar set " + good, "1 September 2026 to 31 August 2027 (Europe/London). Recorded as entry 0.", false},
		{"again", "calendar set " + good, "", true},
		{"known", "calendar show", "2026-12-19 to 2027-08-31  holiday", false},
		{"its text", "calendar show 1", school2026, false},
		{"another's", "calendar show 2", "", true},
		{"no number", "calendar show one", "", true},
	} {
		out, err := run(append(strings.Fields(step.words), "--data", state)...)
		if (err != nil) != step.fails || !strings.Contains(out, step.want) {
			t.Errorf("%s: got %v and %q, want %q", step.name, err, out, step.want)
		}
	}
	out, err := run("calendar", "show", "--json", "--data", state)
	var known view.Calendar
	if err := errors.Join(err, json.Unmarshal([]byte(out), &known)); err != nil || len(known.History) != 1 || known.History[0].Source != school2026 {
		t.Errorf("as JSON: %v and %s", err, out)
	}
	out, err = run("calendar", "check", bad, "--json", "--data", state)
	var problems []fault.Fault
	if jsonErr := json.Unmarshal([]byte(out), &problems); !errors.Is(err, errBad) || jsonErr != nil || len(problems) == 0 || problems[0].Line == 0 {
		t.Errorf("problems as JSON: %v, %v and %s", err, jsonErr, out)
	}
	if out, err := run("calendar", "check", good, "--json", "--data", state); err != nil || strings.TrimSpace(out) != "[]" {
		t.Errorf("no problems as JSON: %v and %s", err, out)
	}
}
