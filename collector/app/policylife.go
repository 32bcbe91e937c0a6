package app

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// policyBook is the life of a school's policies as the ledger has it: read when
// it is first asked for, and followed from there.
type policyBook struct {
	mu    sync.Mutex
	next  ledger.Index
	state decision.Policies
	put   []putInForce // the policies, in the order of the ledger

	comparing sync.Mutex // guards what was compared
	compared
}

// catchUp takes in what was decided about policies since, and calls f with the
// state. What cannot be read or understood changes nothing.
func (b *policyBook) catchUp(ctx context.Context, l *ledger.Ledger, f func(*decision.Policies) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for size := ledger.Index(l.Size()); b.next < size; {
		for r, err := range l.Entries(ctx, b.next, size) {
			if _, damaged := errors.AsType[*ledger.CorruptError](err); damaged {
				b.next++
				break
			}
			if err != nil {
				return fmt.Errorf("read what was decided about the policy: %w", err)
			}
			if err := b.take(ctx, l, r); err != nil {
				return fmt.Errorf("read what was decided about the policy: %w", err)
			}
			b.next = r.Index + 1
		}
	}
	return f(&b.state)
}

func (b *policyBook) take(ctx context.Context, l *ledger.Ledger, r ledger.Record) error {
	want := map[proof.Kind][]string{
		proof.KindDecision: {decision.Section, decision.SectionTrust}, proof.KindPolicy: {decision.SectionPolicyApproval},
	}[r.Envelope.Kind]
	if r.Envelope.Kind == proof.KindPolicy {
		b.put = append(b.put, putInForce{entry: uint64(r.Index), at: time.UnixMilli(int64(r.Envelope.ReceivedAt)).UTC()})
	}
	n := slices.IndexFunc(r.Envelope.Sections, func(s proof.SectionRef) bool { return slices.Contains(want, s.Name) })
	if n < 0 {
		return nil
	}
	body, err := l.Body(ctx, r.Index, n)
	_, damaged := errors.AsType[*ledger.CorruptError](err)
	if damaged || errors.Is(err, ledger.ErrForgotten) {
		return nil
	}
	if err != nil {
		return err
	}
	if d, err := decision.Decode(body); err == nil {
		b.state.Take(uint64(r.Index), d)
	}
	return nil
}

// decidePolicy records a decision about the policy if it can be made now.
func (c *collector) decidePolicy(ctx context.Context, s *school, d decision.Decision, beside ...proof.Section) error {
	if err := d.CheckNew(); err != nil {
		return &decision.RefusedError{Why: err.Error()}
	}
	c.publishing.Lock()
	defer c.publishing.Unlock()
	if err := s.policies.catchUp(ctx, s.ledger, func(p *decision.Policies) error { return p.May(d) }); err != nil {
		return err
	}
	var salt [proof.SaltSize]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return fmt.Errorf("salt a decision: %w", err)
	}
	section, err := decision.Encode(d, salt)
	if err != nil {
		return err
	}
	entry := roster.Maker{School: s.ID, Intake: intakeName}.Entry(proof.KindDecision, "", d.At, append([]proof.Section{section}, beside...)...)
	_, err = s.append(ctx, entry)
	return err
}

// draftPolicy records a text as a draft. One that does not compile is refused
// with everything that is wrong with it.
func (c *collector) draftPolicy(ctx context.Context, s *school, name, file string, source []byte, by, reason string) (decision.Draft, error) {
	compiled, err := rulebook.Compile(file, source)
	if err != nil {
		return decision.Draft{}, err
	}
	looser, unclear, err := s.loosens(ctx, compiled)
	if err != nil {
		return decision.Draft{}, err
	}
	not, allowed, _, err := s.below(ctx, rulebook.Text{File: file, Source: source, Policy: compiled}, c.clock.Now())
	if err != nil {
		return decision.Draft{}, err
	}
	text, err := roster.RawSection(decision.SectionPolicyDraft, proof.Kept, source)
	if err != nil {
		return decision.Draft{}, err
	}
	d := decision.Decision{
		Kind: decision.DraftPolicy, By: by, At: c.clock.Now(), Reason: reason,
		Policy: &decision.Policy{
			Draft: name, Digest: sha256.Sum256(source), Title: compiled.Title, Rules: len(compiled.Rules), Looser: looser, Unclear: unclear,
			Below: itemsOf(append(not, allowed...)),
		},
	}
	if err := c.decidePolicy(ctx, s, d, text); err != nil {
		return decision.Draft{}, err
	}
	draft, _, err := s.draft(ctx, name)
	return draft, err
}

