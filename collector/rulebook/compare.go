package rulebook

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/fault"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Text is a policy and the text that it was compiled from.
type Text struct {
	File   string
	Source []byte
	Policy *policy.Policy
}

// Loosening is one way in which a policy asks less than a baseline, or in which
// that cannot be told from the texts, which counts the same.
type Loosening struct {
	Item      string    `json:"item"`            // the rule, or a parameter as param.name
	Field     string    `json:"field,omitempty"` // of the rule
	Direction Direction `json:"direction"`       // Looser, or Either if it cannot be told
	Words     string    `json:"words"`
	Line      int       `json:"line,omitempty"` // of the policy's text
	Column    int       `json:"column,omitempty"`
	Baseline  int       `json:"baselineLine,omitempty"` // line of the baseline's text
	// Mark tells this item as it stands in the two texts from the same item as it
	// stands in any other: who allows it allows that and nothing else.
	Mark [sha256.Size]byte `json:"-"`
}

// Fault says a loosening as what is wrong with a text is said.
func (l Loosening) Fault(file string) fault.Fault {
	words := l.Item + ": " + l.Words
	if l.Baseline > 0 {
		words += fmt.Sprintf(" (line %d of the baseline)", l.Baseline)
	}
	return fault.Fault{File: file, Line: max(l.Line, 1), Column: max(l.Column, 1), Message: words}
}

