package projection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// prepared is a policy that is ready to judge, with its words for the view.
type prepared struct {
	loaded *policy.Loaded
	words  view.Policy
	device []ruleReads    // the rules for devices
	place  map[string]int // of a rule among device
	rules  map[string]*view.Rule
	lapses []*view.Rule // the rules that fail by the passing of time alone
}

func prepare(p *policy.Policy) (*prepared, error) {
	loaded, err := policy.Plan(p)
	if err != nil {
		return nil, err
	}
	made := &prepared{loaded: loaded, words: words(loaded), rules: map[string]*view.Rule{}}
	for i := range made.words.Rules {
		r := &made.words.Rules[i]
		made.rules[r.ID] = r
		if r.Lapse() {
			made.lapses = append(made.lapses, r)
		}
	}
	made.device, made.place, err = deviceRules(loaded)
	return made, err
}

// usualSilence is how long a device may be silent where the policy has no rule
// about it.
const usualSilence = 14 * 24 * time.Hour

// words returns what the view keeps of a policy.
func words(l *policy.Loaded) view.Policy {
	p := l.Policy()
	out := view.Policy{Number: p.Number, Name: p.Name, Title: p.Title, Silence: usualSilence}
	lapses := findLapses(l)
	for _, r := range p.Rules {
		w := view.Rule{
			ID: r.ID, Title: r.Title, Side: r.Side, Facts: r.Facts, MaxAge: r.MaxAge, Severity: r.Severity,
			Grace: r.Grace, Pauses: r.Pauses(), Waits: r.Waits(), Clauses: r.Clauses, Remediation: r.Remediation, RemediationOn: r.RemediationOn, NotMet: r.NotMet,
			Escalate: escalation(r),
		}
		if found, ok := lapses[r.ID]; ok {
			w.Lapses, w.Leaves = found.Lapse, found.leaves
			if found.escalate.After > 0 {
				w.Escalate = found.escalate
			}
			if w.Lapses.From == view.FromContact || w.Lapses.From == view.FromSilence {
				out.Silence = min(out.Silence, w.Lapses.After)
			}
		}
		out.Rules = append(out.Rules, w)
	}
	return out
}

func escalation(r policy.Rule) breach.Escalation {
	if r.Escalate == nil {
		return breach.Escalation{}
	}
	return breach.Escalation{After: r.Escalate.After, Severity: r.Escalate.Severity}
}

// found is how a rule lapses, and when its severity then rises.
type found struct {
	view.Lapse
	escalate breach.Escalation
	leaves   *view.Leaving
}

// longest is how far ahead the search for lapses looks.
const longest = 400 * 24 * time.Hour

// lapsingFacts names the fact that a rule reads which lapses from a moment.
var lapsingFacts = map[view.From]string{
	view.FromContact: "contact", view.FromSilence: "contact", view.FromEncryption: "coverage", view.FromLoan: "allocation",
}

// findLapses finds the school's rules that fail by the passing of time alone.
// Conditions are expressions, so it asks them: a device that was last heard
// from, last proved its encryption, or was to be handed back at a fixed moment
// is judged again at later ones, and the moment at which the result turns is
// found by halving.
func findLapses(l *policy.Loaded) map[string]found {
	lapses := map[string]found{}
	for _, r := range l.Policy().Rules {
		if r.Side != policy.AtSchool {
			continue
		}
		only := *l.Policy()
		only.Rules = []policy.Rule{r}
		alone, err := policy.Plan(&only)
		if err != nil {
			continue // it was planned with the others, so this cannot be; a rule that is not known to lapse is judged when heard
		}
		var f found
		for _, from := range []view.From{view.FromContact, view.FromSilence, view.FromEncryption, view.FromLoan} {
			if !slices.Contains(r.Facts, lapsingFacts[from]) {
				continue
			}
			judge := func(d time.Duration) posture.Finding { return judgeAged(alone, r, from, d) }
			if judge(0).Result != posture.Pass || judge(longest).Result != posture.Fail {
				continue
			}
			f.From = from
			f.After = turn(0, func(d time.Duration) bool { return judge(d).Result == posture.Fail })
			at, last := judge(f.After), judge(longest)
			if at.Severity != last.Severity {
				f.escalate.Severity = last.Severity
				f.escalate.After = turn(f.After, func(d time.Duration) bool { return judge(d).Severity == last.Severity }) - f.After
			}
			break
		}
		if f.leaves = leaving(alone, r); f.From != view.FromNothing || f.leaves != nil {
			lapses[r.ID] = f
		}
	}
	return lapses
}

