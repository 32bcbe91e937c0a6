package policy

import (
	"fmt"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Loaded is a policy whose conditions are ready to be evaluated. It is safe
// for concurrent use.
type Loaded struct {
	policy   *Policy
	language *Language
	rules    []loadedRule
}

type loadedRule struct {
	Rule
	when     *program // nil covers all
	require  *program
	variants []*program
	roots    []variable
	reads    Reads
}

// Load decodes a policy and makes its conditions ready.
func Load(body []byte) (*Loaded, error) {
	p, err := Decode(body)
	if err != nil {
		return nil, err
	}
	return Plan(p)
}

// Plan makes the conditions of a policy ready. The policy must not change
// afterwards.
func Plan(p *Policy) (*Loaded, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	language := NewLanguage(p.Parameters)
	pl, err := newPlanner(language)
	if err != nil {
		return nil, err
	}
	l := &Loaded{policy: p, language: language, rules: make([]loadedRule, len(p.Rules))}
	for i, r := range p.Rules {
		if l.rules[i], err = pl.rule(r); err != nil {
			return nil, fmt.Errorf("rule %s: %w", r.ID, err)
		}
		l.rules[i].roots = language.roots(r.Side)
	}
	return l, nil
}

func (pl *planner) rule(r Rule) (loadedRule, error) {
	out := loadedRule{Rule: r}
	limit := CostLimitFor(r.For)
	var err error
	if len(r.When) > 0 {
		if out.when, err = pl.plan(r.When, &r, limit); err != nil {
			return out, err
		}
	}
	if out.require, err = pl.plan(r.Require, &r, limit); err != nil {
		return out, err
	}
	for _, v := range r.Variants {
		variant, err := pl.plan(v.When, &r, limit)
		if err != nil {
			return out, err
		}
		out.variants = append(out.variants, variant)
	}
	out.reads = out.gather()
	return out, nil
}

// Policy returns the policy that was loaded. It must not be changed.
func (l *Loaded) Policy() *Policy { return l.policy }

// Evaluate judges a device's facts by the rules of the device's side. It is a
// pure function: it reads no clock and changes none of its arguments, and the
// order in which facts list their items makes no difference.
//
// Every rule gives at least one finding. A rule for things on the device gives
// one for each thing, and where the facts do not tell of everything, one more
// without a key for what they leave out. Rules for programs and executables,
// of which there are thousands, give one finding for each failure, and one
// without a key for all the rest.
func (l *Loaded) Evaluate(a Assignment, f posture.Facts, now time.Time) []posture.Finding {
	return l.EvaluateRules(a, f, now, nil)
}

// EvaluateSchool judges what the collector knows about one device by the
// rules of the school's side. It is as pure as Evaluate.
func (l *Loaded) EvaluateSchool(a Assignment, f SchoolFacts, now time.Time) []posture.Finding {
	c := context{facts: &posture.Facts{System: f.System}, school: &f, assignment: a, now: now}
	return l.judge(AtSchool, c, nil)
}

// Evaluate judges facts by a policy that is used once. A policy whose
// conditions cannot be made ready proves nothing: each of its rules is an
// error.
func Evaluate(p *Policy, a Assignment, f posture.Facts, now time.Time) []posture.Finding {
	l, err := Plan(p)
	if err != nil {
		return unplanned(p, OnDevice)
	}
	return l.Evaluate(a, f, now)
}

// EvaluateSchool is Evaluate for the rules of the school's side.
func EvaluateSchool(p *Policy, a Assignment, f SchoolFacts, now time.Time) []posture.Finding {
	l, err := Plan(p)
	if err != nil {
		return unplanned(p, AtSchool)
	}
	return l.EvaluateSchool(a, f, now)
}

func unplanned(p *Policy, side Side) []posture.Finding {
	var out []posture.Finding
	for _, r := range p.Rules {
		if r.Side == side {
			out = append(out, finding(&r, everything(r.For), verdict{reason: reasonEvaluation, result: posture.Error}))
		}
	}
	return out
}

// judge judges by the rules of a side, or those of them that which picks.
func (l *Loaded) judge(side Side, c context, which func(rule string) bool) []posture.Finding {
	var out []posture.Finding
	for i := range l.rules {
		if r := &l.rules[i]; r.Side == side && (which == nil || which(r.ID)) {
			out = append(out, l.judgeRule(&l.rules[i], c)...)
		}
	}
	return out
}

func (l *Loaded) judgeRule(r *loadedRule, c context) []posture.Finding {
	if !r.Covers(c.assignment.Ownership) || c.assignment.Investigation && r.aboutMedia() {
		return r.notCovered()
	}
	c.maxAge = r.MaxAge
	vars := newScope(l.language, &c, r.roots)
	var covers *verdict // for every subject alike, if the condition does not read the subject
	if r.For != "device" {
		vars.name = r.For
		if r.when != nil {
			v := r.coversUnknown(vars, l.language.subject(r.For))
			if v.known && !v.value {
				return r.notCovered()
			}
			if !r.when.reads.subject {
				covers = &v
			}
		}
	}
	subjects := l.language.subjects(r.For, &c)
	judged := make([]posture.Finding, len(subjects))
	for i, s := range subjects {
		vars.subject = s.object
		judged[i] = r.on(s.Subject, vars, covers)
	}
	out := r.collate(subjects, judged)
	readAt := c.readAt(r.Facts)
	for i := range out {
		out[i].FactAt = readAt
	}
	return out
}

func (r *loadedRule) notCovered() []posture.Finding {
	return []posture.Finding{finding(&r.Rule, everything(r.For), verdict{reason: reasonNotCovered, result: posture.NotApplicable})}
}

// coversUnknown returns the rule's condition for covering a subject of which
// nothing is known. If it is false, it is whatever the subject, as when a school
// has switched the rule off.
func (r *loadedRule) coversUnknown(vars *scope, k *kind) verdict {
	vars.subject = &object{kind: k, why: errIncomplete}
	return r.when.eval(vars)
}

// on judges one subject. covers is whether the rule covers it, if that was found
// before.
func (r *loadedRule) on(s posture.Subject, vars *scope, covers *verdict) posture.Finding {
	if r.when != nil {
		if covers == nil {
			v := r.when.eval(vars)
			covers = &v
		}
		v := *covers
		if !v.known {
			return finding(&r.Rule, s, v)
		}
		if !v.value {
			return finding(&r.Rule, s, verdict{reason: reasonNotCovered, result: posture.NotApplicable})
		}
	}
	f := finding(&r.Rule, s, r.require.eval(vars))
	if e, ok := vars.subject.executable(); ok && f.Result == posture.Fail {
		f.Message += " " + about(e)
	}
	if f.Result == posture.Fail {
		f.Message += r.sick(vars)
	}
	for i, variant := range r.variants {
		if v := variant.eval(vars); v.known && v.value {
			f.Severity, f.Grace = r.Variants[i].Severity, r.Variants[i].Grace
			break
		}
	}
	return f
}

// finding makes a finding of a verdict.
func finding(r *Rule, s posture.Subject, v verdict) posture.Finding {
	switch {
	case v.known && v.value:
		v.result, v.reason = posture.Pass, reasonMet
	case v.known:
		v.result, v.reason = posture.Fail, reasonNotMet
	}
	return posture.Finding{
		Rule: r.ID, Subject: s, Result: v.result, Severity: r.Severity, Grace: r.Grace,
		Reason: v.reason, Message: message(r, s, v),
	}
}
