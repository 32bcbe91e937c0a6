package web

import (
	"context"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
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
	autumn := summary.Term{ID: "2026-09-03", Name: "Autumn term", From: "2026-09-03", To: "2026-12-18"}
	counts := summary.Counts{
		School: "Hollybank Primary School", Term: before, At: now, Devices: 9, Silent: 1, Found: 12, Settled: 7, Licences: summary.Licences{Products: 3, Signed: 2, Over: 1},
		Register:  &summary.Register{Agent: 8, Silent: 1, Nothing: 2},
		Rules:     []summary.RuleCount{{Rule: "ENC-01", Title: "The system disk is encrypted", Met: 6, NotMet: 2, NotProven: 1}, {Rule: "AV-01", Title: "Antivirus is on", Met: 9}},
		Incidents: []summary.IncidentCount{{Kind: "Lost laptop", NotTold: 1}},
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
	reports := []view.TermReport{made(nil, 8, "head", "business-manager"), made([]summary.Report{first}, 9, "head")}
	return &termly{newYearly(t, first), []view.SchoolTerm{
		{ID: autumn.ID, Name: autumn.Name, From: autumn.From, To: autumn.To, Reports: reports},
		{ID: before.ID, Name: before.Name, From: before.From, To: before.To},
	}}
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
