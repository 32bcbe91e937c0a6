package projection

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestProgressSaysHowFarAndSinceWhen follows a view that is behind, catches up,
// stops for want of room and goes on.
func TestProgressSaysHowFarAndSinceWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchool(t, "hollybank")
		f := open(t, s)
		at := time.Now()
		expect := func(folded, recorded uint64, since time.Time) {
			t.Helper()
			if p := f.Progress(s.id); p.Folded != folded || p.Recorded != recorded || !p.BehindSince.Equal(since) || p.Err != nil {
				t.Errorf("got %+v, want %d of %d since %v", p, folded, recorded, since)
			}
		}
		expect(0, 0, time.Time{})
		l := s.enrol(t, "hb-lt-014", term)
		expect(0, 2, at)
		time.Sleep(time.Minute)
		expect(0, 2, at)
		f.catchUp(t)
		expect(2, 2, time.Time{})
		if p := open(t, s).Progress("hollybank-2"); p != (Progress{}) {
			t.Errorf("of a school that is not followed: %+v", p)
		}

		full := errors.New("the disk is full")
		f.folders[0].room = func() error { return full }
		l.report(t, term, term)
		if err := f.CatchUp(t.Context()); !errors.Is(err, full) {
			t.Fatalf("got %v", err)
		}
		behind := time.Now()
		p := f.Progress(s.id)
		if p.Folded != 2 || p.Recorded != 3 || !p.BehindSince.Equal(behind) || !errors.Is(p.Err, full) {
			t.Errorf("on a full disk: %+v", p)
		}
		time.Sleep(time.Minute)
		if got := f.Progress(s.id).Behind(time.Now()); got != time.Minute {
			t.Errorf("behind for %v", got)
		}
		f.folders[0].room = func() error { return nil }
		f.catchUp(t)
		expect(3, 3, time.Time{})
	})
}
