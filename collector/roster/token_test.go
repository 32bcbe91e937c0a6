package roster_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// token makes the entry of a token.
func (b *book) token(id string, uses int, ends time.Time) ledger.Entry {
	return b.maker.Entry(proof.KindToken, "token:"+id, monday, must(roster.Section(roster.SectionToken, proof.Kept, roster.Token{
		ID: id, Uses: uses, Ends: ends, Ownership: posture.SchoolSingleUser, By: "the technician",
	})))
}

// TestTokensSayHowTheyStand, and one that was taken back stays so: whatever is
// said twice, by whatever clock, and from a snapshot too.
func TestTokensSayHowTheyStand(t *testing.T) {
	const open, used, ended, taken = "00000000000000aa", "00000000000000bb", "00000000000000cc", "00000000000000dd"
	b := newBook(t)
	snapshot := filepath.Join(b.dir, "snapshot")
	r := b.open(snapshot)
	hour := func(n int) time.Time { return monday.Add(time.Duration(n) * time.Hour) }
	b.append(b.token(open, 2, hour(4)), b.token(used, 1, hour(3)), b.token(ended, 1, hour(1)), b.token(taken, 5, hour(2)), b.enrolment("d1", used), b.enrolment("d2", open))
	end := admission.Change{What: admission.EndToken, Token: taken}
	b.append(b.admits(end, monday.Add(time.Minute)), b.admits(end, monday.Add(2*time.Minute)), b.admits(admission.Change{What: admission.EndToken, Token: "ffffffffffffffff"}, monday))
	must(0, r.CatchUp(t.Context()))
	states := func(r *roster.Roster, now time.Time) map[string]admission.TokenState {
		all := map[string]admission.TokenState{}
		for _, one := range r.Tokens(now) {
			all[one.ID] = one.State
		}
		return all
	}
	want := map[string]admission.TokenState{open: admission.TokenOpen, used: admission.TokenUsedUp, ended: admission.TokenOpen, taken: admission.TokenTakenBack}
	if diff := cmp.Diff(want, states(r, monday)); diff != "" {
		t.Error(diff)
	}
	if !r.TokenOver(taken) || r.TokenOver(open) {
		t.Error("a token that was taken back admits, or another does not")
	}
	b.saved(r)
	again := b.open(snapshot)
	want[ended] = admission.TokenEnded
	if diff := cmp.Diff(want, states(again, hour(1))); diff != "" {
		t.Error(diff)
	}
	for _, one := range again.Tokens(hour(1)) {
		if one.ID == taken && !one.TakenBack.Equal(monday.Add(time.Minute)) {
			t.Errorf("taken back at %s", one.TakenBack)
		}
		if one.ID == open && (one.Used != 1 || one.Uses != 2 || one.By != "the technician") {
			t.Errorf("got %+v", one)
		}
	}
}
