package view

import (
	"context"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// SchoolTerm is a term of a school that is over, with its reports.
type SchoolTerm struct {
	ID      string       `json:"id"` // its first day
	Name    string       `json:"name"`
	From    string       `json:"from"`
	To      string       `json:"to"` // the last day
	Reports []TermReport `json:"reports"`
}

// TermReport is a report of a term as it was made.
type TermReport struct {
	Term   string    `json:"term"`  // its first day
	Entry  uint64    `json:"entry"` // of the ledger, counted from 1
	Digest string    `json:"digest"`
	Data   []byte    `json:"data"` // the report, as summary.Decode reads it
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at"`
	// Signed are the signatures, the head's first. They are joined when asked for.
	Signed []TermSigned `json:"signed,omitempty"`
}

// Whole reports whether head and business manager have signed.
func (r TermReport) Whole() bool { return len(r.Signed) == 2 }

// TermSigned is a signature on a report: who gave it, until that is forgotten.
type TermSigned struct {
	As     string    `json:"as"` // head or business-manager; of a year head or dpo
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at"`
	Entry  uint64    `json:"entry"` // of the ledger, counted from 1
	Digest string    `json:"digest"`
}

// mostTerms bounds the reports that are listed of a school.
const mostTerms = 200

// PutTermReport records a report.
func (tx *Tx) PutTermReport(r TermReport) error {
	if err := tx.room(roomy + 2*len(r.Data)); err != nil {
		return err
	}
	return tx.putJSON(number(text(key(tx.school, famTerm), r.Term), r.Entry), r)
}

// PutTermSigned records a signature on the report of an entry. The first of a
// role counts.
func (tx *Tx) PutTermSigned(report uint64, s TermSigned) error {
	return tx.sign(famSigned, report, s)
}

// sign records a signature in a family of them.
func (tx *Tx) sign(family string, report uint64, s TermSigned) error {
	if err := tx.room(roomy); err != nil {
		return err
	}
	k := text(number(key(tx.school, family), report), s.As)
	var was TermSigned
	if ok, err := tx.getJSON(k, &was); err != nil || ok && was.Entry != s.Entry {
		return err
	}
	return tx.putJSON(k, s)
}

// TermReports lists the reports of a school's terms, the oldest first; of one
// term if its first day is given.
func (q *Queries) TermReports(ctx context.Context, school posture.SchoolID, term string, now time.Time) ([]TermReport, error) {
	list := []TermReport{}
	prefix := key(school, famTerm)
	if term != "" {
		prefix = text(prefix, term)
	}
	err := q.read(ctx, school, now, func(r *reader) error {
		return r.each(prefix, nil, true, func(k []byte, item *badger.Item) (bool, error) {
			var one TermReport
			if err := item.Value(func(data []byte) error { return unmarshal(data, &one) }); err != nil {
				return false, fmt.Errorf("read the report of a term: %w", err)
			}
			var err error
			if one.Signed, err = r.signatures(famSigned, one.Entry, one.Digest, "head", "business-manager"); err != nil {
				return false, err
			}
			list = append(list, one)
			return len(list) < mostTerms, nil
		})
	})
	return list, err
}
