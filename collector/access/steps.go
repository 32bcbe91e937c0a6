package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/shared/durable"
)

// Steps is what an account proves itself with beside its password.
type Steps struct {
	Account       string         `json:"account"` // identifier
	Authenticator *authenticator `json:"authenticator,omitempty"`
	Passkeys      []Passkey      `json:"passkeys,omitempty"`
	// Codes are the hashes of the recovery codes that are left.
	Codes []string `json:"codes,omitempty"`
	// Links are the accounts elsewhere that it signs on with.
	Links []Link `json:"links,omitempty"`
	// Helps are the codes that another person has given out for it.
	Helps []Help `json:"helps,omitempty"`
	// NewPassword says that a password has to be chosen before anything else.
	NewPassword bool `json:"newPassword,omitempty"`
	// LetInBy is whose codes stood in for the old one then, by identifier, with
	// spaces between.
	LetInBy string `json:"letInBy,omitempty"`
}

// Second reports whether there is a second step to ask for.
func (s Steps) Second() bool { return s.Authenticator != nil || len(s.Passkeys) > 0 }

type stepsJSON struct {
	Steps []Steps `json:"steps"`
}

var stepsIn = file[Steps]{name: "steps.json", what: "second steps", parse: parseSteps, pack: func(list []Steps) any { return stepsJSON{list} }}

func parseSteps(data []byte) ([]Steps, error) {
	var j stepsJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return nil, fmt.Errorf("read the second steps: %w", err)
	}
	if len(j.Steps) > maxAccounts {
		return nil, fmt.Errorf("read the second steps: of %d accounts, more than %d", len(j.Steps), maxAccounts)
	}
	seen := map[string]bool{}
	for _, s := range j.Steps {
		if s.Account == "" || seen[s.Account] {
			return nil, errors.New("read the second steps: an account is missing or there twice")
		}
		seen[s.Account] = true
		if s.Authenticator != nil && len(s.Authenticator.Secret) != secretLength {
			return nil, fmt.Errorf("read the second steps of %.40q: the authenticator's secret is not whole", s.Account)
		}
	}
	return j.Steps, nil
}

const settingsFile = "settings.json"

// Settings are what a school, or the collector, wants of those who sign in.
type Settings struct {
	// Second lists the roles that must have a second step.
	Second []Role `json:"second"`
	// Grace is how long an account may go without one.
	Grace time.Duration `json:"grace"`
	// Since is when this was said first: no account has had less than Grace.
	Since time.Time `json:"since"`
}

// defaultSettings are those of a collector where nobody has said otherwise:
// everybody must have a second step within two weeks but governors, who see
// counts, and staff, who see what anybody may.
func defaultSettings(now time.Time) Settings {
	roles := slices.DeleteFunc(Roles(), func(r Role) bool { return r == Governor || r == Staff })
	return Settings{Second: roles, Grace: 14 * 24 * time.Hour, Since: now.UTC().Truncate(time.Second)}
}

// openSettings reads the settings.
func (a *Access) openSettings() error {
	path := filepath.Join(a.dir, settingsFile)
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &a.settings)
	}
	if err == nil {
		err = checkSettings(a.settings)
	}
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		a.log.Warn("the settings of signing in cannot be read; those that are shipped are used", "error", err)
		a.settings = defaultSettings(a.clock.Now())
		a.settings.Grace = 0 // what was asked for is not known, so nothing is put off
		return nil
	}
	return a.storeSettings(defaultSettings(a.clock.Now()))
}

func checkSettings(s Settings) error {
	for _, role := range s.Second {
		if _, err := ParseRole(string(role)); err != nil {
			return err
		}
	}
	if s.Grace < 0 || s.Grace > 366*24*time.Hour {
		return errors.New("the time to set up a second step is between none and a year")
	}
	return nil
}

func (a *Access) storeSettings(s Settings) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the settings of signing in: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(a.dir, settingsFile), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("store the settings of signing in: %w", err)
	}
	a.settings = s
	return nil
}

// Settings returns what is wanted of those who sign in.
func (a *Access) Settings() Settings {
	a.mu.RLock()
	defer a.mu.RUnlock()
	s := a.settings
	s.Second = slices.Clone(s.Second)
	return s
}

// RequireSecond says which roles must have a second step, and how long they
// have to set one up from now.
func (a *Access) RequireSecond(roles []Role, grace time.Duration) error {
	s := Settings{Second: slices.Clone(roles), Grace: grace, Since: a.clock.Now().UTC().Truncate(time.Second)}
	if err := checkSettings(s); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.storeSettings(s)
}

// SecondBy returns until when an account may go without a second step; the
// zero time if it need not have one.
func (a *Access) SecondBy(account Account) time.Time {
	s := a.Settings()
	if !slices.ContainsFunc(account.Grants, func(g Grant) bool { return slices.Contains(s.Second, g.Role) }) {
		return time.Time{}
	}
	return later(account.CreatedAt, s.Since).Add(s.Grace)
}

// Owed is what an account has to do before it may do anything else.
type Owed string

// What may be owed.
const (
	OwesNothing Owed = ""
	OwesWord    Owed = "password"
	OwesSecond  Owed = "second step"
)

// Owes returns what an account that has signed in has to do first.
func (a *Access) Owes(ctx context.Context, account Account) (Owed, error) {
	steps, err := a.StepsOf(account.ID)
	if err != nil {
		return OwesNothing, err
	}
	by := a.SecondBy(account)
	switch {
	case steps.NewPassword:
		return OwesWord, nil
	case !steps.Second() && !a.vouched(Way(a.sessions.manager.GetString(ctx, firstKey))) && !by.IsZero() && !a.clock.Now().Before(by):
		return OwesSecond, nil
	}
	return OwesNothing, nil
}

// StepsOf returns what an account proves itself with. The error is an
// *UnreadableError if that is not known.
func (a *Access) StepsOf(id string) (Steps, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.noSteps != nil {
		return Steps{}, a.noSteps
	}
	if i := slices.IndexFunc(a.steps, func(s Steps) bool { return s.Account == id }); i >= 0 {
		return a.steps[i], nil
	}
	return Steps{Account: id}, nil
}

// changeSteps writes what amend makes of the steps of an account before anybody
// sees it. What amend is given it may change: nobody else holds it.
func (a *Access) changeSteps(id string, amend func(*Steps) error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.noSteps != nil {
		return a.noSteps
	}
	next, err := stepsIn.change(a.dir, a.steps, func(list []Steps) ([]Steps, error) {
		i := slices.IndexFunc(list, func(s Steps) bool { return s.Account == id })
		if i < 0 {
			list, i = append(list, Steps{Account: id}), len(list)
		}
		s := list[i].clone()
		if err := amend(&s); err != nil {
			return nil, err
		}
		list[i] = s
		return list, nil
	})
	if err == nil {
		a.steps = next
	}
	return err
}

func (s Steps) clone() Steps {
	if s.Authenticator != nil {
		own := *s.Authenticator
		s.Authenticator = &own
	}
	s.Passkeys, s.Codes, s.Links, s.Helps = slices.Clone(s.Passkeys), slices.Clone(s.Codes), slices.Clone(s.Links), slices.Clone(s.Helps)
	return s
}

// dropSteps forgets what a removed account proved itself with.
func (a *Access) dropSteps(id string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.noSteps != nil {
		return nil // what is there is of no account any more
	}
	next, err := stepsIn.change(a.dir, a.steps, func(list []Steps) ([]Steps, error) {
		return slices.DeleteFunc(list, func(s Steps) bool { return s.Account == id }), nil
	})
	if err == nil {
		a.steps = next
	}
	return err
}
