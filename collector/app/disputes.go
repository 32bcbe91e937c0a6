package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/dispute"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/subject"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// DisputeArguments are about a recorded fact of which somebody says that it is
// wrong.
type DisputeArguments struct {
	School  string          `json:"school"`
	ID      string          `json:"id,omitempty"`
	About   dispute.About   `json:"about,omitempty"`
	Rule    string          `json:"rule,omitempty"`
	Device  string          `json:"device,omitempty"` // identifier, host name or tag
	Asset   string          `json:"asset,omitempty"`  // tag of what is no laptop
	For     string          `json:"for,omitempty"`    // on whose behalf, by name
	Outcome dispute.Outcome `json:"outcome,omitempty"`
	Words   string          `json:"words,omitempty"`
	Key     string          `json:"key,omitempty"` // of the account that answers; of one that raises, "": the console's operator
	Open    bool            `json:"open,omitempty"`
	After   string          `json:"after,omitempty"`
	Limit   int             `json:"limit,omitempty"`
}

// mostDisputed is how many disputes may wait for an answer.
const mostDisputed = 500

// RaiseDispute implements api.Disputes and web.Disputes.
func (c *collector) RaiseDispute(ctx context.Context, id posture.SchoolID, by string, told dispute.Told, change dispute.Change, words string) (one view.Dispute, err error) {
	s, err := c.deciding(ctx, string(id))
	if err != nil {
		return one, err
	}
	c.raising.Lock()
	defer c.raising.Unlock()
	now := c.clock.Now()
	waiting, _, err := c.view.Queries().OpenDisputes(ctx, id, now)
	if err != nil {
		return one, err
	}
	if waiting >= mostDisputed {
		return one, refuse("%d disputes wait for an answer, and no more are taken before some are answered", waiting)
	}
	change.What, change.ID = dispute.Raise, dispute.NewID()
	zone, err := c.zoneOf(ctx, id)
	if err != nil {
		return one, err
	}
	change.On = now.In(zone).Format(time.DateOnly)
	if change.Due, err = subject.MonthAfter(change.On); err != nil {
		return one, err
	}
	if change, err = c.disputable(ctx, id, told, change); err != nil {
		return one, err
	}
	return c.recordDispute(ctx, s, decision.NewDispute(change, &told, by, now), change, words)
}

// disputable completes what is disputed with the entry that holds the fact, or says
// why it cannot be.
func (c *collector) disputable(ctx context.Context, id posture.SchoolID, told dispute.Told, change dispute.Change) (dispute.Change, error) {
	q, now := c.view.Queries(), c.clock.Now()
	if change.Device == "" && change.Asset == "" && told.For == "" && !told.Own {
		return change, refuse("say about which laptop it is, or about whom")
	}
	if change.Device != "" {
		d, err := q.Device(ctx, id, change.Device, now)
		if errors.Is(err, view.ErrNotFound) {
			return change, refuse("there is no device %.63q", string(change.Device))
		}
		if err != nil {
			return change, err
		}
		change.Asset = d.AssetTag
		if change.About.OfLaptop() && d.LastReport > 0 {
			change.Fact = d.Entry
		}
		if change.About == dispute.Rule && !slices.ContainsFunc(d.Findings, func(f view.Finding) bool { return f.Rule == change.Rule && f.Standing != view.NotFor }) {
			return change, refuse("no rule %.40q finds anything on this laptop", change.Rule)
		}
	}
	if change.Asset == "" {
		return change, nil
	}
	a, err := q.Asset(ctx, id, change.Asset, now)
	if errors.Is(err, view.ErrNotFound) {
		if change.Device != "" {
			return change, nil // which the school has not registered
		}
		return change, refuse("the register has nothing with the tag %.80q", change.Asset)
	}
	if err == nil && change.About == dispute.Holder && a.Held != nil && a.Held.Entry > 0 {
		change.Fact = a.Held.Entry - 1
	}
	if err == nil {
		change.Asset = a.Tag
		if change.Device == "" {
			change.Device = a.Device
		}
	}
	return change, err
}

