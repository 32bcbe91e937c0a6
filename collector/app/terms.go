package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/evidence"
	"github.com/caretaker-school/caretaker/collector/summary"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// TermArguments are about the report of a term.
type TermArguments struct {
	School string `json:"school"`
	Term   string `json:"term,omitempty"`   // its first day; in list, "" for all
	Number int    `json:"number,omitempty"` // of its reports; 0: the last
	As     string `json:"as,omitempty"`     // the role in which it is signed
	Reason string `json:"reason,omitempty"`
	Key    string `json:"key,omitempty"` // access key of the account; "": the console's operator
}

// TermList lists the terms of a school that are over, the latest first.
type TermList struct {
	Terms []view.SchoolTerm `json:"terms"`
}

// TermAnswer is a report that was made, signed or asked for.
type TermAnswer struct {
	view.TermReport
	Report summary.Report `json:"report"`
}

// usualTermReason stands where nobody gave another.
const usualTermReason = "the report of the term"

// span is a term and the moments between which it was.
type span struct {
	summary.Term
	from, to time.Time // to is the last moment of its last day
}

// termsOf lists the terms that a calendar knows.
func termsOf(days *calendar.Calendar) (list []span) {
	midnight := func(d calendar.Date) time.Time {
		t := d.Time()
		return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, days.Zone())
	}
	for _, t := range days.Terms() {
		list = append(list, span{
			summary.Term{ID: t.From.String(), Name: t.Name, From: t.From.String(), To: t.To.String()},
			midnight(t.From), midnight(t.To + 1).Add(-time.Millisecond),
		})
	}
	return list
}

// MakeTerm makes the report of a term and records it.
func (c *collector) MakeTerm(ctx context.Context, id posture.SchoolID, d decision.Decision, term string) (view.TermReport, error) {
	s, err := c.deciding(ctx, string(id))
	if err != nil {
		return view.TermReport{}, err
	}
	days, err := c.view.Queries().Terms(ctx, id)
	if err != nil {
		return view.TermReport{}, err
	}
	all := termsOf(days)
	i := slices.IndexFunc(all, func(t span) bool { return t.ID == term })
	switch {
	case i < 0:
		return view.TermReport{}, &decision.RefusedError{Why: fmt.Sprintf("the school's calendar has no term that begins on %.40q", term)}
	case !c.clock.Now().After(all[i].to):
		return view.TermReport{}, &decision.RefusedError{Why: fmt.Sprintf("%s is not over before the end of %s", all[i].Name, all[i].To)}
	}
	reports, err := c.view.Queries().TermReports(ctx, id, "", c.clock.Now())
	if err != nil {
		return view.TermReport{}, err
	}
	var earlier []summary.Report
	var before *summary.Report
	for _, r := range reports {
		told, err := summary.Decode(r.Data)
		if err != nil {
			return view.TermReport{}, err
		}
		if r.Term == term {
			earlier = append(earlier, told)
		} else if i > 0 && r.Term == all[i-1].ID {
			before = &told
		}
	}
	counts, err := c.counts(ctx, s, all[i])
	if errors.Is(err, evidence.ErrNothingYet) {
		return view.TermReport{}, &decision.RefusedError{Why: fmt.Sprintf("%s ended on %s, before the school's record begins: nothing is known of it", all[i].Name, all[i].To)}
	}
	if err != nil {
		return view.TermReport{}, err
	}
	made, err := summary.Make(counts, earlier, before)
	if err != nil {
		return view.TermReport{}, err
	}
	data, err := summary.Encode(made)
	if err != nil {
		return view.TermReport{}, err
	}
	entry, err := s.record(ctx, c.clock.Now(), func(salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
		return decision.TermReportSections(d, data, salts)
	})
	c.show(ctx, s)
	return view.TermReport{Term: term, Signable: view.Signable{Entry: entry + 1, Digest: summary.Digest(data), Data: data, By: d.By, At: d.At}}, err
}

// SignTerm signs a report of a term in a role: number of its reports, or the
// last.
func (c *collector) SignTerm(ctx context.Context, id posture.SchoolID, d decision.Decision, term string, number int, as access.Role) (r view.TermReport, err error) {
	err = c.signReport(ctx, id, d, as, ofTerm, func() (*view.Signable, error) {
		r, err = c.termReport(ctx, id, term, number)
		return &r.Signable, err
	})
	return r, err
}

// reportOf is a kind of report that two people sign.
type reportOf struct {
	what    string // of which it is
	both    string // who sign it
	second  access.Role
	right   access.Right // of the second
	section func(decision.Decision, *view.Signable, access.Role, [2][proof.SaltSize]byte) ([]proof.Section, error)
}

var ofTerm = reportOf{
	"term", "head and business manager", access.Business, access.SignAsBusiness,
	func(d decision.Decision, r *view.Signable, as access.Role, salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
		return decision.TermSignatureSections(d, decision.TermSignature{Entry: r.Entry, Digest: r.Digest, As: string(as)}, salts)
	},
}

// signReport signs a report of a kind in a role, and puts the signature on what find
// finds.
func (c *collector) signReport(ctx context.Context, id posture.SchoolID, d decision.Decision, as access.Role, of reportOf, find func() (*view.Signable, error)) error {
	c.signing.Lock()
	defer c.signing.Unlock()
	s, err := c.deciding(ctx, string(id))
	if err != nil {
		return err
	}
	r, err := find()
	if err != nil {
		return err
	}
	for _, signed := range r.Signed {
		if signed.As == string(as) {
			return &decision.RefusedError{Why: "this report is signed already by the " + roleWords(as)}
		}
		if signed.By == "" || breach.SamePerson(signed.By, d.By) {
			return &decision.RefusedError{Why: of.both + " are two people: this one has signed already"}
		}
	}
	entry, err := s.record(ctx, c.clock.Now(), func(salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
		return of.section(d, r, as, salts)
	})
	if err != nil {
		return err
	}
	c.show(ctx, s)
	r.Signed = append(r.Signed, view.TermSigned{As: string(as), By: d.By, At: d.At, Entry: entry + 1, Digest: r.Digest})
	return nil
}

