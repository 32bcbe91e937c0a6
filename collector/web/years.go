package web

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/evidence"
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
	if err != nil {
		return nil, nil, err
	}
	numbers = map[uint64]int{}
	all := v.account.May(v.school.ID, access.ReadTermDrafts)
	for i := range years {
		var may []view.YearReport
		for n, one := range years[i].Reports {
			numbers[one.Entry] = n + 1
			if all || one.Whole() {
				may = append(may, one)
			}
		}
		years[i].Reports = may
	}
	return years, numbers, nil
}

// yearRows are the lines of the list of years.
func (s *site) yearRows(r *http.Request, v visit) (rows []termRow, err error) {
	years, numbers, err := s.readableYears(r, v)
	if err != nil {
		return nil, err
	}
	for _, y := range years {
		row := termRow{Name: y.ID, From: y.From, To: y.To, Address: yearAddress(v.school.ID, y.ID)}
		for _, one := range y.Reports {
			n := strconv.Itoa(numbers[one.Entry])
			line := termLine{"Report " + n, row.Address + "?number=" + n, "Signed by head and data-protection officer"}
			if !one.Whole() {
				line.State = strconv.Itoa(len(one.Signed)) + " of 2 signatures"
			}
			row.Reports = append(row.Reports, line)
		}
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
	wanted, _ := strconv.Atoi(r.URL.Query().Get("number"))
	for _, y := range years {
		if y.ID != r.PathValue("year") {
			continue
		}
		for _, found := range y.Reports {
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
		Year: told, Address: yearAddress(v.school.ID, one.Year), Back: termAddress(v.school.ID, ""), Title: told.Title(), Parts: told.Parts(),
		Standings: summary.Standings(), Digest: one.Digest, OfNumber: number, MayMake: v.account.May(v.school.ID, access.MakeTerms), Wrong: bad, Checked: checked,
		MayHead: v.account.May(v.school.ID, access.SignAsHead), MayOfficer: v.account.May(v.school.ID, access.SignAsOfficer),
	}
	if latest > number {
		page.Corrected = page.Address + "?number=" + strconv.Itoa(latest)
	}
	for _, role := range []struct {
		as    access.Role
		words string
		may   *bool
	}{{access.Head, "Head", &page.MayHead}, {access.DPO, "Data-protection officer", &page.MayOfficer}} {
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
	if _, err := readReason(w, r); err != nil {
		return err
	}
	d := decision.Decision{Kind: decision.YearReport, By: v.account.Name, At: v.now, Reason: "the report of the school year"}
	made, err := s.Reports.MakeYear(r.Context(), v.school.ID, d, r.PathValue("year"))
	if isRefusal(err) {
		return s.showTerms(w, r, v, http.StatusUnprocessableEntity, []wrong{{"years", sentence(err.Error())}})
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, yearAddress(v.school.ID, made.Year), http.StatusSeeOther)
	return nil
}

// signYear signs a report in a role.
func signYear(as access.Role) func(*site, http.ResponseWriter, *http.Request, visit) error {
	return func(s *site, w http.ResponseWriter, r *http.Request, v visit) error {
		reason, err := readReason(w, r)
		if err != nil {
			return err
		}
		d := decision.Decision{Kind: decision.YearReport, By: v.account.Name, At: v.now, Reason: reason}
		if err := d.CheckNew(); err != nil {
			return s.showYear(w, r, v, http.StatusUnprocessableEntity, reason, []wrong{{"words", "Say what you checked."}})
		}
		number, err := strconv.Atoi(r.URL.Query().Get("number"))
		if err != nil { // nobody signs what they were not shown
			return view.ErrNotFound
		}
		_, err = s.Reports.SignYear(r.Context(), v.school.ID, d, r.PathValue("year"), number, as)
		if isRefusal(err) {
			return s.showYear(w, r, v, http.StatusUnprocessableEntity, reason, []wrong{{"words", sentence(err.Error())}})
		}
		if err != nil {
			return err
		}
		http.Redirect(w, r, yearAddress(v.school.ID, r.PathValue("year"))+"?number="+strconv.Itoa(number), http.StatusSeeOther)
		return nil
	}
}
