package view

import (
	"cmp"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Place says where the ledger keeps a section of a device's state.
type Place struct {
	Name    string    `json:"name"`
	Entry   uint64    `json:"entry"`
	Digest  [32]byte  `json:"digest"`          // of the section
	Section int       `json:"section"`         // its place among the entry's sections
	ReadAt  time.Time `json:"readAt,omitzero"` // when its facts were last read, by the device's clock
}

// Policy is what the view knows of a policy: the words of its rules and the
// ages that decide about silence.
type Policy struct {
	Number uint64 `json:"number"`
	Entry  uint64 `json:"entry"` // where the ledger has it; 0 for the baseline
	Name   string `json:"name"`
	Title  string `json:"title"`
	Rules  []Rule `json:"rules"`
	// Silence is how long a device may not be heard from before what it once
	// passed is not proven any more.
	Silence time.Duration `json:"silence"`
}

// Rule is a rule as far as the view needs it.
type Rule struct {
	ID            string                      `json:"id"`
	Title         string                      `json:"title"`
	Side          policy.Side                 `json:"side"`
	Facts         []string                    `json:"facts,omitempty"`
	MaxAge        time.Duration               `json:"maxAge,omitempty"` // facts older than this prove nothing; 0: any age
	Severity      posture.Severity            `json:"severity"`
	Grace         time.Duration               `json:"grace,omitempty"`
	Pauses        bool                        `json:"pauses,omitempty"` // the grace counts school days alone
	Waits         bool                        `json:"waits,omitempty"`  // the grace counts time online alone
	Escalate      breach.Escalation           `json:"escalate,omitzero"`
	Clauses       []string                    `json:"clauses,omitempty"`
	Remediation   string                      `json:"remediation"`
	RemediationOn map[posture.Platform]string `json:"remediationOn,omitempty"`
	NotMet        string                      `json:"notMet,omitempty"` // what people read if it lapses
	// Lapses is set for a rule that fails by the passing of time alone: After
	// that long since From without news. FromNothing: it does not.
	Lapses Lapse `json:"lapses,omitzero"`
	// Leaves is set for a rule that fails once whoever has the device has left.
	Leaves *Leaving `json:"leaves,omitempty"`

	// Once prepare has run: the bits of Vector.ReadAt that Facts names, and what
	// is known of the school's days.
	sections uint16
	days     *calendar.Calendar
}

// prepare works out what questions about many devices would do over and over,
// by what is known of the school's days.
func (p *Policy) prepare(days *calendar.Calendar) {
	for i := range p.Rules {
		r := &p.Rules[i]
		r.sections, r.days = 0, days
		for _, name := range r.Facts {
			if n, ok := sectionNumber(name); ok {
				r.sections |= 1 << n
			}
		}
	}
}

// Lapse says when a rule fails if nothing more is heard.
type Lapse struct {
	From  From          `json:"from,omitempty"`
	After time.Duration `json:"after,omitempty"`
}

// Leaving is what a rule says once whoever has the device has left.
type Leaving struct {
	Severity posture.Severity `json:"severity"`
	Grace    time.Duration    `json:"grace,omitempty"`
}

// Lapse reports whether the rule fails by the passing of time alone.
func (r *Rule) Lapse() bool { return r.Lapses.From != FromNothing || r.Leaves != nil }

// From is the moment from which the time to a lapse counts.
type From string

// The moments from which time to a lapse counts.
const (
	FromNothing    From = ""           // the rule does not lapse
	FromContact    From = "contact"    // the last contact, by the collector's clock
	FromSilence    From = "silence"    // the same, and holidays do not count
	FromEncryption From = "encryption" // when the encryption of the system disk was last proven
	FromLoan       From = "loan"       // the end of the device's loan, which may lie ahead
)

// Remedy returns the remediation for a platform.
func (r Rule) Remedy(on posture.Platform) string {
	if t, ok := r.RemediationOn[on]; ok {
		return t
	}
	return r.Remediation
}

// Rule returns the rule with an identifier.
func (p Policy) Rule(id string) (Rule, bool) {
	for _, r := range p.Rules {
		if r.ID == id {
			return r, true
		}
	}
	return Rule{}, false
}

// clocksChange is how much less than a span of time may pass by the clock while
// it passes at a school, where clocks are put forward.
const clocksChange = time.Hour

// leastAge returns the shortest time after which anything that the policy says
// can change because nothing was heard.
func (p Policy) leastAge() time.Duration {
	least := p.Silence
	for _, r := range p.Rules {
		if r.MaxAge > 0 && r.MaxAge < least {
			least = r.MaxAge
		}
		if r.Lapses.From != FromNothing && r.Lapses.From != FromLoan {
			least = min(least, r.Lapses.After-clocksChange)
		}
	}
	return least
}

// Clock is what is known of a device's clock.
type Clock struct {
	Boot string `json:"boot,omitempty"`
	// Base is the time of the boot by the device's clock, milliseconds: it
	// moves when the clock is set.
	Base int64 `json:"base,omitempty"`
	// Skew is the device's clock less the collector's, as far as is proven: ask
	// Measured.
	Skew time.Duration `json:"skew,omitempty"`
	// Least is the greatest of made-at less received-at under this base: the
	// skew is not below it.
	Least time.Duration `json:"least,omitempty"`
	// FirstUptime and FirstReceivedAt are of the statement from which the pace
	// is measured, Uptime and ReceivedAt of the last one.
	FirstUptime     uint64    `json:"firstUptime,omitempty"`
	FirstReceivedAt time.Time `json:"firstReceivedAt,omitzero"`
	Uptime          uint64    `json:"uptime,omitempty"`
	ReceivedAt      time.Time `json:"receivedAt,omitzero"`
}

// promptly is how soon a statement comes that did not wait on the way.
const promptly = time.Minute

// Measured returns the device's clock less the collector's. It is not known
// while every statement came later than it says it was made, and not yet at the
// pace at which they were made: they may have waited, or the clock is behind.
func (c Clock) Measured() posture.Reading[time.Duration] {
	if c.Skew == 0 && c.Least < -promptly {
		return posture.Unread[time.Duration](posture.NotVisible)
	}
	return posture.Read(c.Skew)
}

// DeviceRow is everything that the view keeps about a device in one row.
type DeviceRow struct {
	ID             posture.DeviceID  `json:"id"`
	Hostname       string            `json:"hostname"`
	AssetTag       string            `json:"assetTag,omitempty"`
	Platform       posture.Platform  `json:"platform"`
	OSName         string            `json:"osName,omitempty"`
	Chassis        string            `json:"chassis,omitempty"`
	Ownership      posture.Ownership `json:"ownership,omitempty"`
	AgentVersion   string            `json:"agentVersion,omitempty"`
	KeyFingerprint string            `json:"keyFingerprint,omitempty"`
	EnrolledAt     time.Time         `json:"enrolledAt,omitzero"`
	RevokedAt      time.Time         `json:"revokedAt,omitzero"`
	RevokedFor     string            `json:"revokedFor,omitempty"`
	RevokedIn      uint64            `json:"revokedIn,omitempty"` // entry
	LastContact    time.Time         `json:"lastContact,omitzero"`
	Heard          Heard             `json:"heard,omitzero"` // its last contact
	LastReport     uint64            `json:"lastReport,omitempty"`
	ReportedAt     time.Time         `json:"reportedAt,omitzero"` // by the device's clock
	ObservedAt     time.Time         `json:"observedAt,omitzero"` // the same, corrected
	HeldAt         time.Time         `json:"heldAt,omitzero"`     // until when the report was last said to hold, corrected
	Policy         uint64            `json:"policy,omitempty"`
	Assignment     uint64            `json:"assignment,omitempty"`
	Entry          uint64            `json:"entry,omitempty"`
	Clock          Clock             `json:"clock,omitzero"`
	Places         []Place           `json:"places,omitempty"`
	Own            []posture.Finding `json:"own,omitempty"` // judged at the school
	Disagreements  []string          `json:"disagreements,omitempty"`
	Unproven       []string          `json:"unproven,omitempty"` // rules whose findings rest on what is damaged in the ledger
	Proven         bool              `json:"proven,omitempty"`   // the report says whether the system disk is encrypted
	Dropped        int               `json:"dropped,omitempty"`  // reports missing since the last full one
	ProbeErrors    int               `json:"probeErrors,omitempty"`
	// Administrators is how many accounts of people can administer the device.
	Administrators posture.Reading[int64] `json:"administrators,omitzero"`
	Disks          Disks                  `json:"disks,omitempty"`
	Definitions    Definitions            `json:"definitions,omitzero"`
	Events         uint64                 `json:"events,omitempty"`       // media events ever seen
	SchoolPolicy   uint64                 `json:"schoolPolicy,omitempty"` // by which the school judged Own
	Recheck        bool                   `json:"recheck,omitempty"`      // a decision settled something that the device still fails
	// Online is how long the device has been online, of all time, up to its last
	// contact: each time that it is heard from stands for the hour that follows,
	// or as much of it as passes until the next.
	Online time.Duration `json:"online,omitempty"`
	// GraceDue is how long it must have been online for the end of a grace to be
	// known that counts time online; 0 if it has none of which the end is not.
	GraceDue time.Duration `json:"graceDue,omitempty"`
	Vector   Vector        `json:"vector,omitzero"`
	Apart    Apart         `json:"apart,omitempty"`
	// Twice says since when two machines answer to its name, or that it has not
	// reported since they were told apart; zero: it is one.
	Twice Twice `json:"twice,omitzero"`
	// ReplacedBy is the enrolment of the same computer after it was set up anew:
	// this one is in no list and no count. Replaces are those that it follows.
	ReplacedBy posture.DeviceID   `json:"replacedBy,omitempty"`
	Replaces   []posture.DeviceID `json:"replaces,omitempty"`
}

// State is the result of a rule on one subject, and since when.
type State struct {
	Kind   string
	Key    string
	Result posture.Result
	Since  time.Time
	Cased  bool // a breach of this key was followed
	Gone   bool // it is not among the findings any more, and its breach stands
}

// CompareStates orders states by subject.
func CompareStates(a, b State) int {
	return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Key, b.Key))
}

// EncryptionAt returns when the encryption of the system disk was last proven,
// or the zero time.
func (d DeviceRow) EncryptionAt() time.Time { return at(d.Vector.EncryptionAt) }

// SetTimes notes in the vector when the device was last heard from, until when
// its report was said to hold, and when its encryption was last proven.
func (d *DeviceRow) SetTimes(encryptionAt time.Time) {
	d.Vector.LastContact, d.Vector.HeldAt = ms(d.LastContact), ms(d.HeldAt)
	d.Vector.EncryptionAt = ms(encryptionAt)
}

// SetLoan notes in the vector when the device's loan ends; the zero time if it
// has none, or none with an end.
func (d *DeviceRow) SetLoan(ends time.Time) { d.Vector.LoanEnds = ms(ends) }

// SetLeaves notes in the vector when whoever has the device leaves, or left; the
// zero time if nobody does.
func (d *DeviceRow) SetLeaves(at time.Time) { d.Vector.Leaves = ms(at) }
