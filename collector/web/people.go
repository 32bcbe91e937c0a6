package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const (
	maxPeople     = 100 // on a page
	latestChanges = 10  // of how people sign in, below the list of people
	maxChanges    = 200 // on a page of their own
	changesPath   = "/sign-in-changes"
)

// peopleBody is who may sign in at a school, and what was changed about how.
type peopleBody struct {
	Address     string
	People      []personRow
	Next, First string
	Changes     []changeRow
	All         string // where there are more changes than are shown; ""
	Unread      int    // changes that are damaged
	Wrong       []wrong
	Done        string
	Made        *invitation
	MayInvite   bool
	Name, Role  string // as they were typed
	Roles       []choice
	Services    []string // that vouch for people here
}

type personRow struct {
	ID, Name string
	Address  string
	Roles    string
	Second   string // what second step there is
	Lacks    bool   // it needs one, and has none
	HasNone  bool
	Sessions int
	Help     bool // the one who asks may let them in again
}

type changeRow struct {
	At             *moment
	Name, What, By string
	Words          string
}

// invitation is an account that was made. What it signs in with first is shown
// this once.
type invitation struct {
	Name, Role, Password string
}

func personAddress(v visit, id string) string {
	return settingsAddress(v, "/people/") + url.PathEscape(id)
}

func (s *site) people(w http.ResponseWriter, r *http.Request, v visit) error {
	body := peopleBody{}
	if r.URL.Query().Get("done") == "removed" {
		body.Done = "The account is removed. What its owner decided stays in the record under their name."
	}
	return s.showPeople(w, r, v, body)
}

func (s *site) showPeople(w http.ResponseWriter, r *http.Request, v visit, body peopleBody) error {
	body.Address, body.MayInvite = settingsAddress(v, "/people"), v.account.May(v.school.ID, access.KeepAccounts)
	body.Roles = roleChoices(body.Role)
	after, next := r.URL.Query().Get("after"), ""
	counts := s.Access.SessionCounts()
	for _, account := range s.Access.Accounts() {
		if !account.Belongs(v.school.ID) || strings.ToLower(account.Name) <= strings.ToLower(after) {
			continue
		}
		if len(body.People) == maxPeople {
			next = body.People[maxPeople-1].Name
			break
		}
		row, err := s.person(v, account)
		if err != nil {
			return err
		}
		row.Sessions = counts[account.ID]
		body.People = append(body.People, row)
	}
	body.Next, body.First = turn(body.Address, r.URL.Query(), after, next)
	for _, p := range s.Access.Providers() {
		if len(p.Schools) == 0 || containsSchool(p.Schools, v.school.ID) {
			body.Services = append(body.Services, p.Name+" ("+p.Issuer+")")
		}
	}
	if _, err := s.changesOf(v, &body.Changes, &body.Unread, latestChanges, func(access.Event) bool { return true }); err != nil {
		return err
	}
	body.All = settingsAddress(v, changesPath)
	return s.write(w, statusOf(body.Wrong), "people", s.page(v, titleOf("People who sign in", body.Wrong), "settings"), body)
}

// roleChoices are the roles to choose from, none of them by itself.
func roleChoices(chosen string) []choice {
	list := []choice{{"", "Choose a role", chosen == ""}}
	for _, role := range access.Roles() {
		list = append(list, choice{string(role), roleWords(role), string(role) == chosen})
	}
	return list
}

// roleWords says what a role may do, in few words.
func roleWords(role access.Role) string {
	switch role {
	case access.Administrator:
		return "Administrator: sets Caretaker up and says who signs in"
	case access.Technician:
		return "Technician: looks after the laptops"
	case access.DPO:
		return "Data-protection officer: reads everything, approves exemptions"
	case access.Head:
		return "Head: reads everything, approves exemptions, signs the term’s report"
	case access.Governor:
		return "Governor: reads the term’s report, counts only"
	case access.Staff:
		return "Staff: what anybody may see"
	case access.Business:
		return "Business manager: licences, and signs the term’s report"
	case access.Senior:
		return "Senior: can be named for restricted incidents"
	case access.NetworkManager:
		return "Network manager of a trust: keeps what it asks of its schools"
	}
	return string(role)
}

func containsSchool(list []posture.SchoolID, school posture.SchoolID) bool {
	for _, o := range list {
		if o == school {
			return true
		}
	}
	return false
}

// changesOf adds the latest changes of how people of the school sign in that fit,
// and says whether there are more.
func (s *site) changesOf(v visit, rows *[]changeRow, unread *int, most int, fits func(access.Event) bool) (more bool, err error) {
	events, bad, err := s.Access.Events(most+1, func(e access.Event) bool { return concerns(e, v.school.ID) && fits(e) })
	if err != nil {
		return false, err
	}
	*unread = bad
	clock := s.clockwork(v)
	for _, e := range events[:min(len(events), most)] {
		*rows = append(*rows, changeRow{At: clock.moment(e.At), Name: e.Name, What: string(e.What), By: e.By, Words: e.Words})
	}
	return len(events) > most, nil
}

// signInChanges lists what was changed about how people sign in.
func (s *site) signInChanges(w http.ResponseWriter, _ *http.Request, v visit) error {
	body := peopleBody{Address: settingsAddress(v, changesPath)}
	more, err := s.changesOf(v, &body.Changes, &body.Unread, maxChanges, func(access.Event) bool { return true })
	if err != nil {
		return err
	}
	if more {
		body.All = body.Address
	}
	return s.write(w, http.StatusOK, "sign-in-changes", s.page(v, "What was changed about signing in", "settings"), body)
}

// peopleState says how many people sign in, and how many of them have to do
// something about how.
func (s *site) peopleState(_ context.Context, v visit) (string, bool, error) {
	people, lacking := 0, 0
	for _, account := range s.Access.Accounts() {
		if !account.Belongs(v.school.ID) {
			continue
		}
		row, err := s.person(v, account)
		if err != nil {
			return "", false, err
		}
		people++
		if row.Lacks {
			lacking++
		}
	}
	words := number(people) + " " + map[bool]string{true: "person", false: "people"}[people == 1]
	if lacking > 0 {
		words += "; " + number(lacking) + " " + hasHave(lacking) + " no second step yet, which the role needs"
	}
	return sentence(words), false, nil
}

func concerns(e access.Event, school posture.SchoolID) bool {
	return containsSchool(e.Schools, school) || containsSchool(e.Schools, access.EverySchool)
}

func (s *site) person(v visit, account access.Account) (personRow, error) {
	steps, err := s.Access.StepsOf(account.ID)
	if err != nil {
		return personRow{}, err
	}
	row := personRow{ID: account.ID, Name: account.Name, Address: personAddress(v, account.ID), Help: v.account.MayHelp(account), HasNone: !steps.Second()}
	var roles []string
	for _, g := range account.Grants {
		if g.School == v.school.ID || g.School == access.EverySchool {
			roles = append(roles, string(g.Role))
		}
	}
	row.Roles = strings.Join(roles, ", ")
	var second []string
	if steps.Authenticator != nil {
		second = append(second, "authenticator app")
	}
	if n := len(steps.Passkeys); n > 0 {
		second = append(second, count(n, "passkey"))
	}
	row.Second = strings.Join(second, ", ")
	row.Lacks = row.HasNone && !s.Access.SecondBy(account).IsZero()
	return row, nil
}
