package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/shared/policy"
)

// published is a policy as a school published it. The baseline, number 0, is
// the one that every school has before it publishes any.
type published struct {
	policy *policy.Policy
	source []byte // the text that it was compiled from
}

// policy finds a policy of a school; the number of the one in force if it is 0.
func (s *school) policy(ctx context.Context, number uint64) (published, error) {
	if number == 0 {
		number = s.roster.Policy()
	}
	if number == 0 {
		p, source, err := rulebook.Baseline()
		return published{p, source}, err
	}
	found, unread, err := s.search(ctx, number)
	switch {
	case err != nil || found.policy != nil:
		return found, err
	case unread != nil:
		return published{}, fmt.Errorf("%s has no policy %d that can be read: %w", s.Name, number, unread)
	}
	return published{}, fmt.Errorf("%s has no policy %d", s.Name, number)
}

// search looks for the policy of a number. What cannot be opened hides no other:
// unread says of the last such entry why.
func (s *school) search(ctx context.Context, number uint64) (found published, unread, err error) {
	size := ledger.Index(s.ledger.Size())
	for next := ledger.Index(0); next < size; {
		for r, err := range s.ledger.Entries(ctx, next, size) {
			if _, damaged := errors.AsType[*ledger.CorruptError](err); damaged {
				unread, next = err, next+1
				break // it goes on behind it
			}
			if err != nil {
				return published{}, nil, err
			}
			next = r.Index + 1
			found, err := s.publishedIn(ctx, r)
			switch {
			case ctx.Err() != nil:
				return published{}, nil, ctx.Err()
			case err != nil:
				unread = fmt.Errorf("entry %d: %w", r.Index, err)
			case found.policy != nil && found.policy.Number == number:
				return found, nil, nil
			}
		}
	}
	return published{}, unread, nil
}

// publishedIn reads the policy that an entry published, if it did.
func (s *school) publishedIn(ctx context.Context, r ledger.Record) (found published, err error) {
	for n, section := range r.Envelope.Sections {
		if section.Name != roster.SectionPolicy && section.Name != roster.SectionPolicySource {
			continue
		}
		body, err := s.ledger.Body(ctx, r.Index, n)
		if err != nil {
			return found, err
		}
		if section.Name == roster.SectionPolicySource {
			found.source = body
		} else if found.policy, err = roster.OpenPolicy(s.verifier, body); err != nil {
			return found, err
		}
	}
	return found, nil
}

func (c *collector) showPolicy(ctx context.Context, a PolicyArguments) (*policy.Policy, error) {
	s, err := c.readable(a.School)
	if err != nil {
		return nil, err
	}
	p, err := s.policy(ctx, a.Number)
	return p.policy, err
}

// rollback publishes the text of an earlier policy again. Numbers only rise: a
// laptop never goes back, it is given the old rules under a new number.
func (c *collector) rollback(ctx context.Context, a PolicyArguments) (PublishAnswer, error) {
	s, err := c.school(a.School)
	if err != nil {
		return PublishAnswer{}, err
	}
	return c.rollbackBy(ctx, s, a.Number, PublishArguments{}, operator())
}

// rollbackBy is rollback as somebody decides it, with what is said of it.
func (c *collector) rollbackBy(ctx context.Context, s *school, number uint64, a PublishArguments, by string) (PublishAnswer, error) {
	if number == 0 || number == s.roster.Policy() {
		return PublishAnswer{}, refuse("policy %d is the one in force: name an earlier one", s.roster.Policy())
	}
	old, err := s.policy(ctx, number)
	if err != nil {
		return PublishAnswer{}, err
	}
	if old.source == nil {
		return PublishAnswer{}, refuse("the text of policy %d is not in the record", number)
	}
	a.File, a.Source = fmt.Sprintf("policy %d", number), old.source
	a.Reason = cmp.Or(a.Reason, fmt.Sprintf("back to the text of policy %d", number))
	return c.publishBy(ctx, s, a, by)
}

// diffPolicies says in words what changes from one policy to another, or to
// one that is not published.
func (c *collector) diffPolicies(ctx context.Context, a DiffArguments) (DiffAnswer, error) {
	s, err := c.readable(a.School)
	if err != nil {
		return DiffAnswer{}, err
	}
	from, err := s.policy(ctx, a.From)
	if err != nil {
		return DiffAnswer{}, err
	}
	answer := DiffAnswer{School: s.ID, From: from.policy.Number, To: a.To}
	var to *policy.Policy
	if a.Source != nil {
		to, err = rulebook.Compile(a.File, a.Source)
		answer.File = a.File
	} else {
		var p published
		p, err = s.policy(ctx, a.To)
		if to = p.policy; err == nil {
			answer.To = to.Number
		}
	}
	if err != nil {
		return DiffAnswer{}, err
	}
	answer.Changes = rulebook.Diff(from.policy, to)
	return answer, nil
}