// leaving returns what a rule says once whoever has the device has left, or nil
// if it does not fail by that.
func leaving(l *policy.Loaded, r policy.Rule) *view.Leaving {
	if !slices.Contains(r.Facts, "allocation") || judgeAged(l, r, view.FromNothing, 0).Result != posture.Pass {
		return nil
	}
	f := judgeAged(l, r, leavingDay, 0)
	if f.Result != posture.Fail {
		return nil
	}
	return &view.Leaving{Severity: f.Severity, Grace: f.Grace}
}

// leavingDay stands for the moment at which whoever has a device leaves.
const leavingDay view.From = "leaving"

// turn returns the least number of milliseconds after from at which something
// that is so at longest has become so.
func turn(from time.Duration, is func(time.Duration) bool) time.Duration {
	low, high := from.Milliseconds(), longest.Milliseconds()
	for high-low > 1 {
		middle := low + (high-low)/2
		if is(time.Duration(middle) * time.Millisecond) {
			high = middle
		} else {
			low = middle
		}
	}
	return time.Duration(high) * time.Millisecond
}

// judgeAged judges a laptop about which everything is in order but that one
// fact is as old as age.
func judgeAged(l *policy.Loaded, r policy.Rule, from view.From, age time.Duration) posture.Finding {
	now := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	contact, encryption, loan, silence := now, now, now, time.Duration(0)
	switch from {
	case view.FromContact:
		contact = now.Add(-age)
	case view.FromSilence:
		silence = age
	case view.FromEncryption:
		encryption = now.Add(-age)
	case view.FromLoan:
		loan = now.Add(-age)
	}
	var a policy.Assignment
	if len(r.Classes) > 0 {
		a.Ownership = r.Classes[0]
	}
	facts := policy.SchoolFacts{
		System:  answer(now, posture.System{Platform: posture.Linux, Chassis: posture.Read(posture.Laptop)}),
		Contact: answer(now, policy.Contact{LastAt: contact, Silence: posture.Read(silence)}),
		Coverage: answer(now, policy.Coverage{
			EncryptionProven: posture.Read(true), EncryptionAt: posture.Read(encryption),
		}),
		Allocation: answer(now, policy.Allocation{
			Held: posture.Read(true), Guest: posture.Read(false), Administrators: posture.Read(int64(0)), Ends: posture.Read(true), EndsAt: posture.Read(loan), Leaver: posture.Read(from == leavingDay),
		}),
	}
	for _, f := range l.EvaluateSchool(a, facts, now) {
		if f.Rule == r.ID {
			return f
		}
	}
	return posture.Finding{}
}

func answer[T any](now time.Time, item T) posture.Answer[T] {
	a := posture.Found("collector", item)
	a.ReadAt = now
	return a
}

// policy returns the policy of a number; ok is false if the school never
// published it.
func (f *folder) policy(ctx context.Context, tx *view.Tx, n uint64) (p *prepared, ok bool, err error) {
	if p, ok := f.policies[n]; ok {
		return p, true, nil
	}
	row, ok, err := tx.Policy(n)
	if err != nil || !ok {
		return nil, false, err
	}
	p, err = f.readPolicy(ctx, ledger.Index(row.Entry))
	if bad, ok := errors.AsType[*ledger.CorruptError](err); ok {
		return nil, false, fmt.Errorf("policy %d: %w: %s", n, errPolicyLost, bad.Error())
	}
	if err != nil {
		return nil, false, err
	}
	f.policies[n] = p
	return p, true, nil
}

// current returns the school's policy: the one with the highest number.
func (f *folder) current(ctx context.Context, tx *view.Tx) (*prepared, error) {
	if f.drafted != nil {
		return f.drafted, nil
	}
	n := tx.CurrentPolicy()
	p, ok, err := f.policy(ctx, tx, n)
	if err == nil && !ok {
		err = fmt.Errorf("policy %d is current and not recorded", n)
	}
	return p, err
}
