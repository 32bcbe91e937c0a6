package projection

import (
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// retentionTimes is a change of how long things are kept.
const retentionTimes = `{"times":{"link":"3 months"}}`

// setsTimes records how long things are kept, as the collector does.
func (s *school) setsTimes(tb testing.TB, at time.Time, times string) {
	tb.Helper()
	d := decision.Decision{Kind: decision.Retention, By: "Jo Marsh", At: at, Reason: "agreed by governors"}
	sections, err := decision.RetentionSections(d, []byte(times), [2][proof.SaltSize]byte{})
	if err != nil {
		tb.Fatal(err)
	}
	s.ledger.append(s.envelope(proof.KindDecision, "", at), sections...)
}

// TestHowLongThingsAreKeptShowsInNoRow: the view is the same whatever a school
// says of that, so that it can be changed without being made again.
func TestHowLongThingsAreKeptShowsInNoRow(t *testing.T) {
	s := newSchool(t, "hollybank")
	s.enrol(t, "hb-lt-014", term).report(t, term, term)
	f := open(t, s)
	f.catchUp(t)
	before := f.device(t, s, "hb-lt-014", term.Add(2*hour))
	s.setsTimes(t, term.Add(hour), retentionTimes)
	f.catchUp(t)
	if after := f.device(t, s, "hb-lt-014", term.Add(2*hour)); line(after.Breaches) != line(before.Breaches) || after.LastReport != before.LastReport {
		t.Errorf("it is %+v, and was %+v", after, before)
	}
}
