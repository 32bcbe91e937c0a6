// Package policy judges facts. It holds a compiled policy, a device's
// assignment, and Evaluate, a pure function of both, the facts and the time.
//
// It never parses or compiles a rule, never reads a device or a clock, and
// does not know how a fact was read.
//
// Conditions are evaluated in three values. Whatever was not read, is too old
// or is known to be incomplete is an error inside a condition, so that
// "false && error" is false, "true || error" is true, and a condition that
// depends on what is not known is neither met nor not met: its finding says
// why it is not proven.
package policy

import (
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Format is the version of the encoding of policies that this package reads.
// A policy of another format is refused rather than misjudged.
const Format = 1

// Side says where a rule is judged.
type Side string

// The sides of a rule.
const (
	OnDevice Side = "device" // on the laptop, from its facts
	AtSchool Side = "school" // in the collector, from contact, coverage, allocation, register, licences
)

// Clock says which time counts towards a grace period.
type Clock string

// The clocks of a grace period. Where a collector has no calendar, school days
// are calendar time.
const (
	CalendarTime Clock = ""            // every hour counts
	SchoolDays   Clock = "school-days" // days on which the school is open
	OnlineTime   Clock = "online"      // time in which the device reached the collector
)

// Policy is a named, numbered set of compiled rules.
type Policy struct {
	Format     int         `json:"format"` // always Format
	Name       string      `json:"name"`
	Number     uint64      `json:"number"` // only rises; 0 is a baseline that no school has published
	Title      string      `json:"title"`
	Parameters []Parameter `json:"parameters,omitempty"` // what a school may choose, by name
	Rules      []Rule      `json:"rules"`
}

// Parameter is one value that conditions read as param.name.
type Parameter struct {
	Name    string        `json:"name"`
	Kind    ParameterKind `json:"kind"`
	Text    string        `json:"text,omitempty"`
	Texts   []string      `json:"texts,omitempty"`
	Choices []string      `json:"choices,omitempty"` // if any, the only texts that it can have
	Number  int64         `json:"number,omitempty"`  // also a duration, in nanoseconds
	Flag    bool          `json:"flag,omitempty"`
}

// ParameterKind is the type of a parameter.
type ParameterKind string

// The kinds of parameters.
const (
	TextParameter     ParameterKind = "text"
	TextsParameter    ParameterKind = "texts"
	NumberParameter   ParameterKind = "number"
	FlagParameter     ParameterKind = "flag"
	DurationParameter ParameterKind = "duration"
)

// Rule is one compiled rule.
type Rule struct {
	ID    string `json:"id"` // such as "ENC-01"
	Title string `json:"title"`
	Side  Side   `json:"side"`
	For   string `json:"for"` // kind of subject: "device", "volume", "antivirus", "medium", "program", "executable"
	// Facts names the sections that the rule's conditions read, such as
	// "encryption"; at the school's side, the facts, such as "contact".
	Facts []string `json:"facts,omitempty"`
	// When is the compiled condition for covering a subject; none covers all.
	When []byte `json:"when,omitempty"`
	// Require is the compiled condition that must hold.
	Require []byte `json:"require"`
	// None is the result if there is no subject that the rule covers:
	// NotApplicable, Pass or Error.
	None posture.Result `json:"none"`
	// MaxAge is the age beyond which facts are not trusted; 0: any age.
	MaxAge   time.Duration       `json:"maxAge,omitempty"`
	Severity posture.Severity    `json:"severity"`
	Grace    time.Duration       `json:"grace,omitempty"`
	GraceIn  Clock               `json:"graceIn,omitempty"`
	Variants []Variant           `json:"variants,omitempty"` // the first whose condition holds overrides severity and grace
	Escalate *Escalation         `json:"escalate,omitempty"`
	Classes  []posture.Ownership `json:"classes"`
	Clauses  []string            `json:"clauses,omitempty"`
	// Met and NotMet are what people read on a pass and on a fail. In both,
	// "{subject}" stands for the subject's label.
	Met    string `json:"met"`
	NotMet string `json:"notMet"`
	// Remediation says how a person repairs it; RemediationOn says it for a
	// platform on which that differs.
	Remediation   string                      `json:"remediation"`
	RemediationOn map[posture.Platform]string `json:"remediationOn,omitempty"`
}

// Remedy returns the remediation for a platform.
func (r Rule) Remedy(on posture.Platform) string {
	if text, ok := r.RemediationOn[on]; ok {
		return text
	}
	return r.Remediation
}

// Covers reports whether the rule is for devices of a class. A device whose
// class is not known yet is covered by every rule.
func (r Rule) Covers(class posture.Ownership) bool {
	if class == "" {
		return true
	}
	for _, c := range r.Classes {
		if c == class {
			return true
		}
	}
	return false
}

// asideFacts are the facts that a machine for investigations has of others'
// media.
var asideFacts = []string{"media", "media-events", "register"}

// aboutMedia reports whether the rule is about the media in a device and nothing
// else.
func (r Rule) aboutMedia() bool {
	if r.For == "medium" {
		return true
	}
	for _, f := range r.Facts {
		if !slices.Contains(asideFacts, f) {
			return false
		}
	}
	return len(r.Facts) > 0
}

// Variant overrides severity and grace for some subjects. Where its condition
// cannot be told, it does not hold.
type Variant struct {
	When     []byte           `json:"when"`
	Severity posture.Severity `json:"severity"`
	Grace    time.Duration    `json:"grace,omitempty"`
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
	// Investigation says that the device is set aside to say which medium was
	// found. What is in it is nobody's there: no rule about media is for it, and
	// it opens no file of theirs.
	Investigation bool `json:"investigation,omitempty"`
	// Reveal names executables, by SHA-256, of which a device that withholds
	// names tells them all the same.
	Reveal []string `json:"reveal,omitempty"`
}

// Rule returns the rule with an identifier.
func (p *Policy) Rule(id string) (Rule, bool) {
	for _, r := range p.Rules {
		if r.ID == id {
			return r, true
		}
	}
	return Rule{}, false
}
