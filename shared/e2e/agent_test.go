package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	"github.com/caretaker-school/caretaker/agent/enroll"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
)

func TestCheckShowsExactlyWhatIsSent(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "encrypted-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	report, _, err := agentapp.Check(t.Context(), agentapp.CheckConfig{Replay: l.machine, State: l.state}, w.clock)
	must(t, err)
	d := l.shown()

	plain := func(v any) any {
		text, err := json.Marshal(v)
		must(t, err)
		return asJSON[any](t, string(text))
	}
	sent, shown := plain(d.Facts).(map[string]any), plain(report.Facts).(map[string]any)
	delete(sent, "mediaEvents") // a log of the running agent: check alone has none
	delete(shown, "mediaEvents")
	if diff := cmp.Diff(shown, sent); diff != "" {
		t.Errorf("what check shows (-) is not what was sent (+):\n%s", diff)
	}
	results := map[string]string{}
	for _, f := range report.Findings {
		results[f.Rule+f.Subject.Key] = f.Result.String() + f.Message
	}
	for _, f := range d.Findings {
		if got, ok := results[f.Rule+f.Subject.Key]; ok && got != f.Result.String()+f.Message {
			t.Errorf("%s: check shows %q, and %s %q was sent", f.Rule, got, f.Result, f.Message)
		}
	}
	if len(results) == 0 || len(d.Findings) < len(results) {
		t.Errorf("check shows %d findings, and %d were sent", len(results), len(d.Findings))
	}
}

func TestPolicyNumbersOnlyRise(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	source, err := os.ReadFile("testdata/hollybank.yaml")
	must(t, err)
	file := filepath.Join(l.state, "policy.signed")
	var signed [][]byte
	for n := uint64(1); n <= 2; n++ {
		ask[collectorapp.PublishAnswer](w, "policy.publish", collectorapp.PublishArguments{File: "hollybank.yaml", Source: source})
		until(t, "the agent judges by it", func() bool { return l.status().Policy == n })
		document, err := os.ReadFile(file)
		must(t, err)
		signed = append(signed, document)
	}
	must(t, l.stop())

	device, err := enroll.Load(l.state, time.Time{})
	must(t, err)
	if _, err := device.Take(enroll.Policy, signed[0]); !errors.Is(err, enroll.ErrNotNewer) {
		t.Errorf("an older policy was answered with %v, want %v", err, enroll.ErrNotNewer)
	}
	forged := append([]byte{}, signed[1]...)
	forged[len(forged)/2] ^= 1
	if _, err := device.Take(enroll.Policy, forged); err == nil || errors.Is(err, enroll.ErrNotNewer) {
		t.Errorf("a policy that the school did not sign was answered with %v", err)
	}
	if _, err := device.Take(enroll.Assignment, signed[1]); err == nil {
		t.Error("a policy was taken for an assignment")
	}
	if in, err := os.ReadFile(file); err != nil || string(in) != string(signed[1]) {
		t.Errorf("another policy is in force than the last: %v", err)
	}
}

// TestWhoStopsTheAgentIsSeen: an agent that did not run while its laptop was on, and
// one that lost what it keeps, say so in their next report, and the laptop's page
// does.
func TestWhoStopsTheAgentIsSeen(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "encrypted-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	pages := w.signIn(c, "technician")
	page := "/schools/" + string(l.shown().School) + "/devices/" + l.device
	if _, text := pages.get(page); strings.Contains(text, "did not run from") || strings.Contains(text, "keeps between two reports damaged") {
		t.Error("an agent that always ran is said to have been stopped")
	}
	pages.shows(page, "never that it knows")
	must(t, l.stop())

	// It ran last two hours before this boot's begin, by the boot's own clock: so
	// long at least it did not run, although the machine did.
	file := filepath.Join(l.state, "chain.json")
	data, err := os.ReadFile(file)
	must(t, err)
	chain := asJSON[map[string]any](t, string(data))
	upkeep, ok := chain["upkeep"].(map[string]any)
	if !ok || upkeep["boot"] == "" {
		t.Fatalf("when it ran last is not kept: %s", data)
	}
	upkeep["uptime"] = -2 * time.Hour
	data, err = json.Marshal(chain)
	must(t, err)
	must(t, os.WriteFile(file, data, 0o600))
	w.clock.Advance(3 * time.Hour)
	l.run()
	w.untilPassing(time.Second, "it says that it was stopped", func() bool {
		s := l.shown().Facts.System.Items
		return len(s) == 1 && !s[0].AgentStoppedUntil.Value.IsZero() && s[0].AgentStoppedUntil.Value.Sub(s[0].AgentStoppedFrom.Value) >= 2*time.Hour
	})
	pages = w.signIn(c, "dpo") // a technician's session is over by now
	pages.shows(page, "The agent did not run from ")
	must(t, l.stop())

	must(t, os.WriteFile(file, []byte("{"), 0o600))
	l.run()
	w.untilPassing(time.Second, "it says that its state was damaged", func() bool {
		s := l.shown().Facts.System.Items
		return len(s) == 1 && !s[0].AgentStateLostAt.Value.IsZero()
	})
	pages.shows(page, "keeps between two reports damaged")
	w.verified()
}