// draft returns an open draft and its text.
func (s *school) draft(ctx context.Context, name string) (draft decision.Draft, source []byte, err error) {
	err = s.policies.catchUp(ctx, s.ledger, func(p *decision.Policies) (err error) {
		draft, err = p.Draft(name)
		return err
	})
	if err != nil {
		return draft, nil, err
	}
	r, err := s.ledger.Read(ctx, ledger.Index(draft.Entry))
	if err != nil {
		return draft, nil, fmt.Errorf("read the draft %s: %w", name, err)
	}
	n := slices.IndexFunc(r.Envelope.Sections, func(s proof.SectionRef) bool { return s.Name == decision.SectionPolicyDraft })
	if n < 0 {
		return draft, nil, fmt.Errorf("the text of the draft %s is not in the record", name)
	}
	if source, err = s.ledger.Body(ctx, r.Index, n); err != nil {
		return draft, nil, fmt.Errorf("read the draft %s: %w", name, err)
	}
	if sha256.Sum256(source) != draft.Digest {
		return draft, nil, fmt.Errorf("the text of the draft %s is not the one that was drafted", name)
	}
	return draft, source, nil
}

// publish puts a policy in force at the console.
func (c *collector) publish(ctx context.Context, a PublishArguments) (PublishAnswer, error) {
	s, err := c.school(a.School)
	if err != nil {
		return PublishAnswer{}, err
	}
	return c.publishBy(ctx, s, a, operator())
}

// publishBy puts a policy in force: it is compiled, numbered, signed, recorded
// beside who decided that, and sent to the laptops.
func (c *collector) publishBy(ctx context.Context, s *school, a PublishArguments, by string) (PublishAnswer, error) {
	if a.Draft != "" {
		var err error
		if _, a.Source, err = s.draft(ctx, a.Draft); err != nil {
			return PublishAnswer{}, err
		}
		a.File = a.Draft
	}
	c.publishing.Lock()
	defer c.publishing.Unlock()
	return c.putInForce(ctx, s, a, by, by)
}

// putInForce is publishBy of a text that another may have drafted. The caller holds
// publishing.
func (c *collector) putInForce(ctx context.Context, s *school, a PublishArguments, by, drafter string) (PublishAnswer, error) {
	p, err := rulebook.Compile(a.File, a.Source)
	if err != nil {
		return PublishAnswer{}, err
	}
	now := c.clock.Now()
	decided := &decision.Policy{Drafter: drafter, ApprovedOn: a.ApprovedOn, ReviewBy: a.ReviewBy, Digest: sha256.Sum256(a.Source)}
	if drafter != by {
		decided.Approver, decided.ApprovedAt = by, now
	}
	if err := s.heldUp(ctx, a.File, a.Source, p, decided, now); err != nil {
		return PublishAnswer{}, err
	}
	if err := s.roster.CatchUp(ctx); err != nil {
		return PublishAnswer{}, err
	}
	p.Number = s.roster.NextPolicy()
	if decided.Looser, decided.Unclear, err = s.loosens(ctx, p); err != nil {
		return PublishAnswer{}, err
	}
	decided.Number = p.Number
	d := decision.Decision{Kind: decision.PublishPolicy, By: by, At: now, Reason: a.Reason, Policy: decided}
	if d.Reason == "" {
		d.Reason = "published"
	}
	if err := s.policies.catchUp(ctx, s.ledger, func(life *decision.Policies) error { return approved(life, a.Draft, d) }); err != nil {
		return PublishAnswer{}, err
	}
	entry, err := c.publication(s, p, a.Source, d)
	if err != nil {
		return PublishAnswer{}, err
	}
	at, err := s.append(ctx, entry)
	if err != nil {
		return PublishAnswer{}, err
	}
	defer c.show(ctx, s)
	return PublishAnswer{
		School: s.ID, Number: p.Number, Name: p.Name, Rules: len(p.Rules), Entry: at,
		Looser: listed(decided.Looser), Unclear: listed(decided.Unclear), Drafter: decided.Drafter, Approver: decided.Approver, ApprovedOn: decided.ApprovedOn, ReviewBy: decided.ReviewBy,
	}, s.roster.CatchUp(ctx)
}

