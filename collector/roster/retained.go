package roster

import (
	"slices"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// sectionRetention is the name of the section by which a school says how long it
// keeps what.
const sectionRetention = "retention"

// foldRetained notes an entry that says how long things are kept. What it says is
// not for a roster.
func (r *Roster) foldRetained(rec ledger.Record) {
	says := func(ref proof.SectionRef) bool { return ref.Name == sectionRetention && ref.Class == proof.Kept }
	if rec.Envelope.Kind != proof.KindDecision || !slices.ContainsFunc(rec.Envelope.Sections, says) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.retained = append(r.retained, uint64(rec.Index))
}

// Retained returns the entries that say how long things are kept, in the order of
// the ledger.
func (r *Roster) Retained() []ledger.Index {
	r.mu.RLock()
	defer r.mu.RUnlock()
	list := make([]ledger.Index, 0, len(r.retained))
	for _, i := range r.retained {
		list = append(list, ledger.Index(i))
	}
	return list
}
