// Package decision holds what people decide: who, when, why. A decision is an
// entry of the ledger and is never edited.
//
// It never writes to the view, and never decides who may decide.
package decision

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caretaker-school/caretaker/collector/body"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/concern"
	"github.com/caretaker-school/caretaker/collector/dispute"
	"github.com/caretaker-school/caretaker/collector/particulars"
	"github.com/caretaker-school/caretaker/collector/release"
	"github.com/caretaker-school/caretaker/collector/subject"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Kind is the sort of a decision.
type Kind string

// The kinds of decision.
const (
	Acknowledge Kind = "acknowledge" // somebody is on a breach
	Resolve     Kind = "resolve"     // a breach is settled by what the reason says

	AskExemption    Kind = "ask-exemption"    // somebody asks for an exemption from a rule
	Exempt          Kind = "exempt"           // somebody else approves it
	RefuseExemption Kind = "refuse-exemption" // or not
	EndExemption    Kind = "end-exemption"    // an exemption is taken back before its end
)

// RefusedError says why a decision cannot be made about things as they stand.
type RefusedError struct{ Why string }

// Error implements error.
func (e *RefusedError) Error() string { return e.Why }

// Section is the name of the section that carries a decision.
const Section = "decision"

// Decision is one decision. Beside who, when and why it has what its kind is
// about, and nothing else.
type Decision struct {
	Kind      Kind              `json:"kind"`
	By        string            `json:"by"` // the account that decided
	At        time.Time         `json:"at"`
	Reason    string            `json:"reason"`
	Breach    breach.Key        `json:"breach,omitzero"`  // of a decision about a breach
	Policy    *Policy           `json:"policy,omitempty"` // of a decision about the school's policy
	Exemption *breach.Exemption `json:"exemption,omitempty"`
	Trust     *Trust            `json:"trust,omitempty"`  // of a decision of the school's trust
	Person    string            `json:"person,omitempty"` // whom a change of the register is about, by name

	Concern *concern.Told   `json:"concern,omitempty"` // of what somebody reported without signing in
	Request *subject.Change `json:"request,omitempty"` // of a person who asks what is kept about them
	Dispute *dispute.Told   `json:"dispute,omitempty"` // of somebody who says that a recorded fact is wrong

	Release *release.Offer `json:"release,omitempty"` // of a decision to offer a release of the agent, or to stop

	// Particulars say who the school is for data protection.
	Particulars *particulars.Particulars `json:"particulars,omitempty"`
}

// Bounds of what a person may write.
const (
	mostReason = 4000
	mostBody   = 64 << 10
)

// checks is the table of the kinds of decision, each with what reports what one
// of it lacks.
var checks = map[Kind]func(Decision) error{
	DraftPolicy: Decision.checkPolicy, ApprovePolicy: Decision.checkPolicy, WithdrawPolicy: Decision.checkPolicy,
	PublishPolicy: Decision.checkPolicy, SetApprovers: Decision.checkPolicy,
	JoinTrust: Decision.checkTrust, LeaveTrust: Decision.checkTrust, DraftBaseline: Decision.checkTrust,
	PublishBaseline: Decision.checkTrust, AllowLooser: Decision.checkTrust, EndLooser: Decision.checkTrust,
	Acknowledge: Decision.checkBreach, Resolve: Decision.checkBreach,
	AskExemption: Decision.checkExemption, Exempt: Decision.checkExemption,
	RefuseExemption: Decision.checkExemption, EndExemption: Decision.checkExemption,
	Register:       Decision.checkRegister,
	Retention:      Decision.checkRetention,
	Calendar:       Decision.checkCalendar,
	Incident:       Decision.checkIncident,
	Admission:      Decision.checkAdmission,
	Revoke:         Decision.checkAdmission,
	Assign:         Decision.checkAssign,
	TermReport:     Decision.checkReport,
	YearReport:     Decision.checkReport,
	Concern:        Decision.checkConcern,
	Dispute:        Decision.checkDispute,
	Subject:        Decision.checkSubject,
	SetParticulars: Decision.checkParticulars,
	OfferRelease:   Decision.checkRelease,
}

