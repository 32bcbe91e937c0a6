package view

import (
	"context"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// SchoolYear is a year of a school that is over, with its reports.
type SchoolYear struct {
	ID      string       `json:"id"` // such as 2026-27
	From    string       `json:"from"`
	To      string       `json:"to"`      // the last day
	Terms   []SchoolTerm `json:"terms"`   // that began in it, the earliest first
	Reports []YearReport `json:"reports"` // the oldest first
}

// YearReport is a report of a school year as it was made, as summary.DecodeYear
// reads it.
type YearReport struct {
	Year string `json:"year"`
	Signable
}

// Of is the year.
func (r YearReport) Of() string { return r.Year }

// PutYearReport records a report.
func (tx *Tx) PutYearReport(r YearReport) error { return tx.putReport(famYear, r) }

// PutYearSigned records a signature on the report of an entry. The first of a
// role counts.
func (tx *Tx) PutYearSigned(report uint64, s TermSigned) error {
	return tx.sign(famYearSigned, report, s)
}

// YearReports lists the reports of a school's years, the oldest first; of one year
// if it is given.
func (q *Queries) YearReports(ctx context.Context, school posture.SchoolID, year string, now time.Time) ([]YearReport, error) {
	return reports(ctx, q, key(school, famYear), school, year, now, func(r *reader, one *YearReport) (err error) {
		one.Signed, err = r.signatures(famYearSigned, one.Signable, "head", "dpo")
		return err
	})
}
