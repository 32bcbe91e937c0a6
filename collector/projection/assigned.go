package projection

import (
	"context"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/ledger"
)

// asked says who asked for an assignment, and why: nothing if it followed from
// something else, or once that is forgotten.
func (f *folder) asked(ctx context.Context, r ledger.Record) (by, reason string, err error) {
	data, known, err := f.body(ctx, r, decision.Section)
	if err != nil || !known {
		return "", "", err
	}
	d, err := decision.Decode(data)
	if err != nil {
		return "", "", &notUnderstoodError{err}
	}
	return d.By, d.Reason, nil
}
