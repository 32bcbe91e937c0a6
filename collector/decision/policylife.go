package decision

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Draft is a text that is proposed as the school's policy.
type Draft struct {
	Name      string       `json:"name"`
	Digest    proof.Digest `json:"digest"` // SHA-256 of its text
	Title     string       `json:"title"`
	Rules     int          `json:"rules"`
	Looser    []string     `json:"looser,omitempty"`  // rules that ask less than those in force when it was drafted
	Unclear   []string     `json:"unclear,omitempty"` // rules of which that cannot be told from the texts
	Below     []string     `json:"below,omitempty"`   // in what it asks less than the trust's baseline did then
	By        string       `json:"by"`
	At        time.Time    `json:"at"`
	Reason    string       `json:"reason"`
	Entry     uint64       `json:"entry"` // of the ledger, with its text
	Approvals []Approval   `json:"approvals,omitempty"`
	Published uint64       `json:"published,omitempty"` // number of the policy that it became
	Withdrawn bool         `json:"withdrawn,omitempty"`
}

// Approval is somebody's approval of a draft.
type Approval struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	Entry  uint64    `json:"entry"`
}

func (d Draft) open() bool { return d.Published == 0 && !d.Withdrawn }

// Publication is how the policy in force came to be.
type Publication struct {
	Policy
	By    string    `json:"by"`
	At    time.Time `json:"at"`
	Entry uint64    `json:"entry"`
	// Unapproved says that the school asked for two people when it was published,
	// and that the record does not show a second.
	Unapproved bool `json:"unapproved,omitempty"`
}

// Policies is the life of a school's policies: a fold of the decisions about
// them, in the order of the ledger. Its zero value is of a school that has decided
// nothing.
type Policies struct {
	two       bool // it takes two people to publish
	loosen    *Approval
	drafts    map[string]Draft
	published []Publication
	trust     Oversight
}

// mostDrafts bounds the drafts that are open at the same time.
const mostDrafts = 50

// loosenWithin is how long somebody has to agree that one person is enough.
const loosenWithin = 30 * 24 * time.Hour

// Approvers returns how many people it takes to publish, and who has asked that
// one be enough; nobody, if that is empty.
func (p *Policies) Approvers() (n int, asked string) {
	n = 1
	if p.two {
		n = 2
	}
	if p.loosen != nil {
		asked = p.loosen.By
	}
	return n, asked
}

// Drafts lists the drafts that are open, by name.
func (p *Policies) Drafts() []Draft {
	list := []Draft{}
	for _, name := range slices.Sorted(maps.Keys(p.drafts)) {
		if d := p.drafts[name]; d.open() {
			list = append(list, d)
		}
	}
	return list
}

// Draft returns a draft that is open.
func (p *Policies) Draft(name string) (Draft, error) {
	if d, ok := p.drafts[name]; ok && d.open() {
		return d, nil
	}
	return Draft{}, &RefusedError{Why: fmt.Sprintf("there is no draft %q", name)}
}

// Approved returns an open draft of a text that somebody other than its drafter
// has approved.
func (p *Policies) Approved(text proof.Digest) (Draft, bool) {
	for _, d := range p.Drafts() {
		if d.Digest == text && len(d.Approvals) > 0 {
			return d, true
		}
	}
	return Draft{}, false
}

// Publication returns how the policy of a number came to be, if the record says.
func (p *Policies) Publication(number uint64) (Publication, bool) {
	for _, published := range slices.Backward(p.published) {
		if published.Number == number {
			return published, true
		}
	}
	return Publication{}, false
}

// Published lists how the policies came to be of which the record says so.
func (p *Policies) Published() []Publication { return slices.Clone(p.published) }

