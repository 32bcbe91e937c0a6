package policy

import (
	"testing"

	"github.com/caretaker-school/caretaker/shared/posture"
)

func TestWhatNeverPauses(t *testing.T) {
	for _, row := range []struct {
		name   string
		rule   Rule
		pauses bool
		urgent bool
	}{
		{"a setting", Rule{Side: OnDevice, Facts: []string{"security"}, Severity: posture.High, GraceIn: SchoolDays}, true, false},
		{"a setting by the clock", Rule{Side: OnDevice, Facts: []string{"security"}, Severity: posture.High}, false, false},
		{"a setting online", Rule{Side: OnDevice, Facts: []string{"security"}, Severity: posture.High, GraceIn: OnlineTime}, false, false},
		{"encryption", Rule{Side: OnDevice, Facts: []string{"encryption"}, Severity: posture.High, GraceIn: SchoolDays}, false, true},
		{"encryption beside another fact", Rule{Side: OnDevice, Facts: []string{"encryption", "security"}, GraceIn: SchoolDays}, false, true},
		{"a threat", Rule{Side: OnDevice, Facts: []string{"security"}, Severity: posture.Critical, GraceIn: SchoolDays}, false, false},
		{"sometimes critical", Rule{Side: OnDevice, Facts: []string{"security"}, GraceIn: SchoolDays, Variants: []Variant{{Severity: posture.Critical}}}, false, false},
		{"a key in the safe", Rule{Side: AtSchool, Facts: []string{"escrow"}, Severity: posture.Moderate, GraceIn: SchoolDays}, true, false},
		{"silence", Rule{Side: AtSchool, Facts: []string{"contact"}, Severity: posture.Moderate}, false, false},
	} {
		if got := row.rule.Pauses(); got != row.pauses {
			t.Errorf("%s: pauses %v", row.name, got)
		}
		if got := row.rule.Urgent(); got != row.urgent {
			t.Errorf("%s: urgent %v", row.name, got)
		}
	}
}

func TestWhatNeverWaits(t *testing.T) {
	for _, row := range []struct {
		name  string
		rule  Rule
		waits bool
	}{
		{"antivirus", Rule{Side: OnDevice, Facts: []string{"antivirus"}, Severity: posture.Critical, GraceIn: OnlineTime}, true},
		{"antivirus by the clock", Rule{Side: OnDevice, Facts: []string{"antivirus"}, Severity: posture.Critical}, false},
		{"encryption", Rule{Side: OnDevice, Facts: []string{"encryption"}, GraceIn: OnlineTime}, false},
		{"silence", Rule{Side: AtSchool, Facts: []string{"contact"}, GraceIn: OnlineTime}, false},
		{"a proof that grows old", Rule{Side: AtSchool, Facts: []string{"coverage"}, GraceIn: OnlineTime}, false},
		{"a loan that ends", Rule{Side: AtSchool, Facts: []string{"allocation"}, GraceIn: OnlineTime}, false},
		{"the agent's health", Rule{Side: AtSchool, Facts: []string{"agent"}, GraceIn: OnlineTime}, true},
	} {
		if got := row.rule.Waits(); got != row.waits {
			t.Errorf("%s: waits %v", row.name, got)
		}
	}
}
