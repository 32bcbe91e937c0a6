package projection

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestTheDoorHasPrecedence has laptops speak in numbers for a quarter of a minute: the
// view gives way, is never further behind than it may be, and is up to date soon
// after. A lone report afterwards is shown at once.
func TestTheDoorHasPrecedence(t *testing.T) {
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
		if p := f.Progress(s.id); p.Folded != s.ledger.Size() {
			t.Fatalf("before: %+v", p)
		}

		began, most, gaveWay := time.Now(), time.Duration(0), false
		for n := range 120 {
			s.ledger.together(func() {
				for _, l := range laptops {
					l.contact(t, term, term.Add(time.Duration(n)*pause/2))
				}
			})
			time.Sleep(pause / 2)
			synctest.Wait()
			p := f.Progress(s.id)
			if p.Err != nil {
				t.Fatal(p.Err)
			}
			most = max(most, p.Behind(time.Now()))
			gaveWay = gaveWay || p.Behind(time.Now()) > patience/2
		}
		if !gaveWay || most > patience+2*pause {
			t.Errorf("in %v of entries the view was up to %v behind, want about %v", time.Since(began), most, patience)
		}
		time.Sleep(2 * pause)
		synctest.Wait()
		if p := f.Progress(s.id); p.Folded != s.ledger.Size() || !p.BehindSince.IsZero() {
			t.Errorf("after: %+v", p)
		}
		laptops[0].report(t, term.Add(hour), term.Add(hour))
		synctest.Wait()
		if p := f.Progress(s.id); p.Folded != s.ledger.Size() {
			t.Errorf("a lone report is not shown: %+v", p)
		}
		time.Sleep(2 * rest)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if len(f.folders[0].memories.of) != 0 {
			t.Error("something is kept of devices that have long said nothing")
		}
	})
}
