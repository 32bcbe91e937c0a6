package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/summary"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TermQueries are the questions about reports of terms and years.
type TermQueries interface {
	TermReports(ctx context.Context, school posture.SchoolID, term string, now time.Time) ([]view.TermReport, error)
	YearQueries
}

// TermReporter makes and signs reports of terms and years. What cannot be done as things
// stand is a decision.RefusedError.
type TermReporter interface {
	MakeTerm(ctx context.Context, school posture.SchoolID, d decision.Decision, term string) (view.TermReport, error)
	SignTerm(ctx context.Context, school posture.SchoolID, d decision.Decision, term string, number int, as access.Role) (view.TermReport, error)
	YearReporter
}

func termRoutes() []route {
	return append(yearRoutes(), []route{
		{
			method: http.MethodGet, path: "/schools/{school}/terms", right: access.ReadTerms, shows: viewing.Nobody,
			words: "The reports of a school's terms; who may read no others has those that head and business manager have signed.",
			gives: TermReports{}, serve: (*door).termReports,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/terms/{term}/reports", right: access.MakeTerms,
			words: "Makes the report of a term that is over, named by its first day. Where there is one already, this corrects it.",
			takes: TermReason{}, gives: TermReport{}, serve: (*door).makeTerm,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/terms/{term}/signatures/head", right: access.SignAsHead,
			words: "Signs a report of a term as head.", takes: TermSignature{}, gives: TermReport{}, serve: signTerm(access.Head),
		},
		{
			method: http.MethodPost, path: "/schools/{school}/terms/{term}/signatures/business-manager", right: access.SignAsBusiness,
			words: "Signs a report of a term as business manager.", takes: TermSignature{}, gives: TermReport{}, serve: signTerm(access.Business),
		},
	}...)
}

// TermReports is a list of reports.
type TermReports struct {
	Reports []TermReport `json:"reports"`
}

// TermReport is a report with its signatures.
type TermReport struct {
	Term string `json:"term"` // its first day
	SchoolReport
	Report summary.Report `json:"report"`
}

// SchoolReport is what the reports of terms and of years have in common.
type SchoolReport struct {
	Number int               `json:"number"`
	Entry  uint64            `json:"entry"`
	Digest string            `json:"digest"` // SHA-256 of the report's bytes
	By     string            `json:"by,omitempty"`
	At     time.Time         `json:"at"`
	Signed []view.TermSigned `json:"signed"`
	Data   []byte            `json:"data"` // the report's bytes, the same each time
}

func newSchoolReport(r view.Signable, number int) SchoolReport {
	return SchoolReport{number, r.Entry, r.Digest, r.By, r.At, append([]view.TermSigned{}, r.Signed...), r.Data}
}

// TermReason is why a report is made.
type TermReason struct {
	Reason string `json:"reason"`
}

// TermSignature is which report is signed.
type TermSignature struct {
	Number int    `json:"number,omitempty"` // 0: the last of the term
	Reason string `json:"reason"`           // what was checked
}

func newTermReport(r view.TermReport, number int) (TermReport, error) {
	told, err := summary.Decode(r.Data)
	return TermReport{r.Term, newSchoolReport(r.Signable, number), told}, err
}

func (d *door) termReports(r *http.Request, v visit) (any, error) {
	list, err := d.Queries.TermReports(r.Context(), v.school.ID, "", v.now)
	if err != nil {
		return nil, err
	}
	reports, err := readable(v, list, newTermReport)
	return TermReports{reports}, err
}

// readable are the reports that an account may read, each with its number.
func readable[R view.SchoolReport, T any](v visit, list []R, tell func(R, int) (T, error)) ([]T, error) {
	reports := []T{}
	numbers := map[string]int{}
	for _, one := range list {
		numbers[one.Of()]++
		if !one.Whole() && !v.account.May(v.school.ID, access.ReadTermDrafts) {
			continue
		}
		told, err := tell(one, numbers[one.Of()])
		if err != nil {
			return nil, err
		}
		reports = append(reports, told)
	}
	return reports, nil
}

// reportDecision is the decision to make or to sign a report.
func reportDecision(v visit, kind decision.Kind, reason string) (decision.Decision, error) {
	made := decision.Decision{Kind: kind, By: v.account.Name, At: v.now, Reason: reason}
	if err := made.CheckNew(); err != nil {
		return made, bad("%s", err.Error())
	}
	return made, nil
}

// numbered answers with a report of a term that was made or signed.
func (d *door) numbered(r *http.Request, v visit, made view.TermReport, err error) (any, error) {
	return answered(made, err, func() ([]view.TermReport, error) {
		return d.Queries.TermReports(r.Context(), v.school.ID, made.Term, v.now)
	}, newTermReport)
}

// answered tells of a report that was made or signed, with its number among all of
// its term or year.
func answered[R view.SchoolReport, T any](made R, err error, all func() ([]R, error), tell func(R, int) (T, error)) (any, error) {
	if refused, ok := errors.AsType[*decision.RefusedError](err); ok {
		return nil, &problem{Status: http.StatusConflict, Detail: refused.Error()}
	}
	if err != nil {
		return nil, err
	}
	list, err := all()
	if err != nil {
		return nil, err
	}
	number := len(list)
	for i, one := range list {
		if one.Common().Entry == made.Common().Entry {
			number = i + 1
		}
	}
	return tell(made, number)
}

func (d *door) makeTerm(r *http.Request, v visit) (any, error) {
	var asked TermReason
	if err := readBody(r, &asked); err != nil {
		return nil, err
	}
	decided, err := reportDecision(v, decision.TermReport, asked.Reason)
	if err != nil {
		return nil, err
	}
	made, err := d.Reports.MakeTerm(r.Context(), v.school.ID, decided, r.PathValue("term"))
	return d.numbered(r, v, made, err)
}

func signTerm(as access.Role) func(*door, *http.Request, visit) (any, error) {
	return func(d *door, r *http.Request, v visit) (any, error) {
		var asked TermSignature
		if err := readBody(r, &asked); err != nil {
			return nil, err
		}
		decided, err := reportDecision(v, decision.TermReport, asked.Reason)
		if err != nil {
			return nil, err
		}
		signed, err := d.Reports.SignTerm(r.Context(), v.school.ID, decided, r.PathValue("term"), asked.Number, as)
		return d.numbered(r, v, signed, err)
	}
}
