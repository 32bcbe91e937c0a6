package main

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/shared/clock"
)

// profile is how the laptops of a school behave over one day.
type profile struct {
	about    string
	length   time.Duration // of the day that is played
	present  float64       // share of the laptops that are opened
	opening  time.Duration // all that are opened are so within it
	closing  time.Duration // and are closed within it, before the end
	buffered [2]int        // reports that wait in a laptop when it is opened: at least, at most
	sticks   float64       // sticks that are put into a laptop in a day, on average
	contact  time.Duration // how often a laptop says that nothing has changed
}

// profiles are the days that can be played.
func profiles() map[string]profile {
	return map[string]profile{
		"lessons": {
			about:  "a school day: everybody within the first minute with yesterday's reports, sticks in and out, contacts each hour",
			length: 7 * time.Hour, present: 0.95, opening: time.Minute, closing: 15 * time.Minute,
			buffered: [2]int{0, 4}, sticks: 0.5, contact: time.Hour,
		},
		"september": {
			about:  "the first day after six weeks: everybody within a minute, with what the holidays left in the spool",
			length: 7 * time.Hour, present: 1, opening: time.Minute, closing: 15 * time.Minute,
			buffered: [2]int{5, 60}, sticks: 1, contact: time.Hour,
		},
		"holiday": {
			about:  "a day of the holidays: a few, whenever they like, and no sticks",
			length: 14 * time.Hour, present: 0.05, opening: 10 * time.Hour, closing: 3 * time.Hour,
			buffered: [2]int{0, 2}, contact: time.Hour,
		},
	}
}

// deed is what a laptop does at a moment of its day.
type deed int

const (
	buffer  deed = iota // it finds something new while it is offline
	open                // it connects
	found               // it finds something new
	stickIn             // a stick is put in
	stickOut
	nothing // it assesses itself and nothing has changed
	shut    // it disconnects
)

// event is one deed of one laptop.
type event struct {
	at   time.Duration // since the day began
	what deed
}

// plan returns one laptop's day. It depends on nothing but its arguments; a
// laptop that stays closed has none.
func (p profile) plan(laptop int, seed uint64) []event {
	r := rand.New(rand.NewPCG(seed, uint64(laptop)))
	if r.Float64() >= p.present {
		return nil
	}
	begin := fraction(r, p.opening)
	end := p.length - fraction(r, p.closing)
	var day []event
	for range p.buffered[0] + r.IntN(p.buffered[1]-p.buffered[0]+1) {
		day = append(day, event{begin, buffer})
	}
	day = append(day, event{begin, open})
	// Sticks, each in and out again while the laptop is open, one at a time.
	for at := begin; ; {
		if p.sticks == 0 {
			break
		}
		at += time.Duration(r.ExpFloat64() / p.sticks * float64(p.length))
		out := at + time.Minute + fraction(r, 30*time.Minute)
		if out >= end {
			break
		}
		day = append(day, event{at, stickIn}, event{out, stickOut})
		at = out
	}
	// Contacts, give or take a tenth, as the agent's own schedule has it.
	for at := begin; ; {
		at += p.contact - p.contact/10 + fraction(r, p.contact/5)
		if at >= end {
			break
		}
		day = append(day, event{at, nothing})
	}
	day = append(day, event{end, shut})
	slices.SortStableFunc(day, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	return day
}

func fraction(r *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(r.Float64() * float64(d))
}

// play lets the events of a day happen, each at its time since began and speed
// times as fast as it was planned, until all have or ctx ends.
func play(ctx context.Context, c clock.Clock, began time.Time, speed float64, day []event, do func(context.Context, deed) error) error {
	for _, e := range day {
		due := began.Add(time.Duration(float64(e.at) / speed))
		if wait := due.Sub(c.Now()); wait > 0 {
			passed, stop := c.After(wait)
			select {
			case <-ctx.Done():
				stop()
				return ctx.Err()
			case <-passed:
			}
		}
		if err := do(ctx, e.what); err != nil {
			return fmt.Errorf("at %s of the day: %w", e.at.Round(time.Second), err)
		}
	}
	return nil
}
