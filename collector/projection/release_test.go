package projection

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/release"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// offers records which release the school offers its laptops.
func (s *school) offers(tb cleaner, now time.Time, o release.Offer) {
	section, err := decision.Encode(decision.Decision{
		Kind: decision.OfferRelease, By: "Sam Okafor", At: now, Reason: "the new version", Release: &o,
	}, [proof.SaltSize]byte{1})
	if err != nil {
		tb.Fatal(err)
	}
	s.ledger.append(s.envelope(proof.KindDecision, "", now), section)
}

func drawOffer(t *rapid.T, s *school, now time.Time) {
	s.offers(t, now, rapid.SampledFrom([]release.Offer{{}, {Version: "v1.2.0", Share: 10, PerDay: 20}, {Version: "v1.3.0", Share: 100, Group: "Year 6"}}).Draw(t, "offer"))
}

// TestWhatWasOfferedLastCounts: and another school offers nothing by it.
func TestWhatWasOfferedLastCounts(t *testing.T) {
	s, other := newSchool(t, "hollybank"), newSchool(t, "oakfield")
	f := open(t, s, other)
	s.offers(t, term, release.Offer{Version: "v1.2.0", Share: 10})
	s.offers(t, term.Add(time.Hour), release.Offer{})
	f.catchUp(t)
	got, err := f.q.Release(t.Context(), s.id, term.Add(2*time.Hour))
	if err != nil || got.Offer != (release.Offer{}) || got.Entry == 0 || got.By != "Sam Okafor" {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := f.q.Release(t.Context(), other.id, term.Add(2*time.Hour)); err != nil || got.Entry != 0 {
		t.Errorf("another school: got %+v, %v", got, err)
	}
}
