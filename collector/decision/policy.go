package decision

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/caretaker-school/caretaker/shared/proof"
)

// What people decide about the school's policy: a text is drafted, somebody else
// approves it, it is published; and how many people that takes. An approval is of
// one text, known by its digest: of another it says nothing.

// The kinds of decision about the policy.
const (
	DraftPolicy    Kind = "draft-policy"     // a text is proposed as the school's policy
	ApprovePolicy  Kind = "approve-policy"   // somebody else approves a draft
	WithdrawPolicy Kind = "withdraw-policy"  // a draft is taken back
	PublishPolicy  Kind = "publish-policy"   // a policy is put in force: recorded beside the policy itself
	SetApprovers   Kind = "policy-approvers" // how many people it takes to put one in force
)

// The sections that decisions about the policy have beside Section. Both hold no
// more of a person than the name of an account, and are kept for good: whoever
// has the policy can see who approved it.
const (
	SectionPolicyDraft    = "policy-draft"    // Kept: the text of a draft
	SectionPolicyApproval = "policy-approval" // Kept: the decision to publish, in the entry of the policy
)

// Policy is what a decision about the policy says. Which fields it has depends on
// its kind.
type Policy struct {
	Draft  string       `json:"draft,omitempty"`  // name of the draft
	Digest proof.Digest `json:"digest,omitzero"`  // SHA-256 of the text
	Title  string       `json:"title,omitempty"`  // of a draft, as its text says
	Rules  int          `json:"rules,omitempty"`  // of a draft
	Number uint64       `json:"number,omitempty"` // of a policy that is published
	// Renumbers is the number that the same text had in force before, if it was
	// given another because the record was restored from a backup.
	Renumbers uint64 `json:"renumbers,omitempty"`

	Drafter    string    `json:"drafter,omitempty"`    // of a policy that is published: who drafted it
	Approver   string    `json:"approver,omitempty"`   // and who approved it, if anybody did
	ApprovedAt time.Time `json:"approvedAt,omitzero"`  // when they did
	ApprovedOn string    `json:"approvedOn,omitempty"` // the day on which the school agreed to it, such as "2026-11-22"
	ReviewBy   string    `json:"reviewBy,omitempty"`   // the day by which it is to be looked at again

	// Looser are the rules that ask less than the policy before did, of a draft when
	// it was drafted and of a policy when it was published; Unclear those of which
	// that cannot be told from the texts. A parameter stands as param.name.
	Looser  []string `json:"looser,omitempty"`
	Unclear []string `json:"unclear,omitempty"`

	// Below are the rules and parameters in which a draft asks less than the baseline
	// of the school's trust did when it was drafted, and of a policy those in which
	// the trust allowed that it does; Baseline is that baseline's number.
	Below    []string `json:"below,omitempty"`
	Baseline uint64   `json:"baseline,omitempty"`

	Approvers int `json:"approvers,omitempty"` // of SetApprovers: how many people, 1 or 2
}

var draftName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// checkPolicy is Check for a decision about the policy.
func (d Decision) checkPolicy() error {
	p := d.Policy
	switch {
	case p == nil:
		return fmt.Errorf("a decision to %s says about which text", d.Kind)
	case d.Breach.Device != "" || d.Exemption != nil:
		return errors.New("a decision about the policy is about nothing else")
	case d.Kind == SetApprovers:
		if p.Draft != "" || p.Digest != (proof.Digest{}) || p.Number != 0 || p.Approvers < 1 || p.Approvers > 2 {
			return errors.New("it takes one person to publish a policy, or two")
		}
		return nil
	case p.Digest == proof.Digest{}:
		return errors.New("a decision about a policy names its text by its digest")
	case p.Draft != "" && !draftName.MatchString(p.Draft), p.Draft == "" && d.Kind != PublishPolicy:
		return fmt.Errorf("a draft is named like \"autumn-2026\", not %.60q", p.Draft)
	case d.Kind != PublishPolicy:
		return nil
	case p.Number == 0:
		return errors.New("a policy that is published has a number")
	case p.Renumbers >= p.Number:
		return errors.New("a policy that is given another number is given a higher one")
	case p.ApprovedAt.IsZero() != (p.Approver == ""):
		return errors.New("an approval has somebody who approved, and when")
	}
	if _, err := day(p.ApprovedOn); err != nil {
		return err
	}
	_, err := day(p.ReviewBy)
	return err
}

// day reads a day; the zero time if there is none.
func day(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return at, fmt.Errorf("a day is written like 2026-11-22, not %.40q", text)
	}
	return at, nil
}

// ReviewDue reports whether the day by which a policy is to be looked at again is
// over.
func (p Policy) ReviewDue(now time.Time) bool {
	at, err := day(p.ReviewBy)
	return err == nil && !at.IsZero() && !now.Before(at.AddDate(0, 0, 1))
}
