package posture

import "fmt"

// Result is the outcome of one rule on one subject, with the names and
// meanings of XCCDF 1.2.
type Result uint8

// The results. Zero claims nothing.
const (
	Unknown       Result = iota // no fact, or one too old to trust
	Pass                        // the rule is met
	Fail                        // the rule is not met
	Error                       // the probe ran and could not tell
	NotApplicable               // the rule says that it does not cover this device or subject
	NotChecked                  // this agent has no probe for the rule
)

var resultNames = [...]string{"unknown", "pass", "fail", "error", "notapplicable", "notchecked"}

// String returns XCCDF's spelling.
func (r Result) String() string {
	if int(r) < len(resultNames) {
		return resultNames[r]
	}
	return "unknown"
}

// MarshalText implements encoding.TextMarshaler.
func (r Result) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Result) UnmarshalText(text []byte) error {
	for i, name := range resultNames {
		if name == string(text) {
			*r = Result(i)
			return nil
		}
	}
	return fmt.Errorf("%q is not a result", text)
}

// Proven reports whether the result says something about the device: that the
// rule is met or that it is not.
func (r Result) Proven() bool { return r == Pass || r == Fail }

// Severity is how much a failed rule matters.
type Severity uint8

// The severities, least first.
const (
	Info Severity = iota
	Low
	Moderate
	High
	Critical
)

var severityNames = [...]string{"info", "low", "medium", "high", "critical"}

// String returns the severity in lower case.
func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return "info"
}

// MarshalText implements encoding.TextMarshaler.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Severity) UnmarshalText(text []byte) error {
	for i, name := range severityNames {
		if name == string(text) {
			*s = Severity(i)
			return nil
		}
	}
	return fmt.Errorf("%q is not a severity", text)
}
