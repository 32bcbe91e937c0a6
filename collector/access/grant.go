package access

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// RefusedError says in words for people why who may sign in was not changed.
type RefusedError struct{ Why string }

func (e *RefusedError) Error() string { return e.Why }

// Why an account is not changed.
var (
	errNotKeeper = &RefusedError{"only an administrator of the school says who signs in there"}
	errOneself   = &RefusedError{"nobody gives a role to themselves, or takes one of their own away: another administrator does"}
	errEvery     = &RefusedError{"a role at every school is given and taken away at the console"}
	errOnly      = &RefusedError{"this is their only role: remove the account instead"}
	errLast      = &RefusedError{"this is the last administrator of the school: make another one first"}
)

// MayKeep says why one account may not change the roles of another at a school;
// nil if it may.
func (a Account) MayKeep(other Account, school posture.SchoolID) error {
	switch {
	case school == "" || school == EverySchool:
		return errEvery
	case a.ID == "" || !a.May(school, KeepAccounts):
		return errNotKeeper
	case a.ID == other.ID:
		return errOneself
	}
	return nil
}

// Invite makes an account with one role at a school, for somebody who chooses a
// password of their own the first time that they sign in. What they sign in with
// until then is told this once.
func (a *Access) Invite(ctx context.Context, by Account, name string, g Grant, words ...string) (Account, string, error) {
	if err := by.MayKeep(Account{}, g.School); err != nil {
		return Account{}, "", err
	}
	account, password, err := a.CreateAccount(ctx, NewAccount{Name: name, Grants: []Grant{g}, Context: words, By: by.Name})
	if err != nil {
		return Account{}, "", err
	}
	err = a.changeSteps(account.ID, func(s *Steps) error {
		s.NewPassword = true
		return nil
	})
	return account, password, err
}

// Give gives an account another role at a school.
func (a *Access) Give(by Account, id string, g Grant) error {
	return a.regrant(id, func(other Account) error { return by.MayKeep(other, g.School) }, by.Name, RoleGiven, g)
}

// Take takes a role at a school away from an account. Its last is not: an account
// without any is removed.
func (a *Access) Take(by Account, id string, g Grant) error {
	return a.regrant(id, func(other Account) error { return by.MayKeep(other, g.School) }, by.Name, RoleTaken, g)
}

// GiveAtConsole and TakeAtConsole do the same for whoever holds the data folder,
// at every school too.
func (a *Access) GiveAtConsole(operator, name string, g Grant) error {
	return a.atConsole(operator, name, RoleGiven, g)
}

// TakeAtConsole is described at GiveAtConsole.
func (a *Access) TakeAtConsole(operator, name string, g Grant) error {
	return a.atConsole(operator, name, RoleTaken, g)
}

func (a *Access) atConsole(operator, name string, what What, g Grant) error {
	other, ok := a.byName(name)
	if !ok {
		return cmp.Or(a.Closed(), ErrNoAccount)
	}
	return a.regrant(other.ID, func(Account) error { return nil }, operator, what, g)
}

// regrant gives or takes a role, and writes down who did.
func (a *Access) regrant(id string, may func(Account) error, by string, what What, g Grant) error {
	if err := checkGrants([]Grant{g}); err != nil {
		return &RefusedError{err.Error()}
	}
	err := a.change(func(accounts []Account) ([]Account, error) {
		i := slices.IndexFunc(accounts, func(o Account) bool { return o.ID == id })
		if i < 0 {
			return nil, ErrNoAccount
		}
		if err := may(accounts[i]); err != nil {
			return nil, err
		}
		was := slices.Clone(accounts)
		has := slices.Contains(was[i].Grants, g)
		switch {
		case what == RoleGiven && has:
			return nil, &RefusedError{fmt.Sprintf("%s has this role already", was[i].Name)}
		case what == RoleGiven:
			accounts[i].Grants = append(slices.Clone(was[i].Grants), g)
			return accounts, nil
		case !has:
			return nil, &RefusedError{fmt.Sprintf("%s does not have this role", was[i].Name)}
		case len(was[i].Grants) == 1:
			return nil, errOnly
		}
		accounts[i].Grants = slices.DeleteFunc(slices.Clone(was[i].Grants), func(o Grant) bool { return o == g })
		return accounts, kept(was, accounts)
	})
	if err != nil {
		return err
	}
	a.note(Event{What: what, Account: id, By: by, Words: g.words()})
	return nil
}

func (g Grant) words() string {
	if g.School == EverySchool {
		return string(g.Role) + " at every school"
	}
	return string(g.Role)
}

// kept refuses a change after which nobody may say any more who signs in at a
// school, or anywhere.
func kept(was, is []Account) error {
	schools := []posture.SchoolID{EverySchool}
	for _, account := range was {
		for _, g := range account.Grants {
			schools = append(schools, g.School)
		}
	}
	for _, school := range schools {
		if keeps(was, school) && !keeps(is, school) {
			return errLast
		}
	}
	return nil
}

// keeps reports whether any account may say who signs in at a school; of every
// school, at any.
func keeps(accounts []Account, school posture.SchoolID) bool {
	return slices.ContainsFunc(accounts, func(o Account) bool {
		return slices.ContainsFunc(o.Grants, func(g Grant) bool {
			return g.Role.May(KeepAccounts) && (school == EverySchool || g.covers(school))
		})
	})
}

// Remove removes an account whose every role is at one school, for somebody who
// keeps the accounts there.
func (a *Access) Remove(by Account, id string, school posture.SchoolID) (Account, error) {
	other, ok := a.byID(id)
	if !ok {
		return Account{}, cmp.Or(a.Closed(), ErrNoAccount)
	}
	if err := by.MayKeep(other, school); err != nil {
		return Account{}, err
	}
	if slices.ContainsFunc(other.Grants, func(g Grant) bool { return g.School != school }) {
		return Account{}, &RefusedError{"this account has a role at another school too: take away what it has here"}
	}
	other.Hash = ""
	return other, a.remove(other, by.Name)
}

// remove removes an account, and writes down who did.
func (a *Access) remove(account Account, by string) error {
	err := a.change(func(accounts []Account) ([]Account, error) {
		is := slices.DeleteFunc(slices.Clone(accounts), func(o Account) bool { return o.ID == account.ID })
		return is, kept(accounts, is)
	})
	if err != nil {
		return err
	}
	gone := Event{What: AccountRemoved, Account: account.ID, Name: account.Name, By: by}
	for _, g := range account.Grants {
		gone.Schools = append(gone.Schools, g.School)
	}
	a.note(gone)
	return a.dropSteps(account.ID)
}

// RemoveAccount removes an account, and with it its sessions and all that it
// proved itself with. by is who has it done.
func (a *Access) RemoveAccount(by, name string) error {
	account, ok := a.byName(name)
	if !ok {
		return cmp.Or(a.Closed(), ErrNoAccount)
	}
	return a.remove(account, by)
}
