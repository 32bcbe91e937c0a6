package web

import (
	"context"
	"fmt"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// PolicyDesk is where a school's policy is read, drafted, tried and put in force.
// What cannot be decided as things stand is a *decision.RefusedError; a text that is
// no policy, an *UnsoundPolicyError; what there is not, view.ErrNotFound.
type PolicyDesk interface {
	// Policy returns a policy of a school: the one in force if the number is 0.
	Policy(ctx context.Context, school posture.SchoolID, number uint64) (PolicyText, error)
	// Life returns how the policy in force came to be, those before it and the drafts.
	Life(ctx context.Context, school posture.SchoolID, now time.Time) (PolicyLife, error)
	// Differ says what changes from one policy of a school to another.
	Differ(ctx context.Context, school posture.SchoolID, from, to uint64) ([]PolicyChange, error)
	// Draft returns an open draft and its text.
	Draft(ctx context.Context, school posture.SchoolID, name string) (decision.Draft, []byte, error)
	// Weigh says what a text would change. It records nothing.
	Weigh(ctx context.Context, school posture.SchoolID, source []byte) (WeighedPolicy, error)
	// Amend returns a policy's text with what was chosen in it.
	Amend(source []byte, a PolicyAmendment) ([]byte, error)
	// Propose records a text as a draft.
	Propose(ctx context.Context, school posture.SchoolID, name string, source []byte, by, reason string) error
	// Decide approves a draft, takes one back, or says how many people it takes.
	Decide(ctx context.Context, school posture.SchoolID, d decision.Decision) error
	// Publish puts a draft in force, and RollBack the text of an earlier policy.
	Publish(ctx context.Context, school posture.SchoolID, draft string, t PolicyTerms, by string) (number uint64, err error)
	RollBack(ctx context.Context, school posture.SchoolID, to uint64, t PolicyTerms, by string) (number uint64, err error)

	// Try begins a preview and returns the name by which it is asked for; Trial says
	// how far it is and, once it is made, what it found; StopTrial gives it up.
	Try(ctx context.Context, school posture.SchoolID, what PolicyTrial) (id string, err error)
	Trial(school posture.SchoolID, id string) (PolicyTrial, error)
	StopTrial(school posture.SchoolID, id string)
}

// PolicyQueries is what the pages of the policy ask of the view.
type PolicyQueries interface {
	// Judged counts devices by the policy by which they judged themselves.
	Judged(ctx context.Context, school posture.SchoolID, now time.Time) (view.Judged, error)
	GroupSizes(ctx context.Context, school posture.SchoolID, now time.Time) ([]view.GroupSize, error)
	// GroupDevices lists devices of a group by their ids, after one.
	GroupDevices(ctx context.Context, school posture.SchoolID, group string, after posture.DeviceID, limit int, now time.Time) (list []view.GroupedDevice, more bool, err error)
	Assignments(ctx context.Context, school posture.SchoolID, id posture.DeviceID, now time.Time) ([]view.Assigned, error)
}

// PolicyText is a policy of a school.
type PolicyText struct {
	Policy *policy.Policy
	Source []byte        // nil if the record does not hold it
	MaxAge time.Duration // how old facts may be, unless a rule says otherwise; 0: any age
	Rules  map[string]PolicyRule
	At     time.Time             // when it was put in force; zero of the one that is shipped
	How    *decision.Publication // how it came to be, if the record says
}

// PolicyRule is what is said of a rule beside the rule itself.
type PolicyRule struct {
	Reads         []string // the parameters that its conditions read
	Groups        bool     // its conditions read of which groups a device is
	When, Require string   // as they are written
	Grace         string   // in words
	Since         uint64   // the policy since which it asks what it asks; 0: the one that is shipped
	SinceAt       time.Time
	Unsure        bool // a policy in between cannot be read
}

// PolicyLife is how a school's policies came to be.
type PolicyLife struct {
	Number     uint64 // in force; 0: the one that is shipped
	ReviewDue  bool
	Approvers  int    // people that it takes to publish
	OneAskedBy string // who has asked that one be enough
	Drafts     []decision.Draft
	Versions   []PolicyVersion // the newest first
	Trust      string          // to which the school belongs, if any
	Baseline   uint64          // of the trust, in force
}

// PolicyVersion is one policy that a school put in force.
type PolicyVersion struct {
	Number uint64
	Title  string
	Rules  int
	At     time.Time
	How    *decision.Publication
	Unread string // why its text cannot be read; "" if it can
}

// PolicyChange is one difference between two policies.
type PolicyChange struct {
	Rule, Parameter string
	Way             string // "tighter", "looser", or "" if that cannot be told
	Words           string
}

// WeighedPolicy is what a text would change.
type WeighedPolicy struct {
	Policy  *policy.Policy
	MaxAge  time.Duration
	Changes []PolicyChange // from the policy in force
	Looser  []string       // rules and parameters that ask less
	Unclear []string       // those of which that cannot be told
	Below   []PolicyFault  // in what it asks less than the trust's baseline and may not
	At      []SchoolBelow  // of a baseline: schools that would ask less than it
}

// SchoolBelow is a school that would ask less than a baseline that is not in force.
type SchoolBelow struct {
	School  posture.SchoolID
	Looser  []string // rules and parameters in which it would, and is not allowed to
	Unknown string   // why that cannot be said
}

// PolicyFault is something that is wrong with a text.
type PolicyFault struct {
	Line, Column int
	Where        string // such as "rule ENC-01, grace"
	Words        string
}

// UnsoundPolicyError is everything that is wrong with a text.
type UnsoundPolicyError struct{ Faults []PolicyFault }

// Error implements error.
func (e *UnsoundPolicyError) Error() string {
	return fmt.Sprintf("the text is no policy: %d faults were found", len(e.Faults))
}

// PolicyAmendment is what is to be otherwise in a text, as it is written there.
type PolicyAmendment struct {
	MaxAge     string
	Parameters map[string]string
	Lists      map[string][]string
	Graces     map[string]string // by rule
}

// PolicyTerms are on which day the school agreed to a policy, and by when it is to be
// looked at again.
type PolicyTerms struct{ ApprovedOn, ReviewBy, Reason string }

// PolicyTrial is a preview: of a draft, of an earlier policy, or of a text.
type PolicyTrial struct {
	Draft  string
	Number uint64
	Source []byte
	Days   int    // for how many days back reports are judged too
	By     string // who asked for it

	Begun       time.Time
	Done, Total int // devices and reports that were judged, while it is made
	Ended       bool
	Failed      string        // why it could not be made
	Found       *view.Preview // once it is made
}
