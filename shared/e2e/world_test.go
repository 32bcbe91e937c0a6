// Package e2e tells whole stories: both programs, real TLS, real disks, and a
// clock that the test drives. Stories that need processes which can be killed
// run the programs themselves. It is tests only.
package e2e

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/proof"
)

const schoolName = "Hollybank Primary School"

// monday is when the stories begin: the first morning of a term.
var monday = time.Date(2027, 1, 11, 8, 5, 0, 0, time.UTC)

// world is one school day: a collector's folder and a clock for everybody.
type world struct {
	t     *testing.T
	clock *clocktest.Driven
	dir   string // short, since sockets lie below it, and open to the children's user
	data  string // the collector's folder
}

// newWorld makes a world with one school in it and no collector running.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := emptyWorld(t)
	must(t, w.do("init", collectorapp.InitArguments{School: schoolName}, new(collectorapp.InitAnswer)))
	return w
}

func emptyWorld(t *testing.T) *world {
	t.Helper()
	dir := openDir(t)
	return &world{t: t, clock: clocktest.NewDriven(monday), dir: dir, data: filepath.Join(dir, "data")}
}

// openDir makes a folder with a short path that every user may enter: the
// children read recorded machines as a user with few rights.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e")
	must(t, err)
	must(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

// do carries out an operation of the collector's command line.
func (w *world) do(operation string, arguments, answer any) error {
	return collectorapp.Do(w.t.Context(), w.data, operation, arguments, answer, w.clock)
}

// ask is do for an operation that must succeed.
func ask[A any](w *world, operation string, arguments any) A {
	w.t.Helper()
	var answer A
	if err := w.do(operation, arguments, &answer); err != nil {
		w.t.Fatalf("%s: %v", operation, err)
	}
	return answer
}

// part is a program that runs in this process.
type part struct {
	stop func() error // ends it and returns how it ended
}

// start runs a program until it is stopped or the test ends.
func start(t *testing.T, run func(context.Context) error) *part {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	p := &part{stop: sync.OnceValue(func() error {
		cancel()
		return <-ended
	})}
	t.Cleanup(func() {
		if err := p.stop(); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with: %v", err)
		}
	})
	return p
}

// collector is a collector that runs in this process.
type collector struct {
	*part
	agents string // address for laptops
	web    string // URL of the pages
}

// collect starts a collector and returns when it is ready.
func (w *world) collect() *collector {
	w.t.Helper()
	return w.collectBy(w.clock)
}

// collectBy is collect for a collector with a clock of its own, or with other
// settings.
func (w *world) collectBy(clk clock.Clock, settings ...func(*collectorapp.Config)) *collector {
	w.t.Helper()
	c := &collector{}
	ready, failed := make(chan struct{}), make(chan error, 1)
	c.part = start(w.t, func(ctx context.Context) error {
		config := collectorapp.Config{
			Data: w.data, Agents: "127.0.0.1:0", Web: "127.0.0.1:0", Log: logTo(w.t, "collector"),
			Ready: func(agents, web string) {
				c.agents, c.web = agents, web
				close(ready)
			},
		}
		for _, set := range settings {
			set(&config)
		}
		err := collectorapp.Run(ctx, config, clk)
		failed <- err
		return err
	})
	select {
	case <-ready:
	case err := <-failed:
		w.t.Fatalf("the collector did not start: %v", err)
	}
	return c
}

// laptop is an enrolled laptop. What it is like is a recorded machine that can
// be changed under it.
type laptop struct {
	*part
	w       *world
	device  string
	state   string
	machine string // folder
}

// laptop enrols a laptop over the given address and starts its agent.
func (w *world) laptop(name, machine, address string) *laptop {
	w.t.Helper()
	l := w.unstarted(name, machine, address)
	l.run()
	return l
}

// unstarted enrols a laptop and does not start its agent.
func (w *world) unstarted(name, machine, address string) *laptop {
	w.t.Helper()
	l := w.newMachine(name, machine)
	token := ask[collectorapp.TokenAnswer](w, "token.create", tokenFor(address))
	id, err := agentapp.Enroll(w.t.Context(), agentapp.EnrollConfig{State: l.state, Token: token.Token}, w.clock)
	must(w.t, err)
	l.device = string(id.Device)
	return l
}

// newMachine is a laptop that nobody has enrolled yet.
func (w *world) newMachine(name, machine string) *laptop {
	w.t.Helper()
	l := &laptop{w: w, state: filepath.Join(w.dir, name), machine: filepath.Join(w.dir, name+"-machine")}
	must(w.t, os.Mkdir(l.machine, 0o755))
	l.becomes(machine)
	return l
}

