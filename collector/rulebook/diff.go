package rulebook

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Direction says which way a change goes, as far as that can be told from the
// policies alone.
type Direction string

// The directions of a change.
const (
	Tighter Direction = "tighter" // more fails, sooner, or graver
	Looser  Direction = "looser"  // less fails, later, or less gravely
	Either  Direction = ""        // it cannot be told
)

// Change is one difference between two policies, in words.
type Change struct {
	Rule      string    `json:"rule,omitempty"`      // the rule that differs
	Parameter string    `json:"parameter,omitempty"` // or the parameter
	Direction Direction `json:"direction,omitempty"`
	Words     string    `json:"words"`
}

// WordsChange is what Diff says of a rule that finds what it did, in other words.
const WordsChange = "its words change"

// Diff lists what changes from one policy to another: parameters by name, then
// rules by identifier.
func Diff(from, to *policy.Policy) []Change {
	changes := []Change{}
	if from.Name != to.Name {
		changes = append(changes, Change{Words: fmt.Sprintf("the name %q becomes %q", from.Name, to.Name)})
	}
	if from.Title != to.Title {
		changes = append(changes, Change{Words: fmt.Sprintf("the title %q becomes %q", from.Title, to.Title)})
	}
	was, is := parameters(from), parameters(to)
	for _, name := range sortedKeys(was, is) {
		changes = append(changes, diffParameter(name, was, is)...)
	}
	old, rules := rulesOf(from), rulesOf(to)
	for _, id := range sortedKeys(old, rules) {
		a, had := old[id]
		b, has := rules[id]
		switch {
		case !had:
			changes = append(changes, Change{Rule: id, Direction: Tighter, Words: fmt.Sprintf("is new: %s (%s)", b.Title, b.Severity)})
		case !has:
			changes = append(changes, Change{Rule: id, Direction: Looser, Words: "is no longer a rule: " + a.Title})
		default:
			changes = append(changes, diffRule(a, b)...)
		}
	}
	return changes
}

func parameters(p *policy.Policy) map[string]policy.Parameter {
	m := map[string]policy.Parameter{}
	for _, q := range p.Parameters {
		m[q.Name] = q
	}
	return m
}

func rulesOf(p *policy.Policy) map[string]policy.Rule {
	m := map[string]policy.Rule{}
	for _, r := range p.Rules {
		m[r.ID] = r
	}
	return m
}

func sortedKeys[V any](a, b map[string]V) []string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

func diffParameter(name string, was, is map[string]policy.Parameter) []Change {
	a, had := was[name]
	b, has := is[name]
	change := func(words string) []Change { return []Change{{Parameter: name, Words: words}} }
	switch {
	case !had:
		return change("is new: " + parameterWords(b))
	case !has:
		return change("is no longer a parameter; it was " + parameterWords(a))
	case a.Kind != b.Kind:
		return change(fmt.Sprintf("was %s (%s) and becomes %s (%s)", parameterWords(a), a.Kind, parameterWords(b), b.Kind))
	}
	var changes []Change
	if a.Kind == policy.TextsParameter {
		changes = diffList(name, a.Texts, b.Texts)
	} else if x, y := parameterWords(a), parameterWords(b); x != y {
		changes = change(fmt.Sprintf("was %s and becomes %s", x, y))
	}
	if !slices.Equal(a.Choices, b.Choices) {
		changes = append(changes, change(fmt.Sprintf("could be %s and can be %s", choiceWords(a), choiceWords(b)))...)
	}
	return changes
}

func choiceWords(p policy.Parameter) string {
	if len(p.Choices) == 0 {
		return "anything"
	}
	return strings.Join(p.Choices, ", ")
}

func diffList(name string, was, is []string) (changes []Change) {
	minus := func(a, b []string) []string {
		return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
	}
	if added := minus(is, was); len(added) > 0 {
		changes = append(changes, Change{Parameter: name, Words: "gains " + strings.Join(added, ", ")})
	}
	if removed := minus(was, is); len(removed) > 0 {
		changes = append(changes, Change{Parameter: name, Words: "loses " + strings.Join(removed, ", ")})
	}
	return changes
}

func parameterWords(p policy.Parameter) string {
	switch p.Kind {
	case policy.TextsParameter:
		if len(p.Texts) == 0 {
			return "an empty list"
		}
		return strings.Join(p.Texts, ", ")
	case policy.DurationParameter:
		return durationWords(time.Duration(p.Number))
	case policy.NumberParameter:
		return strconv.FormatInt(p.Number, 10)
	case policy.FlagParameter:
		if p.Flag {
			return "yes"
		}
		return "no"
	default:
		return strconv.Quote(p.Text)
	}
}

