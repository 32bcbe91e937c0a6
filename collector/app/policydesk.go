package app

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/fault"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/web"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// policyDesk implements web.PolicyDesk.
type policyDesk struct{ *collector }

// unsoundPage turns everything that is wrong with a text into words for pages.
func unsoundPage(err error, source []byte) error {
	list, ok := errors.AsType[fault.ListError](err)
	if !ok {
		return err
	}
	return &web.UnsoundPolicyError{Faults: faultsOf(list, source)}
}

func faultsOf(list []fault.Fault, source []byte) []web.PolicyFault {
	out := make([]web.PolicyFault, len(list))
	for i, f := range list {
		out[i] = web.PolicyFault{Line: f.Line, Column: f.Column, Where: rulebook.Where(source, f.Line), Words: f.Message}
	}
	return out
}

// changesOf puts changes into the words of pages.
func changesOf(list []rulebook.Change) []web.PolicyChange {
	out := make([]web.PolicyChange, len(list))
	for i, c := range list {
		out[i] = web.PolicyChange{Rule: c.Rule, Parameter: c.Parameter, Way: string(c.Direction), Words: c.Words}
	}
	return out
}

// Policy implements web.PolicyDesk.
func (d policyDesk) Policy(ctx context.Context, id posture.SchoolID, number uint64) (web.PolicyText, error) {
	s, err := d.readable(string(id))
	if err != nil {
		return web.PolicyText{}, err
	}
	if number == 0 {
		number = s.roster.Policy()
	}
	h, err := s.heldTo(ctx)
	if err != nil {
		return web.PolicyText{}, err
	}
	s.policies.comparing.Lock()
	defer s.policies.comparing.Unlock()
	at := -1
	if number > 0 {
		at = slices.IndexFunc(h.put, func(p putInForce) bool {
			t, err := s.text(ctx, p.entry)
			return err == nil && t.Policy.Number == number
		})
		if at < 0 {
			return web.PolicyText{}, view.ErrNotFound
		}
	}
	return s.described(ctx, h, at)
}

// described is the policy at a place in the order in which they came into force; the
// shipped one before the first. The caller holds comparing.
func (s *school) described(ctx context.Context, h heldTo, at int) (out web.PolicyText, err error) {
	entry := shipped
	if at >= 0 {
		entry, out.At = h.put[at].entry, h.put[at].at
	}
	t, err := s.text(ctx, entry)
	if err != nil {
		return out, err
	}
	out.Policy, out.Source, out.MaxAge = t.Policy, t.Source, rulebook.UsualAge(t.Source)
	for _, p := range h.published {
		if p.Entry == entry {
			out.How = &p
		}
	}
	said, err := rulebook.Describe(t)
	if err != nil {
		return out, err
	}
	since, err := s.sinceWhen(ctx, h.put[:at+1])
	if err != nil {
		return out, err
	}
	out.Rules = map[string]web.PolicyRule{}
	for id, d := range said {
		r := since[id]
		r.Reads, r.Groups, r.When, r.Require, r.Grace = d.Reads, d.Groups, d.When, d.Require, d.Grace
		out.Rules[id] = r
	}
	return out, nil
}

// sinceWhen says of each rule of the last of some policies since which of them it
// asks what it asks. What was worked out for a policy is remembered: none of it can
// change. The caller holds comparing.
func (s *school) sinceWhen(ctx context.Context, put []putInForce) (map[string]web.PolicyRule, error) {
	first, err := s.text(ctx, shipped)
	if err != nil {
		return nil, err
	}
	before, known := first.Policy, map[string]web.PolicyRule{}
	unsure := false
	for _, p := range put {
		t, err := s.text(ctx, p.entry)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			unsure = true // what cannot be read may have changed any rule
			continue
		}
		if s.policies.since == nil {
			s.policies.since = map[uint64]map[string]web.PolicyRule{}
		}
		if worked, ok := s.policies.since[p.entry]; ok && !unsure {
			known, before = worked, t.Policy
			continue
		}
		next := map[string]web.PolicyRule{}
		for _, r := range t.Policy.Rules {
			one := web.PolicyRule{Since: t.Policy.Number, SinceAt: p.at, Unsure: unsure}
			if rulebook.SameRule(r.ID, before, t.Policy) {
				one = known[r.ID]
				one.Unsure = one.Unsure || unsure
			}
			next[r.ID] = one
		}
		if !unsure {
			s.policies.since[p.entry] = next
		}
		known, before = next, t.Policy
	}
	return known, nil
}

