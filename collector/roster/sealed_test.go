package roster_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// TestWhereActsOfRestrictedIncidentsAre: the places of acts are the same whether
// they are folded or come from a snapshot, and no other decision is among them.
func TestWhereActsOfRestrictedIncidentsAre(t *testing.T) {
	b := newBook(t)
	snapshot := filepath.Join(b.dir, "snapshot")
	decides := func(body string, class proof.Class, more ...proof.Section) ledger.Entry {
		sections := append([]proof.Section{{Name: "decision", Class: class, Body: []byte(body)}}, more...)
		return b.maker.Entry(proof.KindDecision, "", monday, sections...)
	}
	const act = "caretaker/sealed/v1\nrest"
	b.append(
		b.enrolment("d1", "t"), decides(act, proof.Incidents), decides(`{"kind":"acknowledge"}`, proof.People), decides(act, proof.People),
		decides(act, proof.People, proof.Section{Name: "calendar", Class: proof.Kept, Body: []byte("x")}),
	)
	want := []ledger.Index{1, 3}
	r := b.open(snapshot)
	if diff := cmp.Diff(want, r.Sealed(0)); diff != "" {
		t.Errorf("folded: %s", diff)
	}
	b.saved(r)
	b.append(decides(act, proof.Incidents))
	for name, path := range map[string]string{"folded anew": "", "from a snapshot": snapshot} {
		got := b.open(path)
		if diff := cmp.Diff(append(slices.Clone(want), 5), got.Sealed(0)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if rest := got.Sealed(2); len(rest) != 1 || len(got.Sealed(9)) != 0 {
			t.Errorf("%s: the rest is %v", name, rest)
		}
	}
}
