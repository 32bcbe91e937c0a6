package projection

import (
	"testing"

	"pgregory.net/rapid"
)

// TestAPrefixIsWhatTheViewWas folds the first entries of a random history once
// the rest is there too: the view is the same to the byte as it was then, unless
// something was forgotten since.
func TestAPrefixIsWhatTheViewWas(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		if !sampled(rt) {
			return
		}
		s := newSchool(t, "hollybank")
		f := open(rt, s)
		f.catchUp(t)
		was := map[uint64]string{}
		history(t, rt, s, func() {
			if r := s.ledger.records[len(s.ledger.records)-1]; r.Envelope.Kind.String() == "purge" {
				clear(was)
			}
			if rapid.IntRange(0, 3).Draw(rt, "keep") == 0 {
				f.catchUp(t)
				was[s.ledger.Size()] = f.dump(t, s)
			}
		})
		for size, want := range was {
			then := open(rt, s)
			then.folders[0].school.Ledger = UpTo(s.ledger, size)
			then.catchUp(t)
			if got := then.dump(t, s); got != want {
				rt.Fatalf("the first %d of %d entries: %s", size, s.ledger.Size(), differences(want, got))
			}
		}
	})
}
