package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// PasswordAnswer is an account's new password. It is shown once and not kept.
type PasswordAnswer struct {
	Name     string `json:"name"`
	Password string `json:"password"`
	Keys     int    `json:"keys"` // of programs, that were taken back
}

// PersonArguments name an account.
type PersonArguments struct {
	Name string `json:"name"`
}

// GrantArguments give an account a role, or take it away.
type GrantArguments struct {
	Name   string `json:"name"`
	Role   string `json:"role"`
	School string `json:"school"` // name or identifier; "": every school
}

// LetInArguments ask for a code by which a person is let in again.
type LetInArguments struct {
	Name   string `json:"name"`
	Lost   string `json:"lost"` // "password" or "second-step"
	Reason string `json:"reason"`
}

// LetInAnswer is that code. It is shown once and not kept.
type LetInAnswer struct {
	Name string    `json:"name"`
	Lost string    `json:"lost"`
	Code string    `json:"code"`
	Ends time.Time `json:"ends"`
}

// DoneAnswer says of which account something was done.
type DoneAnswer struct {
	Name string `json:"name"`
	Done string `json:"done"`
}

// SessionsAnswer is one place where an account is signed in.
type SessionsAnswer struct {
	ID      string    `json:"id"`
	Begun   time.Time `json:"begun"`
	Seen    time.Time `json:"seen"` // last used, give or take five minutes
	Address string    `json:"address"`
	With    string    `json:"with"` // browser and system; "" if not known
	First   string    `json:"first"`
	Second  string    `json:"second"` // "" if none was asked for
}

// SecondStepArguments say which roles must have a second step.
type SecondStepArguments struct {
	Set   bool          `json:"set"` // false: only tell
	Roles []string      `json:"roles"`
	Grace time.Duration `json:"grace"`
}

// SecondStepAnswer is which roles must have one, and who lacks it.
type SecondStepAnswer struct {
	Roles   []string      `json:"roles"`
	Grace   time.Duration `json:"grace"` // to set one up in, from Since or from when the account was made
	Since   time.Time     `json:"since"`
	Lacking []string      `json:"lacking"` // names of accounts
}

// AccountLogArguments ask for the latest changes.
type AccountLogArguments struct {
	Limit int `json:"limit"`
}

// AccountLogAnswer is what was changed about how people sign in.
type AccountLogAnswer struct {
	Events []access.Event `json:"events"`
	Unread int            `json:"unread"` // lines that are damaged
}

// SignOnArguments add a sign-on service.
type SignOnArguments struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Issuer  string   `json:"issuer"`
	Client  string   `json:"client"`
	Secret  string   `json:"secret"`
	Domain  string   `json:"domain"`
	Vouches bool     `json:"vouches"`
	Schools []string `json:"schools"` // names or identifiers; none: all
}

// SignOnAnswer is a sign-on service, without its secret.
type SignOnAnswer struct {
	ID      string             `json:"id"`
	Name    string             `json:"name"`
	Issuer  string             `json:"issuer"`
	Client  string             `json:"client"`
	Domain  string             `json:"domain"`
	Vouches bool               `json:"vouches"`
	Schools []posture.SchoolID `json:"schools"`
	// Back is the path of the address that the service sends people back to, as
	// it must be told: the pages' own address comes before it.
	Back string `json:"back"`
}

// doAccount carries out what is about people and how they sign in.
func (c *collector) doAccount(ctx context.Context, operation string, arguments json.RawMessage) (any, error) {
	switch operation {
	case "account.password":
		return within(ctx, arguments, c.resetPassword)
	case "account.remove":
		return with(arguments, func(a PersonArguments) (DoneAnswer, error) {
			return DoneAnswer{a.Name, "removed"}, c.removeAccount(a.Name)
		})
	case "account.grant":
		return with(arguments, func(a GrantArguments) (DoneAnswer, error) { return c.regrant(a, c.access.GiveAtConsole, "given") })
	case "account.revoke":
		return with(arguments, func(a GrantArguments) (DoneAnswer, error) { return c.regrant(a, c.access.TakeAtConsole, "taken away") })
	case "account.let-in":
		return with(arguments, c.letIn)
	case "account.drop-second":
		return with(arguments, func(a PersonArguments) (DoneAnswer, error) {
			return DoneAnswer{a.Name, "second steps removed"}, c.access.DropSecond(operator(), a.Name)
		})
	case "account.sessions":
		return with(arguments, c.sessions)
	case "account.sign-out":
		return with(arguments, c.signOut)
	case "account.second-step":
		return with(arguments, c.secondStep)
	case "account.log":
		return with(arguments, c.accountLog)
	case "sign-on.add":
		return with(arguments, c.addSignOn)
	case "sign-on.list":
		return c.signOns(), nil
	case "sign-on.remove":
		return with(arguments, func(a SignOnArguments) (DoneAnswer, error) {
			return DoneAnswer{a.ID, "removed"}, c.access.RemoveProvider(a.ID)
		})
	}
	return nil, fmt.Errorf("this collector knows no operation %q", operation)
}

func (c *collector) resetPassword(ctx context.Context, a PersonArguments) (PasswordAnswer, error) {
	reset, err := c.access.ResetPassword(ctx, operator(), a.Name, "")
	return PasswordAnswer{a.Name, reset.Password, reset.Keys}, err
}