// durationWords writes a time as people say it, exactly.
func durationWords(d time.Duration) string {
	if d == 0 {
		return "none"
	}
	var parts []string
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if n := d / unit.of; n > 0 {
			parts = append(parts, counted(n, unit.name))
			d -= n * unit.of
		}
	}
	if d > 0 || len(parts) == 0 {
		parts = append(parts, d.String())
	}
	return strings.Join(parts, " ")
}

// diffRule lists how one rule changes.
func diffRule(a, b policy.Rule) (changes []Change) {
	add := func(d Direction, format string, args ...any) {
		changes = append(changes, Change{Rule: a.ID, Direction: d, Words: fmt.Sprintf(format, args...)})
	}
	if a.Title != b.Title {
		add(Either, "its title %q becomes %q", a.Title, b.Title)
	}
	if a.Severity != b.Severity {
		add(rises(a.Severity < b.Severity), "its severity was %s and becomes %s", a.Severity, b.Severity)
	}
	if x, y := graceWords(a), graceWords(b); a.Grace != b.Grace || a.GraceIn != b.GraceIn {
		add(graceDirection(a, b), "its grace is %s instead of %s", y, x)
	}
	if a.MaxAge != b.MaxAge {
		// Zero is any age. What failed on older facts is only not proven on none.
		d := Looser
		if b.MaxAge > 0 && (a.MaxAge == 0 || b.MaxAge < a.MaxAge) {
			d = Either
		}
		add(d, "facts counted for %s and count for %s", ageWords(a.MaxAge), ageWords(b.MaxAge))
	}
	if a.None != b.None {
		add(Either, "without anything to judge it was %s and becomes %s", a.None, b.None)
	}
	for _, c := range b.Classes {
		if !slices.Contains(a.Classes, c) {
			add(Tighter, "it now covers devices that are %s", c)
		}
	}
	for _, c := range a.Classes {
		if !slices.Contains(b.Classes, c) {
			add(Looser, "it no longer covers devices that are %s", c)
		}
	}
	if a.Side != b.Side || a.For != b.For || !bytes.Equal(a.When, b.When) {
		add(Either, "what it applies to changes")
	}
	if !bytes.Equal(a.Require, b.Require) || !slices.Equal(a.Facts, b.Facts) {
		add(Either, "what it requires changes")
	}
	if !sameVariants(a, b) {
		add(Either, "the cases in which its severity or grace differ, or rise, change")
	}
	if a.Met != b.Met || a.NotMet != b.NotMet || a.Remediation != b.Remediation || !maps.Equal(a.RemediationOn, b.RemediationOn) || !slices.Equal(a.Clauses, b.Clauses) {
		add(Either, WordsChange)
	}
	return changes
}

func rises(tighter bool) Direction {
	if tighter {
		return Tighter
	}
	return Looser
}

// graceDirection says whether another grace is shorter. School days and time
// online take as long as plain time at least; which of the two takes longer
// nobody knows.
func graceDirection(a, b policy.Rule) Direction {
	switch {
	case a.GraceIn == b.GraceIn:
		return rises(b.Grace < a.Grace)
	case b.GraceIn == policy.CalendarTime && b.Grace <= a.Grace, b.Grace == 0:
		return Tighter
	case a.GraceIn == policy.CalendarTime && b.Grace >= a.Grace, a.Grace == 0:
		return Looser
	}
	return Either
}

// graceWords says how long a grace is as people say it.
func graceWords(r policy.Rule) string {
	words := durationWords(r.Grace)
	switch {
	case r.Grace == 0:
		return words
	case r.GraceIn == policy.SchoolDays && r.Grace%(24*time.Hour) == 0:
		return counted(r.Grace/(24*time.Hour), "school day")
	case r.GraceIn == policy.SchoolDays:
		return words + " of school days"
	case r.GraceIn == policy.OnlineTime && r.Grace%time.Hour == 0:
		return counted(r.Grace/time.Hour, "hour") + " online"
	case r.GraceIn == policy.OnlineTime:
		return words + " online"
	case r.GraceIn == policy.CalendarTime:
		return words
	}
	return words + " of " + string(r.GraceIn)
}

func counted(n time.Duration, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func ageWords(d time.Duration) string {
	if d == 0 {
		return "as long as they stand"
	}
	return durationWords(d)
}

func sameVariants(a, b policy.Rule) bool {
	same := slices.EqualFunc(a.Variants, b.Variants, func(x, y policy.Variant) bool {
		return bytes.Equal(x.When, y.When) && x.Severity == y.Severity && x.Grace == y.Grace
	})
	x, y := policy.Escalation{Severity: posture.Info}, policy.Escalation{Severity: posture.Info}
	if a.Escalate != nil {
		x = *a.Escalate
	}
	if b.Escalate != nil {
		y = *b.Escalate
	}
	return same && (a.Escalate == nil) == (b.Escalate == nil) && x == y
}
