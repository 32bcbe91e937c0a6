package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/caretaker-school/caretaker/collector/rulebook"
)

// ChooseArguments make choices of a school's policy.
type ChooseArguments struct {
	School     string            `json:"school"`
	Choices    map[string]string `json:"choices"` // of parameters that have choices, by name
	ApprovedOn string            `json:"approvedOn,omitempty"`
	ReviewBy   string            `json:"reviewBy,omitempty"`
	Reason     string            `json:"reason,omitempty"`
}

// choose publishes the policy in force, or the shipped one if the school has
// published none, with some choices made.
func (c *collector) choose(ctx context.Context, a ChooseArguments) (PublishAnswer, error) {
	s, err := c.school(a.School)
	if err != nil {
		return PublishAnswer{}, err
	}
	if len(a.Choices) == 0 {
		return PublishAnswer{}, errors.New("nothing is chosen")
	}
	current, err := s.policy(ctx, 0)
	if err != nil {
		return PublishAnswer{}, err
	}
	if current.source == nil {
		return PublishAnswer{}, fmt.Errorf("the text of policy %d is not in the record", current.policy.Number)
	}
	file := "policy"
	source, err := rulebook.Choose(file, current.source, a.Choices)
	if err != nil {
		return PublishAnswer{}, err
	}
	return c.publishBy(ctx, s, PublishArguments{
		School: a.School, File: file, Source: source, ApprovedOn: a.ApprovedOn, ReviewBy: a.ReviewBy, Reason: cmp.Or(a.Reason, "what the school chose"),
	}, operator())
}
