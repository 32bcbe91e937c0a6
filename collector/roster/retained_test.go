package roster_test

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// TestWhereItIsSaidHowLongThingsAreKept: the places are the same whether they are
// folded or come from a snapshot, and nothing else is among them.
func TestWhereItIsSaidHowLongThingsAreKept(t *testing.T) {
	b := newBook(t)
	snapshot := filepath.Join(b.dir, "snapshot")
	decides := func(name string, class proof.Class) ledger.Entry {
		return b.maker.Entry(proof.KindDecision, "", monday, proof.Section{Name: name, Class: class, Body: []byte("x")},
			proof.Section{Name: "decision", Class: proof.People, Body: []byte(`{"kind":"retention"}`)})
	}
	b.append(b.enrolment("d1", "t"), decides("retention", proof.Kept), decides("calendar", proof.Kept), decides("retention", proof.People), decides("retention", proof.Kept))
	r := b.open(snapshot)
	if diff := cmp.Diff([]ledger.Index{1, 4}, r.Retained()); diff != "" {
		t.Errorf("folded: %s", diff)
	}
	b.saved(r)
	b.append(decides("retention", proof.Kept))
	for name, path := range map[string]string{"folded anew": "", "from a snapshot": snapshot} {
		if diff := cmp.Diff([]ledger.Index{1, 4, 5}, b.open(path).Retained()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
