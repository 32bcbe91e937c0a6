package e2e

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	"github.com/caretaker-school/caretaker/agent/enroll"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
)

// later enrols a new machine over a road, leaving it to the service if the
// school does not answer.
func (w *world) later(name, token string) (*laptop, error) {
	w.t.Helper()
	l := w.newMachine(name, "plain-laptop")
	_, err := agentapp.Enroll(w.t.Context(), agentapp.EnrollConfig{State: l.state, Token: token, Later: true}, w.clock)
	return l, err
}

// keptToken says whether a laptop holds a token that only its service can read.
func (l *laptop) keptToken() bool {
	l.w.t.Helper()
	info, err := os.Stat(filepath.Join(l.state, "token"))
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	must(l.w.t, err)
	if mode := info.Mode().Perm(); mode != 0o600 {
		l.w.t.Errorf("the token can be read by others: %o", mode)
	}
	return true
}

// TestALaptopInstalledWithoutANetworkIsEnrolledByItsService: the installer is
// not told that it failed, the service goes on trying, and nothing of the token
// is left when the school has answered.
func TestALaptopInstalledWithoutANetworkIsEnrolledByItsService(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	road := newLink(t, c.agents)
	token := ask[collectorapp.TokenAnswer](w, "token.create", tokenFor(road.Address())).Token
	road.Cut()

	l, err := w.later("laptop", token)
	if !errors.Is(err, agentapp.ErrLater) {
		t.Fatalf("without a network: %v", err)
	}
	if s := l.status(); s.Enrolled || !s.Waits || !l.keptToken() {
		t.Fatalf("it does not wait: %+v", s)
	}
	l.run()
	for range 3 { // attempts that fail
		w.clock.Advance(10 * time.Minute)
	}
	if s := l.status(); s.Enrolled || !s.Waits {
		t.Fatalf("without a network it is %+v", s)
	}
	must(t, l.stop()) // and the laptop is switched off meanwhile
	l.run()
	road.Mend(c.agents)
	w.untilPassing(time.Minute, "the service has enrolled it", func() bool { return l.status().Enrolled })
	l.device = l.status().Device
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	if l.keptToken() || l.status().Waits {
		t.Error("the token is still there")
	}

	// With a token that admits nobody any more the service ends, and says why.
	road.Cut()
	late, err := w.later("second", token)
	if !errors.Is(err, agentapp.ErrLater) {
		t.Fatalf("without a network: %v", err)
	}
	road.Mend(c.agents)
	err = agentapp.Run(t.Context(), agentapp.Config{State: late.state, Replay: late.machine, Log: logTo(t, "refused agent")}, w.clock)
	if !errors.Is(err, enroll.ErrRefused) {
		t.Errorf("with a token that was used it ends with %v", err)
	}
	if late.keptToken() {
		t.Error("a token that admits nobody is still there")
	}
	// One who is a device already, or whose token is none, keeps nothing.
	_, err = agentapp.Enroll(t.Context(), agentapp.EnrollConfig{State: l.state, Token: token, Later: true}, w.clock)
	refusedWith(t, err, "enrolled already")
	_, err = w.later("third", token[:20]+"x"+token[20:])
	refusedWith(t, err, "mistyped")
	if l.keptToken() {
		t.Error("a device holds a token")
	}
}
