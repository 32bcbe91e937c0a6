package beds

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	"github.com/caretaker-school/caretaker/shared/tools/faults/exchange"
)

// laptopMoment bounds how many bytes a laptop sends before a reset: it sends
// some 6,000 each time that its agent is started.
const laptopMoment = 25_000

// TestAResetLaptopLosesAndRepeatsNothing: an agent whose machine is reset in
// the middle of what it says goes on with its chain of reports, each recorded
// once. In the end the laptop's clock is set back by a year, for real.
func TestAResetLaptopLosesAndRepeatsNothing(t *testing.T) {
	needBeds(t)
	cannot(t, "what a disk does that says it has written and has not")
	m := newMachine(t, "agent.sh")
	collector := built(t, m.dir, "collector")
	record := &exchange.Record{Collector: collector, Data: filepath.Join(m.dir, "data")}
	road := newRoad(t)
	_, err := exchange.Good(t.Context(), collector, "init", "--data", record.Data, "--school", exchange.School)
	must(t, err)
	stop := serve(t, collector, record.Data, road)
	_, port, _ := strings.Cut(road.Address(), ":")
	token, err := exchange.Good(t.Context(), collector, "token", "create", "--data", record.Data, "--address", "10.0.2.100:"+port)
	must(t, err)
	m.options = []string{"-u", "-b", agentBinary(t), "-p", port, "-e", "TOKEN=" + strings.TrimSpace(token)}

	for n := range resets(t) {
		began := time.Now()
		m.boot(n)
		happened := make(chan error, 1)
		at := m.random.Int64N(laptopMoment)
		road.After(exchange.Up, at, func() { happened <- m.reset() })
		m.until("the moment came", func() bool { return len(happened) > 0 })
		must(t, <-happened)
		m.gone()
		good(t, record.Grown, nil)
		t.Logf("reset %d at byte %d, with %d reports recorded, %.0f s after the guest began to boot", n+1, at, sum(record.Last()), time.Since(began).Seconds())
	}
	m.boot(resets(t))
	m.knows(record)
	m.awaits("reported")
	m.tell("enough")
	m.turnsBack()
	last := m.status("status.json")
	must(t, <-m.ended)
	stop()
	if last.Waiting != 0 || last.Dropped != 0 {
		t.Errorf("%d statements wait, and %d were dropped", last.Waiting, last.Dropped)
	}
	good(t, record.Whole, map[string]uint64{last.Device: last.Acknowledged})
	if last.Acknowledged < 3 { // at the boot after the last reset, before its clock was set back, and after
		t.Errorf("%d reports are acknowledged: the laptop had nothing to say", last.Acknowledged)
	}
}

// knows checks that the laptop knows of no report that is not recorded.
func (m *machine) knows(record *exchange.Record) {
	m.t.Helper()
	found := m.status("found.json")
	good(m.t, record.Grown, map[string]uint64{found.Device: found.Acknowledged})
}

func (m *machine) status(name string) (s agentapp.Status) {
	m.t.Helper()
	must(m.t, json.Unmarshal(m.awaits(name), &s))
	return s
}

// turnsBack has the guest's clock set back by a year while its agent runs, and
// looks for the words that say so.
func (m *machine) turnsBack() {
	m.t.Helper()
	m.awaits("clock")
	m.tell("year")
	m.awaits("back")
	m.tell("seen")
	m.awaits("status.json")
	text := string(m.awaits("status.txt"))
	if !strings.Contains(text, "days behind the collector's") { // a busy guest's own clock runs fast
		m.t.Errorf("the agent does not say that its clock is wrong:\n%s", text)
	}
	if log := m.log("agent.log"); !strings.Contains(log, "the clocks of this device and of the collector differ") {
		m.t.Errorf("the agent's log does not say that its clock is wrong:\n%s", log)
	}
}
