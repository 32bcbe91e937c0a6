package view

import (
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Standing is a result in the words of pages. It is derived when asked for,
// from the result, exemptions and how long the device has been silent.
type Standing string

// The standings.
const (
	Met       Standing = "Met"
	NotMet    Standing = "Not met"
	NotProven Standing = "Not proven"
	Exempt    Standing = "Exempt"
	NotFor    Standing = "Not applicable" // the rule does not cover the device
)

// Overview is one school at one moment.
type Overview struct {
	School     posture.SchoolID `json:"school"`
	SchoolName string           `json:"schoolName"`
	At         time.Time        `json:"at"`
	Policy     uint64           `json:"policy"`
	PolicyName string           `json:"policyName"`
	Devices    int              `json:"devices"`
	Silent     int              `json:"silent"` // not heard from for longer than the policy allows
	Rules      []RuleCount      `json:"rules"`  // every rule of the policy, in its order
	Breaches   []BreachCount    `json:"breaches"`

	// CalendarWarning says in a sentence what should be done about the term
	// calendar; it is empty if nothing.
	CalendarWarning string `json:"calendarWarning,omitempty"`
}

// RuleCount counts devices by where they stand on one rule. A device counts
// once a rule, by its worst subject: Not met before Not proven before Exempt
// before Met.
type RuleCount struct {
	Rule        string           `json:"rule"`
	Title       string           `json:"title"`
	Severity    posture.Severity `json:"severity"`
	Remediation string           `json:"remediation"`
	Clauses     []string         `json:"clauses"`
	Met         int              `json:"met"`
	NotMet      int              `json:"notMet"`
	NotProven   int              `json:"notProven"`
	Exempt      int              `json:"exempt"`
	NotFor      int              `json:"notApplicable"`
}

// BreachCount counts breaches of one status and severity.
type BreachCount struct {
	Status   breach.Status    `json:"status"`
	Severity posture.Severity `json:"severity"`
	Count    int              `json:"count"`
}

// Device is a device's row in lists.
type Device struct {
	School       posture.SchoolID  `json:"school"`
	ID           posture.DeviceID  `json:"id"`
	Hostname     string            `json:"hostname"`
	AssetTag     string            `json:"assetTag,omitempty"`
	Platform     posture.Platform  `json:"platform"`
	OSName       string            `json:"osName"`
	Chassis      string            `json:"chassis"`
	Ownership    posture.Ownership `json:"ownership"`
	AgentVersion string            `json:"agentVersion"`
	EnrolledAt   time.Time         `json:"enrolledAt"`
	RevokedAt    time.Time         `json:"revokedAt"`   // zero unless its certificate was revoked
	LastContact  time.Time         `json:"lastContact"` // when the collector last heard from it, by the collector's clock
	LastReport   uint64            `json:"lastReport"`  // sequence
	ReportedAt   time.Time         `json:"reportedAt"`  // when that report was made, by the device's clock
	// Skew is the device's clock less the collector's, or that it is not known yet.
	Skew      posture.Reading[time.Duration] `json:"skew"`
	Policy    uint64                         `json:"policy"` // the policy it last judged by
	Silent    bool                           `json:"silent"` // derived at the time of asking
	Met       int                            `json:"met"`    // rules, by the device's worst subject
	NotMet    int                            `json:"notMet"`
	NotProven int                            `json:"notProven"`
	Exempt    int                            `json:"exempt"`
	Open      int                            `json:"open"` // breaches that are open or acknowledged
	// Lost says since when it is lost, until it is found again; nil if it is not.
	Lost *Lost `json:"lost,omitempty"`
	// Twice says that two machines answer to its name, or did until it last
	// reported; nil if it is one.
	Twice *Twice `json:"twice,omitempty"`
	// Found are the findings for which a list that was asked for by rule and
	// standing has the device; of a device that meets the rule there are none.
	// They are bounded; FoundAll is how many there are.
	Found    []Finding `json:"found,omitempty"`
	FoundAll int       `json:"foundAll,omitempty"`

	// PolicyDue is the number of the school's policy in force, if the device judged
	// by an older one; 0 if not, or if it has not reported yet.
	PolicyDue uint64 `json:"policyDue,omitempty"`
}

// DeviceDetail is everything known about one device.
type DeviceDetail struct {
	Device
	KeyFingerprint string        `json:"keyFingerprint"` // SHA-256 of the device's public key
	Facts          posture.Facts `json:"facts"`
	Findings       []Finding     `json:"findings"` // in the order of the policy's rules
	Breaches       []Breach      `json:"breaches"` // newest first
	Events         []MediumEvent `json:"events"`   // media that came and went, newest first, bounded
	Gaps           []Gap         `json:"gaps"`     // reports that are missing
	Entry          uint64        `json:"entry"`    // index in the ledger of the last report
	// HeldAt is since when all that the last report says was read again and found
	// unchanged, by the collector's clock; zero if it was not.
	HeldAt        time.Time `json:"heldAt"`
	Disagreements []string  `json:"disagreements,omitempty"` // rules on which the collector's own evaluation differs
	// Quarantine is what came while the device was marked lost, apart from all
	// else; nil if it never was.
	Quarantine *QuarantineDetail `json:"quarantine,omitempty"`
	// ReplacedBy is the enrolment of the same computer after it was set up anew;
	// Earlier are those before it, the last first.
	ReplacedBy posture.DeviceID `json:"replacedBy,omitempty"`
	Earlier    []EarlierInstall `json:"earlier,omitempty"`
	// Groups are those in which the school says that the device is.
	Groups []string `json:"groups,omitempty"`
}

// Finding is a finding with its rule's words and its standing.
type Finding struct {
	posture.Finding
	Title       string    `json:"title"`
	Remediation string    `json:"remediation"`
	Clauses     []string  `json:"clauses"`
	Standing    Standing  `json:"standing"`
	Since       time.Time `json:"since"` // since when the result has been what it is
}

// Breach is a breach with its rule's words and its status at the time of asking.
type Breach struct {
	Device      posture.DeviceID `json:"device"`
	Hostname    string           `json:"hostname"`
	AssetTag    string           `json:"assetTag,omitempty"`
	Rule        string           `json:"rule"`
	Title       string           `json:"title"`
	Remediation string           `json:"remediation"`
	Subject     posture.Subject  `json:"subject"`
	Number      int              `json:"number"`   // from 1, of those of this rule on this subject of the device
	Severity    posture.Severity `json:"severity"` // at the time of asking, escalation included
	Status      breach.Status    `json:"status"`
	FirstFailed time.Time        `json:"firstFailed"`
	LastFailed  time.Time        `json:"lastFailed"`
	GraceEnds   time.Time        `json:"graceEnds"`  // by the school's calendar, where the rule counts school days; zero if it is not known yet: see GraceLeft
	ResolvedAt  time.Time        `json:"resolvedAt"` // zero while it stands
	Message     string           `json:"message"`
	ReceivedAt  time.Time        `json:"receivedAt"` // when the collector first heard of it; long after FirstFailed, it was reported late
	// ReportedLate says that it began hours before anybody here heard of it: the
	// device kept it while it could not report.
	ReportedLate bool `json:"reportedLate,omitempty"`
	Reopened     int  `json:"reopened"` // times it failed again within a day of being resolved

	Resolution     breach.Resolution `json:"resolution,omitempty"` // what resolved it
	AcknowledgedAt time.Time         `json:"acknowledgedAt"`       // zero if nobody has
	AcknowledgedBy string            `json:"acknowledgedBy,omitempty"`
	ExemptUntil    time.Time         `json:"exemptUntil"` // zero unless the status is exempt
	// Exemption is the permission under which it fails, or failed for a time:
	// who asked, who approved, why and until when. nil if there was none.
	Exemption *breach.Exemption `json:"exemption,omitempty"`
	// GraceLeft is how much time online is left of a grace that counts it, while
	// it is not known when that will have passed.
	GraceLeft time.Duration `json:"graceLeft,omitempty"`
	// Silent says that the rule fails because nothing is heard, at the time of
	// asking still: whatever is decided, the next look finds it again.
	Silent bool `json:"silent,omitempty"`
	// Over says that what is missing is not a word of the device but the device:
	// its loan is over, and nobody has recorded that it was handed back.
	Over bool `json:"over,omitempty"`
}

// BreachGroup is what one rule finds on one device: one breach or, where the
// rule is about things such as programs, many.
type BreachGroup struct {
	Breach                 // the newest; its status and severity are the gravest of all
	Count    int           `json:"count"`
	Statuses []StatusCount `json:"statuses"` // gravest first
	Things   []Breach      `json:"things"`   // newest first, bounded
}

// StatusCount counts breaches of one status.
type StatusCount struct {
	Status breach.Status `json:"status"`
	Count  int           `json:"count"`
}

// MediumEvent is a medium that came or went, with its place in the ledger.
type MediumEvent struct {
	posture.MediumEvent
	Entry uint64 `json:"entry"`
}

// Gap is a stretch of a device's reports that the ledger does not have.
type Gap struct {
	From   uint64    `json:"from"` // sequences, both included
	To     uint64    `json:"to"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"` // when it was noticed
}
