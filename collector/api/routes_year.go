package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/summary"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// YearQueries are the questions about reports of school years.
type YearQueries interface {
	YearReports(ctx context.Context, school posture.SchoolID, year string, now time.Time) ([]view.YearReport, error)
}

// YearReporter makes, signs and seals reports of school years. What cannot be done
// as things stand is a decision.RefusedError.
type YearReporter interface {
	MakeYear(ctx context.Context, school posture.SchoolID, d decision.Decision, year string) (view.YearReport, error)
	SignYear(ctx context.Context, school posture.SchoolID, d decision.Decision, year string, number int, as access.Role) (view.YearReport, error)
	// ProveYear seals a report with what proves it, as strangers verify it.
	ProveYear(ctx context.Context, school posture.SchoolID, r view.YearReport, by string) (sealed []byte, fileName string, err error)
}

func yearRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/schools/{school}/years", right: access.ReadTerms, shows: viewing.Nobody,
			words: "The reports of a school's years; who may read no others has those that head and data-protection officer have signed.",
			gives: YearReports{}, serve: (*door).yearReports,
		},
		{
			method: http.MethodGet, path: "/schools/{school}/years/{year}/evidence", right: access.ReadTerms, shows: viewing.Nobody,
			words:  "The report of a year, such as 2026-27, sealed with its signatures and the signed reports of its terms, as strangers verify it.",
			params: []param{{name: "number", words: "which of the year's reports; the last if not given", whole: true}},
			gives:  YearEvidence{}, serve: (*door).yearEvidence,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/years/{year}/reports", right: access.MakeTerms,
			words: "Makes the report of a school year that is over, of the signed reports of its terms. Where there is one already, this corrects it.",
			takes: TermReason{}, gives: YearReport{}, serve: (*door).makeYear,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/years/{year}/signatures/head", right: access.SignAsHead,
			words: "Signs a report of a year as head.", takes: YearSignature{}, gives: YearReport{}, serve: signYear(access.Head),
		},
		{
			method: http.MethodPost, path: "/schools/{school}/years/{year}/signatures/dpo", right: access.SignAsOfficer,
			words: "Signs a report of a year as data-protection officer.", takes: YearSignature{}, gives: YearReport{}, serve: signYear(access.DPO),
		},
	}
}

// YearReports is a list of reports.
type YearReports struct {
	Reports []YearReport `json:"reports"`
}

// YearReport is the report of a school year with its signatures.
type YearReport struct {
	Year string `json:"year"`
	SchoolReport
	Report summary.Year `json:"report"`
}

// YearEvidence is a report with what proves it.
type YearEvidence struct {
	Year     string `json:"year"`
	Number   int    `json:"number"`
	Sealed   []byte `json:"sealed"`   // the file that strangers verify
	FileName string `json:"fileName"` // a name for that file
}

// YearSignature is which report is signed.
type YearSignature struct {
	Number int    `json:"number,omitempty"` // 0: the last of the year
	Reason string `json:"reason"`           // what was checked
}

func newYearReport(r view.YearReport, number int) (YearReport, error) {
	told, err := summary.DecodeYear(r.Data)
	return YearReport{r.Year, newSchoolReport(r.Signable, number), told}, err
}

func (d *door) yearReports(r *http.Request, v visit) (any, error) {
	list, err := d.Queries.YearReports(r.Context(), v.school.ID, "", v.now)
	if err != nil {
		return nil, err
	}
	reports, err := readable(v, list, newYearReport)
	return YearReports{reports}, err
}

func (d *door) yearEvidence(r *http.Request, v visit) (any, error) {
	list, err := d.Queries.YearReports(r.Context(), v.school.ID, r.PathValue("year"), v.now)
	if err != nil {
		return nil, err
	}
	wanted, _ := strconv.Atoi(v.params.first("number")) // a whole number, or not given
	all := v.account.May(v.school.ID, access.ReadTermDrafts)
	answer := YearEvidence{Year: r.PathValue("year")}
	var found view.YearReport
	for i, one := range list {
		if (all || one.Whole()) && (wanted == 0 || wanted == i+1) {
			found, answer.Number = one, i+1
		}
	}
	if answer.Number == 0 {
		return nil, view.ErrNotFound
	}
	answer.Sealed, answer.FileName, err = d.Reports.ProveYear(r.Context(), v.school.ID, found, v.account.Name)
	return answer, err
}

// numberedYear answers with a report of a year that was made or signed.
func (d *door) numberedYear(r *http.Request, v visit, made view.YearReport, err error) (any, error) {
	return answered(made, err, func() ([]view.YearReport, error) {
		return d.Queries.YearReports(r.Context(), v.school.ID, made.Year, v.now)
	}, newYearReport)
}

func (d *door) makeYear(r *http.Request, v visit) (any, error) {
	var asked TermReason
	if err := readBody(r, &asked); err != nil {
		return nil, err
	}
	decided, err := reportDecision(v, decision.YearReport, asked.Reason)
	if err != nil {
		return nil, err
	}
	made, err := d.Reports.MakeYear(r.Context(), v.school.ID, decided, r.PathValue("year"))
	return d.numberedYear(r, v, made, err)
}

func signYear(as access.Role) func(*door, *http.Request, visit) (any, error) {
	return func(d *door, r *http.Request, v visit) (any, error) {
		var asked YearSignature
		if err := readBody(r, &asked); err != nil {
			return nil, err
		}
		decided, err := reportDecision(v, decision.YearReport, asked.Reason)
		if err != nil {
			return nil, err
		}
		signed, err := d.Reports.SignYear(r.Context(), v.school.ID, decided, r.PathValue("year"), asked.Number, as)
		return d.numberedYear(r, v, signed, err)
	}
}
