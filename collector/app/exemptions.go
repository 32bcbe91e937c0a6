package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// AskExemptionArguments ask for an exemption from a rule.
type AskExemptionArguments struct {
	School  string    `json:"school"`
	Rule    string    `json:"rule"`
	Device  string    `json:"device"`  // identifier or host name
	Subject string    `json:"subject"` // key of the only subject of the device that is meant; "" for every one
	Group   string    `json:"group"`
	Whole   bool      `json:"whole"` // the whole school
	Until   time.Time `json:"until"`
	Reason  string    `json:"reason"`
	Key     string    `json:"key"` // access key of the account that asks; "": the console's operator
}

// ExemptionArguments answer or end an exemption.
type ExemptionArguments struct {
	School string        `json:"school"`
	Kind   decision.Kind `json:"kind"`
	ID     string        `json:"id"`
	Reason string        `json:"reason"`
	Key    string        `json:"key"` // access key of the account that decides; "": the console's operator
}

// ExemptionAnswer is what was decided about an exemption.
type ExemptionAnswer struct {
	ID    string `json:"id"`
	Entry uint64 `json:"entry"` // of the ledger
}

// ListExemptionsArguments ask for exemptions.
type ListExemptionsArguments struct {
	School string   `json:"school"`
	States []string `json:"states,omitempty"`
	Rule   string   `json:"rule,omitempty"`
	Device string   `json:"device,omitempty"` // identifier or host name
	After  string   `json:"after,omitempty"`
	Limit  int      `json:"limit,omitempty"`
}

// aboutExemption reports whether a decision is about an exemption.
func aboutExemption(k decision.Kind) bool {
	return slices.Contains([]decision.Kind{decision.AskExemption, decision.Exempt, decision.RefuseExemption, decision.EndExemption}, k)
}

// completed returns a decision about an exemption with all that is recorded of
// it, or why it cannot be made as things stand. What is recorded meanwhile can
// make it void, and never wrong: folding it in asks again.
func (c *collector) completed(ctx context.Context, school posture.SchoolID, d decision.Decision) (decision.Decision, error) {
	if d.Kind == decision.AskExemption {
		return d, c.askable(ctx, school, d.Exemption.Scope)
	}
	e, err := c.view.Queries().Exemption(ctx, school, d.Exemption.ID, c.clock.Now())
	if errors.Is(err, view.ErrNotFound) {
		return d, refuse("there is no exemption %.40q", d.Exemption.ID)
	}
	if err != nil {
		return d, err
	}
	switch {
	case d.Kind == decision.EndExemption && e.State == view.ExemptionAsked:
		return d, refuse("this exemption was not approved yet: it can be refused")
	case d.Kind == decision.EndExemption && e.State != view.ExemptionApproved:
		return d, refuse("this exemption is %s already", e.State)
	case d.Kind == decision.EndExemption:
		return d, nil
	case e.State != view.ExemptionAsked:
		return d, refuse("this exemption is %s already", e.State)
	case d.Kind == decision.RefuseExemption:
		return d, nil
	case breach.SamePerson(d.By, e.Asked.By):
		return d, refuse("%s asked for this exemption: somebody else has to approve it", e.Asked.By)
	case decision.AtConsole(d.By):
		return d, refuse("the console is never a second person: an exemption is approved by an account")
	}
	return decision.Approve(e.Permission(), d.By, d.Reason, d.At), nil
}

func refuse(format string, args ...any) error {
	return &decision.RefusedError{Why: fmt.Sprintf(format, args...)}
}

// askable says why an exemption of a scope cannot be asked for.
func (c *collector) askable(ctx context.Context, school posture.SchoolID, scope breach.Scope) error {
	o, err := c.view.Queries().Overview(ctx, school, c.clock.Now())
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(o.Rules, func(r view.RuleCount) bool { return r.Rule == scope.Rule }) {
		return refuse("the policy in force has no rule %.40q", scope.Rule)
	}
	if scope.Device == "" {
		return nil
	}
	if _, err := c.view.Queries().Device(ctx, school, scope.Device, c.clock.Now()); errors.Is(err, view.ErrNotFound) {
		return refuse("there is no device %.63q", string(scope.Device))
	} else if err != nil {
		return err
	}
	if scope.Of != breach.OneBreach {
		return nil
	}
	standing, err := c.breachesOf(ctx, school, scope.Device, scope.Rule)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(standing, func(b view.Breach) bool { return keyOf(b) == scope.Key() }) {
		return refuse("no such breach stands")
	}
	return nil
}

// askExemption asks for an exemption from the command line.
func (c *collector) askExemption(ctx context.Context, a AskExemptionArguments) (ExemptionAnswer, error) {
	s, err := c.deciding(ctx, a.School)
	if err != nil {
		return ExemptionAnswer{}, err
	}
	by, err := c.decider(a.Key, s.ID, access.AskExemptions)
	if err != nil {
		return ExemptionAnswer{}, err
	}
	scope, err := c.scope(ctx, s.ID, a)
	if err != nil {
		return ExemptionAnswer{}, err
	}
	d := decision.Ask(decision.NewExemptionID(), scope, a.Until, by, a.Reason, c.clock.Now())
	if err := d.CheckNew(); err != nil {
		return ExemptionAnswer{}, err
	}
	entry, err := c.Decide(ctx, s.ID, d)
	return ExemptionAnswer{ID: d.Exemption.ID, Entry: entry}, err
}

