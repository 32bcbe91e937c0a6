package web

import (
	"context"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/collector/summary"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// termly has the report of an autumn term of nine laptops, signed by both, and a
// correction that the business manager has not signed.
type termly struct {
	yearly
	terms []view.SchoolTerm
}

func newTermly(t testing.TB) *termly {
	t.Helper()
	before := summary.Term{ID: "2026-04-13", Name: "Summer term", From: "2026-04-13", To: "2026-07-21"}
	spring := summary.Term{ID: "2026-01-06", Name: "Spring term", From: "2026-01-06", To: "2026-03-27"}
	autumn := summary.Term{ID: "2026-09-03", Name: "Autumn term", From: "2026-09-03", To: "2026-12-18"}
	counts := summary.Counts{
		School: "Hollybank Primary School", Term: before, At: now, Devices: 9, Silent: 1, Found: 12, Settled: 7, Licences: summary.Licences{Products: 3, Signed: 2, Over: 1},
		Register:  &summary.Register{Agent: 8, Silent: 1, Nothing: 2},
		Rules:     rulesOfNine(t),
		Incidents: []summary.IncidentCount{{Kind: "Lost laptop", NotTold: 1}, {Kind: "Lost stick or disk"}, {Kind: "Found stick or disk"}, {Kind: "Somebody learnt what they should not"}, {Kind: "Something else"}},
		Policy:    summary.Policy{Number: 2, Review: "2026-12-01", Due: true}, Undecided: true,
	}
	first, err := summary.Make(counts, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	counts.Term, counts.Policy.Number = autumn, 3
	made := func(earlier []summary.Report, entry uint64, signed ...string) view.TermReport {
		r, err := summary.Make(counts, earlier, &first)
		if err != nil {
			t.Fatal(err)
		}
		data, err := summary.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		one := view.TermReport{Term: autumn.ID, Signable: view.Signable{Entry: entry, Digest: summary.Digest(data), Data: data, By: "Sam Okafor", At: now}}
		for _, as := range signed {
			one.Signed = append(one.Signed, view.TermSigned{As: as, By: "The " + as, At: now, Digest: one.Digest})
		}
		return one
	}
	large := counts
	large.Term, large.Devices, large.Silent, large.Found = spring, 60, 7, 40
	large.Register = &summary.Register{Agent: 50, Silent: 10, Nothing: 12}
	large.Rules = nil
	for i, r := range counts.Rules {
		r.Met, r.NotMet, r.NotProven, r.Exempt, r.NotFor = 58, 2, 0, 0, 0
		switch i % 6 {
		case 0:
			r.Met, r.NotMet, r.NotProven, r.Exempt, r.NotFor = 20, 12, 11, 9, 8
		case 1:
			r.Met, r.NotMet, r.NotProven = 45-i, 6+i, 9
		}
		large.Rules = append(large.Rules, r)
	}
	several, err := summary.Make(large, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := summary.Encode(several)
	if err != nil {
		t.Fatal(err)
	}
	signed := view.TermReport{Term: spring.ID, Signable: view.Signable{Entry: 5, Digest: summary.Digest(data), Data: data, By: "Sam Okafor", At: now, Signed: []view.TermSigned{
		{As: "head", By: "The head", At: now, Digest: summary.Digest(data)}, {As: "business-manager", By: "The business manager", At: now, Digest: summary.Digest(data)},
	}}}
	reports := []view.TermReport{made(nil, 8, "head", "business-manager"), made([]summary.Report{first}, 9, "head")}
	return &termly{newYearly(t, first), []view.SchoolTerm{
		{ID: autumn.ID, Name: autumn.Name, From: autumn.From, To: autumn.To, Reports: reports},
		{ID: before.ID, Name: before.Name, From: before.From, To: before.To},
		{ID: spring.ID, Name: spring.Name, From: spring.From, To: spring.To, Reports: []view.TermReport{signed}},
	}}
}

// rulesOfNine are the rules of the shipped policy, as nine laptops stand on them.
func rulesOfNine(t testing.TB) (list []summary.RuleCount) {
	t.Helper()
	p, _, err := rulebook.Baseline()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range p.Rules {
		one := summary.RuleCount{Rule: r.ID, Title: r.Title, Met: 9}
		switch r.ID {
		case "ENC-01":
			one.Met, one.NotMet, one.NotProven = 6, 2, 1
		case "ENC-04", "USB-02", "EXE-01":
			one.Met, one.NotProven = 0, 9
		case "PAT-02":
			one.Met, one.NotMet = 3, 6
		case "CFG-05":
			one.Met, one.NotFor = 0, 9
		case "LIF-04":
			one.Met, one.NotMet, one.NotProven = 4, 3, 2
		}
		list = append(list, one)
	}
	return list
}

func (f *termly) EndedTerms(_ context.Context, school posture.SchoolID, _ time.Time) (list []view.SchoolTerm, _ error) {
	if school != hollybank {
		return nil, nil
	}
	return append(list, f.terms...), nil
}

func (f *termly) MakeTerm(context.Context, posture.SchoolID, decision.Decision, string) (view.TermReport, error) {
	return view.TermReport{}, &decision.RefusedError{Why: "this term is not over"}
}

func (f *termly) SignTerm(_ context.Context, _ posture.SchoolID, _ decision.Decision, _ string, _ int, as access.Role) (view.TermReport, error) {
	return view.TermReport{}, &decision.RefusedError{Why: "this report is signed already by the " + string(as)}
}
