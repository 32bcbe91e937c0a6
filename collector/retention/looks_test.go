package retention_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/ledger/ledgertest"
	"github.com/caretaker-school/caretaker/collector/retention"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

func (r *record) looks(at time.Time, l viewing.Look) ledger.Index {
	r.t.Helper()
	s, err := viewing.Encode(l, r.salts()[0])
	if err != nil {
		r.t.Fatal(err)
	}
	return r.add(proof.KindLook, "", at, s)
}

// TestWhoLookedGoesWithItsTimeAndNotBefore: two years after their month, or when
// the school said, and not because somebody asks for it.
func TestWhoLookedGoesWithItsTimeAndNotBefore(t *testing.T) {
	r := newRecord(t)
	morgan := viewing.Look{By: "Morgan Ellis", Way: viewing.Page, What: viewing.Device, Name: "d-014"}
	january := r.looks(begun, morgan)
	february := r.looks(begun.AddDate(0, 1, 0), morgan)
	ended := r.decides(begun, decision.Decision{Kind: decision.EndExemption, Exemption: &breach.Exemption{ID: "ex-1"}})

	asked := begun.AddDate(0, 3, 0)
	s, err := retention.Read(t.Context(), r.l)
	if err != nil {
		t.Fatal(err)
	}
	month := ledger.Month{Year: 2026, Month: time.January}
	keep, err := s.Asked(t.Context(), r.l, noDevices{}, proof.People, month, asked)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.l.Forget(t.Context(), proof.People, month, keep, func(p ledger.Purge) (ledger.Entry, error) {
		return ledgertest.Purge(uint64(asked.UnixMilli()), p)
	}); err != nil {
		t.Fatal(err)
	}
	r.is(false, "a decision that somebody asked to forget", ended, 0)
	r.is(true, "a look in the same month", january, 0)

	r.round(time.Date(2028, 1, 31, 23, 59, 0, 0, time.UTC))
	r.is(true, "within two years of its month", january, 0)
	r.round(time.Date(2028, 2, 1, 0, 0, 0, 0, time.UTC))
	r.is(false, "two years after its month", january, 0)
	r.is(true, "the next month's", february, 0)

	body, err := retention.Encode(retention.Times{retention.Looks: span(t, "13 months")})
	if err != nil {
		t.Fatal(err)
	}
	r.add(proof.KindDecision, "", begun, r.kept(retention.Section, string(body)))
	r.round(time.Date(2028, 2, 1, 0, 0, 0, 0, time.UTC))
	r.is(false, "once the school says 13 months", february, 0)
	if err := (retention.Times{retention.Looks: span(t, "12 months")}).Check(); err == nil {
		t.Error("a school can have looks forgotten within a year")
	}
}

// TestLooksAtWhatIsHeldAreHeld: at the laptop, evidence of it, what names it.
func TestLooksAtWhatIsHeldAreHeld(t *testing.T) {
	h := retention.Held{
		Devices: map[posture.DeviceID]bool{"d-014": true}, Assets: map[string]bool{"hb-lt-014": true}, Media: map[string]bool{"m-031": true},
	}
	for _, x := range []struct {
		look viewing.Look
		want bool
	}{
		{viewing.Look{What: viewing.Device, Name: "d-014"}, true},
		{viewing.Look{What: viewing.Device, Name: "d-015"}, false},
		{viewing.Look{What: viewing.Incident, Name: "2026-03", Devices: []posture.DeviceID{"d-015", "d-014"}}, true},
		{viewing.Look{What: viewing.Asset, Name: "HB-LT-014"}, true},
		{viewing.Look{What: viewing.Medium, Name: "M-031"}, true},
		{viewing.Look{What: viewing.Medium, Name: "HB-LT-014"}, false},
		{viewing.Look{What: viewing.Devices}, false},
	} {
		x.look.By, x.look.Way = "Morgan Ellis", viewing.Page
		section, err := viewing.Encode(x.look, [proof.SaltSize]byte{})
		if err != nil {
			t.Fatal(err)
		}
		about, err := h.About(t.Context(), nothing{}, ledger.Stored{
			Record: ledger.Record{Envelope: proof.Envelope{Kind: proof.KindLook}}, Section: section,
		})
		if err != nil || about != x.want {
			t.Errorf("%+v: %v, %v", x.look, about, err)
		}
	}
}

// nothing is a ledger of which no other body is asked for.
type nothing struct{}

func (nothing) Body(context.Context, ledger.Index, int) ([]byte, error) {
	return nil, errors.New("nobody asks for it")
}
