package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/collector/decision"
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
	return view.TermReport{Term: term, Entry: entry + 1, Digest: summary.Digest(data), Data: data, By: d.By, At: d.At}, err
}

// SignTerm signs a report of a term in a role: number of its reports, or the
// last.
func (c *collector) SignTerm(ctx context.Context, id posture.SchoolID, d decision.Decision, term string, number int, as access.Role) (view.TermReport, error) {
	c.signing.Lock()
	defer c.signing.Unlock()
	s, err := c.deciding(ctx, string(id))
	if err != nil {
		return view.TermReport{}, err
	}
	r, err := c.termReport(ctx, id, term, number)
	if err != nil {
		return view.TermReport{}, err
	}
	for _, signed := range r.Signed {
		if signed.As == string(as) {
			return view.TermReport{}, &decision.RefusedError{Why: "this report is signed already by the " + roleWords(as)}
		}
		if signed.By == "" || breach.SamePerson(signed.By, d.By) {
			return view.TermReport{}, &decision.RefusedError{Why: "head and business manager are two people: this one has signed already"}
		}
	}
	signature := decision.TermSignature{Entry: r.Entry, Digest: r.Digest, As: string(as)}
	entry, err := s.record(ctx, c.clock.Now(), func(salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
		return decision.TermSignatureSections(d, signature, salts)
	})
	if err != nil {
		return view.TermReport{}, err
	}
	c.show(ctx, s)
	r.Signed = append(r.Signed, view.TermSigned{As: string(as), By: d.By, At: d.At, Entry: entry + 1, Digest: r.Digest})
	return r, nil
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
	if err != nil {
		return view.TermReport{}, err
	}
	if number == 0 {
		number = len(list)
	}
	if term == "" || number < 1 || number > len(list) {
		return view.TermReport{}, &decision.RefusedError{Why: fmt.Sprintf("there is no such report of a term that begins on %.40q: make it first", term)}
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
		for _, r := range reports {
			if r.Term == t.ID {
				one.Reports = append(one.Reports, r)
			}
		}
		list = append(list, one)
	}
	slices.Reverse(list)
	return list, nil
}

// termDecision is the decision of whoever makes or signs a report by command.
func (c *collector) termDecision(a TermArguments, id posture.SchoolID, right access.Right) (decision.Decision, error) {
	by, err := c.decider(a.Key, id, right)
	if a.Reason == "" {
		a.Reason = usualTermReason
	}
	d := decision.Decision{Kind: decision.TermReport, By: by, At: c.clock.Now(), Reason: a.Reason}
	return d, errors.Join(err, d.CheckNew())
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
	right := map[access.Role]access.Right{access.Head: access.SignAsHead, access.Business: access.SignAsBusiness}[access.Role(a.As)]
	if right == "" {
		return TermAnswer{}, fmt.Errorf("a term's report is signed as %s or %s, not as %.40q", access.Head, access.Business, a.As)
	}
	if a.Key == "" {
		return TermAnswer{}, errors.New("the console is neither head nor business manager: whoever signs gives an access key of their account with --key")
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