// run starts the laptop's agent.
func (l *laptop) run() {
	l.w.t.Helper()
	l.part = start(l.w.t, func(ctx context.Context) error {
		return agentapp.Run(ctx, agentapp.Config{State: l.state, Replay: l.machine, Log: logTo(l.w.t, "agent")}, l.w.clock)
	})
}

// becomes puts a recorded machine in the place of the laptop.
func (l *laptop) becomes(machine string) { become(l.w.t, l.machine, machine) }

func become(t *testing.T, dir, machine string) {
	t.Helper()
	for _, name := range []string{"machine.json", "reads.jsonl"} {
		data, err := os.ReadFile(filepath.Join("testdata", "machines", machine, name))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, name+".new"), data, 0o644))
		must(t, os.Rename(filepath.Join(dir, name+".new"), filepath.Join(dir, name)))
	}
}

// shown is what the collector shows of the laptop.
func (l *laptop) shown() view.DeviceDetail {
	l.w.t.Helper()
	return ask[view.DeviceDetail](l.w, "device.show", collectorapp.ListArguments{Device: l.device})
}

// status is what the agent says of itself.
func (l *laptop) status() agentapp.Status {
	l.w.t.Helper()
	s, err := agentapp.ReadStatus(l.state, time.Time{}, time.Now())
	must(l.w.t, err)
	return s
}

// standing returns how a device stands on a rule: its worst subject.
func standing(d view.DeviceDetail, rule string) view.Standing {
	worst := view.Standing("")
	order := []view.Standing{view.NotFor, view.Met, view.Exempt, view.NotProven, view.NotMet}
	rank := map[view.Standing]int{}
	for i, s := range order {
		rank[s] = i + 1
	}
	for _, f := range d.Findings {
		if f.Rule == rule && rank[f.Standing] > rank[worst] {
			worst = f.Standing
		}
	}
	return worst
}

// entries lists the whole ledger, but who looked: whoever asks for it does.
func (w *world) entries() []collectorapp.EntryView {
	w.t.Helper()
	all := ask[[]collectorapp.EntryView](w, "ledger.show", collectorapp.LedgerArguments{Count: 10_000})
	return slices.DeleteFunc(all, func(e collectorapp.EntryView) bool { return e.Kind == proof.KindLook.String() })
}

// entry is the entry of an index.
func (w *world) entry(index uint64) collectorapp.EntryView {
	w.t.Helper()
	for _, e := range w.entries() {
		if uint64(e.Index) == index {
			return e
		}
	}
	w.t.Fatalf("there is no entry %d", index)
	return collectorapp.EntryView{}
}

// verified checks the whole ledger.
func (w *world) verified() collectorapp.LedgerReport {
	w.t.Helper()
	r := ask[collectorapp.LedgerReport](w, "ledger.verify", collectorapp.LedgerArguments{})
	if !r.Good {
		w.t.Errorf("the ledger is not good: %s", r.Trouble)
	}
	return r
}

func tokenFor(address string) collectorapp.TokenArguments {
	return collectorapp.TokenArguments{Uses: 1, Lifetime: 24 * time.Hour, Ownership: "school-single-user", Addresses: []string{address}}
}

// patience bounds how long a story waits for something that does not come. It
// says nothing about how fast anything is.
const patience = 2 * time.Minute

// until waits for something that another goroutine or process brings about.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	look, end := time.NewTicker(25*time.Millisecond), time.NewTimer(patience)
	defer look.Stop()
	defer end.Stop()
	for !so() {
		select {
		case <-look.C:
		case <-end.C:
			t.Fatalf("it did not come about that %s", what)
		}
	}
}

// untilPassing is until for what needs time to pass: a pause between two
// attempts, say.
func (w *world) untilPassing(step time.Duration, what string, so func() bool) {
	w.t.Helper()
	until(w.t, what, func() bool {
		if so() {
			return true
		}
		w.clock.Advance(step)
		return false
	})
}

// logTo keeps a program's log for a test that fails.
func logTo(t *testing.T, program string) *slog.Logger {
	return slog.New(slog.NewTextHandler(&lines{t: t}, nil)).With("program", program)
}

// lines gives a log to a test, and drops what comes after the test's end.
type lines struct {
	mu sync.Mutex // guards t
	t  *testing.T
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.t.Context().Err() == nil {
		l.t.Logf("%s", p)
	}
	return len(p), nil
}

var _ io.Writer = (*lines)(nil)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// once checks that the ledger has each of a laptop's reports exactly once.
func (w *world) once(l *laptop) {
	w.t.Helper()
	next := uint64(1)
	for _, e := range w.entries() {
		if e.Kind == "gap" {
			w.t.Errorf("entry %d says that reports are missing", e.Index)
		}
		if e.Kind == "report" && e.Subject == l.device {
			if e.Sequence != next {
				w.t.Errorf("entry %d is report %d, want %d", e.Index, e.Sequence, next)
			}
			next++
		}
	}
	w.verified()
}
