package web

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/evidence"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/summary"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// YearReporter makes, signs and seals the reports of school years. What cannot be
// done as things stand is a decision.RefusedError.
type YearReporter interface {
	// EndedYears lists the years that are over, the latest first, with their terms
	// and reports.
	EndedYears(ctx context.Context, school posture.SchoolID, now time.Time) ([]view.SchoolYear, error)
	MakeYear(ctx context.Context, school posture.SchoolID, d decision.Decision, year string) (view.YearReport, error)
	SignYear(ctx context.Context, school posture.SchoolID, d decision.Decision, year string, number int, as access.Role) (view.YearReport, error)
	// SealYear seals a report with what proves it.
	SealYear(ctx context.Context, school posture.SchoolID, r view.YearReport, by, zone string) (b *evidence.Bundle, sealed []byte, err error)
}

// yearPage is the report of a school year.
type yearPage struct {
	Days string // its first and its last
	summary.Year
	Address             string
	Back                string
	Title               string
	Parts               []summary.YearPart
	Standings           []string
	Signatures          []termSignature
	Digest              string
	MayHead, MayOfficer bool
	MayMake             bool
	Corrected           string // address of the report that corrects this one
	OfNumber            int
	Wrong               []wrong
	Checked             string // what was typed
}

func yearAddress(school posture.SchoolID, year string) string {
	return schoolAddress(school) + "/years/" + year
}

// readableYears lists the years with the reports of each that an account may read,
// and the numbers that these have.
func (s *site) readableYears(r *http.Request, v visit) (years []view.SchoolYear, numbers map[uint64]int, err error) {
	years, err = s.Reports.EndedYears(r.Context(), v.school.ID, v.now)
	numbers = map[uint64]int{}
	for i := range years {
		years[i].Reports = readable(v, years[i].Reports, numbers)
	}
	return years, numbers, err
}

// yearRows are the lines of the list of years.
func (s *site) yearRows(r *http.Request, v visit) (rows []termRow, err error) {
	years, numbers, err := s.readableYears(r, v)
	if err != nil {
		return nil, err
	}
	for _, y := range years {
		row := termRow{Name: y.ID, From: y.From, To: y.To, Address: yearAddress(v.school.ID, y.ID)}
		row.Reports = reportLines(y.Reports, numbers, row.Address, "head and data-protection officer")
		rows = append(rows, row)
	}
	return rows, nil
}

// yearOf is the report that an address names; ErrNotFound if there is none that
// the account may read.
func (s *site) yearOf(r *http.Request, v visit) (one view.YearReport, number, latest int, err error) {
	years, numbers, err := s.readableYears(r, v)
	if err != nil {
		return one, 0, 0, err
	}
	var reports []view.YearReport
	for _, y := range years {
		if y.ID == r.PathValue("year") {
			reports = y.Reports
		}
	}
	return meant(r, reports, numbers)
}

func (s *site) year(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showYear(w, r, v, http.StatusOK, "", nil)
}

func (s *site) showYear(w http.ResponseWriter, r *http.Request, v visit, status int, checked string, bad []wrong) error {
	one, number, latest, err := s.yearOf(r, v)
	if err != nil {
		return err
	}
	told, err := summary.DecodeYear(one.Data)
	if err != nil {
		return err
	}
	c := s.clockwork(v)
	page := yearPage{
		Year: told, Days: calendarDay(register.Date(told.From)) + " to " + calendarDay(register.Date(told.To)), Address: yearAddress(v.school.ID, one.Year), Back: termAddress(v.school.ID, ""), Title: told.Title(), Parts: told.Parts(),
		Standings: summary.Standings(), Digest: one.Digest, OfNumber: number, MayMake: v.account.May(v.school.ID, access.MakeTerms), Wrong: bad, Checked: checked,
		MayHead: v.account.May(v.school.ID, access.SignAsHead), MayOfficer: v.account.May(v.school.ID, access.SignAsOfficer),
	}
	if latest > number {
		page.Corrected = page.Address + "?number=" + strconv.Itoa(latest)
	}
	page.Signatures = signatureBox(c, one.Signed, signing{access.Head, "Head", &page.MayHead}, signing{access.DPO, "Data-protection officer", &page.MayOfficer})
	return s.write(w, status, "year", s.page(v, titleOf(page.Title, bad), "terms"), page)
}

// yearFile sends the report with what proves it, as strangers verify it.
func (s *site) yearFile(w http.ResponseWriter, r *http.Request, v visit) error {
	one, _, _, err := s.yearOf(r, v)
	if err != nil {
		return err
	}
	b, sealed, err := s.Reports.SealYear(r.Context(), v.school.ID, one, v.account.Name, s.Location.String())
	if err != nil {
		return err
	}
	return giveFile(w, b.FileName(), sealed)
}

func (s *site) makeYear(w http.ResponseWriter, r *http.Request, v visit) error {
	d := decision.Decision{Kind: decision.YearReport, Reason: "the report of the school year"}
	return s.makeReport(w, r, v, d, "years", func(d decision.Decision) (string, error) {
		made, err := s.Reports.MakeYear(r.Context(), v.school.ID, d, r.PathValue("year"))
		return yearAddress(v.school.ID, made.Year), err
	})
}

// signYear signs a report in a role.
func signYear(as access.Role) func(*site, http.ResponseWriter, *http.Request, visit) error {
	return func(s *site, w http.ResponseWriter, r *http.Request, v visit) error {
		year := r.PathValue("year")
		return s.signReport(w, r, v, decision.YearReport, yearAddress(v.school.ID, year), "", s.showYear, func(d decision.Decision, number int) error {
			_, err := s.Reports.SignYear(r.Context(), v.school.ID, d, year, number, as)
			return err
		})
	}
}
