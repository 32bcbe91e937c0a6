package beds

import (
	"os"
	"strings"
	"syscall"
	"testing"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
)

// The states of a service, as Windows numbers them.
const (
	stopped = "1"
	running = "4"
)

// serviceState returns the state of the agent's service.
func (w *windows) serviceState() string {
	w.t.Helper()
	for line := range strings.Lines(w.does("sc", "query", "caretaker-agent")) {
		if name, rest, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "STATE" {
			return strings.Fields(rest)[0]
		}
	}
	w.t.Fatal("Windows tells no state of the service")
	return ""
}

// TestTheServiceUnderWine: the agent is installed, started and stopped as a
// service, and goes on where it was killed.
func TestTheServiceUnderWine(t *testing.T) {
	w := newWindows(t)
	cannot(t, "that Windows starts the service again after a failure: Wine keeps the setting and does nothing")
	cannot(t, "the account LocalSystem, the privileges that it keeps, and who may read the state folder")
	w.settled()
	h := w.newHost()
	w.enrols(h)
	program, err := os.ReadFile(here(w.agent()))
	must(t, err)
	must(t, os.MkdirAll(w.drive(`Program Files\Caretaker`), 0o755))
	must(t, os.WriteFile(w.drive(`Program Files\Caretaker\caretaker-agent.exe`), program, 0o755))
	const agent = `C:\Program Files\Caretaker\caretaker-agent.exe`
	t.Logf("installing says: %s", w.does(agent, "service", "install"))
	w.does("sc", "start", "caretaker-agent")
	h.until("the service runs", func() bool { return w.serviceState() == running })
	h.until("its first report", func() bool { return h.shown().LastReport > 0 })
	first := h.shown().LastReport

	w.does("sc", "stop", "caretaker-agent")
	h.until("the service has stopped", func() bool { return w.serviceState() == stopped })
	if left := w.agents(); len(left) > 0 {
		t.Errorf("the service has stopped, and %d of its processes run", len(left))
	}

	w.installs("Atlas of Wales", "2.0")
	w.does("sc", "start", "caretaker-agent")
	h.until("it reports again", func() bool { return h.hasProgram("Atlas of Wales", "2.0") })
	for _, pid := range w.agents() {
		_ = syscall.Kill(pid, syscall.SIGKILL) // a child may have ended
	}
	h.until("Windows notices", func() bool { return w.serviceState() == stopped })
	w.installs("Atlas of Ireland", "2.0")
	w.does("sc", "start", "caretaker-agent")
	h.until("it goes on", func() bool { return h.hasProgram("Atlas of Ireland", "2.0") })
	d := h.shown()
	if len(d.Gaps) > 0 || d.LastReport <= first {
		t.Errorf("after report %d comes %d, with the gaps %+v", first, d.LastReport, d.Gaps)
	}
	if r := ask[collectorapp.LedgerReport](h, "ledger.verify", collectorapp.LedgerArguments{}); !r.Good {
		t.Errorf("the ledger is not good: %s", r.Trouble)
	}

	w.does(agent, "service", "remove")
	if a := w.tries("sc", "query", "caretaker-agent"); a.status == 0 {
		t.Errorf("the service was removed, and Windows has it: %s", a.stdout)
	}
	if left := w.agents(); len(left) > 0 {
		t.Errorf("the service was removed, and %d of its processes run", len(left))
	}
}
