package app

import (
	"context"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/agent/assess"
	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// hub answers for a laptop with a stick that is put in and pulled out while
// its agent runs.
type hub struct {
	with, without system.Reader

	mu       sync.Mutex // guards all below
	in       bool
	looks    int
	asLooked func() // is called after each look, before its answer
}

func newHub(t *testing.T) *hub {
	t.Helper()
	open := func(machine string) system.Reader {
		r, err := system.OpenReplay(filepath.Join("..", "..", "shared", "e2e", "testdata", "machines", machine))
		must(t, err)
		return r
	}
	return &hub{with: open(withStick), without: open(plain), asLooked: func() {}}
}

func (h *hub) put(in bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.in = in
}

func (h *hub) looked() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.looks
}

func (h *hub) walk(ctx context.Context, r walkRequest, s *state) ([]wire.Body, error) {
	return inProcess{h.without}.walk(ctx, r, s)
}

func (h *hub) assess(ctx context.Context, r assess.Request) (assess.Outcome, error) {
	h.mu.Lock()
	h.looks++
	reader, asLooked := h.without, h.asLooked
	if h.in {
		reader = h.with
	}
	h.mu.Unlock()
	outcome, err := inProcess{reader}.assess(ctx, r)
	asLooked()
	return outcome, err
}

// attached is what the last report that waits says is attached.
func (l *laptop) attached() int {
	l.t.Helper()
	last := l.last()
	var facts posture.Facts
	for p, message := range l.waiting() {
		m := new(pb.AgentMessage)
		must(l.t, wire.Unmarshal(message, m))
		for _, s := range m.GetReport().GetSections() {
			for _, ref := range last.Sections {
				if s.GetName() == wire.Media && ref.Name == wire.Media && ref.Carried == p.Sequence {
					must(l.t, wire.DecodeSection(wire.Media, s.GetBody(), monday, &facts, nil))
				}
			}
		}
	}
	if facts.Media.Absent != posture.None {
		l.t.Fatalf("of media the last report says %v", facts.Media.Absent)
	}
	return len(facts.Media.Items)
}

// looping runs the laptop's loop until the test ends.
func (l *laptop) looping() {
	ctx, cancel := context.WithCancel(l.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.loop(ctx) }()
	l.t.Cleanup(func() {
		cancel()
		must(l.t, <-ended)
	})
}

// until lets time pass until something has come about.
func (l *laptop) until(so func() bool) {
	l.t.Helper()
	for !so() {
		l.clock.Advance(time.Second)
		runtime.Gosched() // let the loop run
	}
}

// TestAStormOfSticks tells of a thousand changes at once, again and again: the
// agent looks a few times, and what it says last is what is so.
func TestAStormOfSticks(t *testing.T) {
	for _, in := range []bool{true, false} {
		l := newLaptop(t)
		h := newHub(t)
		l.assessor.children = h
		l.looping()
		l.until(func() bool { return h.looked() == 1 })
		for range 20 {
			for n := range 1000 {
				h.put(n%2 == 0)
				l.diskChanged(system.Event{Action: system.Changed})
			}
			l.clock.Advance(time.Second)
		}
		h.put(in)
		l.diskChanged(system.Event{Action: system.Changed})
		began := l.clock.Now()
		want := map[bool]int{true: 1, false: 0}[in]
		l.until(func() bool { return h.looked() > 1 && l.attached() == want && l.clock.Now().Sub(began) > 2*time.Minute })
		if looks := h.looked(); looks > 20 {
			t.Errorf("it looked %d times for 20,001 changes within 20 seconds", looks)
		}
	}
}

// TestAStickPulledOutWhileItIsLookedAt is seen to be gone: a change that comes
// during a look is looked at after it.
func TestAStickPulledOutWhileItIsLookedAt(t *testing.T) {
	l := newLaptop(t)
	h := newHub(t)
	h.put(true)
	var once sync.Once
	h.asLooked = func() {
		once.Do(func() {
			h.put(false)
			l.diskChanged(system.Event{Action: system.Removed})
		})
	}
	l.assessor.children = h
	l.do()
	if got := l.attached(); got != 1 {
		t.Fatalf("%d are attached", got)
	}
	if !l.wait(t.Context()) { // the change is waiting
		t.Fatal("it ended")
	}
	l.clock.Advance(settling)
	l.do()
	if got := l.attached(); got != 0 || h.looked() != 2 {
		t.Errorf("%d are attached after %d looks", got, h.looked())
	}
}
