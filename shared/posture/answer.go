package posture

import (
	"encoding/json"
	"fmt"
	"time"
)

// Absence says why there is no value, or that there is one.
type Absence uint8

// The reasons for having no value. Only None promises one.
const (
	NotAsked    Absence = iota // nobody asked: this agent has no probe for it, or it has not run
	None                       // nothing is absent: the value is there
	Denied                     // the system refused to show it
	TimedOut                   // it did not answer before the deadline
	Unreadable                 // it answered with something that could not be understood
	Unsupported                // this system has no way to tell
	NotVisible                 // it exists where the agent cannot look, such as a user who is not signed in
)

var absenceNames = [...]string{"not asked", "none", "denied", "timed out", "unreadable", "unsupported", "not visible"}

// String returns the absence in words, such as "timed out".
func (a Absence) String() string {
	if int(a) < len(absenceNames) {
		return absenceNames[a]
	}
	return "unreadable"
}

// MarshalText implements encoding.TextMarshaler.
func (a Absence) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It refuses words that
// String does not produce.
func (a *Absence) UnmarshalText(text []byte) error {
	for i, name := range absenceNames {
		if name == string(text) {
			*a = Absence(i)
			return nil
		}
	}
	return fmt.Errorf("%q is not a reason for an absent value", text)
}

// Answer is what one probe found, or why it found nothing.
type Answer[T any] struct {
	// Items holds what was found. It is meaningful only if Absent is None,
	// and may then be empty: looked, and there is none.
	Items []T `json:"items,omitempty"`
	// Absent is None if the question was answered, else why it was not.
	Absent Absence `json:"absent"`
	// Source names where the answer came from, such as "sysfs".
	Source string `json:"source,omitempty"`
	// Gaps lists the parts of the question that were not answered. Items are
	// then true but not all there is, and no rule may conclude from what is
	// not among them.
	Gaps []Gap `json:"gaps,omitempty"`
	// ReadAt is when the probe read it, by the device's clock.
	ReadAt time.Time `json:"readAt"`
}

// Gap is one source that a probe could not read while others answered.
type Gap struct {
	Source string  `json:"source"` // such as "rpm"; never a path in a person's folder
	Absent Absence `json:"absent"` // never None
}

// Found makes an answer of the items that source gave.
func Found[T any](source string, items ...T) Answer[T] {
	return Answer[T]{Items: items, Absent: None, Source: source}
}

// NotFound makes an answer that says why source gave nothing.
func NotFound[T any](source string, why Absence) Answer[T] {
	return Answer[T]{Absent: why, Source: source}
}

// Complete reports whether the answer is there and leaves nothing out.
func (a Answer[T]) Complete() bool { return a.Absent == None && len(a.Gaps) == 0 }

// Reading is one value inside a fact, or why it could not be read. Its zero
// value says "not asked".
type Reading[T any] struct {
	Value  T       // meaningful only if Absent is None
	Absent Absence // None if Value was read
}

// Read makes a reading of a value that is known.
func Read[T any](value T) Reading[T] { return Reading[T]{Value: value, Absent: None} }

// Unread makes a reading that says why there is no value.
func Unread[T any](why Absence) Reading[T] { return Reading[T]{Absent: why} }

// Known reports whether the value was read.
func (r Reading[T]) Known() bool { return r.Absent == None }

// Any returns the value and why it may be absent, for code that handles
// readings of every type alike, such as the evaluator of rules.
func (r Reading[T]) Any() (any, Absence) { return r.Value, r.Absent }

type readingJSON[T any] struct {
	Value  *T       `json:"value,omitempty"`
	Absent *Absence `json:"absent,omitempty"`
}

// MarshalJSON writes {"value": …} or {"absent": "denied"}.
func (r Reading[T]) MarshalJSON() ([]byte, error) {
	if r.Known() {
		return json.Marshal(readingJSON[T]{Value: &r.Value})
	}
	return json.Marshal(readingJSON[T]{Absent: &r.Absent})
}

// UnmarshalJSON reads what MarshalJSON writes. A reading with neither a value
// nor an absence, or with both, is an error.
func (r *Reading[T]) UnmarshalJSON(data []byte) error {
	var j readingJSON[T]
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	switch {
	case j.Value != nil && j.Absent == nil:
		*r = Read(*j.Value)
	case j.Absent != nil && j.Value == nil && *j.Absent != None:
		*r = Unread[T](*j.Absent)
	default:
		return fmt.Errorf("a reading needs either a value or an absence: %.80s", data)
	}
	return nil
}
