package web

import (
	"context"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TrustDesk is where a trust's baseline is read, proposed and put in force, and where
// it is allowed that a school asks less. What cannot be decided as things stand is a
// *decision.RefusedError; a text that is no policy, an *UnsoundPolicyError.
type TrustDesk interface {
	// Standing says where a school stands against the baseline of its trust.
	Standing(ctx context.Context, school posture.SchoolID, now time.Time) (TrustStanding, error)
	// Members lists the schools that belong to a trust, and its name as it is written.
	Members(ctx context.Context, trust string) (name string, schools []posture.SchoolID, err error)
	// WeighBaseline says what a text would change as the baseline of a trust.
	WeighBaseline(ctx context.Context, trust string, source []byte) (WeighedPolicy, error)
	// ProposeBaseline and PublishBaseline are for somebody who may do that at some
	// schools; they are refused if there are others of the trust.
	ProposeBaseline(ctx context.Context, trust string, b TrustText, by string, at []posture.SchoolID) ([]TrustRecord, error)
	PublishBaseline(ctx context.Context, trust string, b TrustText, by string, at []posture.SchoolID) ([]TrustRecord, error)
	// Allow lets a school's policy, or a draft of it, ask less in some things as they
	// stand; Decide is about membership, and about ending that.
	Allow(ctx context.Context, school posture.SchoolID, a TrustAllowance, by string) error
	Decide(ctx context.Context, school posture.SchoolID, d decision.Decision) error
}

// TrustStanding is where a school stands against the baseline of its trust.
type TrustStanding struct {
	Trust    string // none, if empty
	Joined   time.Time
	JoinedBy string
	Left     string // the trust that it left last
	LeftAt   time.Time
	LeftBy   string
	Baseline *decision.Baseline // in force; nil if the trust has none yet
	Source   []byte             // of that
	Drafts   []TrustDraft       // proposed since
	Policy   uint64             // of the school in force; 0: the one that is shipped
	Follows  bool               // that is the baseline itself
	Since    time.Time          // since when the school asks less and is not allowed to
	Looser   []TrustLoosening   // in what it asks less, allowed or not
	Stricter []PolicyChange     // in what it asks more
	Allowed  []decision.Allowance
	Unknown  string // why some of this cannot be said
}

// TrustLoosening is one thing in which a school's policy asks less.
type TrustLoosening struct {
	Item, Words string
	Unclear     bool // it cannot be told from the texts, and counts the same
	Since       time.Time
	By          string // who published the policy by which it came to ask less
	Policy      uint64
	Raised      uint64 // or the baseline that asks more than one before
	Allowed     *decision.Allowance
}

// TrustDraft is a text that was proposed as a baseline.
type TrustDraft struct {
	decision.Baseline
	Source []byte
}

// TrustText is a text as what no school of a trust may ask less than.
type TrustText struct {
	Source []byte
	Follow bool // schools that have published no policy of their own get it as theirs
	Reason string
}

// TrustRecord is what became of a baseline at one school.
type TrustRecord struct {
	School posture.SchoolID
	Name   string
	Policy uint64 // of the school, that it became
	Looser int    // in how many things the school's policy asks less
	Failed string // why it was not recorded there
}

// TrustAllowance allows that something asks less for a time.
type TrustAllowance struct {
	Draft  string
	Items  []string
	Until  time.Time
	Reason string
}
