package e2e

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	"github.com/caretaker-school/caretaker/shared/tools/faults/exchange"
)

// talk is both programs as processes with a network between, talking. The
// laptop is a recorded machine.
type talk struct {
	*exchange.Exchange
	t *testing.T
}

func newTalk(t *testing.T) *talk {
	t.Helper()
	return newTalkIn(t, openDir(t))
}

func newTalkIn(t *testing.T, dir string) *talk {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	machine := filepath.Join(dir, "machine")
	must(t, os.Mkdir(machine, 0o755))
	x, err := exchange.New(t.Context(), exchange.Options{
		Dir: dir, Collector: program(t, "caretaker-collector"), Agent: program(t, "caretaker-agent"),
		Laptop: exchange.Recorded{Run: []string{self, agentProcess}, Machines: filepath.Join("testdata", "machines"), Folder: machine},
		Log:    func(string) io.Writer { return &lines{t: t} },
	})
	must(t, err)
	t.Cleanup(func() { must(t, x.Close()) })
	return &talk{Exchange: x, t: t}
}

// says has the laptop become another one and report it.
func (x *talk) says() {
	x.t.Helper()
	must(x.t, x.Talk(x.t.Context()))
}

func (x *talk) status() agentapp.Status {
	x.t.Helper()
	s, err := x.Status(x.t.Context())
	must(x.t, err)
	return s
}

// settled waits until all that the laptop had to report is acknowledged, and
// returns how many reports are.
func (x *talk) settled() uint64 {
	x.t.Helper()
	acknowledged, err := x.Settle(x.t.Context())
	must(x.t, err)
	return acknowledged
}

func (x *talk) killAgent() {
	x.t.Helper()
	must(x.t, x.Agent().Kill())
}

func (x *talk) killCollector() {
	x.t.Helper()
	must(x.t, x.Collector().Kill())
}

func (x *talk) startCollector() {
	x.t.Helper()
	must(x.t, x.StartCollector(x.t.Context()))
}

// whole kills both and looks at everything that they leave.
func (x *talk) whole(acknowledged uint64) {
	x.t.Helper()
	wrong, err := x.Whole(x.t.Context(), acknowledged)
	must(x.t, err)
	for _, w := range wrong {
		x.t.Error(w)
	}
}

// newLink makes a network that leads to an address, for a collector that runs
// in this process.
func newLink(t *testing.T, to string) *exchange.Link {
	t.Helper()
	l, err := exchange.NewLink(t.Context(), to)
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	return l
}
