package policy

import (
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Alone reports whether what a rule finds about one program or executable rests
// on that thing alone, beside the policy and what it can see of the assignment:
// not on other facts, nor on the time. Judged once, it is then known wherever the
// same thing is found.
func (l *Loaded) Alone(rule string) bool {
	r := l.rule(rule)
	if r == nil || r.Side != OnDevice || !folded(r.For) || r.reads.Clock || !slices.Equal(r.reads.Sections, []string{Section(r.For, "")}) {
		return false
	}
	for _, p := range append([]*program{r.when, r.require}, r.variants...) {
		if p != nil && p.reads.facts {
			return false
		}
	}
	return true
}

func (l *Loaded) rule(id string) *loadedRule {
	for i := range l.rules {
		if l.rules[i].ID == id {
			return &l.rules[i]
		}
	}
	return nil
}

// Weight is what one thing does to the findings of a rule that judges things
// alone. A list without things of no weight, and with one that meets the rule if
// any does, gives the same findings as the whole.
type Weight uint8

// The weights, the least first.
const (
	NoWeight Weight = iota // the rule does not cover the thing
	Meets                  // it meets the rule
	Matters                // it fails the rule, or that cannot be told
)

// Weigh returns the weight of the only thing that the facts hold of the kind
// that a rule is for. The rule must judge things alone.
func (l *Loaded) Weigh(rule string, a Assignment, f posture.Facts) Weight {
	r := l.rule(rule)
	now := time.Unix(0, 0)
	f.Programs.ReadAt, f.Executables.ReadAt = now, now
	for _, found := range l.judgeRule(r, context{facts: &f, school: &SchoolFacts{}, assignment: a, now: now}) {
		switch {
		case found.Reason == reasonMet && found.Result == posture.Pass:
			return Meets
		case found.Result != posture.Pass && found.Result != posture.NotApplicable:
			return Matters
		}
	}
	return NoWeight
}

// ProgramKey returns the key of the subject of findings about a program.
func ProgramKey(p *posture.Program) string { return bounded(programSubject(p).Key) }

// ExecutableKey returns that of findings about an executable.
func ExecutableKey(e *posture.Executable) string { return bounded(executableSubject(e).Key) }
