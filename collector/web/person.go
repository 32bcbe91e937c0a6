package web

import (
	"errors"
	"net/http"
	"strings"

	"github.com/caretaker-school/caretaker/collector/access"
)

// personBody is one person who signs in at a school, and what may be done about
// how.
type personBody struct {
	personRow
	People  string // address of the list
	Address string
	Grants  []grantRow
	MayKeep bool
	WhyNot  string // why whoever looks may not change the roles
	Roles   []choice
	Changes []changeRow
	Unread  int
	Wrong   []wrong
	Done    string
	Code    *codeGiven
	Reason  string // as it was typed
}

// grantRow is one role of a person.
type grantRow struct {
	Role, Words string
	Every       bool // at every school: changed at the console
}

// codeGiven is a code that was made for another person. It is shown this once.
type codeGiven struct {
	Name, Code string
	Lost       access.Lost
	Ends       *moment
}

// theirs finds an account of the school of the page, by its identifier or its
// name. One that does not belong to it looks like one that there is not.
func (s *site) theirs(id string, v visit) (access.Account, error) {
	for _, account := range s.Access.Accounts() {
		if (account.ID == id || access.SameName(account.Name, id)) && account.Belongs(v.school.ID) {
			return account, nil
		}
	}
	return access.Account{}, errNoPage
}

func (s *site) onePerson(w http.ResponseWriter, r *http.Request, v visit) error {
	account, err := s.theirs(r.PathValue("account"), v)
	if err != nil {
		return err
	}
	done := map[string]string{"given": "The role is given.", "taken": "The role is taken away."}[r.URL.Query().Get("done")]
	return s.showPerson(w, v, account, personBody{Done: done})
}

func (s *site) showPerson(w http.ResponseWriter, v visit, account access.Account, body personBody) error {
	row, err := s.person(v, account)
	if err != nil {
		return err
	}
	row.Sessions = s.Access.SessionCounts()[account.ID]
	body.personRow, body.People, body.Address = row, settingsAddress(v, "/people"), personAddress(v, account.ID)
	if v.account.May(v.school.ID, access.KeepAccounts) {
		if why := v.account.MayKeep(account, v.school.ID); why != nil {
			body.WhyNot = sentence(why.Error())
		} else {
			body.MayKeep = true
		}
	}
	body.Roles = []choice{{"", "Choose a role", true}}
	for _, role := range access.Roles() {
		here, every := false, false
		for _, g := range account.Grants {
			here = here || g == access.Grant{School: v.school.ID, Role: role}
			every = every || g == access.Grant{School: access.EverySchool, Role: role}
		}
		switch {
		case here:
			body.Grants = append(body.Grants, grantRow{Role: string(role), Words: roleWords(role)})
		case every:
			body.Grants = append(body.Grants, grantRow{Role: string(role), Words: roleWords(role), Every: true})
		default:
			body.Roles = append(body.Roles, choice{Key: string(role), Words: roleWords(role)})
		}
	}
	if _, err := s.changesOf(v, &body.Changes, &body.Unread, maxChanges/10, func(e access.Event) bool { return e.Account == account.ID }); err != nil {
		return err
	}
	return s.write(w, statusOf(body.Wrong), "person", s.page(v, titleOf(account.Name, body.Wrong), "settings"), body)
}

// invite makes an account for somebody who chooses a password of their own.
func (s *site) invite(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	name, role := strings.TrimSpace(f.Get("name")), access.Role(f.Get("role"))
	body := peopleBody{Name: name, Role: string(role)}
	if _, err := access.ParseRole(string(role)); err != nil {
		body.Wrong = []wrong{{"role", "Choose what the person does at the school."}}
		return s.showPeople(w, r, v, body)
	}
	if !s.Access.Fresh(r.Context()) {
		return errStale
	}
	account, password, err := s.Access.Invite(r.Context(), v.account, name, access.Grant{School: v.school.ID, Role: role}, v.school.Name)
	if words, ok := refusedWords(err); ok {
		body.Wrong = []wrong{{"name", words}}
		return s.showPeople(w, r, v, body)
	}
	if err != nil {
		return err
	}
	return s.showPeople(w, r, v, peopleBody{Made: &invitation{account.Name, string(role), password}})
}

