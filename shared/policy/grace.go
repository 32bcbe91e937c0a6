package policy

import (
	"slices"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Urgent reports whether what the rule finds cannot wait for the next school
// day: a laptop seen to be without its encryption is as easily read in August.
func (r Rule) Urgent() bool { return r.Side == OnDevice && slices.Contains(r.Facts, "encryption") }

// NeverPauses says why the grace of a rule runs on in the holidays whatever its
// clock, or nothing if it may be counted in school days.
func (r Rule) NeverPauses() string {
	critical := func(v Variant) bool { return v.Severity == posture.Critical }
	switch {
	case r.Urgent():
		return "it is about encryption"
	case r.Severity == posture.Critical, slices.ContainsFunc(r.Variants, critical):
		return "it is critical"
	}
	return ""
}

// Pauses reports whether the grace of the rule is counted in school days alone.
// It is not for what never pauses, even if a policy that was published before
// this was refused says so.
func (r Rule) Pauses() bool { return r.GraceIn == SchoolDays && r.NeverPauses() == "" }

// NeverWaits says why the grace of a rule may not wait for the device to be
// online, or nothing if it may.
func (r Rule) NeverWaits() string {
	silence := func(fact string) bool { return fact == "contact" || fact == "coverage" || fact == "allocation" }
	switch {
	case r.Urgent():
		return "it is about encryption"
	case r.Side == AtSchool && slices.ContainsFunc(r.Facts, silence):
		return "it is about a device of which nothing may be heard again"
	}
	return ""
}

// Waits reports whether the grace of the rule is counted in time online alone.
// Like Pauses it is not for what must not wait, whatever an older policy says.
func (r Rule) Waits() bool { return r.GraceIn == OnlineTime && r.NeverWaits() == "" }
