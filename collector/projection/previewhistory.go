package projection

import (
	"context"
	"errors"
	"slices"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// saysNoEvents reports whether the report of an entry says that no media came
// and went: it has no section of them.
func saysNoEvents(ctx context.Context, source Source, entry uint64) (bool, error) {
	r, err := source.Read(ctx, ledger.Index(entry))
	if _, damaged := errors.AsType[*ledger.CorruptError](err); damaged {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	st, err := proof.DecodeReportStatement(r.Envelope.Statement)
	if err != nil {
		return false, nil //nolint:nilerr // what is not understood says nothing
	}
	return !slices.ContainsFunc(st.Sections, func(s proof.SectionRef) bool { return s.Name == wire.MediaEvents }), nil
}
