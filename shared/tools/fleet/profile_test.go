package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
)

const laptops = 2000

func TestEachDayKeepsToItsProfile(t *testing.T) {
	for name, p := range profiles() {
		t.Run(name, func(t *testing.T) {
			opened, sticks := 0, 0
			for i := range laptops {
				day := p.plan(i, 7)
				if len(day) == 0 {
					continue
				}
				opened++
				sticks += follow(t, p, day)
			}
			if share := float64(opened) / laptops; share < p.present-0.03 || share > p.present+0.03 {
				t.Errorf("%.2f of the laptops are opened, want about %.2f", share, p.present)
			}
			if p.sticks == 0 && sticks > 0 || p.sticks > 0 && (float64(sticks) < 0.6*p.sticks*laptops || float64(sticks) > 1.2*p.sticks*laptops) {
				t.Errorf("%d sticks in a day of %d laptops, want about %.1f each", sticks, laptops, p.sticks)
			}
		})
	}
}

// follow checks the order of one day and returns how many sticks it has.
func follow(t *testing.T, p profile, day []event) (sticks int) {
	t.Helper()
	var at, contact time.Duration
	connected, in, buffered := false, false, 0
	for i, e := range day {
		if e.at < at || e.at > p.length {
			t.Fatalf("deed %d is at %s, after one at %s, of a day of %s", i, e.at, at, p.length)
		}
		at = e.at
		switch e.what {
		case buffer:
			buffered++
		case open:
			if connected || e.at > p.opening || buffered < p.buffered[0] || buffered > p.buffered[1] {
				t.Fatalf("opened at %s with %d reports: %v", e.at, buffered, day)
			}
			connected, contact = true, e.at
			continue
		case nothing:
			if gap := e.at - contact; gap > p.contact+p.contact/10 {
				t.Fatalf("%s without a contact: %v", gap, day)
			}
			contact = e.at
		case stickIn:
			sticks++
			if in {
				t.Fatalf("a second stick at once: %v", day)
			}
			in = true
		case stickOut:
			if !in {
				t.Fatalf("a stick out that was not in: %v", day)
			}
			in = false
		case found:
		case shut:
			if i != len(day)-1 || in {
				t.Fatalf("shut too early: %v", day)
			}
			connected = false
			continue
		}
		if connected == (e.what == buffer) {
			t.Fatalf("deed %d of a laptop that is connected=%t: %v", i, connected, day)
		}
	}
	if connected {
		t.Fatalf("never shut: %v", day)
	}
	return sticks
}

func TestTheSameSeedGivesTheSameDay(t *testing.T) {
	p := profiles()["lessons"]
	same, other := 0, 0
	for i := range 100 {
		if !reflect.DeepEqual(p.plan(i, 1), p.plan(i, 1)) {
			t.Errorf("laptop %d has two days", i)
		}
		if reflect.DeepEqual(p.plan(i, 1), p.plan(i, 2)) {
			same++
		}
		if reflect.DeepEqual(p.plan(i, 1), p.plan(i+1, 1)) {
			other++
		}
	}
	if same > 20 || other > 20 {
		t.Errorf("%d of 100 laptops have the same day with another seed, %d the same as their neighbour", same, other)
	}
}

var morning = time.Date(2026, 11, 23, 8, 50, 0, 0, time.UTC)

func TestADayIsPlayedAtItsTimes(t *testing.T) {
	day := []event{{0, open}, {time.Hour, nothing}, {90 * time.Minute, stickIn}, {90 * time.Minute, stickOut}, {7 * time.Hour, shut}}
	synctest.Test(t, func(t *testing.T) {
		c := clocktest.NewDriven(morning)
		var done []string
		ended := make(chan error, 1)
		go func() {
			ended <- play(t.Context(), c, morning, 60, day, func(_ context.Context, d deed) error {
				done = append(done, fmt.Sprint(d, " ", c.Now().Sub(morning)))
				return nil
			})
		}()
		for range 8 * 60 {
			synctest.Wait()
			c.Advance(time.Second)
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		want := []string{
			fmt.Sprint(open, " 0s"), fmt.Sprint(nothing, " 1m0s"), fmt.Sprint(stickIn, " 1m30s"),
			fmt.Sprint(stickOut, " 1m30s"), fmt.Sprint(shut, " 7m0s"),
		}
		if !reflect.DeepEqual(done, want) {
			t.Errorf("got %q, want %q", done, want)
		}
	})
}

func TestADayEndsEarly(t *testing.T) {
	broken := errors.New("the lid was shut")
	day := []event{{0, open}, {time.Hour, shut}}
	if err := play(t.Context(), clocktest.NewDriven(morning), morning, 1, day, func(context.Context, deed) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("a deed that fails: got %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- play(ctx, clock.System{}, time.Now(), 1, day, func(context.Context, deed) error { return nil })
		}()
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("a day that is called off: got %v", err)
		}
	})
}
