package beds

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// host is the collector on the host, for one laptop in a guest.
type host struct {
	*guest
	data   string
	booted chan error // how the guest ended
}

func ask[A any](h *host, operation string, arguments any) A {
	h.t.Helper()
	var answer A
	if err := collectorapp.Do(h.t.Context(), h.data, operation, arguments, &answer, clock.System{}); err != nil {
		h.t.Fatalf("%s: %v", operation, err)
	}
	return answer
}

// collect starts a collector and returns its port.
func (h *host) collect() string {
	h.t.Helper()
	ask[collectorapp.InitAnswer](h, "init", collectorapp.InitArguments{School: "Hollybank Primary School"})
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- collectorapp.Run(ctx, collectorapp.Config{
			Data: h.data, Agents: "127.0.0.1:0", Web: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler),
			Ready: func(agents, _ string) { ready <- agents },
		}, clock.System{})
	}()
	h.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			h.t.Errorf("the collector ended with: %v", err)
		}
	})
	select {
	case address := <-ready:
		_, port, err := net.SplitHostPort(address)
		must(h.t, err)
		return port
	case err := <-ended:
		ended <- err
		h.t.Fatalf("the collector did not start: %v", err)
	}
	return ""
}

// until waits for something that the guest brings about.
func (h *host) until(what string, so func() bool) {
	h.t.Helper()
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for !so() {
		select {
		case <-look.C:
		case err := <-h.booted:
			h.t.Fatalf("the guest ended before %s: %v\n%s", what, err, h.agentLog())
		}
	}
}

func (h *host) agentLog() string {
	log, _ := os.ReadFile(filepath.Join(h.out, "agent.log")) // it may not have come that far
	return string(log)
}

// tell tells the guest's script to go on.
func (h *host) tell(word string) {
	h.t.Helper()
	must(h.t, os.WriteFile(filepath.Join(h.out, word), nil, 0o644))
}

// when returns when the guest noted something, to the second.
func (h *host) when(word string) time.Time {
	h.t.Helper()
	name := filepath.Join(h.out, word)
	h.until(word, func() bool { _, err := os.Stat(name); return err == nil })
	seconds, err := strconv.ParseInt(strings.TrimSpace(string(h.read(word))), 10, 64)
	must(h.t, err)
	return time.Unix(seconds, 0)
}

// shown is what the host shows of the laptop; nothing before its first report.
func (h *host) shown() view.DeviceDetail {
	h.t.Helper()
	page := ask[view.DevicePage](h, "device.list", collectorapp.ListArguments{Limit: 10})
	if len(page.Devices) != 1 || page.Devices[0].LastReport == 0 {
		return view.DeviceDetail{}
	}
	return ask[view.DeviceDetail](h, "device.show", collectorapp.ListArguments{Device: string(page.Devices[0].ID)})
}

func TestAStickInAGuestShowsOnTheHost(t *testing.T) {
	needBeds(t)
	cannot(t, "how long a real laptop takes: an emulated processor is many times slower")
	data, err := os.MkdirTemp("", "bed") // a short path: a socket lies in it
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(data)) })
	h := &host{guest: newGuest(t), data: filepath.Join(data, "data"), booted: make(chan error, 1)}
	port := h.collect()
	token := ask[collectorapp.TokenAnswer](h, "token.create", collectorapp.TokenArguments{
		Uses: 1, Lifetime: time.Hour, Ownership: "school-single-user", Addresses: []string{"10.0.2.100:" + port},
	})
	agentBinary(t)
	go func() { h.booted <- h.run("thread.sh", "-u", "-t", "400", "-p", port, "-e", "TOKEN="+token.Token) }()

	h.until("the first report", func() bool { return h.shown().LastReport > 0 })
	if d := h.shown(); d.Facts.Media.Absent != posture.None || len(d.Facts.Media.Items) != 0 {
		t.Errorf("before the stick, media are %+v", d.Facts.Media)
	}
	h.tell("running")

	before, attached := h.when("before-attach"), h.when("attached")
	h.until("the stick shows", func() bool { return len(h.shown().Facts.Media.Items) == 1 })
	first := h.shown()
	// A blank stick may be anything: that it is not encrypted is not proven.
	if m := first.Facts.Media.Items[0]; m.Vendor != "Kingston" || m.Product != "DataTraveler" || m.Encryption.Known() || !m.Serial.Known() || strings.Contains(m.Serial.Value, "HB0042") {
		t.Errorf("the stick shows as %+v", m)
	}
	h.tell("seen-attached")
	h.when("encrypted")
	device := string(first.ID)
	ask[collectorapp.AssessAnswer](h, "device.assess", collectorapp.ListArguments{Device: device})
	h.until("its encryption shows", func() bool {
		d := h.shown()
		return len(d.Facts.Media.Items) == 1 && d.Facts.Media.Items[0].Encryption.Value == posture.Encrypted
	})
	h.tell("seen-encrypted")
	beforeDetach, detached := h.when("before-detach"), h.when("detached")
	h.until("the stick is gone", func() bool { d := h.shown(); return len(d.Facts.Media.Items) == 0 && len(d.Events) >= 2 })
	d := h.shown()
	h.tell("seen-detached")
	h.breaches()
	if err := <-h.booted; err != nil {
		t.Fatal(err)
	}
	events := d.Events // newest first
	if len(events) != 2 || events[0].Action != posture.Detached || events[1].Action != posture.Attached {
		t.Fatalf("the log of media is %+v", events)
	}
	within(t, "attached", events[1].At, before, attached)
	within(t, "detached", events[0].At, beforeDetach, detached)
	if len(d.Gaps) > 0 {
		t.Errorf("reports are missing: %+v", d.Gaps)
	}
	if r := ask[collectorapp.LedgerReport](h, "ledger.verify", collectorapp.LedgerArguments{}); !r.Good {
		t.Errorf("the ledger is not good: %s", r.Trouble)
	}
}

// breaches takes the time from a stick without encryption to the breach that
// the host shows, and looks that pulling it out resolves nothing.
func (h *host) breaches() {
	h.t.Helper()
	const rule = "USB-01"
	h.when("plug")
	note, err := os.Stat(filepath.Join(h.out, "plug"))
	must(h.t, err)
	standing := func() []view.Breach {
		return slices.DeleteFunc(h.shown().Breaches, func(b view.Breach) bool { return b.Rule != rule || !b.ResolvedAt.IsZero() })
	}
	h.until("the breach shows", func() bool { return len(standing()) == 1 })
	took := time.Since(note.ModTime())
	h.t.Logf("from plugging a stick in to its breach on the host, on an emulated processor: %.1f s", took.Seconds())
	h.tell("seen-breach")
	h.until("the stick is gone again", func() bool { return len(h.shown().Facts.Media.Items) == 0 })
	if left := standing(); len(left) != 1 {
		h.t.Errorf("a stick that was pulled out leaves the breaches %+v, want that of %s", left, rule)
	}
	h.tell("seen-pulled")
}

// within checks a time that the agent logged against the guest's own, which is
// in whole seconds. The agent lets a disk settle before it looks.
func within(t *testing.T, what string, at, from, to time.Time) {
	t.Helper()
	const settling = 30 * time.Second // of a slow guest
	if at.Before(from.Add(-time.Second)) || at.After(to.Add(settling)) {
		t.Errorf("%s at %v, and it was between %v and %v", what, at, from, to)
	}
}
