package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Policies is the life of a school's policy. What cannot be decided as things
// stand is a *decision.RefusedError; a text that is no policy, an *UnsoundError.
type Policies interface {
	// PolicyOf returns how the policy in force came to be, and what is drafted.
	PolicyOf(ctx context.Context, school posture.SchoolID) (Policy, error)
	// DraftOf returns an open draft and its text.
	DraftOf(ctx context.Context, school posture.SchoolID, name string) (decision.Draft, []byte, error)
	// PreviewPolicy says what a text, or a draft, would find. It writes nothing.
	PreviewPolicy(ctx context.Context, school posture.SchoolID, what NewPreview) (view.Preview, error)
	// DraftPolicy records a text as a draft.
	DraftPolicy(ctx context.Context, school posture.SchoolID, d NewDraft, by string) (decision.Draft, error)
	// DecideDraft approves a draft or takes it back.
	DecideDraft(ctx context.Context, school posture.SchoolID, d decision.Decision) (decision.Draft, error)
	// PublishDraft puts a draft in force.
	PublishDraft(ctx context.Context, school posture.SchoolID, name string, p NewPublication, by string) (Published, error)
	// DiffPolicies says what changes from one policy to another, or to a text.
	DiffPolicies(ctx context.Context, school posture.SchoolID, what NewPolicyDiff) (PolicyDiff, error)
	// RollBackPolicy puts the text of an earlier policy in force again, under a new
	// number.
	RollBackPolicy(ctx context.Context, school posture.SchoolID, r NewRollback, by string) (Published, error)
	// SetApprovers says how many people it takes to publish.
	SetApprovers(ctx context.Context, school posture.SchoolID, d decision.Decision) (Policy, error)
}

// UnsoundError says everything that is wrong with the text of a policy.
type UnsoundError struct{ Why string }

// Error implements error.
func (e *UnsoundError) Error() string { return e.Why }

// Policy is the policy in force, and the drafts.
type Policy struct {
	Number     uint64    `json:"number"` // 0: the baseline
	By         string    `json:"by,omitempty"`
	At         time.Time `json:"at,omitzero"` // when it was published
	Drafter    string    `json:"drafter,omitempty"`
	Approver   string    `json:"approver,omitempty"` // the second person, if there was one
	ApprovedAt time.Time `json:"approvedAt,omitzero"`
	ApprovedOn string    `json:"approvedOn,omitempty"` // the day on which the school agreed to it
	ReviewBy   string    `json:"reviewBy,omitempty"`   // the day by which it is to be looked at again
	ReviewDue  bool      `json:"reviewDue"`            // that day is over
	Unapproved bool      `json:"unapproved,omitempty"` // the school asked for two people, and the record shows no second
	Approvers  int       `json:"approvers"`            // people that it takes to publish
	OneAskedBy string    `json:"oneAskedBy,omitempty"` // who has asked that one be enough
	Drafts     []Draft   `json:"drafts"`
	Looser     []string  `json:"looser,omitempty"`  // rules that ask less than those of the policy before
	Unclear    []string  `json:"unclear,omitempty"` // rules of which that cannot be told from the texts
}

// Draft is a text that is proposed as the school's policy.
type Draft struct {
	Name      string          `json:"name"`
	Digest    string          `json:"digest"` // SHA-256 of its text
	Title     string          `json:"title"`
	Rules     int             `json:"rules"`
	By        string          `json:"by"`
	At        time.Time       `json:"at"`
	Reason    string          `json:"reason"`
	Entry     uint64          `json:"entry"`             // of the school's ledger
	Looser    []string        `json:"looser,omitempty"`  // rules that ask less than those in force when it was drafted
	Unclear   []string        `json:"unclear,omitempty"` // rules of which that cannot be told from the texts
	Below     []string        `json:"below,omitempty"`   // in what it asked less than the baseline of the school's trust when it was drafted
	Approvals []DraftApproval `json:"approvals,omitempty"`
	Source    string          `json:"source,omitempty"` // of one draft that is asked for
}

// DraftApproval is somebody's approval of a draft.
type DraftApproval struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	Entry  uint64    `json:"entry"`
}

// DraftOf puts a draft into the words of this room.
func DraftOf(d decision.Draft) Draft {
	out := Draft{Name: d.Name, Digest: hex.EncodeToString(d.Digest[:]), Title: d.Title, Rules: d.Rules, By: d.By, At: d.At, Reason: d.Reason, Entry: d.Entry, Looser: d.Looser, Unclear: d.Unclear, Below: d.Below}
	for _, a := range d.Approvals {
		out.Approvals = append(out.Approvals, DraftApproval(a))
	}
	return out
}

// NewPreview is a text to be previewed, or the name of a draft.
type NewPreview struct {
	Source string `json:"source,omitempty"`
	Draft  string `json:"draft,omitempty"`
	Days   int    `json:"days,omitempty"` // for how many days back reports are judged too
}

