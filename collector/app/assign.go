package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// AssignArguments change what a device is told about its use.
type AssignArguments struct {
	School string `json:"school"`
	Device string `json:"device"` // identifier or host name
	decision.Telling
	Reason string `json:"reason"`
}

// AssignAnswer is an assignment that was recorded.
type AssignAnswer struct {
	School     posture.SchoolID  `json:"school"`
	Device     posture.DeviceID  `json:"device"`
	Assignment policy.Assignment `json:"assignment"`
	Entry      uint64            `json:"entry"` // of the ledger
}

// reassign gives a device another assignment, unless change leaves it as it is.
// The caller holds keeping. It is read from the roster and not from what is
// shown: a number is never given twice.
func (c *collector) reassign(ctx context.Context, s *school, id posture.DeviceID, change func(*policy.Assignment), beside ...proof.Section) (a policy.Assignment, entry uint64, err error) {
	if err := s.roster.CatchUp(ctx); err != nil {
		return a, 0, err
	}
	a, made, err := c.reassigned(ctx, s, id, change, beside...)
	if err != nil || made == nil {
		return a, 0, err
	}
	at, err := s.append(ctx, *made)
	return a, uint64(at), err
}

// reassigned is reassign, and records nothing: made is the entry to record, nil if
// the assignment is that already. The roster knows all that is recorded.
func (c *collector) reassigned(
	ctx context.Context, s *school, id posture.DeviceID, change func(*policy.Assignment), beside ...proof.Section,
) (a policy.Assignment, made *ledger.Entry, err error) {
	was, err := s.assigned(ctx, id)
	if err != nil {
		return a, nil, err
	}
	next := was
	next.Groups, next.Reveal = slices.Clone(was.Groups), slices.Clone(was.Reveal)
	if change(&next.Assignment); reflect.DeepEqual(next.Assignment, was.Assignment) {
		return was.Assignment, nil, nil
	}
	next.Number = s.roster.NextAssignment(id)
	entry, _, err := roster.Maker{School: s.ID, Intake: intakeName}.Assignment(s.Key, next, c.clock.Now(), beside...)
	return next.Assignment, &entry, err
}

// assigned returns the assignment of a device, by the roster as it is.
func (s *school) assigned(ctx context.Context, id posture.DeviceID) (roster.Assignment, error) {
	document, err := s.roster.AssignmentDocument(ctx, id)
	if err != nil {
		return roster.Assignment{}, err
	}
	if document == nil {
		return roster.Assignment{}, &decision.RefusedError{Why: "the device has no assignment: it is not enrolled"}
	}
	return roster.OpenAssignment(s.verifier, document)
}

// Assign implements api.Assigner.
func (c *collector) Assign(ctx context.Context, id posture.SchoolID, device posture.DeviceID, d decision.Decision, t decision.Telling) (entry uint64, err error) {
	_, entry, err = c.retell(ctx, id, device, d, t)
	return entry, err
}

// retell is Assign, and returns the assignment.
func (c *collector) retell(ctx context.Context, id posture.SchoolID, device posture.DeviceID, d decision.Decision, t decision.Telling) (policy.Assignment, uint64, error) {
	return c.assignAs(ctx, id, device, d, func(a *policy.Assignment) error { return apply(t, a) })
}

// assignAs records a device's assignment as change makes it, with who decided that.
func (c *collector) assignAs(
	ctx context.Context, id posture.SchoolID, device posture.DeviceID, d decision.Decision, change func(*policy.Assignment) error,
) (policy.Assignment, uint64, error) {
	s, err := c.deciding(ctx, string(id))
	if err != nil {
		return policy.Assignment{}, 0, err
	}
	if err := c.assignable(ctx, id, device); err != nil {
		return policy.Assignment{}, 0, err
	}
	section, err := salted(d)
	if err != nil {
		return policy.Assignment{}, 0, err
	}
	c.keeping.Lock()
	defer c.keeping.Unlock()
	defer c.show(ctx, s)
	var refused error
	a, entry, err := c.reassign(ctx, s, device, func(a *policy.Assignment) {
		was := *a
		if refused = change(a); refused != nil {
			*a = was
		}
	}, section)
	switch {
	case refused != nil:
		return a, 0, refused
	case err == nil && entry == 0:
		err = errSame
	}
	return a, entry, err
}

// salted is the section of a decision.
func salted(d decision.Decision) (proof.Section, error) {
	var salt [proof.SaltSize]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return proof.Section{}, fmt.Errorf("salt a decision: %w", err)
	}
	return decision.Encode(d, salt)
}

// errSame says that nothing would change.
var errSame = &decision.RefusedError{Why: "that is what the device is told already"}

// assignable says why a device is told nothing.
func (c *collector) assignable(ctx context.Context, school posture.SchoolID, id posture.DeviceID) error {
	device, err := c.view.Queries().Device(ctx, school, id, c.clock.Now())
	switch {
	case errors.Is(err, view.ErrNotFound):
		return &decision.RefusedError{Why: fmt.Sprintf("no device %q is enrolled", id)}
	case err == nil && !device.RevokedAt.IsZero():
		return &decision.RefusedError{Why: "the device is known no more: its certificate was revoked"}
	}
	return err
}

