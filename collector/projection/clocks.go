package projection

import (
	"time"

	"github.com/caretaker-school/caretaker/collector/view"
)

const (
	// clockMoved is how far the time of a boot, by the device's clock, may
	// wander before the clock counts as set.
	clockMoved = time.Minute
	// liveFor is how long statements must keep pace with the collector's clock
	// before they prove that they are not late.
	liveFor = 10 * time.Minute
	// network is what a statement may take to arrive, and no skew.
	network = 2 * time.Second
)

// hear takes in that a statement which a device made at one moment, by its own
// clock and uptime, came at another by the collector's.
//
// A statement may have waited in the device's spool, so that being made before
// it came proves no skew; being made after it came does, by at least the
// difference. Statements of one boot that arrive at the pace at which they were
// made did not wait: then the difference is the skew, behind as well as ahead.
func hear(c view.Clock, boot string, uptime uint64, madeAt, receivedAt time.Time) view.Clock {
	base := madeAt.UnixMilli() - int64(uptime)
	ahead := madeAt.Sub(receivedAt)
	moved := time.Duration(base-c.Base) * time.Millisecond
	if boot != c.Boot || moved.Abs() > clockMoved || uptime < c.Uptime {
		return view.Clock{
			Boot: boot, Base: base, Skew: settle(max(0, ahead)), Least: ahead, Uptime: uptime, ReceivedAt: receivedAt,
			FirstUptime: uptime, FirstReceivedAt: receivedAt,
		}
	}
	c.Least = max(c.Least, ahead)
	up := time.Duration(uptime-c.FirstUptime) * time.Millisecond
	pace := receivedAt.Sub(c.FirstReceivedAt) - up
	switch {
	case c.Least > 0:
		c.Skew = settle(c.Least)
	case up >= liveFor && pace.Abs() <= clockMoved:
		c.Skew = settle(c.Least)
	case pace.Abs() > clockMoved:
		// These came in a burst: whether the next keep pace counts from here.
		c.FirstUptime, c.FirstReceivedAt = uptime, receivedAt
	}
	c.Uptime, c.ReceivedAt = uptime, receivedAt
	return c
}

// settle takes what the network may have caused off a skew.
func settle(skew time.Duration) time.Duration {
	if skew.Abs() <= network {
		return 0
	}
	return skew
}

// observed returns when something happened that a device says happened at a
// moment by its own clock: by the collector's clock as far as the skew is
// known, and never after it was heard of.
func observed(c view.Clock, at, receivedAt time.Time) time.Time {
	if at.IsZero() {
		return at
	}
	if t := at.Add(-c.Skew); t.Before(receivedAt) {
		return t
	}
	return receivedAt
}
