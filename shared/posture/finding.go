package posture

import "time"

// Subject is what a rule was applied to: the device as a whole or one thing on
// it. Together with the rule's identifier it is stable from one assessment to
// the next, so that a breach can be followed.
type Subject struct {
	Kind  string `json:"kind"`            // "device", "volume", "antivirus", "medium", "program", "executable"
	Key   string `json:"key,omitempty"`   // tells subjects of one kind apart; "" for the device
	Label string `json:"label,omitempty"` // for people, such as "system disk"
}

// Finding is the result of one rule on one subject, with its reason.
type Finding struct {
	Rule     string        `json:"rule"`
	Subject  Subject       `json:"subject"`
	Result   Result        `json:"result"`
	Severity Severity      `json:"severity"`
	Grace    time.Duration `json:"grace"`   // how long a failure may stand before it is a breach
	Reason   string        `json:"reason"`  // for machines: "met", "not-met", "denied", "timed-out", "unreadable", "unsupported", "not-visible", "stale", "clock-suspect", "incomplete", "not-asked", "not-covered", "none-present", "cost", "evaluation"
	Message  string        `json:"message"` // for people, in plain words
	FactAt   time.Time     `json:"factAt"`  // when the fact that decided it was read
}