// decider names who decides at the command line: the account of a key, or the
// console's operator.
func (c *collector) decider(key string, school posture.SchoolID, right access.Right) (string, error) {
	if key == "" {
		return operator(), nil
	}
	return c.account(key, school, right)
}

// scope returns the scope that is asked for, in the school's own names.
func (c *collector) scope(ctx context.Context, school posture.SchoolID, a AskExemptionArguments) (breach.Scope, error) {
	scope := breach.Scope{Rule: a.Rule}
	given := 0
	for _, named := range []bool{a.Device != "", a.Group != "", a.Whole} {
		if named {
			given++
		}
	}
	switch {
	case given != 1:
		return scope, errors.New("an exemption is for one device, one group or the whole school: say which")
	case a.Group != "":
		scope.Of, scope.Group = breach.OneGroup, a.Group
		return scope, nil
	case a.Whole:
		scope.Of = breach.WholeSchool
		return scope, nil
	}
	device, err := c.device(ctx, ListArguments{School: a.School, Device: a.Device})
	if err != nil {
		return scope, err
	}
	scope.Of, scope.Device = breach.OneDevice, device.ID
	if a.Subject == "" {
		return scope, nil
	}
	standing, err := c.breachesOf(ctx, school, device.ID, a.Rule)
	if err != nil {
		return scope, err
	}
	i := slices.IndexFunc(standing, func(b view.Breach) bool { return b.Subject.Key == a.Subject })
	if i < 0 {
		return scope, fmt.Errorf("no breach of %s stands on %s for the subject %q", a.Rule, device.Hostname, a.Subject)
	}
	scope.Of, scope.Kind, scope.Subject = breach.OneBreach, standing[i].Subject.Kind, a.Subject
	return scope, nil
}

// decideExemption answers or ends an exemption from the command line. Everybody
// with a shell on the collector is one operator, who may ask, refuse and end;
// to approve takes the key of an account.
func (c *collector) decideExemption(ctx context.Context, a ExemptionArguments) (ExemptionAnswer, error) {
	s, err := c.deciding(ctx, a.School)
	if err != nil {
		return ExemptionAnswer{}, err
	}
	by := ""
	switch a.Kind {
	case decision.Exempt:
		if a.Key == "" {
			return ExemptionAnswer{}, errors.New("the console is never a second person: whoever approves gives an access key of their account with --key")
		}
		by, err = c.account(a.Key, s.ID, access.ApproveExemptions)
	case decision.RefuseExemption:
		by, err = c.refuser(ctx, a, s.ID)
	case decision.EndExemption:
		by, err = c.decider(a.Key, s.ID, access.AskExemptions)
	default:
		err = fmt.Errorf("%.40q is no decision about an exemption that was asked for", string(a.Kind))
	}
	if err != nil {
		return ExemptionAnswer{}, err
	}
	now := c.clock.Now()
	if err := decision.About(decision.RefuseExemption, a.ID, by, a.Reason, now).CheckNew(); err != nil {
		return ExemptionAnswer{}, err
	}
	entry, err := c.Decide(ctx, s.ID, decision.About(a.Kind, a.ID, by, a.Reason, now))
	return ExemptionAnswer{ID: a.ID, Entry: entry}, err
}

// refuser names who refuses: somebody who may approve, or who asked.
func (c *collector) refuser(ctx context.Context, a ExemptionArguments, school posture.SchoolID) (string, error) {
	by, err := c.decider(a.Key, school, access.ApproveExemptions)
	if err == nil || a.Key == "" {
		return by, err
	}
	asker, other := c.account(a.Key, school, access.AskExemptions)
	if other != nil {
		return "", err
	}
	e, other := c.view.Queries().Exemption(ctx, school, a.ID, c.clock.Now())
	if other != nil || !breach.SamePerson(e.Asked.By, asker) {
		return "", err
	}
	return asker, nil
}

func (c *collector) exemptions(ctx context.Context, a ListExemptionsArguments) (view.ExemptionPage, error) {
	s, err := c.record(a.School)
	if err != nil {
		return view.ExemptionPage{}, err
	}
	q := view.ExemptionQuery{Rule: a.Rule, After: a.After, Limit: a.Limit}
	for _, word := range a.States {
		state := view.ExemptionState(word)
		if !slices.Contains(view.ExemptionStates(), state) {
			return view.ExemptionPage{}, fmt.Errorf("an exemption is asked, approved, refused or ended, not %.40q", word)
		}
		q.States = append(q.States, state)
	}
	if a.Device != "" {
		device, err := c.device(ctx, ListArguments{School: a.School, Device: a.Device})
		if err != nil {
			return view.ExemptionPage{}, err
		}
		q.Device = device.ID
	}
	return c.view.Queries().Exemptions(ctx, s.id, q, c.clock.Now())
}