// Life implements web.PolicyDesk.
func (d policyDesk) Life(ctx context.Context, id posture.SchoolID, now time.Time) (web.PolicyLife, error) {
	s, err := d.readable(string(id))
	if err != nil {
		return web.PolicyLife{}, err
	}
	a, err := s.standing(ctx, now)
	if err != nil {
		return web.PolicyLife{}, err
	}
	h, err := s.heldTo(ctx)
	if err != nil {
		return web.PolicyLife{}, err
	}
	out := web.PolicyLife{Number: a.Number, ReviewDue: a.ReviewDue, Approvers: a.Approvers, OneAskedBy: a.OneAskedBy, Drafts: a.Drafts, Trust: h.Trust}
	if b, ok := h.Baseline(); ok {
		out.Baseline = b.Number
	}
	s.policies.comparing.Lock()
	defer s.policies.comparing.Unlock()
	for _, p := range slices.Backward(h.put) {
		v := web.PolicyVersion{At: p.at}
		for _, how := range h.published {
			if how.Entry == p.entry {
				v.How, v.Number = &how, how.Number
			}
		}
		if t, err := s.text(ctx, p.entry); err == nil {
			v.Number, v.Title, v.Rules = t.Policy.Number, t.Policy.Title, len(t.Policy.Rules)
		} else {
			v.Unread = plainly(err)
		}
		out.Versions = append(out.Versions, v)
	}
	return out, ctx.Err()
}

// Differ implements web.PolicyDesk.
func (d policyDesk) Differ(ctx context.Context, id posture.SchoolID, from, to uint64) ([]web.PolicyChange, error) {
	a, err := d.Policy(ctx, id, from)
	if err != nil {
		return nil, err
	}
	b, err := d.Policy(ctx, id, to)
	if err != nil {
		return nil, err
	}
	return changesOf(rulebook.Diff(a.Policy, b.Policy)), nil
}

// Draft implements web.PolicyDesk.
func (d policyDesk) Draft(ctx context.Context, id posture.SchoolID, name string) (decision.Draft, []byte, error) {
	s, err := d.readable(string(id))
	if err != nil {
		return decision.Draft{}, nil, err
	}
	draft, source, err := s.draft(ctx, name)
	if _, refused := errors.AsType[*decision.RefusedError](err); refused {
		err = view.ErrNotFound
	}
	return draft, source, err
}

// Weigh implements web.PolicyDesk.
func (d policyDesk) Weigh(ctx context.Context, id posture.SchoolID, source []byte) (out web.WeighedPolicy, err error) {
	s, err := d.readable(string(id))
	if err != nil {
		return out, err
	}
	if out.Policy, err = rulebook.Compile("policy", source); err != nil {
		return out, unsoundPage(err, source)
	}
	out.MaxAge = rulebook.UsualAge(source)
	if out.Looser, out.Unclear, err = s.loosens(ctx, out.Policy); err != nil {
		return out, err
	}
	not, _, _, err := s.below(ctx, rulebook.Text{File: "policy", Source: source, Policy: out.Policy}, d.clock.Now())
	if err != nil {
		return out, err
	}
	for _, l := range not {
		f := l.Fault("policy")
		out.Below = append(out.Below, web.PolicyFault{Line: l.Line, Column: l.Column, Where: rulebook.Where(source, f.Line), Words: f.Message})
	}
	current, err := s.policy(ctx, 0)
	if err != nil {
		return out, err
	}
	out.Changes = changesOf(rulebook.Diff(current.policy, out.Policy))
	return out, nil
}

// Amend implements web.PolicyDesk.
func (d policyDesk) Amend(source []byte, a web.PolicyAmendment) ([]byte, error) {
	amended, err := rulebook.Amend("policy", source, rulebook.Amendment{MaxAge: a.MaxAge, Parameters: a.Parameters, Lists: a.Lists, Graces: a.Graces})
	if amended != nil {
		source = amended // what is wrong is wrong with that
	}
	return amended, unsoundPage(err, source)
}

// Propose implements web.PolicyDesk.
func (d policyDesk) Propose(ctx context.Context, id posture.SchoolID, name string, source []byte, by, reason string) error {
	s, err := d.school(string(id))
	if err != nil {
		return err
	}
	_, err = d.draftPolicy(ctx, s, name, "policy", source, by, reason)
	return unsoundPage(err, source)
}

// Decide implements web.PolicyDesk.
func (d policyDesk) Decide(ctx context.Context, id posture.SchoolID, made decision.Decision) error {
	s, err := d.school(string(id))
	if err != nil {
		return err
	}
	if made.Kind == decision.SetApprovers {
		return d.decidePolicy(ctx, s, made)
	}
	_, err = d.aboutDraft(ctx, s, made)
	return err
}

// Publish implements web.PolicyDesk.
func (d policyDesk) Publish(ctx context.Context, id posture.SchoolID, draft string, t web.PolicyTerms, by string) (uint64, error) {
	s, err := d.school(string(id))
	if err != nil {
		return 0, err
	}
	a, err := d.publishBy(ctx, s, PublishArguments{Draft: draft, ApprovedOn: t.ApprovedOn, ReviewBy: t.ReviewBy, Reason: t.Reason}, by)
	return a.Number, err
}

// RollBack implements web.PolicyDesk.
func (d policyDesk) RollBack(ctx context.Context, id posture.SchoolID, to uint64, t web.PolicyTerms, by string) (uint64, error) {
	s, err := d.school(string(id))
	if err != nil {
		return 0, err
	}
	a, err := d.rollbackBy(ctx, s, to, PublishArguments{ApprovedOn: t.ApprovedOn, ReviewBy: t.ReviewBy, Reason: t.Reason}, by)
	return a.Number, err
}
