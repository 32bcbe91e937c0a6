// Package policy judges facts. It holds a compiled policy, a device's
// assignment, and Evaluate, a pure function of both, the facts and the time.
//
// It never parses or compiles a rule, never reads a device or a clock, and
// does not know how a fact was read.
package policy

import (
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Side says where a rule is judged.
type Side string

// The sides of a rule.
const (
	OnDevice Side = "device" // on the laptop, from its facts
	AtSchool Side = "school" // in the collector, from contact, coverage, allocation, register, licences
)

// Policy is a named, numbered set of compiled rules.
type Policy struct {
	Name   string `json:"name"`
	Number uint64 `json:"number"` // only rises; 0 is a baseline that no school has published
	Title  string `json:"title"`
	Rules  []Rule `json:"rules"`
}

// Rule is one compiled rule.
type Rule struct {
	ID          string              `json:"id"` // such as "ENC-01"
	Title       string              `json:"title"`
	Side        Side                `json:"side"`
	For         string              `json:"for"`            // kind of subject: "device", "volume", "antivirus", "medium", "program", "executable"
	Facts       []string            `json:"facts"`          // the sections that its expressions read, such as "encryption"; empty if no probe exists
	When        []byte              `json:"when,omitempty"` // compiled condition for covering a subject; none: all
	Require     []byte              `json:"require"`        // compiled condition that must hold
	MaxAge      time.Duration       `json:"maxAge"`         // facts older than this are not trusted; 0: any age
	Severity    posture.Severity    `json:"severity"`
	Grace       time.Duration       `json:"grace"`
	Variants    []Variant           `json:"variants,omitempty"` // the first whose condition holds overrides severity and grace
	Escalate    *Escalation         `json:"escalate,omitempty"`
	Classes     []posture.Ownership `json:"classes"`
	Clauses     []string            `json:"clauses"`
	Remediation string              `json:"remediation"`
}

// Variant overrides severity and grace for some subjects.
type Variant struct {
	When     []byte           `json:"when"`
	Severity posture.Severity `json:"severity"`
	Grace    time.Duration    `json:"grace"`
}

// Escalation raises the severity of a breach that has stood for long.
type Escalation struct {
	After    time.Duration    `json:"after"`
	Severity posture.Severity `json:"severity"`
}

// Assignment says how a policy applies to one device.
type Assignment struct {
	Number      uint64            `json:"number"` // only rises
	Ownership   posture.Ownership `json:"ownership"`
	Groups      []string          `json:"groups,omitempty"`
	PersonalUse bool              `json:"personalUse"` // personal use is allowed, so names of programs are withheld
	MediaKey    uint64            `json:"mediaKey"`    // version of the school's media key
}