// Compare lists every way in which a policy asks less than a baseline. If it lists
// none, whatever fails a rule of the baseline fails that rule of the policy, as
// gravely and as soon, whatever the facts are: the policy may ask more.
func Compare(baseline, own Text) ([]Loosening, error) {
	c := &comparison{
		base: parameters(baseline.Policy), own: parameters(own.Policy),
		baseAt: outline(baseline.Source), ownAt: outline(own.Source),
		swayed: map[string]*swayedParameter{},
	}
	rules := rulesOf(own.Policy)
	for _, a := range baseline.Policy.Rules {
		b, there := rules[a.ID]
		if !there {
			c.add(a.ID, "", Looser, "the baseline has this rule, and the policy does not")
			c.mark(a.ID, []any{c.form(a, true, c.base), nil})
			continue
		}
		if err := c.rule(a, b); err != nil {
			return nil, fmt.Errorf("compare %s with the baseline: %w", a.ID, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.swayed)) {
		c.parameter(name, c.swayed[name])
	}
	return c.found, nil
}

// comparison is a policy that is being compared with a baseline.
type comparison struct {
	base, own     map[string]policy.Parameter
	baseAt, ownAt map[string]place
	found         []Loosening
	swayed        map[string]*swayedParameter // that make a rule ask less
}

// swayedParameter is what another value of a parameter does.
type swayedParameter struct {
	rules   []string
	unclear bool
}

func (c *comparison) add(item, field string, d Direction, format string, args ...any) {
	l := Loosening{Item: item, Field: field, Direction: d, Words: fmt.Sprintf(format, args...)}
	at := func(places map[string]place) place {
		for _, name := range []string{item + "." + field, item, "rules"} {
			if p, ok := places[name]; ok {
				return p
			}
		}
		return place{}
	}
	own := at(c.ownAt)
	l.Line, l.Column, l.Baseline = own.line, own.column, at(c.baseAt).line
	c.found = append(c.found, l)
}

// mark marks everything that was found of an item.
func (c *comparison) mark(item string, forms any) {
	body, err := json.Marshal(forms)
	if err != nil {
		panic(err) // nothing in a policy cannot be written as JSON
	}
	sum := sha256.Sum256(body)
	for i := range c.found {
		if c.found[i].Item == item {
			c.found[i].Mark = sum
		}
	}
}

// form is what a rule asks, without its words. With conditions that are another's
// it rests on its parameters too.
func (c *comparison) form(r policy.Rule, whole bool, values map[string]policy.Parameter) any {
	r.Title, r.Met, r.NotMet, r.Remediation, r.RemediationOn, r.Clauses = "", "", "", "", nil, nil
	if !whole {
		return r
	}
	read := map[string]policy.Parameter{}
	for _, condition := range conditions(r) {
		_, names, err := swayOf(condition, values, values)
		if err != nil {
			continue // of a compiled rule it can be read
		}
		for name := range names {
			read[name] = values[name]
		}
	}
	return []any{r, read}
}

func conditions(r policy.Rule) [][]byte {
	list := [][]byte{r.When, r.Require}
	for _, v := range r.Variants {
		list = append(list, v.When)
	}
	return slices.DeleteFunc(list, func(c []byte) bool { return len(c) == 0 })
}

// rule compares one rule.
func (c *comparison) rule(a, b policy.Rule) error {
	before := len(c.found)
	if a.Side != b.Side || a.For != b.For {
		c.add(a.ID, "for", Either, "what it judges is not what it judges in the baseline")
	}
	for _, class := range a.Classes {
		if !slices.Contains(b.Classes, class) {
			c.add(a.ID, "classes", Looser, "it does not cover devices that are %s, and the baseline does", class)
		}
	}
	if n := leniency(b.None) - leniency(a.None); n > 0 {
		c.add(a.ID, "none", Looser, "without anything to judge it is %s, and in the baseline %s", b.None, a.None)
	}
	switch {
	case a.MaxAge == b.MaxAge:
	case b.MaxAge == 0 || a.MaxAge > 0 && b.MaxAge > a.MaxAge:
		c.add(a.ID, "maxAge", Looser, "facts count for %s, and in the baseline for %s", ageWords(b.MaxAge), ageWords(a.MaxAge))
	default:
		c.add(a.ID, "maxAge", Either, "facts count for %s, and in the baseline for %s: what fails on older ones would only be not proven",
			ageWords(b.MaxAge), ageWords(a.MaxAge))
	}
	moved, err := c.asks(a, b)
	if err != nil {
		return err
	}
	if err := c.terms(a, b, moved); err != nil {
		return err
	}
	whole := slices.ContainsFunc(c.found[before:], func(l Loosening) bool {
		return slices.Contains([]string{"when", "require", "variants", "for"}, l.Field)
	})
	c.mark(a.ID, []any{c.form(a, whole, c.base), c.form(b, whole, c.own)})
	return nil
}

// leniency orders the results that a rule may have without anything to judge.
func leniency(r posture.Result) int {
	switch r {
	case posture.Pass:
		return 2
	case posture.NotApplicable:
		return 1
	case posture.Unknown, posture.Fail, posture.Error, posture.NotChecked:
	}
	return 0
}

// asks compares what a rule covers and requires, and reports whether that is not
// just the same. A rule that the baseline's parameters switch off asks nothing.
func (c *comparison) asks(a, b policy.Rule) (moved bool, err error) {
	if off, err := c.off(a); off || err != nil {
		return true, err
	}
	switch {
	case len(b.When) == 0 && len(a.When) > 0:
		moved = true // it covers more
	case !bytes.Equal(a.When, b.When):
		moved = true
		c.add(a.ID, "when", Either, "whether it covers all that it covers in the baseline cannot be told: its condition is another")
	case len(a.When) > 0:
		if moved, err = c.condition(a.ID, a.When, func(s sway) (bool, bool) { return s.less, s.more }); err != nil {
			return moved, err
		}
	}
	if !bytes.Equal(a.Require, b.Require) {
		c.add(a.ID, "require", Either, "whether it requires all that it requires in the baseline cannot be told: its condition is another")
		return true, nil
	}
	also, err := c.condition(a.ID, a.Require, func(s sway) (bool, bool) { return s.more, s.less })
	return moved || also, err
}

// off reports whether the baseline's parameters alone switch a rule off.
func (c *comparison) off(a policy.Rule) (bool, error) {
	if len(a.When) == 0 {
		return false, nil
	}
	s, _, err := swayOf(a.When, c.base, c.base)
	return s.from == false, err
}

// condition notes the parameters that move one condition, which both policies
// have, the wrong way. which picks that way and the other from a sway.
func (c *comparison) condition(rule string, condition []byte, which func(sway) (wrong, right bool)) (moved bool, err error) {
	all, read, err := swayOf(condition, c.base, c.own)
	if err != nil {
		return false, err
	}
	wrong, right := which(all)
	if !wrong {
		return !all.same(), nil
	}
	var differ, alone []string
	for _, name := range slices.Sorted(maps.Keys(read)) {
		if parameterWords(c.base[name]) == parameterWords(c.own[name]) {
			continue
		}
		differ = append(differ, name)
		only := maps.Clone(c.base)
		only[name] = c.own[name]
		s, _, err := swayOf(condition, c.base, only)
		if err != nil {
			return true, err
		}
		if bad, _ := which(s); bad {
			alone = append(alone, name)
		}
	}
	// What is allowed is allowed by these alone. If the others move it further once
	// these are as they are, it is all of them together.
	if further, err := c.further(condition, alone, which); err != nil || further {
		alone = differ
	}
	for _, name := range alone {
		p := c.swayed[name]
		if p == nil {
			p = &swayedParameter{}
			c.swayed[name] = p
		}
		p.unclear = p.unclear || right
		if !slices.Contains(p.rules, rule) {
			p.rules = append(p.rules, rule)
		}
	}
	return true, nil
}

// further reports whether a condition moves the wrong way still once some
// parameters are as the policy has them.
func (c *comparison) further(condition []byte, names []string, which func(sway) (wrong, right bool)) (bool, error) {
	from := maps.Clone(c.base)
	for _, name := range names {
		from[name] = c.own[name]
	}
	s, _, err := swayOf(condition, from, c.own)
	wrong, _ := which(s)
	return wrong, err
}

// parameter says that another value of a parameter loosens rules.
func (c *comparison) parameter(name string, p *swayedParameter) {
	a, b := c.base[name], c.own[name]
	var words string
	d := Looser
	if a.Kind == policy.TextsParameter {
		var parts []string
		for _, change := range diffList(name, a.Texts, b.Texts) {
			parts = append(parts, change.Words+", against the baseline")
		}
		words = strings.Join(parts, "; ")
	} else {
		words = fmt.Sprintf("is %s, and in the baseline %s", parameterWords(b), parameterWords(a))
	}
	verb := " asks less"
	if len(p.rules) > 1 {
		verb = " ask less"
	}
	if p.unclear {
		d, verb = Either, " may ask less"
	}
	item := "param." + name
	c.add(item, "", d, "%s: %s%s", words, strings.Join(p.rules, ", "), verb)
	c.mark(item, []any{a, b})
}

// level is a severity and a grace that a failure may have.
type level struct {
	severity posture.Severity
	grace    time.Duration
}

func levels(r policy.Rule) []level {
	list := []level{{r.Severity, r.Grace}}
	for _, v := range r.Variants {
		list = append(list, level{v.Severity, v.Grace})
	}
	return list
}

// terms compares how grave a failure is and how long it may stand. moved says that
// the two rules do not fail on just the same.
func (c *comparison) terms(a, b policy.Rule, moved bool) error {
	c.escalation(a, b)
	was, is := levels(a), levels(b)
	gravest := slices.MaxFunc(was, func(x, y level) int { return cmp.Compare(x.severity, y.severity) }).severity
	mildest := slices.MinFunc(is, func(x, y level) int { return cmp.Compare(x.severity, y.severity) }).severity
	shortest := slices.MinFunc(was, func(x, y level) int { return cmp.Compare(x.grace, y.grace) }).grace
	longest := slices.MaxFunc(is, func(x, y level) int { return cmp.Compare(x.grace, y.grace) }).grace
	if mildest >= gravest && later(a, b, shortest, longest) == Tighter {
		return nil
	}
	// Of several things of one name the first that fails gives the severity. If
	// others fail now, it may be one of another case.
	mixed := moved && a.For != "device" && len(a.Variants) > 0
	for i := range a.Variants {
		if len(a.Variants) != len(b.Variants) || !bytes.Equal(a.Variants[i].When, b.Variants[i].When) {
			mixed = true
			break
		}
		s, _, err := swayOf(a.Variants[i].When, c.base, c.own)
		if err != nil {
			return err
		}
		mixed = mixed || !s.same()
	}
	if mixed || len(a.Variants) != len(b.Variants) {
		c.add(a.ID, "variants", Either, "whether its severity and grace are as strict as in the baseline cannot be told: the cases are others")
		return nil
	}
	for i := range was {
		in, field := "", "severity"
		if i > 0 {
			in, field = fmt.Sprintf(" in case %d of its variants", i), "variants"
		}
		if is[i].severity < was[i].severity {
			c.add(a.ID, field, Looser, "its severity%s is %s, and in the baseline %s", in, is[i].severity, was[i].severity)
		}
		if d := later(a, b, was[i].grace, is[i].grace); d != Tighter {
			if field == "severity" {
				field = "grace"
			}
			x, y := a, b
			x.Grace, y.Grace = was[i].grace, is[i].grace
			c.add(a.ID, field, d, "its grace%s is %s, and in the baseline %s", in, graceWords(y), graceWords(x))
		}
	}
	return nil
}

// later says whether a grace of the second rule ends after one of the first:
// Tighter if it never does. School days and hours online never pass faster than
// time itself, so that either is at least as long as as much plain time.
func later(a, b policy.Rule, was, is time.Duration) Direction {
	x, y := clockOf(a), clockOf(b)
	switch {
	case is == 0, is <= was && (x == y || y == policy.CalendarTime):
		return Tighter
	case x == y, x == policy.CalendarTime && is >= was:
		return Looser
	}
	return Either
}

// clockOf returns the clock that counts the graces of a rule.
func clockOf(r policy.Rule) policy.Clock {
	if r.Pauses() || r.Waits() {
		return r.GraceIn
	}
	return policy.CalendarTime
}

// escalation compares how the severity of a failure that stands rises.
func (c *comparison) escalation(a, b policy.Rule) {
	if a.Escalate == nil || a.Escalate.After == 0 {
		return
	}
	mildest := slices.MinFunc(levels(b), func(x, y level) int { return cmp.Compare(x.severity, y.severity) }).severity
	rises := b.Escalate != nil && b.Escalate.After > 0 && b.Escalate.After <= a.Escalate.After && b.Escalate.Severity >= a.Escalate.Severity
	if mildest < a.Escalate.Severity && !rises {
		c.add(a.ID, "escalate", Looser, "a failure that stands for %s does not become %s, and in the baseline it does",
			durationWords(a.Escalate.After), a.Escalate.Severity)
	}
}
