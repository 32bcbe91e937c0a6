// Package systemtest helps tests to read machines that are not there: recorded
// ones, and ones that fail at a chosen point.
//
// It never reads the machine the test runs on.
package systemtest

import (
	"testing"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Load opens the recorded machine in a folder, such as testdata/luks/debian-12.
func Load(t testing.TB, dir string) *system.Replay {
	t.Helper()
	r, err := system.OpenReplay(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Replay makes a machine of readings written down in a test, one a line, as in
// reads.jsonl.
func Replay(t testing.TB, on posture.Platform, reads string) *system.Replay {
	t.Helper()
	head := `{"format":1,"platform":"` + string(on) + `","recordedAt":"2026-11-20T12:00:00Z"}`
	r, err := system.NewReplay([]byte(head), []byte(reads))
	if err != nil {
		t.Fatal(err)
	}
	return r
}
