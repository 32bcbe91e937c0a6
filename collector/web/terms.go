package web

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/summary"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TermReporter makes and signs the reports of terms. What cannot be done as
// things stand is a decision.RefusedError.
type TermReporter interface {
	// EndedTerms lists the terms that are over, the latest first, with their
	// reports.
	EndedTerms(ctx context.Context, school posture.SchoolID, now time.Time) ([]view.SchoolTerm, error)
	MakeTerm(ctx context.Context, school posture.SchoolID, d decision.Decision, term string) (view.TermReport, error)
	SignTerm(ctx context.Context, school posture.SchoolID, d decision.Decision, term string, number int, as access.Role) (view.TermReport, error)
	YearReporter
}

// termsPage lists the terms and the school years that are over.
type termsPage struct {
	Rows    []termRow
	Years   []termRow
	MayMake bool
	Signed  bool // only signed reports are listed
	Wrong   []wrong
}

// termRow is a term that is over.
type termRow struct {
	Name, From, To, Address string
	Reports                 []termLine
}

// termLine is a report of a term.
type termLine struct {
	Words, Address, State string
}

// termPage is the report of a term.
type termPage struct {
	summary.Report
	Address           string
	Title             string
	Done              bool // it was signed just now
	Standings         []string
	Outcomes          []string
	Signatures        []termSignature
	Digest            string
	Whole             bool
	MayHead, MayBuy   bool
	MayMake           bool
	Corrected         string // address of the report that corrects this one
	OfNumber          int
	Wrong             []wrong
	Checked           string // what was typed
	CoverageLines     []summary.Line
	PolicyText, Bills string
}

// termSignature is a line of the signature box.
type termSignature struct {
	As string
	By string
	At *moment
}

func termAddress(school posture.SchoolID, term string) string {
	address := schoolAddress(school) + "/terms"
	if term != "" {
		address += "/" + term
	}
	return address
}

// readable lists the terms with the reports of each that an account may read,
// and the numbers that these have.
func (s *site) readableTerms(r *http.Request, v visit) (terms []view.SchoolTerm, numbers map[uint64]int, err error) {
	terms, err = s.Reports.EndedTerms(r.Context(), v.school.ID, v.now)
	if err != nil {
		return nil, nil, err
	}
	numbers = map[uint64]int{}
	all := v.account.May(v.school.ID, access.ReadTermDrafts)
	for i := range terms {
		var may []view.TermReport
		for n, one := range terms[i].Reports {
			numbers[one.Entry] = n + 1
			if all || one.Whole() {
				may = append(may, one)
			}
		}
		terms[i].Reports = may
	}
	return terms, numbers, nil
}

func (s *site) terms(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showTerms(w, r, v, http.StatusOK, nil)
}

func (s *site) showTerms(w http.ResponseWriter, r *http.Request, v visit, status int, bad []wrong) error {
	terms, numbers, err := s.readableTerms(r, v)
	if err != nil {
		return err
	}
	page := termsPage{MayMake: v.account.May(v.school.ID, access.MakeTerms), Signed: !v.account.May(v.school.ID, access.ReadTermDrafts), Wrong: bad}
	for _, t := range terms {
		row := termRow{Name: t.Name, From: t.From, To: t.To, Address: termAddress(v.school.ID, t.ID)}
		for _, one := range t.Reports {
			n := strconv.Itoa(numbers[one.Entry])
			line := termLine{"Report " + n, row.Address + "?number=" + n, "Signed by head and business manager"}
			if !one.Whole() {
				line.State = strconv.Itoa(len(one.Signed)) + " of 2 signatures"
			}
			row.Reports = append(row.Reports, line)
		}
		page.Rows = append(page.Rows, row)
	}
	if page.Years, err = s.yearRows(r, v); err != nil {
		return err
	}
	return s.write(w, status, "terms", s.page(v, titleOf("Terms", bad), "terms"), page)
}

// termOf is the report that an address names; ErrNotFound if there is none that
// the account may read.
func (s *site) termOf(r *http.Request, v visit) (one view.TermReport, number, latest int, err error) {
	terms, numbers, err := s.readableTerms(r, v)
	if err != nil {
		return one, 0, 0, err
	}
	wanted, _ := strconv.Atoi(r.URL.Query().Get("number"))
	for _, t := range terms {
		if t.ID != r.PathValue("term") {
			continue
		}
		for _, found := range t.Reports {
			if latest = numbers[found.Entry]; wanted == 0 || latest == wanted {
				one, number = found, latest
			}
		}
	}
	if number == 0 {
		return one, 0, 0, view.ErrNotFound
	}
	return one, number, latest, nil
}

func (s *site) term(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showTerm(w, r, v, http.StatusOK, "", nil)
}

