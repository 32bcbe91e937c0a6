package beds

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/release"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/publisher/publishertest"
)

const onThisWindows = "windows-amd64"

// builds builds a program for Windows: the agent as a version with a publisher's
// root, or one that a text says.
func (w *windows) builds(name, stamp, source string) string {
	w.t.Helper()
	path, _ := w.here(name + ".exe")
	what := "./agent"
	if source != "" {
		what = filepath.Join(w.dir, name+".go")
		must(w.t, os.WriteFile(what, []byte(source), 0o644))
	}
	cmd := exec.CommandContext(w.t.Context(), "go", "build", "-trimpath", "-tags", "grpcnotrace", "-ldflags", "-s -w "+stamp, "-o", path, what)
	cmd.Dir = "../../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=windows", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("build %s for Windows: %v\n%s", name, err, out)
	}
	return path
}

func (w *windows) buildsAgent(version string, root []byte) string {
	w.t.Helper()
	const room = "github.com/caretaker-school/caretaker/shared/release."
	return w.builds("agent-"+version, "-X "+room+"version="+version+" -X "+room+"root="+base64.StdEncoding.EncodeToString(root), "")
}

// believes serves the host's school with a collector that believes in a
// publisher's keys, until what it returns is called.
func (h *host) believes(root []byte, address string) (stop func()) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- collectorapp.Run(ctx, collectorapp.Config{
			Data: h.data, Agents: address, Web: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler),
			Updates: collectorapp.Updates{Root: root, Within: time.Second}, Ready: func(string, string) { close(ready) },
		}, clock.System{})
	}()
	stop = func() {
		cancel()
		must(h.t, <-ended)
	}
	select {
	case <-ready:
	case err := <-ended:
		h.t.Fatalf("the collector has ended: %v", err)
	}
	return stop
}

func (h *host) offers(p *publishertest.Press, version string) {
	h.t.Helper()
	ask[release.Kept](h, "update.add", collectorapp.UpdateArguments{Folder: string(p.Dir)})
	ask[release.Standing](h, "update.offer", collectorapp.UpdateArguments{Offer: release.Offer{Version: version, Share: 100}})
}

func (h *host) says(version string) bool {
	h.t.Helper()
	return slices.Contains(ask[release.Standing](h, "update.show", collectorapp.UpdateArguments{}).Runs, release.Count{Version: version, Devices: 1})
}