// NewDraft is a text that is proposed.
type NewDraft struct {
	Name   string `json:"name"`
	Source string `json:"source"`
	Reason string `json:"reason"`
}

// NewApproval approves the text of a draft, or takes the draft back.
type NewApproval struct {
	Digest string `json:"digest"` // of the text that is meant
	Reason string `json:"reason"`
}

// NewPublication puts a draft in force.
type NewPublication struct {
	ApprovedOn string `json:"approvedOn,omitempty"`
	ReviewBy   string `json:"reviewBy,omitempty"`
	Reason     string `json:"reason,omitempty"`
}

// NewPolicyDiff asks what changes from one policy to another.
type NewPolicyDiff struct {
	From   uint64 `json:"from,omitempty"`   // number of a policy; 0: the one in force
	To     uint64 `json:"to,omitempty"`     // likewise, if neither a text nor a draft is given
	Source string `json:"source,omitempty"` // a text that is not published
	Draft  string `json:"draft,omitempty"`  // the name of a draft
}

// PolicyDiff is what changes from one policy to another.
type PolicyDiff struct {
	From    uint64         `json:"from"` // 0: the one that is shipped
	To      uint64         `json:"to,omitempty"`
	Changes []PolicyChange `json:"changes"`
}

// PolicyChange is one difference between two policies, in words.
type PolicyChange struct {
	Rule      string `json:"rule,omitempty"`      // the rule that differs
	Parameter string `json:"parameter,omitempty"` // or the parameter
	Direction string `json:"direction,omitempty"` // tighter or looser; none if that cannot be told from the texts
	Words     string `json:"words"`
}

// NewRollback puts the text of an earlier policy in force again.
type NewRollback struct {
	Number     uint64 `json:"number"`
	ApprovedOn string `json:"approvedOn,omitempty"`
	ReviewBy   string `json:"reviewBy,omitempty"`
	Reason     string `json:"reason,omitempty"`
}

// Published is a policy that was put in force.
type Published struct {
	Number uint64 `json:"number"`
	Entry  uint64 `json:"entry"`
}

// NewApprovers says how many people it takes to publish.
type NewApprovers struct {
	Approvers int    `json:"approvers"` // 1 or 2
	Reason    string `json:"reason"`
}

func policyRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/schools/{school}/policy", right: access.ReadDevices, shows: viewing.Nobody,
			words: "The policy in force, who approved it and when it is to be looked at again, and the drafts.", gives: Policy{}, serve: (*door).policy,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/policy/preview", right: access.ReadDevices, shows: viewing.Breaches, plain: true,
			words: "What a text would find on every device now, and which breaches would open and close. Nothing is recorded, and nobody is told.",
			takes: NewPreview{}, gives: view.Preview{}, serve: (*door).previewPolicy,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/policy/drafts", right: access.DraftPolicy,
			words: "Records a text as a draft, for another person to approve.", takes: NewDraft{}, gives: Draft{}, serve: (*door).draftPolicy,
		},
		{
			method: http.MethodGet, path: "/schools/{school}/policy/drafts/{draft}", right: access.ReadDevices, shows: viewing.Nobody,
			words: "One draft with its text.", gives: Draft{}, serve: (*door).draft,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/policy/drafts/{draft}/approval", right: access.ApprovePolicy,
			words: "Approves exactly the text of a draft, as a second person.", takes: NewApproval{}, gives: Draft{}, serve: decideDraft(decision.ApprovePolicy),
		},
		{
			method: http.MethodPost, path: "/schools/{school}/policy/drafts/{draft}/withdrawal", right: access.DraftPolicy,
			words: "Takes a draft back.", takes: NewApproval{}, gives: Draft{}, serve: decideDraft(decision.WithdrawPolicy),
		},
		{
			method: http.MethodPost, path: "/schools/{school}/policy/drafts/{draft}/publication", right: access.DraftPolicy,
			words: "Puts a draft in force. Where the school asks for two people, only one that another account has approved.",
			takes: NewPublication{}, gives: Published{}, serve: (*door).publishDraft,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/policy/diff", right: access.ReadDevices, shows: viewing.Nobody, plain: true,
			words: "What changes from one policy to another, or to a text or a draft. Nothing is recorded.",
			takes: NewPolicyDiff{}, gives: PolicyDiff{}, serve: (*door).diffPolicies,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/policy/rollback", right: access.DraftPolicy,
			words: "Puts the text of an earlier policy in force again, under a new, higher number. Where the school asks for two people, draft its text instead.",
			takes: NewRollback{}, gives: Published{}, serve: (*door).rollBack,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/policy/approvers", right: access.ApprovePolicy,
			words: "Says how many people it takes to publish: two from now on, or one, once a second account asks for it too.",
			takes: NewApprovers{}, gives: Policy{}, serve: (*door).setApprovers,
		},
	}
}