func (s *site) showTerm(w http.ResponseWriter, r *http.Request, v visit, status int, checked string, bad []wrong) error {
	one, number, latest, err := s.termOf(r, v)
	if err != nil {
		return err
	}
	told, err := summary.Decode(one.Data)
	if err != nil {
		return err
	}
	c := s.clockwork(v)
	page := termPage{
		Report: told, Address: termAddress(v.school.ID, one.Term), Title: termTitle(told), Done: r.URL.Query().Get("done") == "signed", Standings: summary.Standings(), Outcomes: summary.Outcomes(),
		Digest: one.Digest, Whole: one.Whole(), OfNumber: number, MayMake: v.account.May(v.school.ID, access.MakeTerms), Wrong: bad, Checked: checked,
		MayHead: v.account.May(v.school.ID, access.SignAsHead), MayBuy: v.account.May(v.school.ID, access.SignAsBusiness),
		CoverageLines: told.Coverage(), PolicyText: told.PolicyWords(), Bills: told.LicenceWords(),
	}
	if latest > number {
		page.Corrected = page.Address + "?number=" + strconv.Itoa(latest)
	}
	for _, role := range []struct {
		as    access.Role
		words string
		may   *bool
	}{{access.Head, "Head", &page.MayHead}, {access.Business, "Business manager", &page.MayBuy}} {
		line := termSignature{As: role.words}
		for _, given := range one.Signed {
			if given.As == string(role.as) {
				line.By, line.At, *role.may = given.By, c.moment(given.At), false
				if line.By == "" {
					line.By = "Signed; who did was forgotten"
				}
			}
		}
		page.Signatures = append(page.Signatures, line)
	}
	title := page.Title
	title = titleOf(title, bad)
	return s.write(w, status, "term", s.page(v, title, "terms"), page)
}

// termTitle names a report by its term and its days as people write them.
func termTitle(told summary.Report) string {
	title := "Report of " + told.Term.Name + ", " + daysWords(told.Term.From, told.Term.To)
	if told.Number > 1 {
		title += " (correction " + strconv.Itoa(told.Number-1) + ")"
	}
	return title
}

// daysWords is a time from one day to another, each written as 2026-09-03.
func daysWords(from, to string) string {
	a, err := time.Parse(time.DateOnly, from)
	b, failed := time.Parse(time.DateOnly, to)
	switch {
	case err != nil || failed != nil:
		return from + " to " + to
	case a.Year() == b.Year():
		return a.Format("2 January") + " to " + b.Format("2 January 2006")
	}
	return a.Format("2 January 2006") + " to " + b.Format("2 January 2006")
}

// termFile sends the bytes that were sealed.
func (s *site) termFile(w http.ResponseWriter, r *http.Request, v visit) error {
	one, number, _, err := s.termOf(r, v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="term-`+one.Term+"-"+strconv.Itoa(number)+`.json"`)
	_, err = w.Write(one.Data)
	return err
}

func (s *site) makeTerm(w http.ResponseWriter, r *http.Request, v visit) error {
	if _, err := readReason(w, r); err != nil {
		return err
	}
	d := decision.Decision{Kind: decision.TermReport, By: v.account.Name, At: v.now, Reason: "the report of the term"}
	made, err := s.Reports.MakeTerm(r.Context(), v.school.ID, d, r.PathValue("term"))
	if isRefusal(err) {
		return s.showTerms(w, r, v, http.StatusUnprocessableEntity, []wrong{{"terms", sentence(err.Error())}})
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, termAddress(v.school.ID, made.Term), http.StatusSeeOther)
	return nil
}

// signTerm signs a report in a role.
func signTerm(as access.Role) func(*site, http.ResponseWriter, *http.Request, visit) error {
	return func(s *site, w http.ResponseWriter, r *http.Request, v visit) error {
		reason, err := readReason(w, r)
		if err != nil {
			return err
		}
		d := decision.Decision{Kind: decision.TermReport, By: v.account.Name, At: v.now, Reason: reason}
		if err := d.CheckNew(); err != nil {
			return s.showTerm(w, r, v, http.StatusUnprocessableEntity, reason, []wrong{{"words", "Say what you checked."}})
		}
		number, err := strconv.Atoi(r.URL.Query().Get("number"))
		if err != nil { // nobody signs what they were not shown
			return view.ErrNotFound
		}
		_, err = s.Reports.SignTerm(r.Context(), v.school.ID, d, r.PathValue("term"), number, as)
		if _, refused := errors.AsType[*decision.RefusedError](err); refused {
			return s.showTerm(w, r, v, http.StatusUnprocessableEntity, reason, []wrong{{"words", sentence(err.Error())}})
		}
		if err != nil {
			return err
		}
		http.Redirect(w, r, termAddress(v.school.ID, r.PathValue("term"))+"?number="+strconv.Itoa(number)+"&done=signed", http.StatusSeeOther)
		return nil
	}
}
