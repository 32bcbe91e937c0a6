package projection

import (
	"context"
	"testing"
)

// TestRunFollows folds in what is appended while it runs, and ends with its
// context.
func TestRunFollows(t *testing.T) {
	s := newSchool(t, "hollybank")
	s.ledger.idle = make(chan int, 100)
	f := open(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	until := func(entries int) {
		for n := range s.ledger.idle {
			if n == entries {
				return
			}
		}
	}
	until(0)
	l := s.enrol(t, "hb-lt-014", term)
	until(2)
	l.report(t, term, term)
	until(3)
	o, err := f.q.Overview(t.Context(), s.id, term)
	if err != nil || counts(t, o, "ENC-01") != [5]int{1} {
		t.Errorf("got %+v, %v", o, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