func (c *collector) letIn(a LetInArguments) (LetInAnswer, error) {
	lost := access.LostPassword
	switch a.Lost {
	case "password":
	case "second-step":
		lost = access.LostSecond
	default:
		return LetInAnswer{}, fmt.Errorf("%q is nothing that can be lost: it is password or second-step", a.Lost)
	}
	code, ends, err := c.access.OfferHelpAtConsole(operator(), a.Name, lost, a.Reason)
	return LetInAnswer{a.Name, a.Lost, code, ends}, err
}

// regrant gives an account a role at a school, or takes it away.
func (c *collector) regrant(a GrantArguments, how func(operator, name string, g access.Grant) error, done string) (DoneAnswer, error) {
	role, err := access.ParseRole(a.Role)
	if err != nil {
		return DoneAnswer{}, err
	}
	g := access.Grant{School: access.EverySchool, Role: role}
	if a.School != "" {
		r, err := c.record(a.School)
		if err != nil {
			return DoneAnswer{}, err
		}
		g.School = r.id
	}
	return DoneAnswer{a.Name, "the role " + a.Role + " " + done}, how(operator(), a.Name, g)
}

// accountNamed returns the identifier of an account.
func (c *collector) accountNamed(name string) (string, error) {
	account, ok := c.access.Named(name)
	if !ok {
		return "", access.ErrNoAccount
	}
	return account.ID, nil
}

func (c *collector) sessions(a PersonArguments) ([]SessionsAnswer, error) {
	id, err := c.accountNamed(a.Name)
	if err != nil {
		return nil, err
	}
	sessions, err := c.access.SessionsOf(id, "")
	list := []SessionsAnswer{}
	for _, s := range sessions {
		list = append(list, SessionsAnswer{s.ID, s.Begun, s.Seen, s.Address, s.With, string(s.First), string(s.Second)})
	}
	return list, err
}

func (c *collector) signOut(a PersonArguments) (DoneAnswer, error) {
	id, err := c.accountNamed(a.Name)
	if err != nil {
		return DoneAnswer{}, err
	}
	return DoneAnswer{a.Name, "signed out everywhere"}, c.access.EndSessions(operator(), id)
}

func (c *collector) secondStep(a SecondStepArguments) (SecondStepAnswer, error) {
	if a.Set {
		var roles []access.Role
		for _, name := range a.Roles {
			role, err := access.ParseRole(name)
			if err != nil {
				return SecondStepAnswer{}, err
			}
			roles = append(roles, role)
		}
		if err := c.access.RequireSecond(roles, a.Grace); err != nil {
			return SecondStepAnswer{}, err
		}
	}
	set := c.access.Settings()
	answer := SecondStepAnswer{Roles: []string{}, Grace: set.Grace, Since: set.Since, Lacking: []string{}}
	for _, role := range set.Second {
		answer.Roles = append(answer.Roles, string(role))
	}
	for _, account := range c.access.Accounts() {
		steps, err := c.access.StepsOf(account.ID)
		if err != nil {
			return SecondStepAnswer{}, err
		}
		if !steps.Second() && !c.access.SecondBy(account).IsZero() {
			answer.Lacking = append(answer.Lacking, account.Name)
		}
	}
	return answer, nil
}

func (c *collector) accountLog(a AccountLogArguments) (AccountLogAnswer, error) {
	if a.Limit <= 0 {
		return AccountLogAnswer{}, errors.New("say how many changes to list: 1 or more")
	}
	events, unread, err := c.access.Events(a.Limit, func(access.Event) bool { return true })
	return AccountLogAnswer{events, unread}, err
}

func (c *collector) addSignOn(a SignOnArguments) (SignOnAnswer, error) {
	p := access.Provider{ID: a.ID, Name: a.Name, Issuer: a.Issuer, Client: a.Client, Secret: a.Secret, Domain: a.Domain, Vouches: a.Vouches}
	for _, name := range a.Schools {
		r, err := c.record(name)
		if err != nil {
			return SignOnAnswer{}, err
		}
		p.Schools = append(p.Schools, r.id)
	}
	if err := c.access.SetProvider(p); err != nil {
		return SignOnAnswer{}, err
	}
	return signOnAnswer(p), nil
}

func (c *collector) signOns() []SignOnAnswer {
	list := []SignOnAnswer{}
	for _, p := range c.access.Providers() {
		list = append(list, signOnAnswer(p))
	}
	return list
}

func signOnAnswer(p access.Provider) SignOnAnswer {
	schools := p.Schools
	if schools == nil {
		schools = []posture.SchoolID{}
	}
	return SignOnAnswer{p.ID, p.Name, p.Issuer, p.Client, p.Domain, p.Vouches, schools, p.Back()}
}

// removeAccount removes an account, and with it what it has saved for itself.
func (c *collector) removeAccount(name string) error {
	if err := c.access.RemoveAccount(operator(), name); err != nil {
		return err
	}
	return c.pruneSaved()
}

// pruneSaved forgets what accounts that are gone have saved for themselves.
func (c *collector) pruneSaved() error {
	return c.saved.Prune(func(account string) bool {
		return slices.ContainsFunc(c.access.Accounts(), func(a access.Account) bool { return a.ID == account })
	})
}
