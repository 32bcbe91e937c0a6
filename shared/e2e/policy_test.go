package e2e

import (
	"os"
	"testing"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
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