// assign changes what a device is told, as the operator.
func (c *collector) assign(ctx context.Context, a AssignArguments) (AssignAnswer, error) {
	s, err := c.deciding(ctx, a.School)
	if err != nil {
		return AssignAnswer{}, err
	}
	device, err := c.device(ctx, ListArguments{School: a.School, Device: a.Device})
	if err != nil {
		return AssignAnswer{}, err
	}
	d := decision.Decision{Kind: decision.Assign, By: operator(), At: c.clock.Now(), Reason: a.Reason}
	if err := errors.Join(a.Check(), d.CheckNew()); err != nil {
		return AssignAnswer{}, err
	}
	answer := AssignAnswer{School: s.ID, Device: device.ID}
	answer.Assignment, answer.Entry, err = c.retell(ctx, s.ID, device.ID, d, a.Telling)
	return answer, err
}

// mostRevealed bounds of how many executables a device is asked for names.
const mostRevealed = 50

// apply puts what a device is to be told into its assignment.
func apply(t decision.Telling, a *policy.Assignment) error {
	if t.PersonalUse != nil {
		a.PersonalUse = *t.PersonalUse
	}
	a.Reveal = slices.DeleteFunc(a.Reveal, func(sum string) bool { return sum == t.Withhold })
	switch {
	case t.Reveal != "" && !a.PersonalUse:
		return &decision.RefusedError{Why: "the device withholds no names: it is not its user's own"}
	case t.Reveal != "" && len(a.Reveal) == mostRevealed:
		return &decision.RefusedError{Why: fmt.Sprintf("the device tells the names of %d programs already: withhold one first", mostRevealed)}
	case t.Reveal != "" && !slices.Contains(a.Reveal, t.Reveal):
		a.Reveal = append(a.Reveal, t.Reveal)
	}
	if !a.PersonalUse || len(a.Reveal) == 0 {
		a.Reveal = nil
	}
	return nil
}

// AssignmentList is what a device was told about its use.
type AssignmentList struct {
	School      posture.SchoolID `json:"school"`
	Device      posture.DeviceID `json:"device"`
	Hostname    string           `json:"hostname"`
	Assignments []view.Assigned  `json:"assignments"` // newest first
}

func (c *collector) assignments(ctx context.Context, a ListArguments) (AssignmentList, error) {
	device, err := c.device(ctx, a)
	if err != nil {
		return AssignmentList{}, err
	}
	s, err := c.record(a.School)
	if err != nil {
		return AssignmentList{}, err
	}
	list, err := c.view.Queries().Assignments(ctx, s.id, device.ID, c.clock.Now())
	return AssignmentList{School: s.id, Device: device.ID, Hostname: device.Hostname, Assignments: list}, err
}

// tell tells the devices of which the register says something else now whether
// they are set aside for found media. The caller holds keeping.
func (c *collector) tell(ctx context.Context, s *school, aside map[posture.DeviceID]bool) error {
	var failed error
	for id, is := range aside {
		_, _, err := c.reassign(ctx, s, id, func(a *policy.Assignment) { a.Investigation = is })
		if refused, ok := errors.AsType[*decision.RefusedError](err); ok && refused != nil {
			continue // what is not enrolled any more is told nothing
		}
		failed = errors.Join(failed, err)
	}
	if failed != nil {
		return fmt.Errorf("it is recorded, and a device was not told that found media are plugged into it, or no more: record it again: %w", failed)
	}
	return nil
}

// setAside says which devices are set aside for found media, and which no more,
// once an asset is changed.
func (c *collector) setAside(ctx context.Context, school posture.SchoolID, change register.Change) (map[posture.DeviceID]bool, error) {
	told := map[posture.DeviceID]bool{}
	if !slices.Contains([]register.What{register.Investigate, register.Tie, register.Untie}, change.What) {
		return told, nil
	}
	asset, err := c.view.Queries().Asset(ctx, school, change.Tag, c.clock.Now())
	if err != nil {
		return nil, err
	}
	switch change.What {
	case register.Investigate:
		told[asset.Device] = change.On
	case register.Tie:
		told[asset.Device], told[change.Device] = false, asset.Investigation
	case register.Untie:
		told[asset.Device] = false
	default:
	}
	delete(told, "")
	return told, nil
}

// movesAside is setAside for an enrolment that takes the place of an earlier one of
// the same computer, and its asset with it.
func (c *collector) movesAside(ctx context.Context, school posture.SchoolID, earlier, newer posture.DeviceID) (map[posture.DeviceID]bool, error) {
	now := c.clock.Now()
	was, err := c.view.Queries().Device(ctx, school, earlier, now)
	if err != nil || was.AssetTag == "" {
		return nil, err
	}
	is, err := c.view.Queries().Device(ctx, school, newer, now)
	if err != nil || is.AssetTag != "" {
		return nil, err
	}
	asset, err := c.view.Queries().Asset(ctx, school, was.AssetTag, now)
	if err != nil || !asset.Investigation {
		return nil, err
	}
	return map[posture.DeviceID]bool{newer: true}, nil
}

// asideBy is setAside for a list that ties assets to devices.
func asideBy(assets map[string]register.Asset, items []register.Item) map[posture.DeviceID]bool {
	told := map[posture.DeviceID]bool{}
	for _, i := range items {
		if a := assets[register.Key(i.Tag)]; i.Device != "" && a.Investigation {
			told[i.Device] = true
		}
	}
	return told
}