// May says why a decision cannot be made as things stand, nil if it can.
func (p *Policies) May(d Decision) error {
	refuse := func(format string, args ...any) error { return &RefusedError{Why: fmt.Sprintf(format, args...)} }
	if d.Trust != nil {
		return p.mayTrust(d)
	}
	switch d.Kind {
	case DraftPolicy:
		if _, taken := p.drafts[d.Policy.Draft]; !taken && len(p.Drafts()) >= mostDrafts {
			return refuse("there are %d drafts: withdraw one", mostDrafts)
		}
	case ApprovePolicy, WithdrawPolicy:
		draft, err := p.Draft(d.Policy.Draft)
		if err != nil {
			return err
		}
		if draft.Digest != d.Policy.Digest {
			return refuse("the draft %q is another text by now: read it again", draft.Name)
		}
		if d.Kind == ApprovePolicy {
			return draft.mayApprove(d.By)
		}
	case PublishPolicy:
		if _, ok := p.Approved(d.Policy.Digest); p.two && !ok && !p.follows(d.Policy.Digest) && !p.stays(*d.Policy) {
			return refuse("this school asks that a second person approves a policy before it is published: draft this text, and have an account other than the drafter's approve it")
		}
	case SetApprovers:
		switch {
		case d.Policy.Approvers == 2 && p.two, d.Policy.Approvers == 1 && !p.two:
			return refuse("that is so already")
		case d.Policy.Approvers == 1 && p.loosening(d) && (breach.SamePerson(p.loosen.By, d.By) || AtConsole(d.By)):
			return refuse("%s has asked for that: it takes another account to agree", p.loosen.By)
		}
	}
	return nil
}

// stays reports whether a policy is the one in force, given another number after a
// restore, and whoever it took has agreed to that text.
func (p *Policies) stays(next Policy) bool {
	n := len(p.published) - 1
	return n >= 0 && next.Renumbers > 0 && next.Renumbers == p.published[n].Number && next.Digest == p.published[n].Digest && !p.published[n].Unapproved
}

// follows reports whether a text is the trust's baseline in force, which two people
// made: to follow it takes no third.
func (p *Policies) follows(text proof.Digest) bool {
	b, ok := p.trust.Baseline()
	return ok && b.Digest == text && b.Drafter != ""
}

// mayApprove says why somebody cannot approve a draft.
func (d Draft) mayApprove(by string) error {
	switch {
	case AtConsole(by):
		return &RefusedError{Why: "the console is never a second person: a policy is approved by an account"}
	case breach.SamePerson(d.By, by):
		return &RefusedError{Why: "whoever drafted a policy cannot approve it"}
	case slices.ContainsFunc(d.Approvals, func(a Approval) bool { return breach.SamePerson(a.By, by) }):
		return &RefusedError{Why: by + " has approved this text already"}
	}
	return nil
}

// loosening reports whether somebody has asked lately that one person be enough.
func (p *Policies) loosening(d Decision) bool {
	return p.loosen != nil && d.At.Before(p.loosen.At.Add(loosenWithin))
}

// Take takes in a decision about the policy from an entry of the ledger. One that
// could not be made changes nothing; a policy that was published is published all
// the same, and is noted to lack what it should have.
func (p *Policies) Take(entry uint64, d Decision) {
	if d.Policy == nil && d.Trust == nil {
		return
	}
	refused := p.May(d)
	if d.Trust != nil {
		if refused == nil {
			p.takeTrust(entry, d)
		}
		return
	}
	if d.Kind == PublishPolicy {
		p.publish(entry, d, refused != nil)
		return
	}
	if refused != nil {
		return
	}
	approval := Approval{By: d.By, At: d.At, Reason: d.Reason, Entry: entry}
	draft := p.drafts[d.Policy.Draft]
	switch d.Kind {
	case DraftPolicy:
		draft = Draft{
			Name: d.Policy.Draft, Digest: d.Policy.Digest, Title: d.Policy.Title, Rules: d.Policy.Rules,
			Looser: d.Policy.Looser, Unclear: d.Policy.Unclear, Below: d.Policy.Below, By: d.By, At: d.At, Reason: d.Reason, Entry: entry,
		}
	case ApprovePolicy:
		draft.Approvals = append(slices.Clone(draft.Approvals), approval)
	case WithdrawPolicy:
		draft.Withdrawn = true
	case SetApprovers:
		switch {
		case d.Policy.Approvers == 2:
			p.two, p.loosen = true, nil
		case p.loosening(d):
			p.two, p.loosen = false, nil
		default:
			p.loosen = &approval
		}
		return
	}
	if p.drafts == nil {
		p.drafts = map[string]Draft{}
	}
	p.drafts[draft.Name] = draft
}

func (p *Policies) publish(entry uint64, d Decision, unapproved bool) {
	for name, draft := range p.drafts {
		if draft.open() && draft.Digest == d.Policy.Digest {
			draft.Published = d.Policy.Number
			p.drafts[name] = draft
		}
	}
	p.published = append(p.published, Publication{Policy: *d.Policy, By: d.By, At: d.At, Entry: entry, Unapproved: unapproved})
}