// maxPolicy is more than any policy has, in bytes, written as JSON.
const maxPolicy = 1 << 20

// taken decodes the body of a request about the policy.
func taken[T any](r *http.Request) (T, error) {
	var v T
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxPolicy))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return v, &problem{Status: http.StatusRequestEntityTooLarge, Detail: "a policy has at most 256 KiB"}
	}
	if err != nil {
		return v, bad("the request did not arrive whole")
	}
	if err := strictly(body, &v); err != nil {
		return v, bad("%s", err.Error())
	}
	return v, nil
}

// settled turns what cannot be done about a policy into an answer.
func settled[T any](v T, err error) (any, error) {
	if refused, ok := errors.AsType[*decision.RefusedError](err); ok {
		return nil, &problem{Status: http.StatusConflict, Detail: refused.Error()}
	}
	if unsound, ok := errors.AsType[*UnsoundError](err); ok {
		return nil, bad("%s", unsound.Why)
	}
	return v, err
}

func (d *door) policy(r *http.Request, v visit) (any, error) {
	return d.Policies.PolicyOf(r.Context(), v.school.ID)
}

func (d *door) previewPolicy(r *http.Request, v visit) (any, error) {
	what, err := taken[NewPreview](r)
	if err != nil {
		return nil, err
	}
	if (what.Source == "") == (what.Draft == "") {
		return nil, bad("give a source or the name of a draft")
	}
	return settled(d.Policies.PreviewPolicy(r.Context(), v.school.ID, what))
}

func (d *door) draftPolicy(r *http.Request, v visit) (any, error) {
	n, err := taken[NewDraft](r)
	if err != nil {
		return nil, err
	}
	draft, err := d.Policies.DraftPolicy(r.Context(), v.school.ID, n, v.account.Name)
	return settled(DraftOf(draft), err)
}

func (d *door) draft(r *http.Request, v visit) (any, error) {
	draft, source, err := d.Policies.DraftOf(r.Context(), v.school.ID, r.PathValue("draft"))
	if _, ok := errors.AsType[*decision.RefusedError](err); ok {
		return nil, errNothing
	}
	out := DraftOf(draft)
	out.Source = string(source)
	return out, err
}

// decideDraft serves a decision about one draft, which must name the text that
// whoever decides has read.
func decideDraft(kind decision.Kind) func(*door, *http.Request, visit) (any, error) {
	return func(d *door, r *http.Request, v visit) (any, error) {
		n, err := taken[NewApproval](r)
		if err != nil {
			return nil, err
		}
		var digest [sha256.Size]byte
		if raw, err := hex.DecodeString(n.Digest); err != nil || copy(digest[:], raw) != len(digest) || len(raw) != len(digest) {
			return nil, bad("digest is the SHA-256 of the text that is meant, as the draft shows it")
		}
		draft, err := d.Policies.DecideDraft(r.Context(), v.school.ID, decision.Decision{
			Kind: kind, By: v.account.Name, At: v.now, Reason: n.Reason, Policy: &decision.Policy{Draft: r.PathValue("draft"), Digest: digest},
		})
		return settled(DraftOf(draft), err)
	}
}

func (d *door) publishDraft(r *http.Request, v visit) (any, error) {
	n, err := taken[NewPublication](r)
	if err != nil {
		return nil, err
	}
	return settled(d.Policies.PublishDraft(r.Context(), v.school.ID, r.PathValue("draft"), n, v.account.Name))
}

func (d *door) setApprovers(r *http.Request, v visit) (any, error) {
	n, err := taken[NewApprovers](r)
	if err != nil {
		return nil, err
	}
	return settled(d.Policies.SetApprovers(r.Context(), v.school.ID, decision.Decision{
		Kind: decision.SetApprovers, By: v.account.Name, At: v.now, Reason: n.Reason, Policy: &decision.Policy{Approvers: n.Approvers},
	}))
}

func (d *door) diffPolicies(r *http.Request, v visit) (any, error) {
	what, err := taken[NewPolicyDiff](r)
	if err != nil {
		return nil, err
	}
	given := 0
	for _, one := range []bool{what.To > 0, what.Source != "", what.Draft != ""} {
		if one {
			given++
		}
	}
	if given > 1 {
		return nil, bad("give a number, a source or the name of a draft to compare with, and no two of them")
	}
	return settled(d.Policies.DiffPolicies(r.Context(), v.school.ID, what))
}

func (d *door) rollBack(r *http.Request, v visit) (any, error) {
	n, err := taken[NewRollback](r)
	if err != nil {
		return nil, err
	}
	return settled(d.Policies.RollBackPolicy(r.Context(), v.school.ID, n, v.account.Name))
}
