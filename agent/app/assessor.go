package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/agent/assess"
	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// terms are what a device is judged by.
type terms struct {
	policy     []byte // compiled; none: the built-in baseline
	number     uint64 // of the policy
	assignment policy.Assignment
	mediaKey   []byte
	unread     error // why nothing may be judged; nil if something may

	// before is the policy that judged before, if it is not the one in force,
	// used its number in any case, and policyUnread why that in force could
	// not be read.
	before       []byte
	used         uint64
	policyUnread error
}

// assessor makes assessments with the help of children.
type assessor struct {
	children children
	state    *state // nil: nothing is remembered from one to the next
}

// assess reads the sections that are due and judges all of them. A walk that
// failed is a fact that is absent; an assessment that failed is an error.
func (a assessor) assess(ctx context.Context, now time.Time, due []string, t terms, before lastRead, p position, began bool) (assess.Outcome, error) {
	if t.unread != nil {
		return assess.Outcome{}, fmt.Errorf("judge by what the school signed: %w", t.unread)
	}
	r := assess.Request{
		Now: now, Policy: t.policy, PolicyBefore: t.before, Assignment: t.assignment, MediaKey: t.mediaKey,
		Due: due, Before: notDue(before.Bodies, due), Memory: before.Memory, MediaLog: p.MediaLog, EventsAfter: p.eventsAfter(), EventsDone: p.EventsDone, EventsTaken: p.eventsTaken(), Began: began,
		Agent: p.Upkeep.told(),
	}
	if slices.Contains(due, wire.Executables) {
		bodies, err := a.children.walk(ctx, walkRequest{
			Now: r.Now, PersonalUse: t.assignment.PersonalUse, Reveal: t.assignment.Reveal, Investigation: t.assignment.Investigation,
		}, a.state)
		if ctx.Err() != nil {
			return assess.Outcome{}, ctx.Err()
		}
		r.Folders, r.FoldersAbsent = bodies, absence(err)
	}
	outcome, err := a.children.assess(ctx, r)
	if err != nil {
		return assess.Outcome{}, fmt.Errorf("assess this machine: %w", err)
	}
	if t.policyUnread != nil {
		outcome.PolicyTrouble = t.policyUnread.Error()
	}
	return outcome, nil
}

// notDue returns the sections that are judged as they were last read.
func notDue(before []wire.Body, due []string) []wire.Body {
	return slices.DeleteFunc(slices.Clone(before), func(b wire.Body) bool {
		return slices.Contains(due, b.Name) || b.Name == wire.Findings || b.Name == wire.MediaEvents
	})
}

// absence names why a child gave no answer.
func absence(err error) posture.Absence {
	if errors.Is(err, system.ErrMemory) || errors.Is(err, system.ErrTooLarge) {
		return posture.TimedOut // it was cut short
	}
	return system.Absence(err)
}
