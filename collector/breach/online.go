package breach

import "time"

// OnlineFor is for how long a device that was heard from counts as online, if it
// is not heard from again before.
const OnlineFor = time.Hour

// Online is what is known of the time that a device was online since the rule
// first failed. It is kept of breaches whose grace counts that time.
type Online struct {
	Known bool `json:"known,omitempty"`
	// Since is how long the device had been online, of all time, when the rule
	// first failed.
	Since time.Duration `json:"since,omitempty"`
	// Ends is when the grace ends; zero while that depends on whether the device
	// is heard from again. Once known it never moves to a later moment.
	Ends time.Time `json:"ends,omitzero"`
}

// Credit returns how much of the time between two moments at which a device was
// heard from it counts as online. The second comes after the first in the
// ledger; where it is earlier the collector's clock was set back between them,
// nobody knows how long it was, and all that there can be counts.
func Credit(before, now time.Time) time.Duration {
	const jitter = 10 * time.Second // statements of one moment may be recorded in another order
	switch between := now.Sub(before); {
	case before.IsZero():
		return 0
	case between < -jitter:
		return OnlineFor
	default:
		return min(max(between, 0), OnlineFor)
	}
}

// Left returns how much time online is left of the grace once the device has
// been online for so long, of all time; less than nothing if that was more.
func (b Breach) Left(online time.Duration) time.Duration {
	return b.Online.Since + b.Terms.Grace - online
}

// Heard takes in that the device was heard from at a moment, having been online
// for so long, of all time. If the rest of the grace lies within the time for
// which it counts as online now, the end of the grace is known.
func (b Breach) Heard(online time.Duration, at time.Time) Breach {
	if !b.Waiting() {
		return b
	}
	left := b.Left(online)
	if left > OnlineFor {
		return b
	}
	// Where more than the grace has passed it ended by as much before this moment,
	// or sooner; but time online never runs faster than time.
	ends := later(at.Add(left), b.FirstFailed.Add(b.Terms.Grace))
	if b.Online.Ends.IsZero() || ends.Before(b.Online.Ends) {
		b.Online.Ends = ends
	}
	return b
}

// Waiting reports whether the breach stands and its grace counts time online.
func (b Breach) Waiting() bool { return b.stands() && b.Terms.Waits && b.Online.Known }

// counts takes in by which terms a breach fails. since is how long the device
// had been online when it first failed.
func (b Breach) counts(terms Terms, since time.Duration) Breach {
	if terms.Waits && !b.Online.Known {
		b.Online = Online{Known: true, Since: since}
	}
	if terms.Waits != b.Terms.Waits || terms.Grace != b.Terms.Grace {
		b.Online.Ends = time.Time{} // it was of another grace
	}
	b.Terms = terms
	return b
}
