package exchange

import (
	"testing"
	"time"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
)

// TestALookAtDisksAloneDoesNotSettle: a laptop whose programs were changed has
// looked at its disks since, and the collector has that nothing changed there.
func TestALookAtDisksAloneDoesNotSettle(t *testing.T) {
	talked := time.Date(2026, 9, 7, 8, 0, 0, 0, time.UTC)
	x := &Exchange{agent: &Process{began: talked.Add(-time.Minute)}, talked: talked, before: 15}
	soon := talked.Add(time.Second)
	s := agentapp.Status{Connected: true, AssessedAt: soon, ReportedAt: soon, Acknowledged: 15}
	if x.settled(s) {
		t.Error("it is settled before anything new is acknowledged")
	}
	s.Acknowledged = 16
	if !x.settled(s) {
		t.Error("it is not settled when the report is acknowledged")
	}
}
