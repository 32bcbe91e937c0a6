// Package clock is the one source of time for both programs: parts that keep
// time are handed a Clock, so that a whole system can be driven through a year
// of terms in a test.
//
// It never decides what a time means.
package clock

import "time"

// Clock tells the time and wakes its caller.
type Clock interface {
	// Now returns the current time.
	Now() time.Time
	// After returns a channel that receives the time once d has passed, and
	// a function that gives the wait up.
	After(d time.Duration) (<-chan time.Time, func())
}

// System is the machine's own clock.
type System struct{}

// Now implements Clock.
func (System) Now() time.Time { return time.Now() }

// After implements Clock.
func (System) After(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}
