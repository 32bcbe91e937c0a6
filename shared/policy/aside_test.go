package policy_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestAMachineForInvestigationsIsNotJudgedByItsMedia: whatever the facts are,
// rules about media and nothing else are not for it, and every other rule finds
// what it finds anyway.
func TestAMachineForInvestigationsIsNotJudgedByItsMedia(t *testing.T) {
	l := load(t)
	media := map[string]bool{"USB-01": true, "USB-02": true}
	rapid.Check(t, func(t *rapid.T) {
		facts := facts().Draw(t, "facts")
		kept := policy.SchoolFacts{Register: posture.Found("register", policy.Register{UnknownMedia: posture.Read(rapid.Int64Range(0, 3).Draw(t, "unknown"))})}
		aside := single
		aside.Investigation = true
		usual := append(l.Evaluate(single, facts, now), l.EvaluateSchool(single, kept, now)...)
		var rest []posture.Finding
		for _, f := range usual {
			if !media[f.Rule] {
				rest = append(rest, f)
			}
		}
		n, seen := 0, map[string]bool{}
		for _, f := range append(l.Evaluate(aside, facts, now), l.EvaluateSchool(aside, kept, now)...) {
			if media[f.Rule] {
				if f.Result != posture.NotApplicable || seen[f.Rule] {
					t.Fatalf("%s is %s", f.Rule, f.Result)
				}
				seen[f.Rule] = true
				continue
			}
			if n == len(rest) || f != rest[n] {
				t.Fatalf("%+v is another finding than without", f)
			}
			n++
		}
		if n != len(rest) || len(seen) != len(media) {
			t.Fatalf("%d of %d other findings, %v", n, len(rest), seen)
		}
	})
}
