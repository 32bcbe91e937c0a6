package policy

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestCostIsBoundedWhileJudging gives a condition less than it needs: it is
// then not known, rather than met or not met.
func TestCostIsBoundedWhileJudging(t *testing.T) {
	body, err := os.ReadFile("baseline/school.json")
	if err != nil {
		t.Fatal(err)
	}
	var p Policy
	if err := json.Unmarshal(body, &p); err != nil {
		t.Fatal(err)
	}
	rule, _ := p.Rule("AV-01")
	language := NewLanguage(p.Parameters)
	pl, err := newPlanner(language)
	if err != nil {
		t.Fatal(err)
	}
	c := &context{facts: &posture.Facts{}, school: &SchoolFacts{}, now: time.Unix(1e9, 0)}
	c.facts.Antivirus = posture.Found[posture.Antivirus]("example")
	c.facts.Antivirus.ReadAt = c.now
	for i := range 30 {
		c.facts.Antivirus.Items = append(c.facts.Antivirus.Items, posture.Antivirus{Product: fmt.Sprint("none-", i)})
	}
	vars := newScope(language, c, language.roots(OnDevice))
	for limit, want := range map[uint64]verdict{
		50:        {reason: reasonCost, result: posture.Error},
		CostLimit: {known: true},
	} {
		made, err := pl.plan(rule.Require, &rule, limit)
		if err != nil {
			t.Fatal(err)
		}
		if got := made.eval(vars); got != want {
			t.Errorf("with a limit of %d: %+v, want %+v", limit, got, want)
		}
	}
}