// stands returns the agent's processes: the service's, and the one that runs in its
// place, 0 if there is none.
func (w *windows) stands(version string) (service, placed int) {
	w.t.Helper()
	for _, pid := range w.agents() {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			continue // it has ended
		}
		switch words := string(bytes.ReplaceAll(line, []byte{0}, []byte(" "))); {
		case strings.Contains(words, `\programs\`+version+`\`) && strings.Contains(words, "service attend"):
			placed = pid
		case strings.Contains(words, "Program Files") && strings.Contains(words, " service"):
			service = pid
		}
	}
	return service, placed
}

// TestTheServiceUpdatesItselfUnderWine: installed by its MSI, the agent takes a
// signed release, goes back from one that crashes, takes nothing of an attacker who
// has the whole collector, and is upgraded and removed by the MSI all the same.
func TestTheServiceUpdatesItselfUnderWine(t *testing.T) {
	w := newWindows(t)
	cannot(t, "that Windows starts a service again that failed, and says to an installer that it is upgraded (this test does), access lists, a virus scanner that holds new programs")
	w.settled()
	press, thief := publishertest.New(t, time.Now()), publishertest.New(t, time.Now())
	first := w.buildsAgent("v1.0.0", press.Trusted())
	next := w.buildsAgent("v1.1.0", press.Trusted())
	broken := w.builds("broken", "", "package main\n\nfunc main() { panic(\"it does not work\") }\n")
	msi, upgrade := w.msiOf("v1.0.0", first), w.msiOf("v1.0.5", first)
	port, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := port.Addr().String()
	must(t, port.Close())

	h := w.newHostFor(4 * limit)
	ask[collectorapp.InitAnswer](h, "init", collectorapp.InitArguments{School: "Hollybank Primary School"})
	stop := h.believes(press.Trusted(), address)
	defer func() { stop() }()
	token := ask[collectorapp.TokenAnswer](h, "token.create", collectorapp.TokenArguments{
		Uses: 1, Lifetime: time.Hour, Ownership: "school-single-user", Addresses: []string{address},
	}).Token
	w.does(msiexec, "/i", msi, "/qn", "TOKEN="+token)
	h.until("the installed version runs", func() bool { return h.says("v1.0.0") })

	// It takes what is offered, under the same service, which Windows sees going on.
	press.Publish("v1.1.0", map[string]string{onThisWindows: next})
	h.offers(press, "v1.1.0")
	h.until("the newer version runs", func() bool { return h.says("v1.1.0") })
	h.until("it stays", func() bool {
		record, err := os.ReadFile(w.drive(stateFolder + `\programs\record.json`))
		return err == nil && string(record) == `{"current":"v1.1.0"}`
	})
	h.until("nothing is assessed", func() bool { return len(w.agents()) == 2 })
	service, placed := w.stands("v1.1.0")
	if service == 0 || placed == 0 || w.serviceState() != running {
		t.Fatalf("the service is process %d, and the newer version %d; the state is %s", service, placed, w.serviceState())
	}
	for what, pid := range map[string]int{"the service, which waits,": service, "the version in its place": placed} {
		resident, private := memory(t, pid)
		t.Logf("weight: %s has %.1f MiB resident, of which %.1f MiB are its own", what, float64(resident)/(1<<20), float64(private)/(1<<20))
	}

	// Stopped, both end; whoever kills the one has not left the other behind.
	w.does("sc", "stop", "caretaker-agent")
	h.until("the service has stopped", func() bool { return w.serviceState() == stopped })
	if left := w.agents(); len(left) > 0 {
		t.Errorf("the service has stopped, and %d of its processes run", len(left))
	}
	w.does("sc", "start", "caretaker-agent")
	h.until("the newer version runs again", func() bool { service, placed = w.stands("v1.1.0"); return service > 0 && placed > 0 })
	waits, _ := memory(t, service)
	t.Logf("weight: the service that has only started the newer version has %.1f MiB resident", float64(waits)/(1<<20))
	_ = syscall.Kill(service, syscall.SIGKILL) // it is there, or the test has failed
	h.until("nothing is left", func() bool { return len(w.agents()) == 0 && w.serviceState() == stopped })
	w.does("sc", "start", "caretaker-agent")

	// A version that crashes goes back. Windows would start the service again.
	press.Publish("v1.2.0", map[string]string{onThisWindows: broken})
	h.offers(press, "v1.2.0")
	h.until("it has gone back, and says so", func() bool {
		if w.serviceState() == stopped {
			w.does("sc", "start", "caretaker-agent")
		}
		s := ask[release.Standing](h, "update.show", collectorapp.UpdateArguments{})
		return len(s.Failed) == 1 && s.Failed[0].Version == "v1.2.0" && strings.Contains(s.Failed[0].Why, "started 3 times") &&
			slices.Contains(s.Runs, release.Count{Version: "v1.1.0", Devices: 1})
	})
	if w.has(stateFolder + `\programs\v1.2.0`) {
		t.Error("what failed is still there")
	}

	// One key of the publisher's alone signs nothing, not even for the collector; and
	// what an attacker's collector offers is refused by the laptop.
	press.Release("v1.3.0", map[string]string{onThisWindows: broken})
	press.Sign(0, 3)
	if err := collectorapp.Do(t.Context(), h.data, "update.add", collectorapp.UpdateArguments{Folder: string(press.Dir)}, new(release.Kept), clock.System{}); err == nil {
		t.Error("the collector takes in what too few have signed")
	}
	stop()
	stop = h.believes(thief.Trusted(), address)
	thief.Publish("v9.0.0", map[string]string{onThisWindows: broken})
	h.offers(thief, "v9.0.0")
	const agent = `C:\` + programFile
	h.until("it is offered an attacker's, and refuses", func() bool {
		return strings.Contains(w.does(agent, "status", "--json"), "the publisher has not signed this")
	})
	h.until("it runs what ran", func() bool { return h.says("v1.1.0") })
	if w.has(stateFolder + `\programs\v9.0.0`) {
		t.Error("something of the attacker's was placed")
	}

	// An installer of an older version than runs changes nothing of that. Windows tells
	// the one that it removes for it so; Wine does not, and is helped.
	w.does(msiexec, "/x", msi, "/qn", "UPGRADINGPRODUCTCODE={3D0B6E2C-9F1B-4C57-8E62-5B0B6D8B7A11}")
	w.does(msiexec, "/i", upgrade, "/qn")
	h.until("the newer version runs after the upgrade", func() bool { service, placed = w.stands("v1.1.0"); return service > 0 && placed > 0 })
	if got := strings.Join(w.programs(), " "); got != "1.0.5" {
		t.Errorf("Windows says that %q is installed", got)
	}
	// Removed, it leaves who it was, and no program.
	w.does(msiexec, "/x", upgrade, "/qn")
	left, err := os.ReadDir(w.drive(stateFolder + `\programs`))
	if len(w.agents()) > 0 || w.has(programFile) || !w.has(stateFolder+`\identity.json`) || err != nil || len(left) != 1 || left[0].Name() != "held.json" {
		t.Errorf("removed it left %v, %v; the program is there: %t, processes: %v", left, err, w.has(programFile), w.agents())
	}
	w.does(msiexec, "/i", upgrade, "/qn")
	w.does(msiexec, "/x", upgrade, "/qn", "FORGET=1")
	if _, err := os.Stat(w.drive(stateFolder)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("removed for good it left its state: %v", err)
	}
}
