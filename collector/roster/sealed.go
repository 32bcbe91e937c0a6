package roster

import (
	"context"
	"errors"
	"slices"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/restricted"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// sectionDecision is the name of the section that carries what people decide,
// and what they decide about restricted incidents, sealed.
const sectionDecision = "decision"

// foldSealed notes an entry that is an act of a restricted incident. What it
// says is not for a roster. One that was forgotten is none.
func (r *Roster) foldSealed(ctx context.Context, rec ledger.Record) error {
	sections := rec.Envelope.Sections
	if rec.Envelope.Kind != proof.KindDecision || len(sections) != 1 || sections[0].Name != sectionDecision {
		return nil
	}
	body, err := r.o.Ledger.Body(ctx, rec.Index, 0)
	if errors.Is(err, ledger.ErrForgotten) {
		return nil
	}
	if err != nil {
		return err
	}
	if restricted.Sealed(body) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.sealed = append(r.sealed, uint64(rec.Index))
	}
	return nil
}

// Sealed returns the entries that are acts of restricted incidents, from the
// n-th on, in the order of the ledger.
func (r *Roster) Sealed(n int) []ledger.Index {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var list []ledger.Index
	for _, i := range r.sealed[min(n, len(r.sealed)):] {
		list = append(list, ledger.Index(i))
	}
	return slices.Clip(list)
}
