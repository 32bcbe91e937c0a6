package web

import (
	"context"
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
	Laid              summary.Page
	Small             string // by which rule counts are shown
	Standings         []string
	Signatures        []termSignature
	Digest            string
	Whole             bool
	MayHead, MayBuy   bool
	MayMake           bool
	Corrected         string // address of the report that corrects this one
	OfNumber          int
	Wrong             []wrong
	Checked           string // what was typed
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

// readable keeps the reports of a term or year that an account may read, and notes
// which of all of them each is.
func readable[R view.SchoolReport](v visit, all []R, numbers map[uint64]int) (may []R) {
	drafts := v.account.May(v.school.ID, access.ReadTermDrafts)
	for n, one := range all {
		numbers[one.Common().Entry] = n + 1
		if drafts || one.Whole() {
			may = append(may, one)
		}
	}
	return may
}

// reportLines are the lines of the reports of a term or year at an address, which
// are signed by two.
func reportLines[R view.SchoolReport](reports []R, numbers map[uint64]int, address, signers string) (lines []termLine) {
	for _, one := range reports {
		n := strconv.Itoa(numbers[one.Common().Entry])
		line := termLine{"Report " + n, address + "?number=" + n, "Signed by " + signers}
		if !one.Whole() {
			line.State = strconv.Itoa(len(one.Common().Signed)) + " of 2 signatures"
		}
		lines = append(lines, line)
	}
	return lines
}

// meant is the report that an address names, with its number and that of the last
// one; ErrNotFound if there is none among them.
func meant[R view.SchoolReport](r *http.Request, reports []R, numbers map[uint64]int) (one R, number, latest int, err error) {
	wanted, _ := strconv.Atoi(r.URL.Query().Get("number"))
	for _, found := range reports {
		if latest = numbers[found.Common().Entry]; wanted == 0 || latest == wanted {
			one, number = found, latest
		}
	}
	if number == 0 {
		return one, 0, 0, view.ErrNotFound
	}
	return one, number, latest, nil
}

// signing is a role in which a report is signed.
type signing struct {
	as    access.Role
	words string
	may   *bool // that the account signs in it; not any more if somebody has
}

// signatureBox is a line for each role.
func signatureBox(c clockwork, given []view.TermSigned, roles ...signing) (lines []termSignature) {
	for _, role := range roles {
		line := termSignature{As: role.words}
		for _, one := range given {
			if one.As == string(role.as) {
				line.By, line.At, *role.may = one.By, c.moment(one.At), false
				if line.By == "" {
					line.By = "Signed; who did was forgotten"
				}
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// makeReport makes a report by what a form says, and leads to its page.
func (s *site) makeReport(w http.ResponseWriter, r *http.Request, v visit, d decision.Decision, field string, record func(decision.Decision) (address string, err error)) error {
	if _, err := readReason(w, r); err != nil {
		return err
	}
	d.By, d.At = v.account.Name, v.now
	address, err := record(d)
	if isRefusal(err) {
		return s.showTerms(w, r, v, http.StatusUnprocessableEntity, []wrong{{field, sentence(err.Error())}})
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, address, http.StatusSeeOther)
	return nil
}

// signReport signs a report by what a form says, and leads back to its page, where
// done is added to the address.
func (s *site) signReport(
	w http.ResponseWriter, r *http.Request, v visit, kind decision.Kind, address, done string,
	show func(http.ResponseWriter, *http.Request, visit, int, string, []wrong) error, sign func(d decision.Decision, number int) error,
) error {
	reason, err := readReason(w, r)
	if err != nil {
		return err
	}
	d := decision.Decision{Kind: kind, By: v.account.Name, At: v.now, Reason: reason}
	if err := d.CheckNew(); err != nil {
		return show(w, r, v, http.StatusUnprocessableEntity, reason, []wrong{{"words", "Say what you checked."}})
	}
	number, err := strconv.Atoi(r.URL.Query().Get("number"))
	if err != nil { // nobody signs what they were not shown
		return view.ErrNotFound
	}
	if err = sign(d, number); isRefusal(err) {
		return show(w, r, v, http.StatusUnprocessableEntity, reason, []wrong{{"words", sentence(err.Error())}})
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, address+"?number="+strconv.Itoa(number)+done, http.StatusSeeOther)
	return nil
}

// readableTerms lists the terms with the reports of each that an account may read,
// and the numbers that these have.
func (s *site) readableTerms(r *http.Request, v visit) (terms []view.SchoolTerm, numbers map[uint64]int, err error) {
	terms, err = s.Reports.EndedTerms(r.Context(), v.school.ID, v.now)
	numbers = map[uint64]int{}
	for i := range terms {
		terms[i].Reports = readable(v, terms[i].Reports, numbers)
	}
	return terms, numbers, err
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
		row.Reports = reportLines(t.Reports, numbers, row.Address, "head and business manager")
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
	var reports []view.TermReport
	for _, t := range terms {
		if t.ID == r.PathValue("term") {
			reports = t.Reports
		}
	}
	return meant(r, reports, numbers)
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
		Report: told, Address: termAddress(v.school.ID, one.Term), Title: termTitle(told), Done: r.URL.Query().Get("done") == "signed", Standings: summary.Standings(), Laid: told.Page(), Small: summary.SmallCounts,
		Digest: one.Digest, Whole: one.Whole(), OfNumber: number, MayMake: v.account.May(v.school.ID, access.MakeTerms), Wrong: bad, Checked: checked,
		MayHead: v.account.May(v.school.ID, access.SignAsHead), MayBuy: v.account.May(v.school.ID, access.SignAsBusiness),
		PolicyText: told.PolicyWords(), Bills: told.LicenceWords(),
	}
	if latest > number {
		page.Corrected = page.Address + "?number=" + strconv.Itoa(latest)
	}
	page.Signatures = signatureBox(c, one.Signed, signing{access.Head, "Head", &page.MayHead}, signing{access.Business, "Business manager", &page.MayBuy})
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
	d := decision.Decision{Kind: decision.TermReport, Reason: "the report of the term"}
	return s.makeReport(w, r, v, d, "terms", func(d decision.Decision) (string, error) {
		made, err := s.Reports.MakeTerm(r.Context(), v.school.ID, d, r.PathValue("term"))
		return termAddress(v.school.ID, made.Term), err
	})
}

// signTerm signs a report in a role.
func signTerm(as access.Role) func(*site, http.ResponseWriter, *http.Request, visit) error {
	return func(s *site, w http.ResponseWriter, r *http.Request, v visit) error {
		term := r.PathValue("term")
		return s.signReport(w, r, v, decision.TermReport, termAddress(v.school.ID, term), "&done=signed", s.showTerm, func(d decision.Decision, number int) error {
			_, err := s.Reports.SignTerm(r.Context(), v.school.ID, d, term, number, as)
			return err
		})
	}
}
