package app

import (
	"context"
	"errors"

	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/fault"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// What follows implements api.Policies.

// unsound turns everything that is wrong with a text into words for programs.
func unsound(err error) error {
	if problems, ok := errors.AsType[fault.ListError](err); ok {
		return &api.UnsoundError{Why: problems.Error()}
	}
	return err
}

// PolicyOf implements api.Policies.
func (c *collector) PolicyOf(ctx context.Context, id posture.SchoolID) (api.Policy, error) {
	s, err := c.school(string(id))
	if err != nil {
		return api.Policy{}, err
	}
	a, err := s.standing(ctx, c.clock.Now())
	if err != nil {
		return api.Policy{}, err
	}
	p := api.Policy{Number: a.Number, ReviewDue: a.ReviewDue, Approvers: a.Approvers, OneAskedBy: a.OneAskedBy, Drafts: []api.Draft{}}
	if how := a.Publication; how != nil {
		p.By, p.At, p.Drafter, p.Approver, p.ApprovedAt = how.By, how.At, how.Drafter, how.Approver, how.ApprovedAt
		p.ApprovedOn, p.ReviewBy, p.Unapproved = how.ApprovedOn, how.ReviewBy, how.Unapproved
		p.Looser, p.Unclear = how.Looser, how.Unclear
	}
	for _, d := range a.Drafts {
		p.Drafts = append(p.Drafts, api.DraftOf(d))
	}
	return p, nil
}

// DraftOf implements api.Policies.
func (c *collector) DraftOf(ctx context.Context, id posture.SchoolID, name string) (decision.Draft, []byte, error) {
	s, err := c.school(string(id))
	if err != nil {
		return decision.Draft{}, nil, err
	}
	return s.draft(ctx, name)
}

// PreviewPolicy implements api.Policies.
func (c *collector) PreviewPolicy(ctx context.Context, id posture.SchoolID, what api.NewPreview) (view.Preview, error) {
	s, err := c.school(string(id))
	if err != nil {
		return view.Preview{}, err
	}
	p, err := c.preview(ctx, s, PreviewArguments{File: "policy", Source: []byte(what.Source), Draft: what.Draft, Days: what.Days})
	return p, unsound(err)
}

// DraftPolicy implements api.Policies.
func (c *collector) DraftPolicy(ctx context.Context, id posture.SchoolID, d api.NewDraft, by string) (decision.Draft, error) {
	s, err := c.school(string(id))
	if err != nil {
		return decision.Draft{}, err
	}
	draft, err := c.draftPolicy(ctx, s, d.Name, "policy", []byte(d.Source), by, d.Reason)
	return draft, unsound(err)
}

// DecideDraft implements api.Policies.
func (c *collector) DecideDraft(ctx context.Context, id posture.SchoolID, d decision.Decision) (decision.Draft, error) {
	s, err := c.school(string(id))
	if err != nil {
		return decision.Draft{}, err
	}
	return c.aboutDraft(ctx, s, d)
}

// PublishDraft implements api.Policies.
func (c *collector) PublishDraft(ctx context.Context, id posture.SchoolID, name string, p api.NewPublication, by string) (api.Published, error) {
	s, err := c.school(string(id))
	if err != nil {
		return api.Published{}, err
	}
	a, err := c.publishBy(ctx, s, PublishArguments{Draft: name, ApprovedOn: p.ApprovedOn, ReviewBy: p.ReviewBy, Reason: p.Reason}, by)
	return api.Published{Number: a.Number, Entry: uint64(a.Entry)}, err
}

// DiffPolicies implements api.Policies.
func (c *collector) DiffPolicies(ctx context.Context, id posture.SchoolID, what api.NewPolicyDiff) (api.PolicyDiff, error) {
	s, err := c.readable(string(id))
	if err != nil {
		return api.PolicyDiff{}, err
	}
	a := DiffArguments{School: string(id), From: what.From, To: what.To, File: "policy"}
	switch {
	case what.Draft != "":
		if _, a.Source, err = s.draft(ctx, what.Draft); err != nil {
			return api.PolicyDiff{}, err
		}
	case what.Source != "":
		a.Source = []byte(what.Source)
	}
	for _, number := range []uint64{a.From, a.To} {
		if number > s.roster.Policy() {
			return api.PolicyDiff{}, refuse("there is no policy %d", number)
		}
	}
	found, err := c.diffPolicies(ctx, a)
	out := api.PolicyDiff{From: found.From, To: found.To, Changes: []api.PolicyChange{}}
	for _, one := range found.Changes {
		out.Changes = append(out.Changes, api.PolicyChange{Rule: one.Rule, Parameter: one.Parameter, Direction: string(one.Direction), Words: one.Words})
	}
	return out, unsound(err)
}

// RollBackPolicy implements api.Policies.
func (c *collector) RollBackPolicy(ctx context.Context, id posture.SchoolID, r api.NewRollback, by string) (api.Published, error) {
	s, err := c.school(string(id))
	if err != nil {
		return api.Published{}, err
	}
	if r.Number > s.roster.Policy() {
		return api.Published{}, refuse("there is no policy %d", r.Number)
	}
	a, err := c.rollbackBy(ctx, s, r.Number, PublishArguments{ApprovedOn: r.ApprovedOn, ReviewBy: r.ReviewBy, Reason: r.Reason}, by)
	return api.Published{Number: a.Number, Entry: uint64(a.Entry)}, err
}

// SetApprovers implements api.Policies.
func (c *collector) SetApprovers(ctx context.Context, id posture.SchoolID, d decision.Decision) (api.Policy, error) {
	s, err := c.school(string(id))
	if err != nil {
		return api.Policy{}, err
	}
	if err := c.decidePolicy(ctx, s, d); err != nil {
		return api.Policy{}, err
	}
	return c.PolicyOf(ctx, id)
}
