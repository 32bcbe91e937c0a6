package e2e

import (
	"os"
	"slices"
	"testing"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/collector/view"
)

func TestAPublishedPolicyJudgesAndReportsNameIt(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	if d := l.shown(); d.Policy != 0 || standing(d, "ENC-01") != view.NotMet {
		t.Fatalf("judged by policy %d: ENC-01 %s", d.Policy, standing(d, "ENC-01"))
	}

	source, err := os.ReadFile("testdata/hollybank.yaml")
	must(t, err)
	published := ask[collectorapp.PublishAnswer](w, "policy.publish", collectorapp.PublishArguments{File: "hollybank.yaml", Source: source})
	if published.Number != 1 {
		t.Fatalf("the school's first policy has number %d", published.Number)
	}
	until(t, "a report names the policy", func() bool { d := l.shown(); return d.Policy == 1 && d.LastReport == 2 })
	d := l.shown()
	if got := standing(d, "HB-01"); got != view.Met {
		t.Errorf("the school's own rule stands %q, want %q", got, view.Met)
	}
	if got := standing(d, "ENC-01"); got != "" {
		t.Errorf("a rule that the policy does not hold stands %q", got)
	}
	if len(d.Disagreements) > 0 {
		t.Errorf("the collector judges otherwise: %v", d.Disagreements)
	}
	if s := l.status(); s.Policy != 1 {
		t.Errorf("the agent says that it judges by policy %d", s.Policy)
	}
	w.verified()
}

// TestAPolicyIsRolledBack: the rules of before are in force again under a
// higher number, and what changes can be read beforehand.
func TestAPolicyIsRolledBack(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	own, err := os.ReadFile("testdata/hollybank.yaml")
	must(t, err)
	_, baseline, err := rulebook.Baseline()
	must(t, err)
	ask[collectorapp.PublishAnswer](w, "policy.publish", collectorapp.PublishArguments{File: "baseline.yaml", Source: baseline})
	loosened := ask[collectorapp.DiffAnswer](w, "policy.diff", collectorapp.DiffArguments{File: "hollybank.yaml", Source: own})
	if !slices.ContainsFunc(loosened.Changes, func(c rulebook.Change) bool { return c.Rule == "ENC-01" && c.Direction == rulebook.Looser }) {
		t.Errorf("ENC-01 goes, and the difference does not say so: %+v", loosened)
	}
	ask[collectorapp.PublishAnswer](w, "policy.publish", collectorapp.PublishArguments{File: "hollybank.yaml", Source: own})
	until(t, "the school's own policy judges", func() bool { return l.shown().Policy == 2 && standing(l.shown(), "ENC-01") == "" })

	if err := w.do("policy.rollback", collectorapp.PolicyArguments{Number: 2}, new(any)); err == nil {
		t.Error("the policy in force was rolled back to")
	}
	if err := w.do("policy.rollback", collectorapp.PolicyArguments{Number: 9}, new(any)); err == nil {
		t.Error("a policy that there is not was rolled back to")
	}
	if back := ask[collectorapp.PublishAnswer](w, "policy.rollback", collectorapp.PolicyArguments{Number: 1}); back.Number != 3 {
		t.Errorf("the old rules have number %d", back.Number)
	}
	until(t, "the old rules judge again", func() bool { return l.shown().Policy == 3 && standing(l.shown(), "ENC-01") == view.NotMet })
	same := ask[collectorapp.DiffAnswer](w, "policy.diff", collectorapp.DiffArguments{From: 1, To: 3})
	if len(same.Changes) != 0 {
		t.Errorf("the old rules and the new differ: %+v", same.Changes)
	}
}