// heldUp notes in a decision to publish what the trust allows to ask less than its
// baseline, or says what it does not.
func (s *school) heldUp(ctx context.Context, file string, source []byte, p *policy.Policy, decided *decision.Policy, now time.Time) error {
	not, allowed, baseline, err := s.below(ctx, rulebook.Text{File: file, Source: source, Policy: p}, now)
	if err != nil {
		return err
	}
	decided.Below, decided.Baseline = itemsOf(allowed), baseline
	if len(not) == 0 {
		return nil
	}
	h, err := s.heldTo(ctx)
	if err != nil {
		return err
	}
	return refusedBelow(h.Trust, file, not)
}

// itemsOf names the rules and parameters of loosenings.
func itemsOf(list []rulebook.Loosening) []string {
	var items []string
	for _, l := range list {
		if !slices.Contains(items, l.Item) {
			items = append(items, l.Item)
		}
	}
	return items
}

// listed returns a list that is there though it is empty.
func listed(names []string) []string { return append([]string{}, names...) }

// loosens names the rules and parameters that ask less in a policy than in the one
// in force, and those of which that cannot be told, so that nothing becomes looser
// unseen.
func (s *school) loosens(ctx context.Context, p *policy.Policy) (looser, unclear []string, err error) {
	current, err := s.policy(ctx, 0)
	if err != nil {
		return nil, nil, err
	}
	for _, change := range rulebook.Diff(current.policy, p) {
		name := change.Rule
		if change.Parameter != "" {
			name = "param." + change.Parameter
		}
		switch {
		case name == "" || change.Words == rulebook.WordsChange:
		case change.Direction == rulebook.Looser:
			looser = append(looser, name)
		case change.Direction == rulebook.Either:
			unclear = append(unclear, name)
		}
	}
	return slices.Compact(looser), slices.Compact(unclear), nil
}

// approved notes in a decision to publish who drafted and approved the text, or
// says why it cannot be made.
func approved(life *decision.Policies, name string, d decision.Decision) error {
	draft, ok := life.Approved(d.Policy.Digest)
	if !ok && name != "" {
		var err error
		if draft, err = life.Draft(name); err != nil {
			return err
		}
		if draft.Digest != d.Policy.Digest {
			return &decision.RefusedError{Why: "the draft is another text by now: read it again"}
		}
	}
	if draft.Name != "" {
		d.Policy.Draft, d.Policy.Drafter = draft.Name, draft.By
	}
	if n := len(draft.Approvals); n > 0 {
		d.Policy.Approver, d.Policy.ApprovedAt = draft.Approvals[n-1].By, draft.Approvals[n-1].At
	}
	if err := d.CheckNew(); err != nil {
		return &decision.RefusedError{Why: err.Error()}
	}
	return life.May(d)
}

// publication makes the entry that publishes a policy.
func (c *collector) publication(s *school, p *policy.Policy, source []byte, d decision.Decision) (ledger.Entry, error) {
	body, err := policy.Encode(p)
	if err != nil {
		return ledger.Entry{}, err
	}
	document, err := s.Key.SignDocument(roster.DocumentPolicy, body)
	if err != nil {
		return ledger.Entry{}, err
	}
	beside, err := roster.Section(decision.SectionPolicyApproval, proof.Kept, d)
	if err != nil {
		return ledger.Entry{}, err
	}
	return roster.Maker{School: s.ID, Intake: intakeName}.Policy(document, source, d.At, beside)
}

// account returns the name of the account whose key it is, if that may do
// something at a school.
func (c *collector) account(key string, school posture.SchoolID, right access.Right) (string, error) {
	account, err := c.access.OpenKey(strings.TrimSpace(key))
	if err != nil {
		return "", err
	}
	if !account.May(school, right) {
		return "", fmt.Errorf("the key of %s may not %s at this school", account.Name, right)
	}
	return account.Name, nil
}

