package breach

import "time"

// Event is something that happened to a breach.
type Event struct {
	What What
	// Order is the event's place in the ledger: it rises from event to event
	// of one key, whatever the clocks say.
	Order uint64
	// At is when it happened: for what a device observed the time at which it
	// observed it, for decisions the time of the decision.
	At time.Time
	// Received is when the collector was told.
	Received time.Time
	// Terms are given with Failed.
	Terms Terms
	// Online is given with Failed if the grace counts time online: how long the
	// device had been online, of all time, when the breach first failed.
	Online time.Duration
	// By is the person who decided.
	By string
	// Exemption is given with Exempted; with ExemptionEnded only its ID.
	Exemption Exemption
}

// What says what happened.
type What uint8

// What can happen. Zero claims nothing and changes nothing.
const (
	NotProven      What = iota // a report that could not tell: neither opens nor resolves
	Failed                     // the rule was seen not to be met
	Met                        // the rule was seen to be met
	Vanished                   // a complete answer no longer has the subject
	Acknowledge                // a person is on it
	Exempted                   // an approved exemption begins
	ExemptionEnded             // an exemption was taken back
	ResolvedByHand             // a person decided that it is settled
	RuleWithdrawn              // the policy by which the device is judged no longer has the rule
)

// Next returns the breach after an event. If the event starts another breach
// of the same key, the one before it is returned as closed.
func (b Breach) Next(e Event) (next Breach, closed *Breach) {
	switch {
	case e.What == NotProven || e.What > RuleWithdrawn:
		return b, nil
	case e.Order <= b.Order:
		return b, nil // a repeat, or news that newer news has overtaken
	}
	switch e.What {
	case Failed:
		return b.failed(e)
	case Met:
		b = b.resolved(e, Passed)
	case Vanished:
		b = b.resolved(e, Gone)
	case ResolvedByHand:
		b = b.resolved(e, Decided)
	case RuleWithdrawn:
		b = b.resolved(e, Withdrawn)
	case Acknowledge:
		if b.stands() && b.AcknowledgedAt.IsZero() {
			b.AcknowledgedAt, b.AcknowledgedBy = e.At, e.By
		}
	case Exempted:
		if e.Exemption.Check() == nil {
			b.Exemption = e.Exemption
		}
	case ExemptionEnded:
		if e.Exemption.ID == b.Exemption.ID && b.Exemption.Ended.IsZero() {
			b.Exemption.Ended = e.At
		}
	}
	b.Order = e.Order
	return b, nil
}

// Began returns when the breach first failed to which a failure belongs that
// comes next.
func (b Breach) Began(e Event) time.Time {
	if b.stands() || !b.FirstFailed.IsZero() && e.At.Sub(b.ResolvedAt) <= FlapWindow {
		return b.FirstFailed
	}
	return e.At
}

// stands reports whether it has failed and is not resolved.
func (b Breach) stands() bool { return !b.FirstFailed.IsZero() && b.ResolvedAt.IsZero() }

func (b Breach) failed(e Event) (Breach, *Breach) {
	var closed *Breach
	switch {
	case b.FirstFailed.IsZero():
		b.Number, b.FirstFailed, b.LastFailed, b.ReceivedAt = 1, e.At, e.At, e.Received
	case b.ResolvedAt.IsZero():
		// Clocks that were set back must not move the failure about.
		b.LastFailed = later(b.LastFailed, e.At)
	case e.At.Sub(b.ResolvedAt) <= FlapWindow:
		b.Reopened++
		b.ResolvedAt, b.Resolution, b.ResolvedBy = time.Time{}, "", ""
		b.LastFailed = later(b.LastFailed, e.At)
	default:
		old := b
		closed = &old
		b = Breach{
			Key: old.Key, Number: old.Number + 1, FirstFailed: e.At, LastFailed: e.At,
			ReceivedAt: e.Received, Exemption: old.Exemption,
		}
	}
	b = b.counts(e.Terms, e.Online)
	b.Order = e.Order
	return b, closed
}

func (b Breach) resolved(e Event, how Resolution) Breach {
	if !b.stands() {
		return b
	}
	b.ResolvedAt, b.Resolution, b.ResolvedBy = later(e.At, b.LastFailed), how, e.By
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// After returns the breach after an event, for callers to whom the breach
// before it does not matter.
func (b Breach) After(e Event) Breach {
	next, _ := b.Next(e)
	return next
}