// AnswerDispute implements api.Disputes and web.Disputes.
func (c *collector) AnswerDispute(ctx context.Context, id posture.SchoolID, by, name string, outcome dispute.Outcome, words string) (one view.Dispute, err error) {
	s, err := c.deciding(ctx, string(id))
	if err != nil {
		return one, err
	}
	now := c.clock.Now()
	one, err = c.view.Queries().Dispute(ctx, id, name, now)
	switch {
	case errors.Is(err, view.ErrNotFound):
		return one, refuse("there is no dispute %.40q", name)
	case err != nil:
		return one, err
	case !one.Open():
		return one, refuse("it was answered already, by %s", one.Answered.By)
	case breach.SamePerson(by, one.By) || one.For != "" && register.Key(by) == register.Key(one.For):
		return one, refuse("%s disputes it: somebody else has to answer", by)
	case decision.AtConsole(by):
		return one, refuse("the console is nobody whose duty it is: a dispute is answered by an account")
	}
	change := dispute.Change{What: dispute.Answer, ID: one.ID, Outcome: outcome}
	return c.recordDispute(ctx, s, decision.NewDispute(change, nil, by, now), change, words)
}

func (c *collector) recordDispute(ctx context.Context, s *school, d decision.Decision, change dispute.Change, words string) (one view.Dispute, err error) {
	var salts [3][proof.SaltSize]byte
	for i := range salts {
		_, _ = rand.Read(salts[i][:]) // which never fails
	}
	sections, err := decision.DisputeSections(d, change, strings.Join(strings.Fields(words), " "), salts)
	if err != nil {
		return one, &decision.RefusedError{Why: err.Error()}
	}
	if _, err := s.append(ctx, roster.Maker{School: s.ID, Intake: intakeName}.Entry(proof.KindDecision, "", c.clock.Now(), sections...)); err != nil {
		return one, err
	}
	c.show(ctx, s)
	return c.view.Queries().Dispute(ctx, s.ID, change.ID, c.clock.Now())
}

// doDisputes carries out an operation about what is disputed.
func (c *collector) doDisputes(ctx context.Context, operation string, a DisputeArguments) (any, error) {
	r, err := c.record(a.School)
	if err != nil {
		return nil, err
	}
	q, now := c.view.Queries(), c.clock.Now()
	switch operation {
	case "dispute.list":
		query := view.DisputeQuery{Open: a.Open, After: a.After, Limit: a.Limit}
		if a.Device != "" {
			d, err := c.device(ctx, ListArguments{School: a.School, Device: a.Device})
			if err != nil {
				return nil, err
			}
			query.Device = d.ID
		}
		return q.Disputes(ctx, r.id, query, now)
	case "dispute.show":
		return q.Dispute(ctx, r.id, a.ID, now)
	case "dispute.answer":
		if a.Key == "" {
			return nil, errors.New("the console is nobody whose duty it is: whoever answers gives an access key of their account with --key")
		}
		by, err := c.account(a.Key, r.id, access.AnswerDisputes)
		if err != nil {
			return nil, err
		}
		return c.AnswerDispute(ctx, r.id, by, a.ID, a.Outcome, a.Words)
	}
	by, err := c.decider(a.Key, r.id, access.DisputeFacts)
	if err != nil {
		return nil, err
	}
	change := dispute.Change{About: a.About, Rule: a.Rule, Asset: a.Asset}
	if a.Device != "" {
		d, err := c.device(ctx, ListArguments{School: a.School, Device: a.Device})
		if err != nil {
			return nil, err
		}
		change.Device = d.ID
	}
	if !slices.Contains(dispute.Abouts(), a.About) {
		return nil, fmt.Errorf("%.40q is nothing that is disputed: say one of %s with --about", string(a.About), aboutList())
	}
	return c.RaiseDispute(ctx, r.id, by, dispute.Told{For: a.For}, change, a.Words)
}

func aboutList() string {
	var names []string
	for _, a := range dispute.Abouts() {
		names = append(names, string(a))
	}
	return strings.Join(names, ", ")
}
