package projection

import (
	"context"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/summary"
	"github.com/caretaker-school/caretaker/collector/view"
)

// termReport takes in the report of a term, or a signature on one; ok is false
// if the entry is neither. Who made or signed it may be forgotten.
func (f *folder) termReport(ctx context.Context, tx *view.Tx, r ledger.Record) (ok bool, err error) {
	report, made, err := f.body(ctx, r, decision.TermReportSection)
	if err != nil {
		return false, err
	}
	signature, signed, err := f.body(ctx, r, decision.TermSignatureSection)
	if err != nil || !made && !signed {
		return false, err
	}
	by, err := f.by(ctx, r)
	if err != nil {
		return true, err
	}
	entry, at := uint64(r.Index)+1, moment(r.Envelope.ReceivedAt)
	if made {
		t, err := summary.Decode(report)
		if err != nil {
			return true, &notUnderstoodError{err}
		}
		return true, tx.PutTermReport(view.TermReport{Term: t.Term.ID, Entry: entry, Digest: summary.Digest(report), Data: report, By: by, At: at})
	}
	s, err := decision.DecodeTermSignature(signature)
	if err != nil {
		return true, &notUnderstoodError{err}
	}
	return true, tx.PutTermSigned(s.Entry, view.TermSigned{As: s.As, By: by, At: at, Entry: entry, Digest: s.Digest})
}

// yearReport takes in the report of a year, or a signature on one; ok is false if
// the entry is neither.
func (f *folder) yearReport(ctx context.Context, tx *view.Tx, r ledger.Record) (ok bool, err error) {
	report, made, err := f.body(ctx, r, decision.YearReportSection)
	if err != nil {
		return false, err
	}
	signature, signed, err := f.body(ctx, r, decision.YearSignatureSection)
	if err != nil || !made && !signed {
		return false, err
	}
	by, err := f.by(ctx, r)
	if err != nil {
		return true, err
	}
	entry, at := uint64(r.Index)+1, moment(r.Envelope.ReceivedAt)
	if made {
		y, err := summary.DecodeYear(report)
		if err != nil {
			return true, &notUnderstoodError{err}
		}
		return true, tx.PutYearReport(view.YearReport{Year: y.Year, Entry: entry, Digest: summary.Digest(report), Data: report, By: by, At: at})
	}
	s, err := decision.DecodeYearSignature(signature)
	if err != nil {
		return true, &notUnderstoodError{err}
	}
	return true, tx.PutYearSigned(s.Entry, view.TermSigned{As: s.As, By: by, At: at, Entry: entry, Digest: s.Digest})
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
