// Package clocktest drives time by hand in tests. It is in no released
// program.
package clocktest

import (
	"slices"
	"sync"
	"time"
)

// Driven is a clock that stands still until it is told to move. It is safe for
// use by many goroutines.
type Driven struct {
	mu      sync.Mutex // guards all below
	now     time.Time
	waiting []*wait
}

type wait struct {
	at time.Time
	c  chan time.Time
}

// NewDriven returns a clock that stands at now.
func NewDriven(now time.Time) *Driven { return &Driven{now: now} }

// Now implements clock.Clock.
func (d *Driven) Now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

// After implements clock.Clock.
func (d *Driven) After(t time.Duration) (<-chan time.Time, func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := &wait{at: d.now.Add(t), c: make(chan time.Time, 1)}
	if t <= 0 {
		w.c <- d.now
		return w.c, func() {}
	}
	d.waiting = append(d.waiting, w)
	return w.c, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.waiting = slices.DeleteFunc(d.waiting, func(o *wait) bool { return o == w })
	}
}

// Advance moves the clock on and wakes those whose time has come, in the order
// of their times.
func (d *Driven) Advance(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = d.now.Add(by)
	slices.SortStableFunc(d.waiting, func(a, b *wait) int { return a.at.Compare(b.at) })
	for len(d.waiting) > 0 && !d.waiting[0].at.After(d.now) {
		d.waiting[0].c <- d.now
		d.waiting = d.waiting[1:]
	}
}
