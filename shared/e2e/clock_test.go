package e2e

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
)

// settable is one machine's clock, which can be set. Time passes on it as for
// everybody.
type settable struct {
	*clocktest.Driven

	mu sync.Mutex // guards by
	by time.Duration
}

// Now implements clock.Clock.
func (s *settable) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Driven.Now().Add(s.by)
}

// Steady is what the machine counts since it was started, whatever its clock
// is set to.
func (s *settable) Steady() time.Time { return s.Driven.Now() }

// set sets it by so much from what is right.
func (s *settable) set(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.by = by
}

const year = 365 * 24 * time.Hour

// written is a log in which a test looks for words.
type written struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *written) has(words string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Contains(w.text.String(), words)
}

// TestALaptopWhoseClockIsSetBackAYearLosesNothing: it says so itself, the pages
// say so once it is proven, its reports go on in order, and when the clock is
// right again all is as before.
func TestALaptopWhoseClockIsSetBackAYearLosesNothing(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	must(t, l.stop())
	own, log := &settable{Driven: w.clock}, &written{}
	w.clock.Advance(time.Minute)
	l.part = start(t, func(ctx context.Context) error {
		return agentapp.Run(ctx, agentapp.Config{State: l.state, Replay: l.machine, Log: slog.New(slog.NewTextHandler(log, nil))}, own)
	})
	w.untilPassing(time.Second, "the agent has reported again", func() bool {
		s := l.status()
		return s.AssessedAt.After(monday) && s.ReportedAt.After(monday) && s.Waiting == 0
	})

	own.set(-year)
	l.becomes("encrypted-laptop")
	w.untilPassing(time.Minute, "what changed is reported", func() bool { return standing(l.shown(), "ENC-01") == view.Met })
	w.untilPassing(time.Minute, "the agent says that its clock was set", func() bool {
		return l.status().ClockOff == "365 days behind the collector's" && log.has("the clock of this device was set")
	})
	pages := w.signIn(c, "technician")
	page := "/schools/" + string(l.shown().School) + "/devices/" + l.device
	w.untilPassing(10*time.Minute, "it is proven that the clock is behind", func() bool { return l.shown().Skew.Value < time.Hour-year })
	pages.shows(page, "12 months behind")
	must(t, l.stop()) // and again from the start, as after a flat battery
	before := l.status()
	w.clock.Advance(time.Minute)
	l.part = start(t, func(ctx context.Context) error {
		return agentapp.Run(ctx, agentapp.Config{State: l.state, Replay: l.machine, Log: slog.New(slog.NewTextHandler(log, nil))}, own)
	})
	w.untilPassing(time.Second, "it says that its clock differs, and reports", func() bool {
		return log.has("the clocks of this device and of the collector differ") && l.status().ReportedAt.After(before.ReportedAt)
	})

	own.set(0)
	l.becomes("plain-laptop")
	w.untilPassing(time.Minute, "what changed is reported", func() bool { return standing(l.shown(), "ENC-01") == view.NotMet })
	w.untilPassing(10*time.Minute, "nobody says any more that it is wrong", func() bool {
		s := l.status()
		return s.ClockOff == "" && s.Waiting == 0 && l.shown().Skew.Value == 0
	})
	if d := l.shown(); len(d.Gaps) > 0 {
		t.Errorf("reports are missing: %v", d.Gaps)
	}
	w.once(l)
}

// TestACollectorWhoseClockIsSetBackAYearLosesNothing: its command and its
// pages say so, laptops keep what it cannot take, and nothing is lost or out
// of order when the clock is right again.
func TestACollectorWhoseClockIsSetBackAYearLosesNothing(t *testing.T) {
	w := newWorld(t)
	own := &settable{Driven: w.clock}
	c := w.collectBy(own)
	road := newLink(t, c.agents)
	l := w.laptop("laptop", "plain-laptop", road.Address())
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })

	own.set(-year) // while it runs
	l.becomes("encrypted-laptop")
	w.untilPassing(10*time.Minute, "what changed is reported", func() bool { return standing(l.shown(), "ENC-01") == view.Met })
	if s := w.status(w.only()); s.ClockBack.IsZero() || s.Well() {
		t.Errorf("the collector's command says nothing of its clock: %+v", s)
	}
	pages := w.signIn(c, "technician")
	pages.shows("/schools/"+string(w.only())+"/devices", "clock was set back")
	w.verified()
	must(t, c.stop()) // and from its start
	c = w.collectBy(own)
	road.Mend(c.agents)
	l.becomes("plain-laptop")
	w.clock.Advance(2 * time.Hour)
	w.untilPassing(10*time.Second, "the laptop says that clocks differ, or why it cannot report", func() bool {
		s := l.status()
		return s.ClockOff == "365 days ahead of the collector's" || s.Waiting > 0 && strings.Contains(s.Trouble, "certificate")
	})

	own.set(0)
	must(t, c.stop())
	c = w.collectBy(own)
	road.Mend(c.agents)
	w.untilPassing(10*time.Second, "all has arrived", func() bool { return l.status().Waiting == 0 && standing(l.shown(), "ENC-01") == view.NotMet })
	if s := l.status(); s.ClockOff != "" {
		t.Errorf("the agent says %q of its clock, and both are right", s.ClockOff)
	}
	if s := w.status(w.only()); !s.Well() {
		t.Errorf("the collector's command says: %+v", s)
	}
	must(t, l.stop())
	followed := ask[view.DeviceDetail](w, "device.show", collectorapp.ListArguments{Device: l.device})
	if len(followed.Gaps) > 0 {
		t.Errorf("reports are missing: %v", followed.Gaps)
	}
	w.once(l)
}
