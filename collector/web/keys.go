package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// keysPage lists the keys by which programs act for people of a school: one's
// own, and for whoever keeps the accounts those of others too.
type keysPage struct {
	Address string
	Rows    []programKey
	Others  bool // the keys of others are listed
	Made    *keyMade
	Roles   []choice
	Form    keyForm
	Wrong   []wrong
	Done    string
}

type programKey struct {
	access.Key
	Owner, Reach, Address string
	MadeAt, EndsAt        *moment
}

// keyForm is what somebody typed.
type keyForm struct{ Label, Role, Days string }

// keyMade is a key that was made. It is shown this once.
type keyMade struct {
	Text, Label string
	Ends        *moment
}

func (s *site) keys(w http.ResponseWriter, r *http.Request, v visit) error {
	done := ""
	if r.URL.Query().Get("done") == "end" {
		done = "Taken back: it opens nothing from now on."
	}
	return s.showKeys(w, v, keysPage{Form: keyForm{Days: "90"}, Done: done})
}

// keysOf lists the keys that whoever looks may take back.
func (s *site) keysOf(v visit) (rows []programKey, others bool) {
	owners := map[string]access.Account{}
	for _, account := range s.Access.Accounts() {
		owners[account.ID] = account
	}
	others = v.account.May(v.school.ID, access.KeepAccounts)
	c := s.clockwork(v)
	for _, key := range s.Access.Keys() {
		own := key.Account == v.account.ID
		if !reaches(key.Grants, v.school.ID) || !own && !others {
			continue
		}
		rows = append(rows, programKey{
			Key: key, Owner: owners[key.Account].Name, Reach: reachWords(key.Grants, v.school.ID), MadeAt: c.moment(key.Made), EndsAt: c.moment(key.Ends),
			Address: settingsAddress(v, "/keys/"+url.PathEscape(key.ID)+"/end"),
		})
	}
	return rows, others
}

func reaches(grants []access.Grant, school posture.SchoolID) bool {
	return access.Account{Grants: grants}.Belongs(school)
}

// reachWords says as what a key may act at a school, and that it may elsewhere.
func reachWords(grants []access.Grant, school posture.SchoolID) string {
	var here []string
	elsewhere := false
	for _, g := range grants {
		if g.School == school || g.School == access.EverySchool {
			here = append(here, string(g.Role))
		}
		elsewhere = elsewhere || g.School != school
	}
	words := strings.Join(here, ", ")
	if elsewhere {
		words += ", and at other schools"
	}
	return words
}

func (s *site) showKeys(w http.ResponseWriter, v visit, page keysPage) error {
	page.Address = settingsAddress(v, "/keys")
	page.Rows, page.Others = s.keysOf(v)
	for _, role := range access.Roles() {
		if holds(v.account, v.school.ID, role) {
			page.Roles = append(page.Roles, choice{string(role), roleWords(role), page.Form.Role == string(role)})
		}
	}
	return s.write(w, statusOf(page.Wrong), "keys", s.page(v, titleOf("Keys for programs", page.Wrong), "settings"), page)
}

// holds reports whether an account has a role at a school.
func holds(a access.Account, school posture.SchoolID, role access.Role) bool {
	return slices.ContainsFunc(a.Grants, func(g access.Grant) bool {
		return g.Role == role && (g.School == school || g.School == access.EverySchool)
	})
}

func (s *site) makeProgramKey(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	typed := keyForm{Label: strings.TrimSpace(f.Get("label")), Role: f.Get("role"), Days: strings.TrimSpace(f.Get("days"))}
	var bad []wrong
	if typed.Label == "" || len([]rune(typed.Label)) > 80 {
		bad = append(bad, wrong{"label", "Enter in up to 80 characters what the key is for."})
	}
	days, err := strconv.Atoi(typed.Days)
	if err != nil || days < 1 || days > 366 {
		bad = append(bad, wrong{"days", "Enter for how many days, from 1 to 366."})
	}
	if !holds(v.account, v.school.ID, access.Role(typed.Role)) {
		bad = append(bad, wrong{"role", "Choose one of your own roles at this school."})
	}
	if len(bad) > 0 {
		return s.showKeys(w, v, keysPage{Form: typed, Wrong: bad})
	}
	if !s.Access.Fresh(r.Context()) {
		return errStale
	}
	key, text, err := s.Access.CreateKey(access.NewKey{
		Account: v.account.Name, Label: typed.Label, Grants: []access.Grant{{School: v.school.ID, Role: access.Role(typed.Role)}}, Lasts: time.Duration(days) * 24 * time.Hour, By: v.account.Name,
	})
	if err != nil {
		return s.showKeys(w, v, keysPage{Form: typed, Wrong: []wrong{{"label", sentence(err.Error())}}})
	}
	return s.showKeys(w, v, keysPage{Form: keyForm{Days: "90"}, Made: &keyMade{text, key.Label, s.clockwork(v).moment(key.Ends)}})
}

// endKey takes a key back that the page lists.
func (s *site) endKey(w http.ResponseWriter, r *http.Request, v visit) error {
	if _, err := form(w, r, maxForm); err != nil {
		return err
	}
	rows, _ := s.keysOf(v)
	if !slices.ContainsFunc(rows, func(k programKey) bool { return k.ID == r.PathValue("key") }) {
		return s.showKeys(w, v, keysPage{Form: keyForm{Days: "90"}, Wrong: []wrong{{"keys", "There is no such key any more: it was taken back, or is over."}}})
	}
	if err := s.Access.EndKey(v.account.Name, r.PathValue("key")); err != nil {
		return err
	}
	http.Redirect(w, r, settingsAddress(v, "/keys")+"?done=end", http.StatusSeeOther)
	return nil
}

func (s *site) keysState(_ context.Context, v visit) (string, bool, error) {
	rows, _ := s.keysOf(v)
	if len(rows) == 0 {
		return "None.", false, nil
	}
	return count(len(rows), "key") + ".", false, nil
}
