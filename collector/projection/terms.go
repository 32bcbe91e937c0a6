package projection

import (
	"context"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/summary"
	"github.com/caretaker-school/caretaker/collector/view"
)

// termReport takes in the report of a term, or a signature on one; ok is false
// if the entry is neither.
func (f *folder) termReport(ctx context.Context, tx *view.Tx, r ledger.Record) (ok bool, err error) {
	return f.schoolReport(ctx, r, decision.TermReportSection, decision.TermSignatureSection, func(made view.Signable) error {
		t, err := summary.Decode(made.Data)
		if err != nil {
			return &notUnderstoodError{err}
		}
		return tx.PutTermReport(view.TermReport{Term: t.Term.ID, Signable: made})
	}, func(signature []byte, signed view.TermSigned) error {
		s, err := decision.DecodeTermSignature(signature)
		if err != nil {
			return &notUnderstoodError{err}
		}
		signed.As, signed.Digest = s.As, s.Digest
		return tx.PutTermSigned(s.Entry, signed)
	})
}

// yearReport takes in the report of a year, or a signature on one; ok is false if
// the entry is neither.
func (f *folder) yearReport(ctx context.Context, tx *view.Tx, r ledger.Record) (ok bool, err error) {
	return f.schoolReport(ctx, r, decision.YearReportSection, decision.YearSignatureSection, func(made view.Signable) error {
		y, err := summary.DecodeYear(made.Data)
		if err != nil {
			return &notUnderstoodError{err}
		}
		return tx.PutYearReport(view.YearReport{Year: y.Year, Signable: made})
	}, func(signature []byte, signed view.TermSigned) error {
		s, err := decision.DecodeYearSignature(signature)
		if err != nil {
			return &notUnderstoodError{err}
		}
		signed.As, signed.Digest = s.As, s.Digest
		return tx.PutYearSigned(s.Entry, signed)
	})
}

// schoolReport takes in a report, or a signature on one, of the sections in which
// such are. Who made or signed it may be forgotten.
func (f *folder) schoolReport(
	ctx context.Context, r ledger.Record, reports, signatures string, put func(view.Signable) error, sign func([]byte, view.TermSigned) error,
) (ok bool, err error) {
	report, made, err := f.body(ctx, r, reports)
	if err != nil {
		return false, err
	}
	signature, signed, err := f.body(ctx, r, signatures)
	if err != nil || !made && !signed {
		return false, err
	}
	by, err := f.by(ctx, r)
	if err != nil {
		return true, err
	}
	entry, at := uint64(r.Index)+1, moment(r.Envelope.ReceivedAt)
	if made {
		return true, put(view.Signable{Entry: entry, Digest: summary.Digest(report), Data: report, By: by, At: at})
	}
	return true, sign(signature, view.TermSigned{By: by, At: at, Entry: entry})
}

// by says who decided what an entry holds; "" if that was forgotten.
func (f *folder) by(ctx context.Context, r ledger.Record) (string, error) {
	data, known, err := f.body(ctx, r, decision.Section)
	if err != nil || !known {
		return "", err
	}
	d, err := decision.Decode(data)
	if err != nil {
		return "", &notUnderstoodError{err}
	}
	return d.By, nil
}
