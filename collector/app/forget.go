package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/retention"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// ForgetArguments asks for bodies of a class to be forgotten.
type ForgetArguments struct {
	School string   `json:"school"`
	Class  string   `json:"class"`
	Months []string `json:"months"` // such as "2026-10"; none: all that are older than the usual time of the class
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
	months, err := c.monthsToForget(s, class, a.Months)
	if err != nil {
		return ForgetAnswer{}, err
	}
	answer := ForgetAnswer{School: s.ID, DryRun: a.DryRun, Months: []ledger.Purge{}}
	for _, m := range months {
		p, err := c.forgetMonth(ctx, s, class, m, a)
		if errors.Is(err, ledger.ErrNothingToForget) {
			continue
		}
		if err != nil {
			return answer, fmt.Errorf("%w (%d of %d months were forgotten before)", err, len(answer.Months), len(months))
		}
		answer.Months = append(answer.Months, p)
	}
	if len(answer.Months) == 0 || a.DryRun {
		return answer, nil
	}
	if err := s.roster.CatchUp(ctx); err != nil {
		return answer, err
	}
	if !c.running { // the view holds what is now forgotten until it is made again
		return answer, s.projection.CatchUp(ctx)
	}
	return answer, nil
}

// monthsToForget are those that are named, which must be over, or those that
// are due.
func (c *collector) monthsToForget(s *school, class proof.Class, named []string) ([]ledger.Month, error) {
	now := c.clock.Now()
	if len(named) == 0 {
		months, err := s.ledger.Months(class)
		return slices.DeleteFunc(months, func(m ledger.Month) bool { return !retention.Due(class, m, now) }), err
	}
	var months []ledger.Month
	for _, name := range named {
		m, err := ledger.ParseMonth(name)
		if err != nil {
			return nil, fmt.Errorf("a month is written as in 2026-10, not %.20q", name)
		}
		if !retention.Past(m, now) {
			return nil, fmt.Errorf("%s is not over: what is still to come could not be forgotten with the rest", m)
		}
		months = append(months, m)
	}
	return months, nil
}

func (c *collector) forgetMonth(ctx context.Context, s *school, class proof.Class, m ledger.Month, a ForgetArguments) (ledger.Purge, error) {
	keep, err := retention.Keep(ctx, s.ledger, s.roster, class, m)
	if err != nil {
		return ledger.Purge{}, err
	}
	if a.DryRun {
		return countMonth(ctx, s.ledger, class, m, keep)
	}
	maker := roster.Maker{School: s.ID, Intake: intakeName}
	return s.ledger.Forget(ctx, class, m, keep, func(p ledger.Purge) (ledger.Entry, error) {
		section, err := roster.Section(roster.SectionPurge, proof.Kept, roster.Purge{Purge: p, By: operator(), Reason: a.Reason})
		if err != nil {
			return ledger.Entry{}, err
		}
		return maker.Entry(proof.KindPurge, "", c.clock.Now(), section), nil
	})
}

// countMonth counts what forgetting a month would do.
func countMonth(ctx context.Context, l *ledger.Ledger, class proof.Class, m ledger.Month, keep func(ledger.Stored) bool) (ledger.Purge, error) {
	p := ledger.Purge{Class: class.String(), Month: m.String()}
	for stored, err := range l.Bodies(ctx, class, m) {
		if err != nil {
			return p, err
		}
		if keep(stored) {
			p.Kept++
			p.KeptBytes += uint64(len(stored.Section.Body))
		} else {
			p.Forgotten++
			p.ForgottenBytes += uint64(len(stored.Section.Body))
		}
	}
	if p.Forgotten == 0 {
		return p, ledger.ErrNothingToForget
	}
	return p, nil
}
