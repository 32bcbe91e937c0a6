package app

import (
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/agent/spool"
)

// A full spool that empties is written of now and then, and once it is empty.
func TestStatusIsWrittenSeldomWhileTheSpoolEmpties(t *testing.T) {
	l := newLaptop(t)
	left := 3_000
	l.inbox.waiting = func() int { return left }
	l.inbox.report(func(r *running) { r.Waiting = left })
	written := func() running {
		t.Helper()
		var r running
		_, err := l.state.load(statusFile, &r)
		must(t, err)
		return r
	}
	acknowledge := func(sequence uint64) {
		t.Helper()
		left--
		must(t, l.inbox.Acknowledged(spool.Position{Sequence: sequence}))
	}
	acknowledge(1)
	if got := written(); got.Acknowledged != 0 {
		t.Errorf("it was written at once that report %d was acknowledged", got.Acknowledged)
	}
	l.clock.Advance(sayAgain)
	acknowledge(2)
	if got := written(); got.Acknowledged != 2 || got.Waiting != left {
		t.Errorf("after a while it says that %d was acknowledged and %d wait", got.Acknowledged, got.Waiting)
	}
	l.clock.Advance(-time.Hour)
	acknowledge(3)
	if got := written(); got.Acknowledged != 3 {
		t.Errorf("after the clock was set back it says that %d was acknowledged", got.Acknowledged)
	}
	left = 1
	acknowledge(4)
	if got := written(); got.Acknowledged != 4 || got.Waiting != 0 {
		t.Errorf("at the end it says that %d was acknowledged and %d wait", got.Acknowledged, got.Waiting)
	}
}