// signer is who signs a report by command, in a role: never the console.
func (of reportOf) signer(as, key string) (access.Right, error) {
	right := map[access.Role]access.Right{access.Head: access.SignAsHead, of.second: of.right}[access.Role(as)]
	switch {
	case right == "":
		return "", fmt.Errorf("a %s's report is signed as %s or %s, not as %.40q", of.what, access.Head, of.second, as)
	case key == "":
		return "", fmt.Errorf("the console is neither head nor %s: whoever signs gives an access key of their account with --key", roleWords(of.second))
	}
	return right, nil
}

func roleWords(as access.Role) string {
	switch as {
	case access.Business:
		return "business manager"
	case access.DPO:
		return "data-protection officer"
	}
	return string(as)
}

// termReport returns a report of a term: that of a number, or the last.
func (c *collector) termReport(ctx context.Context, id posture.SchoolID, term string, number int) (view.TermReport, error) {
	list, err := c.view.Queries().TermReports(ctx, id, term, c.clock.Now())
	return numbered(list, err, term, number, "of a term that begins on")
}

// numbered is the report of a number, or the last, of a term or year; no term or
// year has none.
func numbered[R view.SchoolReport](list []R, err error, of string, number int, words string) (none R, _ error) {
	if err != nil {
		return none, err
	}
	if number == 0 {
		number = len(list)
	}
	if of == "" || number < 1 || number > len(list) {
		return none, &decision.RefusedError{Why: fmt.Sprintf("there is no such report %s %.40q: make it first", words, of)}
	}
	return list[number-1], nil
}

// EndedTerms lists the terms of a school that are over, the latest first, with
// their reports.
func (c *collector) EndedTerms(ctx context.Context, id posture.SchoolID, now time.Time) ([]view.SchoolTerm, error) {
	days, err := c.view.Queries().Terms(ctx, id)
	if err != nil {
		return nil, err
	}
	reports, err := c.view.Queries().TermReports(ctx, id, "", now)
	if err != nil {
		return nil, err
	}
	list := []view.SchoolTerm{}
	for _, t := range termsOf(days) {
		if !now.After(t.to) {
			continue
		}
		one := view.SchoolTerm{ID: t.ID, Name: t.Name, From: t.From, To: t.To, Reports: []view.TermReport{}}
		one.Reports = append(one.Reports, reportsOf(reports, t.ID)...)
		list = append(list, one)
	}
	slices.Reverse(list)
	return list, nil
}

// reportsOf picks the reports of a term or year.
func reportsOf[R view.SchoolReport](all []R, of string) (list []R) {
	for _, r := range all {
		if r.Of() == of {
			list = append(list, r)
		}
	}
	return list
}

// reportDecision is the decision of whoever makes or signs a report by command.
func (c *collector) reportDecision(kind decision.Kind, key, reason, usual string, id posture.SchoolID, right access.Right) (decision.Decision, error) {
	by, err := c.decider(key, id, right)
	d := decision.Decision{Kind: kind, By: by, At: c.clock.Now(), Reason: cmp.Or(reason, usual)}
	return d, errors.Join(err, d.CheckNew())
}

func (c *collector) termDecision(a TermArguments, id posture.SchoolID, right access.Right) (decision.Decision, error) {
	return c.reportDecision(decision.TermReport, a.Key, a.Reason, usualTermReason, id, right)
}

func answerTerm(r view.TermReport, err error) (TermAnswer, error) {
	if err != nil {
		return TermAnswer{}, err
	}
	told, err := summary.Decode(r.Data)
	return TermAnswer{r, told}, err
}

func (c *collector) makeTerm(ctx context.Context, a TermArguments) (TermAnswer, error) {
	s, err := c.school(a.School)
	if err != nil {
		return TermAnswer{}, err
	}
	d, err := c.termDecision(a, s.ID, access.MakeTerms)
	if err != nil {
		return TermAnswer{}, err
	}
	return answerTerm(c.MakeTerm(ctx, s.ID, d, a.Term))
}

func (c *collector) signTerm(ctx context.Context, a TermArguments) (TermAnswer, error) {
	s, err := c.school(a.School)
	if err != nil {
		return TermAnswer{}, err
	}
	right, err := ofTerm.signer(a.As, a.Key)
	if err != nil {
		return TermAnswer{}, err
	}
	d, err := c.termDecision(a, s.ID, right)
	if err != nil {
		return TermAnswer{}, err
	}
	return answerTerm(c.SignTerm(ctx, s.ID, d, a.Term, a.Number, access.Role(a.As)))
}

func (c *collector) showTerm(ctx context.Context, a TermArguments) (TermAnswer, error) {
	r, err := c.record(a.School)
	if err != nil {
		return TermAnswer{}, err
	}
	return answerTerm(c.termReport(ctx, r.id, a.Term, a.Number))
}

func (c *collector) terms(ctx context.Context, a TermArguments) (TermList, error) {
	r, err := c.record(a.School)
	if err != nil {
		return TermList{}, err
	}
	list, err := c.EndedTerms(ctx, r.id, c.clock.Now())
	return TermList{list}, err
}
