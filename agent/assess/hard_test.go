package assess

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/agent/system/systemtest"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/policy/baseline"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// numbered is the baseline as a school might have published it.
func numbered(t *testing.T, n uint64) []byte {
	t.Helper()
	p, err := policy.Decode(baseline.School())
	if err != nil {
		t.Fatal(err)
	}
	p.Number = n
	body, err := policy.Encode(p)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// TestAPolicyThatCannotBeReadStopsNothing: the one before it judges, or the
// baseline, and the report says which.
func TestAPolicyThatCannotBeReadStopsNothing(t *testing.T) {
	newer := []byte(strings.Replace(string(numbered(t, 9)), `"format":1`, `"format":2`, 1))
	machine := systemtest.Load(t, filepath.Join("..", "..", "shared", "e2e", "testdata", "machines", "encrypted-laptop"))
	for name, c := range map[string]struct {
		policy, before []byte
		judges         uint64
		trouble        bool
	}{
		"none":                 {nil, nil, 0, false},
		"good":                 {numbered(t, 9), numbered(t, 8), 9, false},
		"newer format":         {newer, numbered(t, 8), 8, true},
		"newer and nothing":    {newer, nil, 0, true},
		"newer after newer":    {newer, newer, 0, true},
		"cut":                  {numbered(t, 9)[:200], numbered(t, 8), 8, true},
		"lost, and one before": {nil, numbered(t, 8), 8, false},
	} {
		o, err := Assess(t.Context(), machine, Request{Now: monday, Due: Sections(), Policy: c.policy, PolicyBefore: c.before})
		if err != nil || o.Policy != c.judges || (o.PolicyTrouble != "") != c.trouble {
			t.Errorf("%s: policy %d judges, trouble %q, %v; want %d", name, o.Policy, o.PolicyTrouble, err, c.judges)
		}
		if !slices.ContainsFunc(o.Bodies, func(b wire.Body) bool { return b.Name == wire.Findings && len(b.Data) > 100 }) {
			t.Errorf("%s: nothing was judged", name)
		}
	}
}

// TestALogOfMediaThatCannotBeReadIsAGapInTheRecord goes on with an assessment
// for each way in which the log can be damaged.
func TestALogOfMediaThatCannotBeReadIsAGapInTheRecord(t *testing.T) {
	for name, c := range map[string]struct {
		log   string
		taken uint64
		last  uint64 // of the event that stands for what was lost
	}{
		"newer":                {`{"version":9,"last":41,"news":[]}`, 7, 42},
		"another shape":        {`{"version":1,"last":41,"events":7}`, 7, 42},
		"not even a number":    {`{"version":1,"last":"many"}`, 7, 8},
		"beyond all events":    {`{"version":9,"last":18446744073709551615}`, 7, 8},
		"not an object":        {`[1,2]`, 7, 8},
		"behind what was told": {`{"version":9,"last":3}`, 7, 8},
	} {
		r := Request{Now: monday, Due: []string{wire.Media}, MediaLog: json.RawMessage(c.log), EventsAfter: 7, EventsDone: 5, EventsTaken: c.taken}
		facts := posture.Facts{Media: posture.Found("test", posture.Medium{Kind: posture.DiskMedium, Vendor: "Example", Serial: posture.Unread[string](posture.Denied)})}
		var o Outcome
		if err := foldMedia(&facts, r, &o); err != nil || o.MediaTrouble == "" {
			t.Fatalf("%s: trouble %q, %v", name, o.MediaTrouble, err)
		}
		events := facts.MediaEvents
		if len(events.Gaps) != 1 || len(events.Items) != 1 || events.Items[0].Number != c.last+1 || events.Items[0].Action != posture.Present {
			t.Errorf("%s: got %+v, want a gap and event %d", name, events, c.last+1)
		}
		// It is said until the collector has it, and not after.
		r.MediaLog, r.EventsTaken = o.MediaLog, o.LastEvent
		for _, again := range []struct {
			after, done uint64
			gaps        int
		}{{5, 5, 1}, {o.LastEvent, 5, 0}, {o.LastEvent, o.LastEvent, 0}, {c.last, c.last, 0}} {
			r.EventsAfter, r.EventsDone = again.after, again.done
			var next Outcome
			if err := foldMedia(&facts, r, &next); err != nil || next.MediaTrouble != "" || len(facts.MediaEvents.Gaps) != again.gaps {
				t.Errorf("%s: after event %d, of which the collector has %d: %+v, %q, %v", name, again.after, again.done, facts.MediaEvents, next.MediaTrouble, err)
			}
		}
	}
}