// Kinds lists every kind of decision.
func Kinds() []Kind { return slices.Sorted(maps.Keys(checks)) }

// Check reports what a decision lacks.
func (d Decision) Check() error {
	switch {
	case d.By == "" || d.At.IsZero():
		return errors.New("a decision needs someone who decides and a time")
	case d.Reason == "" || len(d.Reason) > mostReason || !utf8.ValidString(d.Reason):
		return fmt.Errorf("a decision needs a reason of at most %d bytes", mostReason)
	case d.Trust != nil && !d.Kind.ofTrust():
		return fmt.Errorf("a decision to %s is not a trust's", d.Kind)
	case d.Concern != nil && d.Kind != Concern:
		return fmt.Errorf("a decision to %s is nothing that was reported", d.Kind)
	case d.Request != nil && d.Kind != Subject:
		return fmt.Errorf("a decision to %s is about no request of a person", d.Kind)
	case d.Dispute != nil && d.Kind != Dispute:
		return fmt.Errorf("a decision to %s disputes nothing", d.Kind)
	case d.Release != nil && d.Kind != OfferRelease:
		return fmt.Errorf("a decision to %s offers no release", d.Kind)
	case d.Particulars != nil && d.Kind != SetParticulars:
		return fmt.Errorf("a decision to %s does not say who the school is", d.Kind)
	}
	if check, ok := checks[d.Kind]; ok {
		return check(d)
	}
	return fmt.Errorf("%.40q is not a kind of decision", d.Kind)
}

// checkBreach is Check for a decision about a breach.
func (d Decision) checkBreach() error {
	switch {
	case d.Breach.Device == "" || d.Breach.Rule == "" || d.Breach.Kind == "":
		return errors.New("a decision about a breach names its device, rule and subject")
	case d.Exemption != nil:
		return fmt.Errorf("a decision to %s carries no exemption", d.Kind)
	}
	return nil
}

// CheckNew reports what a decision lacks that is about to be recorded. Beyond
// Check its reason must be words that people can see: what is recorded already
// is read whatever it holds.
func (d Decision) CheckNew() error {
	if err := d.Check(); err != nil {
		return err
	}
	if strings.TrimFunc(d.Reason, unicode.IsSpace) == "" {
		return errors.New("a decision needs a reason in words")
	}
	for _, r := range d.Reason {
		if r != '\n' && !unicode.IsPrint(r) || r == utf8.RuneError {
			return fmt.Errorf("the reason holds the character %U, which cannot be seen", r)
		}
	}
	return nil
}

// Encode returns the section that carries a decision. salt is random.
func Encode(d Decision, salt [proof.SaltSize]byte) (proof.Section, error) {
	if err := d.CheckNew(); err != nil {
		return proof.Section{}, fmt.Errorf("encode a decision: %w", err)
	}
	body, err := json.Marshal(d)
	if err != nil {
		return proof.Section{}, fmt.Errorf("encode a decision: %w", err)
	}
	return proof.Section{Name: Section, Class: proof.People, Salt: salt, Body: body}, nil
}

// Decode reads a decision. One of a kind that this version does
// not know is an error that says so.
func Decode(data []byte) (Decision, error) {
	d, err := body.Decode[Decision](data, mostBody)
	if err == nil {
		err = d.Check()
	}
	if err != nil {
		return Decision{}, fmt.Errorf("read a decision: %w", err)
	}
	return d, nil
}

// Event returns what a decision about a breach does to it, given its place in
// the ledger.
func (d Decision) Event(order uint64) breach.Event {
	e := breach.Event{Order: order, At: d.At, Received: d.At, By: d.By}
	switch d.Kind {
	case Acknowledge:
		e.What = breach.Acknowledge
	case Resolve:
		e.What = breach.ResolvedByHand
	}
	return e
}
