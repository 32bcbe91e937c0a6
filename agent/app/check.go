package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/caretaker-school/caretaker/agent/assess"
	"github.com/caretaker-school/caretaker/agent/enroll"
	"github.com/caretaker-school/caretaker/agent/probe"
	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/policy/baseline"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/release"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// CheckConfig says what to check and by which policy.
type CheckConfig struct {
	Policy string // file with a compiled policy; "": that of State, or the built-in baseline
	Replay string // folder with a recorded machine; "": this machine
	State  string // folder of an enrolled agent, for its policy, assignment and media key; "": none
	Log    *slog.Logger
}

// Check assesses a machine once and returns what would be reported, with the
// policy that judged it.
func Check(ctx context.Context, c CheckConfig, clk clock.Clock) (posture.Report, *policy.Policy, error) {
	var terms terms
	if c.State != "" {
		device, err := enroll.Load(c.State, release.Built())
		if err != nil {
			return posture.Report{}, nil, err
		}
		if terms = loadTerms(device); terms.unread != nil {
			return posture.Report{}, nil, terms.unread
		}
	}
	if c.Policy != "" {
		body, err := os.ReadFile(c.Policy)
		if err != nil {
			return posture.Report{}, nil, fmt.Errorf("read the policy: %w", err)
		}
		terms.policy, terms.before = body, nil
	}
	rules, err := judging(terms, c.Policy != "")
	if err != nil {
		return posture.Report{}, nil, fmt.Errorf("read the policy: %w", err)
	}
	var asker children = &processes{log: c.Log}
	if c.Replay != "" {
		replay, err := system.OpenReplay(c.Replay)
		if err != nil {
			return posture.Report{}, nil, fmt.Errorf("open the recorded machine: %w", err)
		}
		asker = inProcess{replay}
		clk = stopped{clk, replay.Machine().RecordedAt}
	}
	now := clk.Now().Truncate(time.Millisecond)
	var kept position
	if c.State != "" {
		if _, err := (state{c.State}).load(chainFile, &kept); err != nil {
			kept = position{} // the service says that it is damaged
		}
	}
	outcome, err := assessor{children: asker}.assess(ctx, now, assess.Sections(), terms, lastRead{}, position{Upkeep: kept.Upkeep}, true)
	if err != nil {
		return posture.Report{}, nil, err
	}
	report := posture.Report{Sequence: 1, MadeAt: outcome.At, Policy: outcome.Policy}
	for _, b := range outcome.Bodies {
		if err := wire.DecodeSection(b.Name, b.Data, b.ReadAt, &report.Facts, &report.Findings); err != nil {
			return posture.Report{}, nil, fmt.Errorf("read the assessment: %w", err)
		}
	}
	return report, rules, nil
}

// stopped is a clock that stands still: a recorded machine is judged as of the
// moment when it was recorded.
type stopped struct {
	clock.Clock
	at time.Time
}

// Now implements clock.Clock.
func (s stopped) Now() time.Time { return s.at }

// AnythingOpen reports whether something fails or is not proven.
func AnythingOpen(r posture.Report) bool {
	for _, f := range r.Findings {
		if f.Result != posture.Pass && f.Result != posture.NotApplicable {
			return true
		}
	}
	return false
}

// Record makes a recorded machine of this one in a new folder.
func Record(ctx context.Context, dir string, clk clock.Clock) error {
	recorder := system.NewRecorder(system.New("/"))
	defer system.EndApart()
	probe.Facts(ctx, recorder, probe.Question{Now: clk.Now()}, probe.All())
	machine, reads, err := recorder.Bytes(ctx, system.Machine{RecordedAt: clk.Now().UTC(), Agent: release.Version()})
	if err != nil {
		return fmt.Errorf("record this machine: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("record this machine: %w", err)
	}
	for name, data := range map[string][]byte{system.MachineFile: machine, system.ReadsFile: reads} {
		if err := durable.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return fmt.Errorf("record this machine: %w", err)
		}
	}
	return nil
}

// judging returns the policy that an assessment judges by: the one that was
// asked for, or that of the terms, or what judges where that cannot be read.
func judging(t terms, asked bool) (*policy.Policy, error) {
	if asked {
		return policy.Decode(t.policy)
	}
	for _, compiled := range [][]byte{t.policy, t.before} {
		if rules, err := policy.Decode(compiled); err == nil {
			return rules, nil
		}
	}
	return policy.Decode(baseline.School())
}
