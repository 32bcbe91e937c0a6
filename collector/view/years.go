package view

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

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

// YearReport is a report of a school year as it was made.
type YearReport struct {
	Year   string    `json:"year"`
	Entry  uint64    `json:"entry"` // of the ledger, counted from 1
	Digest string    `json:"digest"`
	Data   []byte    `json:"data"` // the report, as summary.DecodeYear reads it
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at"`
	// Signed are the signatures, the head's first. They are joined when asked for.
	Signed []TermSigned `json:"signed,omitempty"`
}

// Whole reports whether head and data-protection officer have signed.
func (r YearReport) Whole() bool { return len(r.Signed) == 2 }

// PutYearReport records a report.
func (tx *Tx) PutYearReport(r YearReport) error {
	if err := tx.room(roomy + 2*len(r.Data)); err != nil {
		return err
	}
	return tx.putJSON(number(text(key(tx.school, famYear), r.Year), r.Entry), r)
}

// PutYearSigned records a signature on the report of an entry. The first of a
// role counts.
func (tx *Tx) PutYearSigned(report uint64, s TermSigned) error {
	return tx.sign(famYearSigned, report, s)
}

// YearReports lists the reports of a school's years, the oldest first; of one year
// if it is given.
func (q *Queries) YearReports(ctx context.Context, school posture.SchoolID, year string, now time.Time) ([]YearReport, error) {
	list := []YearReport{}
	prefix := key(school, famYear)
	if year != "" {
		prefix = text(prefix, year)
	}
	err := q.read(ctx, school, now, func(r *reader) error {
		return r.each(prefix, nil, true, func(k []byte, item *badger.Item) (bool, error) {
			var one YearReport
			if err := item.Value(func(data []byte) error { return unmarshal(data, &one) }); err != nil {
				return false, fmt.Errorf("read the report of a year: %w", err)
			}
			var err error
			if one.Signed, err = r.signatures(famYearSigned, one.Entry, one.Digest, "head", "dpo"); err != nil {
				return false, err
			}
			list = append(list, one)
			return len(list) < mostTerms, nil
		})
	})
	return list, err
}

// signatures returns those that are on the report of an entry, in the order of the
// roles.
func (r *reader) signatures(family string, entry uint64, digest string, roles ...string) (list []TermSigned, err error) {
	for _, as := range roles {
		var s TermSigned
		ok, err := r.getJSON(text(binary.BigEndian.AppendUint64(key(r.school.ID, family), entry), as), &s)
		if err != nil {
			return nil, err
		}
		if ok && s.Digest == digest {
			list = append(list, s)
		}
	}
	return list, nil
}
