package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/enroll"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// EndTokenArguments have a token admit nothing any more.
type EndTokenArguments struct {
	School string `json:"school"`
	Token  string `json:"token"` // its identifier
	Reason string `json:"reason"`
}

// createToken makes a token as the operator.
func (c *collector) createToken(ctx context.Context, a TokenArguments) (TokenAnswer, error) {
	s, err := c.school(a.School)
	if err != nil {
		return TokenAnswer{}, err
	}
	return c.makeToken(ctx, s, a, operator())
}

// makeToken makes a token for whoever may. What is wrong with what was asked for
// is a *decision.RefusedError.
func (c *collector) makeToken(ctx context.Context, s *school, a TokenArguments, by string) (TokenAnswer, error) {
	n, err := c.newToken(s, a, by)
	if err != nil {
		return TokenAnswer{}, err
	}
	t, err := enroll.CreateToken(ctx, s.School, s.ledger, n, c.clock.Now())
	if err != nil {
		return TokenAnswer{}, err
	}
	if err := s.roster.CatchUp(ctx); err != nil {
		return TokenAnswer{}, err
	}
	recorded, _, ok := s.roster.Token(t.ID)
	if !ok {
		return TokenAnswer{}, errors.New("the token was made and is not in the roster")
	}
	return TokenAnswer{Token: t.String(), ID: t.ID, Uses: recorded.Uses, Ends: recorded.Ends, Ownership: recorded.Ownership}, nil
}

func (c *collector) newToken(s *school, a TokenArguments, by string) (enroll.NewToken, error) {
	if len(a.Addresses) == 0 {
		address, err := c.address()
		if err != nil {
			return enroll.NewToken{}, &decision.RefusedError{Why: err.Error()}
		}
		a.Addresses = []string{address}
	}
	groups, err := (decision.Grouping{Groups: a.Groups, Only: true}).Of(nil)
	for _, name := range groups {
		err = errors.Join(err, decision.CheckGroup(name))
	}
	n := enroll.NewToken{
		Addresses: a.Addresses, Uses: a.Uses, Lasts: a.Lifetime, Ownership: a.Ownership, By: by, Intake: intakeName, PersonalUse: a.PersonalUse, Groups: groups, Way: a.Way,
	}
	if err == nil {
		err = n.Check()
	}
	if err == nil { // of which only the addresses can be wrong
		_, err = identity.NewToken(a.Addresses, s.ID, s.Authority.Fingerprint())
	}
	if err != nil {
		return enroll.NewToken{}, &decision.RefusedError{Why: err.Error()}
	}
	return n, nil
}

// Tokens implements api.TokenKeeper.
func (c *collector) Tokens(_ context.Context, id posture.SchoolID) ([]admission.Token, error) {
	s, err := c.school(string(id))
	if err != nil {
		return nil, err
	}
	all := s.roster.Tokens(c.clock.Now())
	waiting := map[string]int{}
	for _, p := range c.enrolments(s).Pending(s.ID) {
		if p.Refused.IsZero() {
			waiting[p.Token]++
		}
	}
	for i := range all {
		all[i].Waiting = waiting[all[i].ID]
	}
	return all, nil
}

// MakeToken implements api.TokenKeeper.
func (c *collector) MakeToken(ctx context.Context, id posture.SchoolID, by string, n api.NewToken) (api.MadeToken, error) {
	s, err := c.school(string(id))
	if err != nil {
		return api.MadeToken{}, err
	}
	a, err := c.makeToken(ctx, s, TokenArguments{
		Uses: n.Uses, Lifetime: time.Duration(n.Days) * 24 * time.Hour, Ownership: n.Class, Addresses: n.Addresses, PersonalUse: n.PersonalUse, Groups: n.Groups,
		Way: n.Way,
	}, by)
	return api.MadeToken{Token: a.Token, ID: a.ID, Ends: a.Ends}, err
}

// EndToken implements api.TokenKeeper. Whoever was told of it knows that the next
// laptop is refused.
func (c *collector) EndToken(ctx context.Context, id posture.SchoolID, d decision.Decision, token string) (entry uint64, err error) {
	s, err := c.school(string(id))
	if err != nil {
		return 0, err
	}
	all := s.roster.Tokens(c.clock.Now())
	i := slices.IndexFunc(all, func(t admission.Token) bool { return t.ID == token })
	if i < 0 {
		return 0, view.ErrNotFound
	}
	if state := all[i].State; state != admission.TokenOpen {
		return 0, &decision.RefusedError{Why: "this token admits nothing any more already"}
	}
	return c.Admit(ctx, id, d, admission.Change{What: admission.EndToken, Token: token})
}

// TokenList is the tokens of a school.
type TokenList struct {
	School posture.SchoolID  `json:"school"`
	Tokens []admission.Token `json:"tokens"`
}

func (c *collector) tokens(ctx context.Context, a ListArguments) (TokenList, error) {
	s, err := c.school(a.School)
	if err != nil {
		return TokenList{}, err
	}
	list, err := c.Tokens(ctx, s.ID)
	return TokenList{School: s.ID, Tokens: list}, err
}

// endToken takes a token back as the operator.
func (c *collector) endToken(ctx context.Context, a EndTokenArguments) (AdmissionAnswer, error) {
	s, err := c.school(a.School)
	if err != nil {
		return AdmissionAnswer{}, err
	}
	d, err := c.decides(decision.Admission, a.Reason, "")
	if err != nil {
		return AdmissionAnswer{}, err
	}
	entry, err := c.EndToken(ctx, s.ID, d, a.Token)
	if errors.Is(err, view.ErrNotFound) {
		err = fmt.Errorf("there is no token %.40q: token list names them", a.Token)
	}
	return AdmissionAnswer{School: s.ID, Entry: entry}, err
}
