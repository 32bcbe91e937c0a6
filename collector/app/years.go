package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/evidence"
	"github.com/caretaker-school/caretaker/collector/summary"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// YearArguments are about the report of a school year.
type YearArguments struct {
	School string `json:"school"`
	Year   string `json:"year,omitempty"`   // such as 2026-27
	Number int    `json:"number,omitempty"` // of its reports; 0: the last
	As     string `json:"as,omitempty"`     // the role in which it is signed
	Reason string `json:"reason,omitempty"`
	Zone   string `json:"zone,omitempty"` // of the times in what is sealed
	Key    string `json:"key,omitempty"`  // access key of the account; "": the console's operator
}

// YearList lists the school years that are over, the latest first.
type YearList struct {
	Years []view.SchoolYear `json:"years"`
}

// YearAnswer is a report that was made, signed or asked for.
type YearAnswer struct {
	view.YearReport
	Report summary.Year `json:"report"`
	Sealed []byte       `json:"sealed,omitempty"` // with its proof, where it was asked for
}

// usualYearReason stands where nobody gave another.
const usualYearReason = "the report of the school year"

// firstMonth is that with which a school year begins: no term goes on from July
// into it.
const firstMonth = time.August

// yearOf is the school year of a calendar in which a term begins.
type yearOf struct {
	id       string
	from, to time.Time // to is the last moment of its last day
	terms    []span
}

// between reports whether a moment lies in the year and in none of its terms.
func (y yearOf) between(t time.Time) bool {
	return !t.Before(y.from) && !t.After(y.to) && !slices.ContainsFunc(y.terms, func(s span) bool { return s.in(t) })
}

// yearsOf lists the years in which a calendar has terms, the earliest first.
func yearsOf(days *calendar.Calendar) (list []yearOf) {
	for _, t := range termsOf(days) {
		begun := t.from.In(days.Zone())
		first := begun.Year()
		if begun.Month() < firstMonth {
			first--
		}
		id := fmt.Sprintf("%d-%02d", first, (first+1)%100)
		i := slices.IndexFunc(list, func(y yearOf) bool { return y.id == id })
		if i < 0 {
			from := time.Date(first, firstMonth, 1, 0, 0, 0, 0, days.Zone())
			list = append(list, yearOf{id: id, from: from, to: time.Date(first+1, firstMonth, 1, 0, 0, 0, 0, days.Zone()).Add(-time.Millisecond)})
			i = len(list) - 1
		}
		list[i].terms = append(list[i].terms, t)
	}
	return list
}

// EndedYears lists the school years that are over, the latest first, with their
// terms and the reports of both.
func (c *collector) EndedYears(ctx context.Context, id posture.SchoolID, now time.Time) ([]view.SchoolYear, error) {
	days, err := c.view.Queries().Terms(ctx, id)
	if err != nil {
		return nil, err
	}
	terms, err := c.EndedTerms(ctx, id, now)
	if err != nil {
		return nil, err
	}
	reports, err := c.view.Queries().YearReports(ctx, id, "", now)
	if err != nil {
		return nil, err
	}
	list := []view.SchoolYear{}
	for _, y := range slices.Backward(yearsOf(days)) {
		if !now.After(y.to) {
			continue
		}
		one := view.SchoolYear{ID: y.id, From: y.from.Format(time.DateOnly), To: y.to.Format(time.DateOnly), Terms: []view.SchoolTerm{}, Reports: []view.YearReport{}}
		for _, t := range y.terms {
			if i := slices.IndexFunc(terms, func(e view.SchoolTerm) bool { return e.ID == t.ID }); i >= 0 {
				one.Terms = append(one.Terms, terms[i])
			}
		}
		one.Reports = append(one.Reports, reportsOf(reports, y.id)...)
		list = append(list, one)
	}
	return list, nil
}

