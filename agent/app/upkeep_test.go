package app

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/agent/assess"
	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// TestWhatHappenedToTheAgentShows: that it was stopped while the machine was on, that
// its program was replaced; and not that the machine was off, asleep or updated.
func TestWhatHappenedToTheAgentShows(t *testing.T) {
	morning := time.Date(2026, 9, 7, 8, 0, 0, 0, time.UTC)
	at := func(boot string, hours float64) alive {
		after := time.Duration(hours * float64(time.Hour))
		return alive{Boot: boot, Uptime: after, At: morning.Add(after)}
	}
	type start struct {
		alive
		version, program string
	}
	for what, c := range map[string]struct {
		last     alive // when it ran last
		then     start
		stopped  [2]float64 // hours after the morning; none if both are 0
		replaced bool
	}{
		"the first start ever":                 {alive{}, start{at("a", 5), "v1", "one"}, [2]float64{}, false},
		"started again at once":                {at("a", 2), start{at("a", 2.01), "v1", "one"}, [2]float64{}, false},
		"updated":                              {at("a", 2), start{at("a", 2.1), "v2", "two"}, [2]float64{}, false},
		"stopped for an hour":                  {at("a", 2), start{at("a", 3), "v1", "one"}, [2]float64{2, 3}, false},
		"off overnight":                        {at("a", 8), start{alive{"b", 40 * time.Second, morning.Add(24 * time.Hour)}, "v1", "one"}, [2]float64{}, false},
		"switched on, and started hours later": {at("a", 8), start{alive{"b", 3 * time.Hour, morning.Add(24 * time.Hour)}, "v1", "one"}, [2]float64{21, 24}, false},
		"the clock was set a year on":          {at("a", 2), start{alive{"a", 2*time.Hour + time.Minute, morning.AddDate(1, 0, 0)}, "v1", "one"}, [2]float64{}, false},
		"another program of the version":       {at("a", 2), start{at("a", 2.01), "v1", "other"}, [2]float64{}, true},
		"a program that cannot be read":        {at("a", 2), start{at("a", 2.01), "v1", ""}, [2]float64{}, false},
		"no boot is known now":                 {at("a", 2), start{at("", 9), "v1", "one"}, [2]float64{}, false},
		"none was known then":                  {at("", 2), start{at("b", 9), "v1", "one"}, [2]float64{}, false},
	} {
		var u upkeep
		if !c.last.At.IsZero() {
			u.begin(alive{Boot: c.last.Boot, At: morning}, "v1", "one")
			u.seen(c.last)
		}
		u.begin(c.then.alive, c.then.version, c.then.program)
		var from, until time.Time
		if c.stopped != [2]float64{} {
			from, until = morning.Add(time.Duration(c.stopped[0]*float64(time.Hour))), morning.Add(time.Duration(c.stopped[1]*float64(time.Hour)))
		}
		if !u.StoppedFrom.Equal(from) || !u.StoppedUntil.Equal(until) {
			t.Errorf("%s: it did not run from %s until %s, want %s and %s", what, u.StoppedFrom, u.StoppedUntil, from, until)
		}
		if u.ChangedAt.IsZero() == c.replaced {
			t.Errorf("%s: its program was replaced %s, want %t", what, u.ChangedAt, c.replaced)
		}
		told := u.told()
		if told == nil || told.Program != c.then.program || !told.StoppedUntil.Equal(until) {
			t.Errorf("%s: it tells %+v", what, told)
		}
	}
}

// TestWhatCannotBeToldIsNotNever: without a boot that is known, and without a program
// that can be read, it is not said that nothing happened.
func TestWhatCannotBeToldIsNotNever(t *testing.T) {
	morning := time.Date(2026, 9, 7, 8, 0, 0, 0, time.UTC)
	told := func(boot, program string) posture.System {
		var u upkeep
		u.begin(alive{boot, time.Minute, morning}, "v1", program)
		r := assess.Request{Now: morning, Agent: u.told(), Due: []string{wire.System}, FoldersAbsent: posture.Denied}
		machine, err := system.OpenReplay("../../shared/e2e/testdata/machines/plain-laptop")
		if err != nil {
			t.Fatal(err)
		}
		outcome, err := assess.Assess(t.Context(), machine, r)
		if err != nil {
			t.Fatal(err)
		}
		var facts posture.Facts
		for _, b := range outcome.Bodies {
			if b.Name == wire.System {
				if err := wire.DecodeSection(b.Name, b.Data, b.ReadAt, &facts, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		if len(facts.System.Items) != 1 {
			t.Fatalf("it says %+v", facts.System)
		}
		return facts.System.Items[0]
	}
	whole := strings.Repeat("1f", 32)
	if s := told("a", whole); !s.AgentStoppedUntil.Known() || !s.AgentChangedAt.Known() || s.AgentProgram.Value != whole {
		t.Errorf("where all is known it says %+v", s)
	}
	if s := told("", ""); s.AgentStoppedFrom.Known() || s.AgentStoppedUntil.Known() || s.AgentChangedAt.Known() || s.AgentProgram.Known() {
		t.Errorf("where nothing is known it says %+v", s)
	}
}

// TestWhatHappenedIsKept: until something else does.
func TestWhatHappenedIsKept(t *testing.T) {
	morning := time.Date(2026, 9, 7, 8, 0, 0, 0, time.UTC)
	var u upkeep
	u.begin(alive{"a", time.Minute, morning}, "v1", "one")
	u.begin(alive{"a", 2 * time.Hour, morning.Add(2 * time.Hour)}, "v1", "one")
	was := u.Agent
	u.begin(alive{"b", time.Minute, morning.Add(24 * time.Hour)}, "v2", "two")
	was.Program = "two"
	if u.Agent != was || was.StoppedUntil.IsZero() {
		t.Errorf("got %+v, want %+v", u.Agent, was)
	}
}

// TestItsOwnProgramIsTold where nobody says which one it is, as on a laptop, and not
// where a recorded machine is read.
func TestItsOwnProgramIsTold(t *testing.T) {
	s := &service{clock: clock.System{}, log: slog.New(slog.DiscardHandler), boot: func() (string, time.Duration, error) { return "a", time.Minute, nil }}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, program := s.running(Config{}); program != fmt.Sprintf("%x", sha256.Sum256(data)) {
		t.Errorf("it tells %q of its own program", program)
	}
	if _, _, program := s.running(Config{Replay: t.TempDir()}); program != "" {
		t.Errorf("of a recorded machine it tells the program %q, which is another's", program)
	}
}
