package projection

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestWhoDecidesIsNotKeptWaiting waits for an entry while laptops speak in
// numbers: the view does not give way, and who waits goes on as soon as the entry
// is in it.
func TestWhoDecidesIsNotKeptWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchool(t, "hollybank")
		var laptops []*laptop
		for i := range calm + 8 {
			laptops = append(laptops, s.enrol(t, fmt.Sprintf("hb-lt-%03d", i), term))
		}
		f := open(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.Run(ctx) }()
		synctest.Wait()

		s.ledger.together(func() {
			for _, l := range laptops {
				l.contact(t, term, term)
			}
		})
		laptops[0].report(t, term, term)
		synctest.Wait()
		if p := f.Progress(s.id); p.Folded >= p.Recorded {
			t.Fatalf("it does not give way to the door: %+v", p)
		}
		asked, size := time.Now(), s.ledger.Size()
		if err := f.Await(t.Context(), s.id, size); err != nil {
			t.Fatal(err)
		}
		if p, waited := f.Progress(s.id), time.Since(asked); p.Folded < size || waited != 0 {
			t.Errorf("after waiting %v: %+v, want %d entries", waited, p, size)
		}

		next := make(chan error, 1)
		go func() { next <- f.Await(t.Context(), s.id, size+1) }()
		synctest.Wait()
		select {
		case err := <-next:
			t.Fatalf("what is not recorded was there: %v", err)
		default:
		}
		laptops[0].report(t, term.Add(hour), term.Add(hour))
		if err := <-next; err != nil {
			t.Error(err)
		}
		if err := f.Await(t.Context(), "hollybank-2", 5); err != nil {
			t.Errorf("of a school that is not followed: %v", err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestAwaitEndsWithAReason says why what is waited for does not come: the view
// does not grow, nobody follows any more, or who waits has gone.
func TestAwaitEndsWithAReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchool(t, "hollybank")
		f := open(t, s)
		full := errors.New("the disk is full")
		f.folders[0].room = func() error { return full }
		s.enrol(t, "hb-lt-014", term)
		if err := f.CatchUp(t.Context()); !errors.Is(err, full) {
			t.Fatalf("got %v", err)
		}
		if err := f.Await(t.Context(), s.id, s.ledger.Size()); !errors.Is(err, full) {
			t.Errorf("on a full disk: %v", err)
		}
		f.folders[0].room = func() error { return nil }
		f.catchUp(t)

		ctx, cancel := context.WithCancel(t.Context())
		answers := make(chan error, 2)
		go func() { answers <- f.Await(ctx, s.id, 100) }()
		synctest.Wait()
		cancel()
		if err := <-answers; !errors.Is(err, context.Canceled) {
			t.Errorf("who has gone was told %v", err)
		}
		go func() { answers <- f.Await(t.Context(), s.id, 100) }()
		synctest.Wait()
		f.Abandon()
		if err := <-answers; !errors.Is(err, errAbandoned) {
			t.Errorf("nobody follows, and who waits was told %v", err)
		}
	})
}

// TestANewSchoolIsWaitedFor: before anything is in its record, a school whose view
// has not begun is not there yet for who decides.
func TestANewSchoolIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchool(t, "hollybank")
		f := open(t, s)
		shown := make(chan error, 1)
		go func() { shown <- f.Await(t.Context(), s.id, 0) }()
		synctest.Wait()
		select {
		case err := <-shown:
			t.Fatalf("a school of which the view knows nothing was there: %v", err)
		default:
		}
		if err := f.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-shown; err != nil {
			t.Error(err)
		}
		if _, err := f.view.Queries().Calendar(t.Context(), s.id, term); err != nil {
			t.Error(err)
		}
	})
}
