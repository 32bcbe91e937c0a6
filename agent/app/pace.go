package app

import (
	"time"

	"golang.org/x/time/rate"
)

// pace spaces out work that others can ask for as often as they like: a few
// times at once, and then one in a while. What is asked for meanwhile is done
// together, later.
type pace struct {
	every time.Duration
	limit *rate.Limiter
	next  time.Time // when the work asked for last begins
}

func newPace(atOnce int, every time.Duration) pace {
	return pace{every: every, limit: rate.NewLimiter(rate.Every(every), atOnce)}
}

// at returns when work that is asked for at now begins: after least at the
// earliest.
func (p *pace) at(now time.Time, least time.Duration) time.Time {
	if ahead := p.next.Sub(now); ahead > 0 && ahead <= max(p.every, least) {
		return p.next
	}
	p.next = now.Add(max(least, min(p.limit.ReserveN(now, 1).DelayFrom(now), p.every)))
	return p.next
}

// wishes is what was asked for, and when it is due.
type wishes struct {
	due    time.Time // zero: nothing was asked for
	assess bool      // read everything
	// Judging again and sending everything come of themselves with any report:
	// the terms are those in force, and the chain knows that it must be full.
}

// at returns when what was asked for is due, seen at now. What lies further ahead than any pace was planned before the clock was
// set back.
func (w wishes) at(now time.Time, every time.Duration) time.Time {
	if w.due.Sub(now) > max(every, retryAfter) {
		return now
	}
	return w.due
}
