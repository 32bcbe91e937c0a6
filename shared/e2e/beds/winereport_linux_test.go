package beds

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// limit is how long an agent may run under Wine, as a guest has a limit.
const limit = 5 * time.Minute

// newHost starts a collector for the agent under Wine.
func (w *windows) newHost() *host {
	w.t.Helper()
	return w.newHostFor(limit)
}

// newHostFor is newHost for an agent that has longer to do.
func (w *windows) newHostFor(limit time.Duration) *host {
	w.t.Helper()
	data, err := os.MkdirTemp("", "bed") // a short path: a socket lies in it
	must(w.t, err)
	w.t.Cleanup(func() { must(w.t, os.RemoveAll(data)) })
	h := &host{guest: &guest{t: w.t, out: w.dir}, data: filepath.Join(data, "data"), booted: make(chan error, 1)}
	late := time.AfterFunc(limit, func() { h.booted <- errors.New("it takes too long") })
	w.t.Cleanup(func() { late.Stop() })
	return h
}

// enrols makes the prefix a device of the host's school.
func (w *windows) enrols(h *host) {
	w.t.Helper()
	port := h.collect()
	token := ask[collectorapp.TokenAnswer](h, "token.create", collectorapp.TokenArguments{
		Uses: 1, Lifetime: time.Hour, Ownership: "school-single-user", Addresses: []string{"127.0.0.1:" + port},
	})
	said := w.does(w.agent(), "enroll", "--token", token.Token)
	if !strings.Contains(said, "Hollybank Primary School") {
		w.t.Errorf("enrolling says %q", said)
	}
}

// runs starts the agent as a person does, until the test ends or what it
// returns is called.
func (w *windows) runs(h *host) (kill func()) {
	w.t.Helper()
	log, err := os.OpenFile(filepath.Join(w.dir, "agent.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	must(w.t, err)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	w.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "./wine-bed.sh", "run", w.agent(), "run")
	cmd.Stdout, cmd.Stderr = log, log
	must(w.t, cmd.Start())
	must(w.t, log.Close())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	h.booted = ended
	killed := false
	kill = func() {
		if !killed {
			killed = true
			_ = cmd.Process.Signal(syscall.SIGKILL) // it has ended, if something failed
			<-ended
		}
	}
	w.t.Cleanup(kill)
	return kill
}

// installs has a program installed, as far as an agent can tell.
func (w *windows) installs(name, version string) {
	w.t.Helper()
	key := `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\` + name
	w.does("reg", "add", key, "/v", "DisplayName", "/d", name, "/f")
	w.does("reg", "add", key, "/v", "DisplayVersion", "/d", version, "/f")
}

// hasProgram reports whether the host shows a program on the laptop.
func (h *host) hasProgram(name, version string) bool {
	return slices.ContainsFunc(h.shown().Facts.Programs.Items, func(p posture.Program) bool { return p.Name == name && p.Version == version })
}

func TestTheAgentUnderWineReports(t *testing.T) {
	w := newWindows(t)
	cannot(t, "how long a real laptop takes, and that Windows wakes the agent as Wine does")
	w.settled()
	h := w.newHost()
	w.enrols(h)
	kill := w.runs(h)
	h.until("the first report", func() bool { return h.shown().LastReport > 0 })
	d := h.shown()
	if d.Platform != posture.Windows || !strings.EqualFold(d.Hostname, hostname(t)) {
		t.Errorf("it shows as %s, %s", d.Hostname, d.Platform)
	}
	for _, rule := range withoutAnswer {
		for _, f := range d.Findings {
			if f.Rule == rule && f.Standing != view.NotProven {
				t.Errorf("%s stands as %s, and Wine knows nothing of it", rule, f.Standing)
			}
		}
	}
	if d.NotProven == 0 || len(d.Disagreements) > 0 {
		t.Errorf("%d rules are not proven, and the collector disagrees on %v", d.NotProven, d.Disagreements)
	}

	installed := time.Now()
	w.installs("Geometry Tutor", "4.2")
	h.until("the program shows", func() bool { return h.hasProgram("Geometry Tutor", "4.2") })
	t.Logf("from installing a program to its showing on the host: %.1f s", time.Since(installed).Seconds())

	// It is killed, and finds what it was told when it is started again.
	kill()
	w.installs("Spelling Tutor", "1.0")
	w.runs(h)
	h.until("the other program shows", func() bool { return h.hasProgram("Spelling Tutor", "1.0") })
	if gaps := h.shown().Gaps; len(gaps) > 0 {
		t.Errorf("reports are missing: %+v", gaps)
	}
	if r := ask[collectorapp.LedgerReport](h, "ledger.verify", collectorapp.LedgerArguments{}); !r.Good {
		t.Errorf("the ledger is not good: %s", r.Trouble)
	}
	// Between two assessments nothing runs but the part that stays.
	h.until("the children are gone", func() bool { return len(w.agents()) == 1 })
}

// agents returns the process numbers of the agent's processes in the bed, on
// this machine.
func (w *windows) agents() []int {
	w.t.Helper()
	return processesNamed(w.t, "caretaker-agent")
}
