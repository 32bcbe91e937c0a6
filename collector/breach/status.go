package breach

import "fmt"

// Status is where a breach stands at one moment. It is derived from times when
// somebody asks, and never stored.
type Status uint8

// The statuses. Zero claims nothing.
const (
	NotYet       Status = iota // it has not failed, or will only fail if nothing is heard until then
	Pending                    // failing, and still in its grace
	Open                       // failing, and its grace is over
	Acknowledged               // open, and a person has said that they are on it
	Exempt                     // failing with permission, until the exemption ends
	Resolved                   // seen to be met, gone, or settled by a decision
)

var statusNames = [...]string{"not yet", "pending", "open", "acknowledged", "exempt", "resolved"}

// Statuses lists every status that a breach which has failed can have, in the
// order of its life.
func Statuses() []Status { return []Status{Pending, Open, Acknowledged, Exempt, Resolved} }

// String returns the status in lower case.
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return statusNames[NotYet]
}

// Stands reports whether the breach needs somebody: it is open or acknowledged.
func (s Status) Stands() bool { return s == Open || s == Acknowledged }

// MarshalText implements encoding.TextMarshaler.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It refuses words that
// String does not produce.
func (s *Status) UnmarshalText(text []byte) error {
	for i, name := range statusNames {
		if name == string(text) {
			*s = Status(i)
			return nil
		}
	}
	return fmt.Errorf("%q is not the status of a breach", text)
}
