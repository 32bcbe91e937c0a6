package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/retention"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// ForgetArguments asks for bodies of a class to be forgotten.
type ForgetArguments struct {
	School string   `json:"school"`
	Class  string   `json:"class"`
	Months []string `json:"months"` // such as "2026-10"; none: all of which the school's time is over
	Reason string   `json:"reason"`
	DryRun bool     `json:"dryRun"` // count, and forget nothing
}

// ForgetAnswer says what was forgotten, or would be.
type ForgetAnswer struct {
	School posture.SchoolID `json:"school"`
	DryRun bool             `json:"dryRun"`
	Months []ledger.Purge   `json:"months"` // in counts only; a month with nothing to forget is not among them
}

// mostReason bounds a reason, in bytes.
const mostReason = 1000

// forget forgets what may be forgotten of a class, month by month. What was
// forgotten before an error stays so, and the error says so.
func (c *collector) forget(ctx context.Context, a ForgetArguments) (ForgetAnswer, error) {
	s, err := c.school(a.School)
	if err != nil {
		return ForgetAnswer{}, err
	}
	class, err := retention.ParseClass(a.Class)
	if err != nil {
		return ForgetAnswer{}, err
	}
	a.Reason = strings.TrimSpace(a.Reason)
	if !a.DryRun && a.Reason == "" || len(a.Reason) > mostReason || !utf8.ValidString(a.Reason) {
		return ForgetAnswer{}, fmt.Errorf("forgetting needs a reason of at most %d bytes: it is recorded, and shown on the pages", mostReason)
	}
	steps, err := c.stepsToForget(ctx, s, class, a)
	if err != nil {
		return ForgetAnswer{}, err
	}
	answer := ForgetAnswer{School: s.ID, DryRun: a.DryRun, Months: []ledger.Purge{}}
	for _, step := range steps {
		p, err := c.purge(ctx, s, step)
		if errors.Is(err, ledger.ErrNothingToForget) {
			continue
		}
		if err != nil {
			return answer, fmt.Errorf("%w (%d of %d months were forgotten before)", err, len(answer.Months), len(steps))
		}
		answer.Months = append(answer.Months, p.Purge)
	}
	if len(answer.Months) == 0 || a.DryRun {
		return answer, nil
	}
	return answer, c.forgotten(ctx, s)
}

// stepsToForget are of the months that are named, which must be over, or of those
// of which the school's time is.
func (c *collector) stepsToForget(ctx context.Context, s *school, class proof.Class, a ForgetArguments) ([]purging, error) {
	now := c.clock.Now()
	survey, err := retention.Read(ctx, s.ledger)
	if err != nil {
		return nil, err
	}
	by := purging{class: class, by: operator(), reason: a.Reason, dry: a.DryRun}
	var list []purging
	if len(a.Months) == 0 {
		steps, err := survey.Steps(ctx, s.ledger, s.roster, now)
		if err != nil {
			return nil, err
		}
		for _, step := range steps {
			if step.Class != class {
				continue
			}
			by.month, by.item = step.Month, step.Item
			if by.keep, err = step.Keep(ctx); err != nil {
				return nil, err
			}
			list = append(list, by)
		}
		return list, nil
	}
	for _, name := range a.Months {
		m, err := ledger.ParseMonth(name)
		if err != nil {
			return nil, fmt.Errorf("a month is written as in 2026-10, not %.20q", name)
		}
		if !retention.Past(m, now) {
			return nil, fmt.Errorf("%s is not over: what is still to come could not be forgotten with the rest", m)
		}
		by.month = m
		if by.keep, err = survey.Asked(ctx, s.ledger, s.roster, class, m, now); err != nil {
			return nil, err
		}
		list = append(list, by)
	}
	return list, nil
}
