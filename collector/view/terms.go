package view

import (
	"context"
	"encoding/binary"
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

// TermReport is a report of a term as it was made, as summary.Decode reads it.
type TermReport struct {
	Term string `json:"term"` // its first day
	Signable
}

// Of is the first day of the term.
func (r TermReport) Of() string { return r.Term }

// Signable is what the reports of terms and of years have in common: bytes that two
// people sign.
type Signable struct {
	Entry  uint64    `json:"entry"` // of the ledger, counted from 1
	Digest string    `json:"digest"`
	Data   []byte    `json:"data"`
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at"`
	// Signed are the signatures, the head's first. They are joined when asked for.
	Signed []TermSigned `json:"signed,omitempty"`
}

// Whole reports whether both have signed: the head, and the business manager of a
// term or the data-protection officer of a year.
func (r Signable) Whole() bool { return len(r.Signed) == 2 }

// Common is what a report of either kind has in common with the other.
func (r Signable) Common() Signable { return r }

// SchoolReport is the report of a term or of a year.
type SchoolReport interface {
	Of() string // the term or year
	Common() Signable
	Whole() bool
}

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
func (tx *Tx) PutTermReport(r TermReport) error { return tx.putReport(famTerm, r) }

// putReport records a report in a family of them.
func (tx *Tx) putReport(family string, r SchoolReport) error {
	common := r.Common()
	if err := tx.room(roomy + 2*len(common.Data)); err != nil {
		return err
	}
	return tx.putJSON(number(text(key(tx.school, family), r.Of()), common.Entry), r)
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
	return reports(ctx, q, key(school, famTerm), school, term, now, func(r *reader, one *TermReport) (err error) {
		one.Signed, err = r.signatures(famSigned, one.Signable, "head", "business-manager")
		return err
	})
}

// reports lists the reports of a family, the oldest first; of one term or year if
// it is given. join puts its signatures on one.
func reports[R SchoolReport](ctx context.Context, q *Queries, prefix []byte, school posture.SchoolID, of string, now time.Time, join func(*reader, *R) error) ([]R, error) {
	list := []R{}
	if of != "" {
		prefix = text(prefix, of)
	}
	err := q.read(ctx, school, now, func(r *reader) error {
		return r.each(prefix, nil, true, func(k []byte, item *badger.Item) (bool, error) {
			var one R
			if err := item.Value(func(data []byte) error { return unmarshal(data, &one) }); err != nil {
				return false, fmt.Errorf("read the report of a term or a year: %w", err)
			}
			if err := join(r, &one); err != nil {
				return false, err
			}
			list = append(list, one)
			return len(list) < mostTerms, nil
		})
	})
	return list, err
}

// signatures returns those that are on a report, in the order of the roles.
func (r *reader) signatures(family string, on Signable, roles ...string) (list []TermSigned, err error) {
	for _, as := range roles {
		var s TermSigned
		ok, err := r.getJSON(text(binary.BigEndian.AppendUint64(key(r.school.ID, family), on.Entry), as), &s)
		if err != nil {
			return nil, err
		}
		if ok && s.Digest == on.Digest {
			list = append(list, s)
		}
	}
	return list, nil
}
