package policy

import (
	"maps"
	"slices"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Reads tells what a rule's result depends on beside the policy and the
// assignment, as its conditions are written. Where two judgements agree in all
// of it, they agree in every result, severity and grace; the words and times of
// findings may differ.
type Reads struct {
	// Sections are those whose content, and whose age as Trust tells it, the
	// rule reads; at the school's side, the facts.
	Sections []string
	// Clock says that the time itself makes a difference, and not only whether
	// the age of a section is one that the rule allows.
	Clock bool
}

// conditionReads is what one condition reads.
type conditionReads struct {
	sections map[string]bool
	clock    bool
	subject  bool // it reads the subject
	facts    bool // it reads facts beside the subject
}

// everySection names what a condition of a side reads if it is not followed.
func everySection(side Side) []string {
	if side == AtSchool {
		return []string{
			"system", "contact", "coverage", "agent", "escrow", "register", "licences", "allocation", "acceptableUse",
		}
	}
	return []string{"system", "encryption", "antivirus", "media", "media-events", "programs", "executables", "security"}
}

// read finds what a condition reads. What it does not follow counts as reading
// everything.
func (l *Language) read(tree *ast.AST, side Side, subject string) conditionReads {
	r := conditionReads{sections: map[string]bool{}}
	roots := map[string]bool{}
	for _, v := range l.roots(side) {
		roots[v.name] = true
	}
	whole := map[string]int{} // mentions of a variable that are not followed by a field
	ast.PostOrderVisit(tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.IdentKind:
			name := e.AsIdent()
			switch {
			case name == "now":
				r.clock = true
			case name == subject:
				r.subject = true
				r.sections[Section(name, "")] = true
			case roots[name]:
				whole[name]++
			}
		case ast.SelectKind:
			s := e.AsSelect()
			if l.past(s.FieldName()) {
				r.clock = true
			}
			if s.Operand().Kind() == ast.IdentKind && roots[s.Operand().AsIdent()] {
				name := s.Operand().AsIdent()
				whole[name]--
				r.facts = r.facts || name == "facts"
				r.sections[Section(name, s.FieldName())] = true
			}
		case ast.CallKind:
			switch e.AsCall().FunctionName() {
			case operators.Index, operators.OptIndex, operators.OptSelect:
				r.all(side) // a field may be named by an expression
			}
		}
	}))
	for name, n := range whole {
		if n > 0 && name != "param" {
			r.all(side)
		}
	}
	delete(r.sections, "")
	return r
}

func (r *conditionReads) all(side Side) {
	r.clock, r.facts = true, true
	for _, s := range everySection(side) {
		r.sections[s] = true
	}
}

// past reports whether a field of that name, of any kind, is a moment that must
// have passed: its value is then refused while it lies ahead.
func (l *Language) past(name string) bool {
	for _, k := range l.kinds {
		if f, ok := k.fields[name]; ok && f.past {
			return true
		}
	}
	return false
}

// gather sums up what a rule's conditions read, and its subject.
func (r *loadedRule) gather() Reads {
	all := conditionReads{sections: map[string]bool{}}
	if s := Section(r.For, ""); s != "" {
		all.sections[s] = true
	}
	for _, p := range append([]*program{r.when, r.require}, r.variants...) {
		if p == nil {
			continue
		}
		all.clock = all.clock || p.reads.clock
		maps.Copy(all.sections, p.reads.sections)
	}
	return Reads{Sections: slices.Sorted(maps.Keys(all.sections)), Clock: all.clock}
}

// Reads returns what a rule depends on; ok is false if the policy has no such
// rule.
func (l *Loaded) Reads(rule string) (r Reads, ok bool) {
	for i := range l.rules {
		if l.rules[i].ID == rule {
			return l.rules[i].reads, true
		}
	}
	return Reads{}, false
}

// Trust says how far the age of what was read lets a rule use it.
type Trust uint8

// How far facts are trusted. Zero claims nothing.
const (
	TrustUnknown Trust = iota
	Trusted
	TooOld
	FromTheFuture
)

// Trust returns how far a rule uses what was read at one moment and is judged
// at another.
func (r Rule) Trust(readAt, now time.Time) Trust {
	switch {
	case readAt.After(now.Add(clockTolerance)):
		return FromTheFuture
	case r.MaxAge > 0 && now.Sub(readAt) > r.MaxAge:
		return TooOld
	}
	return Trusted
}

// EvaluateRules is Evaluate for some of the rules. Of the facts it needs only
// the sections that Reads names for them.
func (l *Loaded) EvaluateRules(a Assignment, f posture.Facts, now time.Time, which func(rule string) bool) []posture.Finding {
	c := context{facts: sorted(f), school: &SchoolFacts{}, assignment: a, now: now}
	return l.judge(OnDevice, c, which)
}