// standing returns how the policy in force came to be.
func (s *school) standing(ctx context.Context, now time.Time) (PolicyStanding, error) {
	a := PolicyStanding{Number: s.roster.Policy()}
	err := s.policies.catchUp(ctx, s.ledger, func(p *decision.Policies) error {
		a.Approvers, a.OneAskedBy = p.Approvers()
		a.Drafts = p.Drafts()
		if how, ok := p.Publication(a.Number); ok {
			a.Publication, a.ReviewDue = &how, how.ReviewDue(now)
		}
		return nil
	})
	return a, err
}

// policyWarning says what should be done about the policy in force, if its review
// is overdue.
func (c *collector) policyWarning(ctx context.Context, r *record) string {
	s := r.working()
	if s == nil {
		return ""
	}
	at, ok := s.roster.PolicyEntry()
	if !ok {
		return "the school has not chosen what it allows of programs and media, and is judged by the policy that is shipped: choose with policy choose"
	}
	entry, err := s.ledger.Read(ctx, at)
	if err != nil {
		return "" // what is damaged is said elsewhere
	}
	n := slices.IndexFunc(entry.Envelope.Sections, func(s proof.SectionRef) bool { return s.Name == decision.SectionPolicyApproval })
	if n < 0 {
		return ""
	}
	body, err := s.ledger.Body(ctx, at, n)
	if err != nil {
		return ""
	}
	d, err := decision.Decode(body)
	if err != nil || d.Policy == nil || !d.Policy.ReviewDue(c.clock.Now()) {
		return ""
	}
	return fmt.Sprintf("policy %d was to be looked at again by %s, and the review is overdue", d.Policy.Number, d.Policy.ReviewBy)
}

func (c *collector) doPolicy(ctx context.Context, operation string, arguments json.RawMessage) (any, error) {
	if operation == "policy.progress" {
		return with(arguments, func(a PreviewArguments) (ProgressAnswer, error) { return c.previews.progress(a.ID), nil })
	}
	return within(ctx, arguments, func(ctx context.Context, a PreviewArguments) (any, error) {
		s, err := c.school(a.School)
		if err != nil {
			return nil, err
		}
		by := operator()
		if a.Key != "" {
			right := access.DraftPolicy
			if operation == "policy.approve" || operation == "policy.approvers" {
				right = access.ApprovePolicy
			}
			if by, err = c.account(a.Key, s.ID, right); err != nil {
				return nil, err
			}
		}
		switch operation {
		case "policy.preview":
			return c.preview(ctx, s, a)
		case "policy.draft":
			return c.draftPolicy(ctx, s, a.Draft, a.File, a.Source, by, a.Reason)
		case "policy.approvers":
			d := decision.Decision{Kind: decision.SetApprovers, By: by, At: c.clock.Now(), Reason: a.Reason, Policy: &decision.Policy{Approvers: a.Approvers}}
			if a.Approvers > 0 {
				if err := c.decidePolicy(ctx, s, d); err != nil {
					return nil, err
				}
			}
		case "policy.approve", "policy.withdraw":
			kind := decision.ApprovePolicy
			if operation == "policy.withdraw" {
				kind = decision.WithdrawPolicy
			}
			d, err := s.asItIs(ctx, decision.Decision{Kind: kind, By: by, At: c.clock.Now(), Reason: a.Reason, Policy: &decision.Policy{Draft: a.Draft}})
			if err != nil {
				return nil, err
			}
			return c.aboutDraft(ctx, s, d)
		}
		return s.standing(ctx, c.clock.Now())
	})
}

// aboutDraft records that somebody approves the text of a draft, or takes the draft
// back.
func (c *collector) aboutDraft(ctx context.Context, s *school, d decision.Decision) (decision.Draft, error) {
	draft, _, err := s.draft(ctx, d.Policy.Draft)
	if err != nil {
		return draft, err
	}
	if err := c.decidePolicy(ctx, s, d); err != nil || d.Kind == decision.WithdrawPolicy {
		draft.Withdrawn = err == nil
		return draft, err
	}
	draft, _, err = s.draft(ctx, d.Policy.Draft)
	return draft, err
}

// asItIs names in a decision at the command line the text that a draft has now.
func (s *school) asItIs(ctx context.Context, d decision.Decision) (decision.Decision, error) {
	draft, _, err := s.draft(ctx, d.Policy.Draft)
	d.Policy.Digest = draft.Digest
	return d, err
}
