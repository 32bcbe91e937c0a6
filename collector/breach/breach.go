// Package breach follows one rule failing on one subject of one device over
// time: a pure state machine, fed with events in the order in which the ledger
// has them.
//
// A breach holds times only; its status and severity are derived from them for
// a moment that the caller names. The package never reads a clock, never does
// I/O, and never changes a finding: an exemption changes how the breach is
// shown, and what the device reported stays what it was.
//
// Two rules keep a breach from being lost. Only three things resolve one: the
// rule seen to be met, its subject seen to be gone where that can be seen, and
// a person's decision (about it, or to publish a policy without the
// rule); nothing that was not seen does. And an event that came
// before in the ledger (sent again, or late) never undoes what came after it.
// shared/docs/breach-states.md draws the states.
package breach

import (
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// FlapWindow is how soon after it was resolved a rule may fail again on the
// same subject and still be the same breach.
const FlapWindow = 24 * time.Hour

// Key names what a breach is about. It stays the same from one report to the
// next.
type Key struct {
	Device posture.DeviceID `json:"device"`
	Rule   string           `json:"rule"`
	Kind   string           `json:"kind"`              // of the subject
	ID     string           `json:"subject,omitempty"` // the subject's key among its kind
}

// KeyOf returns the key of a rule failing on a subject of a device.
func KeyOf(device posture.DeviceID, rule string, subject posture.Subject) Key {
	return Key{Device: device, Rule: rule, Kind: subject.Kind, ID: subject.Key}
}

// Terms are what the policy says about a failure.
type Terms struct {
	Severity posture.Severity `json:"severity"`
	Grace    time.Duration    `json:"grace"`             // from the first failure until it is open
	Pauses   bool             `json:"pauses,omitempty"`  // the grace counts school days alone
	Waits    bool             `json:"waits,omitempty"`   // the grace counts time online alone
	Escalate Escalation       `json:"escalate,omitzero"` // zero: the severity stays
	Label    string           `json:"label,omitempty"`   // the subject, for people
	Message  string           `json:"message,omitempty"` // the finding, for people
}

// Escalation raises the severity of a breach that has stood for long.
type Escalation struct {
	After    time.Duration    `json:"after"` // from the first failure; 0: never
	Severity posture.Severity `json:"severity"`
}

// Resolution says what resolved a breach.
type Resolution string

// The ways to be resolved.
const (
	Passed  Resolution = "passed"  // the rule was seen to be met
	Gone    Resolution = "gone"    // the subject was seen to be there no more
	Decided Resolution = "decided" // a person decided so
	// Withdrawn: the school's policy no longer has the rule, which people
	// decided when they published it.
	Withdrawn Resolution = "withdrawn"
)

// Breach is one rule failing on one subject over time. Its zero value has
// never failed.
type Breach struct {
	Key
	Number         int        `json:"number"` // from 1; the next failure after the flap window is another breach
	Order          uint64     `json:"order"`  // of the last event taken in
	FirstFailed    time.Time  `json:"firstFailed,omitzero"`
	LastFailed     time.Time  `json:"lastFailed,omitzero"`
	ReceivedAt     time.Time  `json:"receivedAt,omitzero"` // when the collector first heard of it
	Terms          Terms      `json:"terms"`
	Online         Online     `json:"online,omitzero"`
	Reopened       int        `json:"reopened,omitempty"` // times it failed again within the flap window
	AcknowledgedAt time.Time  `json:"acknowledgedAt,omitzero"`
	AcknowledgedBy string     `json:"acknowledgedBy,omitempty"`
	Exemption      Exemption  `json:"exemption,omitzero"`
	ResolvedAt     time.Time  `json:"resolvedAt,omitzero"`
	Resolution     Resolution `json:"resolution,omitempty"`
	ResolvedBy     string     `json:"resolvedBy,omitempty"` // the person, if they decided it
}

// Status returns where the breach stands at a moment, by what is known of the
// school's days; nil if nothing is.
func (b Breach) Status(now time.Time, days *calendar.Calendar) Status {
	switch {
	case b.FirstFailed.IsZero() || now.Before(b.FirstFailed):
		return NotYet
	case !b.ResolvedAt.IsZero():
		return Resolved
	case b.Exemption.Runs(now):
		return Exempt
	case b.inGrace(now, days):
		return Pending
	case !b.AcknowledgedAt.IsZero():
		return Acknowledged
	}
	return Open
}

// inGrace reports whether the grace is not over.
func (b Breach) inGrace(now time.Time, days *calendar.Calendar) bool {
	ends := b.GraceEnds(days)
	return ends.IsZero() || now.Before(ends)
}

// GraceEnds returns when a failure that is not seen mended is open. It counts
// from the first failure, and runs on while nothing is heard: silence mends
// nothing. Where the rule says so it stands still while the school is known to
// be closed, or while the device is not online; the zero time then says that
// the end is not known yet.
func (b Breach) GraceEnds(days *calendar.Calendar) time.Time {
	switch {
	case b.Terms.Waits:
		return b.Online.Ends
	case b.Terms.Pauses:
		return days.After(b.FirstFailed, b.Terms.Grace)
	}
	return b.FirstFailed.Add(b.Terms.Grace)
}

// Severity returns how much the breach matters at a moment: more once it has
// stood for as long as the rule says. A resolved breach keeps the severity
// that it had when it was resolved.
func (b Breach) Severity(now time.Time) posture.Severity {
	if !b.ResolvedAt.IsZero() && b.ResolvedAt.Before(now) {
		now = b.ResolvedAt
	}
	e := b.Terms.Escalate
	if e.After > 0 && e.Severity > b.Terms.Severity && !now.Before(b.FirstFailed.Add(e.After)) {
		return e.Severity
	}
	return b.Terms.Severity
}

// Turns returns the moments after a given one at which the status or severity
// changes by the passing of time alone, earliest first.
func (b Breach) Turns(after time.Time, days *calendar.Calendar) []time.Time {
	if b.FirstFailed.IsZero() || !b.ResolvedAt.IsZero() {
		return nil
	}
	moments := []time.Time{b.FirstFailed, b.GraceEnds(days), b.Exemption.From, b.Exemption.Ends()}
	if b.Terms.Escalate.After > 0 {
		moments = append(moments, b.FirstFailed.Add(b.Terms.Escalate.After))
	}
	slices.SortFunc(moments, time.Time.Compare)
	var turns []time.Time
	for _, at := range moments {
		if !at.After(after) || (len(turns) > 0 && at.Equal(turns[len(turns)-1])) {
			continue
		}
		before := at.Add(-time.Nanosecond)
		if b.Status(before, days) != b.Status(at, days) || b.Severity(before) != b.Severity(at) {
			turns = append(turns, at)
		}
	}
	return turns
}