// refusedWords are what is said to whoever asked for what cannot be.
func refusedWords(err error) (string, bool) {
	if refused, ok := errors.AsType[*access.RefusedError](err); ok {
		return sentence(refused.Why), true
	}
	if errors.Is(err, access.ErrName) {
		return sentence(err.Error()), true
	}
	return "", false
}

func (s *site) giveRole(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.regrant(w, r, v, s.Access.Give, "role", "given")
}

func (s *site) takeRole(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.regrant(w, r, v, s.Access.Take, "roles", "taken")
}

// regrant gives a person a role at the school of the page, or takes it away.
func (s *site) regrant(w http.ResponseWriter, r *http.Request, v visit, how func(access.Account, string, access.Grant) error, at, done string) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	account, err := s.theirs(r.PathValue("account"), v)
	if err != nil {
		return err
	}
	if !s.Access.Fresh(r.Context()) {
		return errStale
	}
	err = how(v.account, account.ID, access.Grant{School: v.school.ID, Role: access.Role(f.Get("role"))})
	if words, ok := refusedWords(err); ok {
		return s.showPerson(w, v, account, personBody{Wrong: []wrong{{at, words}}})
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, personAddress(v, account.ID)+"?done="+done, http.StatusSeeOther)
	return nil
}

func (s *site) removePerson(w http.ResponseWriter, r *http.Request, v visit) error {
	if _, err := form(w, r, maxForm); err != nil {
		return err
	}
	account, err := s.theirs(r.PathValue("account"), v)
	if err != nil {
		return err
	}
	if !s.Access.Fresh(r.Context()) {
		return errStale
	}
	_, err = s.Access.Remove(v.account, account.ID, v.school.ID)
	if words, ok := refusedWords(err); ok {
		return s.showPerson(w, v, account, personBody{Wrong: []wrong{{"remove", words}}})
	}
	if err == nil {
		err = s.Desk.Gone()
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, settingsAddress(v, "/people")+"?done=removed", http.StatusSeeOther)
	return nil
}

// letIn makes a code by which another person is let in again.
func (s *site) letIn(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	account, err := s.theirs(f.Get("person"), v)
	if err != nil {
		return s.showPeople(w, r, v, peopleBody{Wrong: []wrong{{"people", "Choose whom to let in again."}}})
	}
	if !s.Access.Fresh(r.Context()) {
		return errStale
	}
	reason, lost := strings.TrimSpace(f.Get("reason")), access.Lost(f.Get("lost"))
	_, code, ends, err := s.Access.OfferHelp(v.account, account.ID, lost, reason)
	if err != nil {
		return s.showPerson(w, v, account, personBody{Reason: reason, Wrong: []wrong{{"reason", sentence(err.Error())}}})
	}
	return s.showPerson(w, v, account, personBody{Code: &codeGiven{Name: account.Name, Code: code, Lost: lost, Ends: s.clockwork(v).moment(ends)}})
}

// signOutOther ends another person's sessions.
func (s *site) signOutOther(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	account, err := s.theirs(f.Get("person"), v)
	if err != nil {
		return s.showPeople(w, r, v, peopleBody{Wrong: []wrong{{"people", "Choose whom to sign out."}}})
	}
	if !v.account.MayHelp(account) {
		return s.showPerson(w, v, account, personBody{Wrong: []wrong{{"sessions", sentence(access.ErrHelp.Error())}}})
	}
	if err := s.Access.EndSessions(v.account.Name, account.ID); err != nil {
		return err
	}
	http.Redirect(w, r, personAddress(v, account.ID), http.StatusSeeOther)
	return nil
}