// MakeYear makes the report of a school year and records it.
func (c *collector) MakeYear(ctx context.Context, id posture.SchoolID, d decision.Decision, year string) (view.YearReport, error) {
	s, err := c.deciding(ctx, string(id))
	if err != nil {
		return view.YearReport{}, err
	}
	days, err := c.view.Queries().Terms(ctx, id)
	if err != nil {
		return view.YearReport{}, err
	}
	all := yearsOf(days)
	i := slices.IndexFunc(all, func(y yearOf) bool { return y.id == year })
	switch {
	case i < 0:
		return view.YearReport{}, &decision.RefusedError{Why: fmt.Sprintf("the school's calendar has no term in the school year %.40q", year)}
	case !c.clock.Now().After(all[i].to):
		return view.YearReport{}, &decision.RefusedError{Why: fmt.Sprintf("the school year %s is not over before the end of %s", year, all[i].to.Format(time.DateOnly))}
	}
	parts, err := c.yearParts(ctx, s, all[i])
	if err != nil {
		return view.YearReport{}, err
	}
	made, err := summary.MakeYear(parts)
	if err != nil {
		return view.YearReport{}, err
	}
	data, err := summary.EncodeYear(made)
	if err != nil {
		return view.YearReport{}, err
	}
	entry, err := s.record(ctx, c.clock.Now(), func(salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
		return decision.YearReportSections(d, data, salts)
	})
	c.show(ctx, s)
	return view.YearReport{Year: year, Signable: view.Signable{Entry: entry + 1, Digest: summary.Digest(data), Data: data, By: d.By, At: d.At}}, err
}

// yearParts gathers what the report of a year is made of: of each term the last
// report that was signed, and what was counted between them.
func (c *collector) yearParts(ctx context.Context, s *school, y yearOf) (summary.YearParts, error) {
	now := c.clock.Now()
	p := summary.YearParts{School: s.Name, Year: y.id, From: y.from.Format(time.DateOnly), To: y.to.Format(time.DateOnly), At: y.to}
	earlier, err := c.view.Queries().YearReports(ctx, s.ID, y.id, now)
	if err != nil {
		return p, err
	}
	p.Number = len(earlier) + 1
	signed := false
	for _, t := range y.terms {
		part := summary.TermPart{YearTerm: summary.YearTerm{Term: t.Term}}
		reports, err := c.view.Queries().TermReports(ctx, s.ID, t.ID, now)
		if err != nil {
			return p, err
		}
		for n, r := range reports {
			if !r.Whole() {
				continue
			}
			told, err := summary.Decode(r.Data)
			if err != nil {
				return p, err
			}
			// The term is named as its report names it: calendars are corrected.
			part = summary.TermPart{YearTerm: summary.YearTerm{Term: told.Term, Number: n + 1, Entry: r.Entry, Digest: r.Digest}, Report: &told}
			signed = true
		}
		p.Terms = append(p.Terms, part)
	}
	if !signed {
		return p, &decision.RefusedError{Why: "no report of a term of " + y.id + " is signed by head and business manager yet: the year's is made of those"}
	}
	counts, err := c.between(ctx, s, y)
	p.Between = counts.Publish()
	return p, err
}

