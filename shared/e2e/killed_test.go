package e2e

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/shared/clock"
)

// kills is how often each side is killed.
const kills = 3

// exchange is both programs as processes with a network between, talking.
type exchange struct {
	t                    *testing.T
	data, state, machine string
	network              *link
	collector, agent     *process
	random               *rand.Rand
	turn                 int
}

func newExchange(t *testing.T) *exchange {
	t.Helper()
	return newExchangeIn(t, openDir(t))
}

func newExchangeIn(t *testing.T, dir string) *exchange {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("the moments are those of seed %d", seed)
	x := &exchange{
		t: t, data: filepath.Join(dir, "data"), state: filepath.Join(dir, "state"), machine: filepath.Join(dir, "machine"),
		random: rand.New(rand.NewPCG(seed, 0)),
	}
	good(t, "caretaker-collector", "init", "--data", x.data, "--school", schoolName)
	var address string
	x.collector, address = serve(t, x.data, "127.0.0.1:0")
	x.network = newLink(t, address)
	token := good(t, "caretaker-collector", "token", "create", "--data", x.data, "--school", schoolName, "--address", x.network.address())
	good(t, "caretaker-agent", "enroll", "--state", x.state, "--token", strings.TrimSpace(token))
	must(t, os.Mkdir(x.machine, 0o755))
	x.change()
	x.startAgent()
	until(t, "the first report is acknowledged", func() bool { return x.status().Acknowledged > 0 })
	return x
}

// startAgent starts the agent. The child of one that was just killed may hold
// the state folder for a moment longer: then it is started again, as a system's
// service manager would.
func (x *exchange) startAgent() {
	self, err := os.Executable()
	must(x.t, err)
	x.agent = run(x.t, self, agentProcess, x.state, x.machine)
}

func (x *exchange) startCollector() {
	var address string
	x.collector, address = serve(x.t, x.data, "127.0.0.1:0")
	x.network.mend(address)
}

func (x *exchange) status() agentapp.Status {
	x.t.Helper()
	s, err := agentapp.ReadStatus(x.state, time.Time{}, time.Now())
	must(x.t, err)
	return s
}

// change makes the laptop another one, so that there is something to report.
func (x *exchange) change() {
	machines := []string{"plain-laptop", "plain-laptop-with-stick", "encrypted-laptop"}
	become(x.t, x.machine, machines[x.turn%len(machines)])
	x.turn++
}

// talk changes the laptop and has it report, until the given moment after.
func (x *exchange) talk(moment time.Duration) {
	x.t.Helper()
	x.change()
	until(x.t, "the agent is connected", func() bool {
		select {
		case <-x.agent.gone:
			x.startAgent()
		default:
		}
		return collectorapp.Do(x.t.Context(), x.data, "device.assess", collectorapp.ListArguments{Device: x.status().Device}, new(collectorapp.AssessAnswer), clock.System{}) == nil
	})
	<-time.After(moment)
}

// moment chooses one at which the exchange runs: an assessment takes about as
// long as the longest.
func (x *exchange) moment() time.Duration {
	return time.Duration(x.random.Int64N(int64(1500 * time.Millisecond)))
}

// settled waits until the laptop's last change is acknowledged, and returns how
// many reports were.
func (x *exchange) settled() uint64 {
	x.t.Helper()
	// A laptop that is again what it last reported has nothing new to report.
	for before := x.status(); x.status().Acknowledged <= before.Acknowledged; {
		assessed := x.status().AssessedAt
		x.talk(0)
		until(x.t, "the laptop has assessed itself and all is acknowledged", func() bool {
			s := x.status()
			return s.AssessedAt.After(assessed) && s.Waiting == 0 && s.ReportedAt.After(assessed)
		})
	}
	return x.status().Acknowledged
}

// once checks that the ledger has each acknowledged report exactly once, that
// it is good, and that the view is what a rebuild makes of it.
func (x *exchange) once(acknowledged uint64) {
	x.t.Helper()
	x.agent.kill()
	device := x.status().Device
	times := map[uint64]int{}
	var last uint64
	for _, e := range asJSON[[]collectorapp.EntryView](x.t, good(x.t, "caretaker-collector", "ledger", "show", "--data", x.data, "--count", "10000", "--json")) {
		switch {
		case e.Kind == "report" && e.Subject == device:
			if times[e.Sequence]++; e.Sequence != last+1 {
				x.t.Errorf("entry %d is report %d, after %d", e.Index, e.Sequence, last)
			}
			last = e.Sequence
		case e.Kind == "gap":
			x.t.Errorf("entry %d says that reports are missing", e.Index)
		}
	}
	if last < acknowledged {
		x.t.Errorf("the ledger ends with report %d, and %d was acknowledged", last, acknowledged)
	}
	for sequence := uint64(1); sequence <= last; sequence++ {
		if times[sequence] != 1 {
			x.t.Errorf("report %d is in the ledger %d times", sequence, times[sequence])
		}
	}
	good(x.t, "caretaker-collector", "ledger", "verify", "--data", x.data)
	x.collector.kill()
	followed := viewOf(x.t, x.data, device)
	good(x.t, "caretaker-collector", "view", "rebuild", "--data", x.data)
	for what, rebuilt := range viewOf(x.t, x.data, device) {
		if rebuilt != followed[what] {
			x.t.Errorf("rebuilt, %s is\n%s\nand was\n%s", what, rebuilt, followed[what])
		}
	}
}

// viewOf is all that the command line shows of the view.
func viewOf(t *testing.T, data, device string) map[string]string {
	t.Helper()
	shown := map[string]string{}
	for what, args := range map[string][]string{
		"the list of devices":  {"device", "list"},
		"the device":           {"device", "show", device},
		"the list of breaches": {"breach", "list"},
	} {
		shown[what] = good(t, "caretaker-collector", append(args, "--data", data, "--json")...)
	}
	return shown
}

func TestAKilledAgentLosesAndRepeatsNothing(t *testing.T) {
	x := newExchange(t)
	for range kills {
		x.talk(x.moment())
		x.agent.kill()
		x.startAgent()
	}
	x.once(x.settled())
}

func TestAKilledCollectorLosesAndRepeatsNothing(t *testing.T) {
	x := newExchange(t)
	for range kills {
		x.talk(x.moment())
		x.collector.kill()
		acknowledged := x.status().Acknowledged
		x.startCollector()
		until(t, "the collector has what it acknowledged", func() bool { return x.status().Acknowledged >= acknowledged })
	}
	x.once(x.settled())
}

func TestBothKilledOverASlowNetworkLoseAndRepeatNothing(t *testing.T) {
	x := newExchange(t)
	x.network.slow(20 * time.Millisecond)
	for range kills {
		x.talk(x.moment())
		x.collector.kill()
		x.agent.kill()
		x.startCollector()
		x.startAgent()
	}
	x.network.slow(0)
	x.once(x.settled())
}
