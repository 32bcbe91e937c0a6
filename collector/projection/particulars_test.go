package projection

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/particulars"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// says records who the school says that it is.
func (s *school) says(tb cleaner, now time.Time, officer string) {
	section, err := decision.Encode(decision.Decision{
		Kind: decision.SetParticulars, By: "Morgan Ellis", At: now, Reason: "a new officer",
		Particulars: &particulars.Particulars{Officer: particulars.Officer{Name: officer}},
	}, [proof.SaltSize]byte{1})
	if err != nil {
		tb.Fatal(err)
	}
	s.ledger.append(s.envelope(proof.KindDecision, "", now), section)
}

func drawSaid(t *rapid.T, s *school, now time.Time) {
	if rapid.Bool().Draw(t, "request") {
		drawRequest(t, s, now)
		return
	}
	if rapid.Bool().Draw(t, "offer") {
		drawOffer(t, s, now)
		return
	}
	s.says(t, now, rapid.SampledFrom([]string{"", "Robin Hale", "Ash Lowe"}).Draw(t, "officer"))
}

// TestWhatASchoolSaidLastCounts: also when an earlier entry is folded in again,
// and another school says nothing by it.
func TestWhatASchoolSaidLastCounts(t *testing.T) {
	s, other := newSchool(t, "hollybank"), newSchool(t, "oakfield")
	f := open(t, s, other)
	s.says(t, term, "Robin Hale")
	s.says(t, term.Add(hour), "Ash Lowe")
	f.catchUp(t)
	for _, again := range []uint64{0, 0, 1} {
		err := f.view.Update(s.id, func(tx *view.Tx) error { return f.folders[0].fold(t.Context(), tx, s.record(t, again)) })
		if err != nil {
			t.Fatal(err)
		}
		p, err := f.q.Particulars(t.Context(), s.id, term)
		if err != nil || p.Officer.Name != "Ash Lowe" || p.Entry != 2 || p.By != "Morgan Ellis" || !p.At.Equal(term.Add(hour)) {
			t.Errorf("got %+v, %v", p, err)
		}
	}
	if p, err := f.q.Particulars(t.Context(), other.id, term); err != nil || p.Entry != 0 || !p.Empty() {
		t.Errorf("the other school says %+v, %v", p, err)
	}
}