// between counts what was known at the end of the year of what fell in none of its
// terms.
func (c *collector) between(ctx context.Context, s *school, y yearOf) (summary.BetweenCounts, error) {
	var counts summary.Counts
	var where evidence.Position
	err := c.past(ctx, s, y.to, &where, func(q *view.Queries) error {
		g := counting{q: q, school: s.ID, in: y.between, to: y.to, counts: &counts}
		for _, ask := range []func(context.Context) error{g.breaches, g.exemptions, g.incidents} {
			if err := ask(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	b := summary.BetweenCounts{Found: counts.Found, Settled: counts.Settled, Ended: counts.Ended}
	for _, i := range counts.Incidents {
		b.Incidents = append(b.Incidents, summary.KindCount{Kind: i.Kind, Count: i.Open + i.Told + i.NotTold})
	}
	return b, err
}

var ofYear = reportOf{
	"year", "head and data-protection officer", access.DPO, access.SignAsOfficer,
	func(d decision.Decision, r *view.Signable, as access.Role, salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
		return decision.YearSignatureSections(d, decision.YearSignature{Entry: r.Entry, Digest: r.Digest, As: string(as)}, salts)
	},
}

// SignYear signs a report of a year in a role: number of its reports, or the last.
func (c *collector) SignYear(ctx context.Context, id posture.SchoolID, d decision.Decision, year string, number int, as access.Role) (r view.YearReport, err error) {
	err = c.signReport(ctx, id, d, as, ofYear, func() (*view.Signable, error) {
		r, err = c.yearReport(ctx, id, year, number)
		return &r.Signable, err
	})
	return r, err
}

// yearReport returns a report of a year: that of a number, or the last.
func (c *collector) yearReport(ctx context.Context, id posture.SchoolID, year string, number int) (view.YearReport, error) {
	list, err := c.view.Queries().YearReports(ctx, id, year, c.clock.Now())
	return numbered(list, err, year, number, "of the school year")
}

// SealYear seals a report of a year with what proves it: its signatures, and the
// signed reports of its terms.
func (c *collector) SealYear(ctx context.Context, id posture.SchoolID, r view.YearReport, by, zone string) (b *evidence.Bundle, sealed []byte, err error) {
	s, err := c.readable(string(id))
	if err != nil {
		return nil, nil, err
	}
	told, err := summary.DecodeYear(r.Data)
	if err != nil {
		return nil, nil, err
	}
	q := evidence.YearQuestion{Report: r.Entry, By: by, Zone: zone, Now: c.clock.Now()}
	for _, signed := range r.Signed {
		q.Entries = append(q.Entries, signed.Entry)
	}
	for _, t := range told.Terms {
		if t.Number == 0 {
			continue
		}
		q.Entries = append(q.Entries, t.Entry)
		reports, err := c.view.Queries().TermReports(ctx, id, t.ID, q.Now)
		if err != nil {
			return nil, nil, err
		}
		for _, one := range reports {
			for _, signed := range one.Signed {
				if one.Entry == t.Entry {
					q.Entries = append(q.Entries, signed.Entry)
				}
			}
		}
	}
	if b, err = evidence.CollectYear(ctx, s.source(), q); err != nil {
		return nil, nil, err
	}
	sealed, err = b.Seal(s.Key)
	return b, sealed, err
}

// ProveYear implements api.YearReporter.
func (c *collector) ProveYear(ctx context.Context, id posture.SchoolID, r view.YearReport, by string) (sealed []byte, fileName string, err error) {
	b, sealed, err := c.SealYear(ctx, id, r, by, "")
	if err != nil {
		return nil, "", err
	}
	return sealed, b.FileName(), nil
}

func (c *collector) yearDecision(a YearArguments, id posture.SchoolID, right access.Right) (decision.Decision, error) {
	return c.reportDecision(decision.YearReport, a.Key, a.Reason, usualYearReason, id, right)
}

func answerYear(r view.YearReport, err error) (YearAnswer, error) {
	if err != nil {
		return YearAnswer{}, err
	}
	told, err := summary.DecodeYear(r.Data)
	return YearAnswer{YearReport: r, Report: told}, err
}

func (c *collector) makeYear(ctx context.Context, a YearArguments) (YearAnswer, error) {
	s, err := c.school(a.School)
	if err != nil {
		return YearAnswer{}, err
	}
	d, err := c.yearDecision(a, s.ID, access.MakeTerms)
	if err != nil {
		return YearAnswer{}, err
	}
	return answerYear(c.MakeYear(ctx, s.ID, d, a.Year))
}

func (c *collector) signYear(ctx context.Context, a YearArguments) (YearAnswer, error) {
	s, err := c.school(a.School)
	if err != nil {
		return YearAnswer{}, err
	}
	right, err := ofYear.signer(a.As, a.Key)
	if err != nil {
		return YearAnswer{}, err
	}
	d, err := c.yearDecision(a, s.ID, right)
	if err != nil {
		return YearAnswer{}, err
	}
	return answerYear(c.SignYear(ctx, s.ID, d, a.Year, a.Number, access.Role(a.As)))
}

// showYear returns a report, sealed with its proof.
func (c *collector) showYear(ctx context.Context, a YearArguments) (YearAnswer, error) {
	r, err := c.record(a.School)
	if err != nil {
		return YearAnswer{}, err
	}
	answer, err := answerYear(c.yearReport(ctx, r.id, a.Year, a.Number))
	if err != nil {
		return answer, err
	}
	_, answer.Sealed, err = c.SealYear(ctx, r.id, answer.YearReport, operator(), a.Zone)
	return answer, err
}

func (c *collector) years(ctx context.Context, a YearArguments) (YearList, error) {
	r, err := c.record(a.School)
	if err != nil {
		return YearList{}, err
	}
	list, err := c.EndedYears(ctx, r.id, c.clock.Now())
	return YearList{list}, err
}
