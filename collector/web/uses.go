package web

import (
	"net/http"
	"strings"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/register"
)

// usesPage lists who acknowledged the rules of use.
type usesPage struct {
	Nav                   []menuLink
	Address               string
	Rows                  []useRow
	Next, First           string
	MayKeep               bool
	Role, Person, Version string // as typed
	When                  typed
	Done                  string
	Wrong                 []wrong
}

// useRow is an acknowledgement.
type useRow struct {
	register.Use
	Given *moment
}

func (s *site) uses(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showUses(w, r, v, http.StatusOK, usesPage{})
}

func (s *site) showUses(w http.ResponseWriter, r *http.Request, v visit, status int, page usesPage) error {
	q := r.URL.Query()
	page.Nav, page.Address = registerNav(v, "uses"), registerAddress(v.school.ID)+"/rules-of-use"
	page.MayKeep, page.Done = v.account.May(v.school.ID, access.KeepRegister), registerDone(q.Get("done"))
	found, err := s.Register.Uses(r.Context(), v.school.ID, q.Get("after"), 0, v.now)
	if err != nil {
		return err
	}
	if !v.account.May(v.school.ID, access.ReadHolders) {
		found = found.Nameless()
	}
	for _, u := range found.Uses {
		page.Rows = append(page.Rows, useRow{u, s.clockwork(v).moment(u.At)})
	}
	page.Next, page.First = turn(page.Address, q, q.Get("after"), found.Next)
	title := "Rules of use"
	title = titleOf(title, page.Wrong)
	return s.write(w, status, "uses", s.page(v, title, "register"), page)
}

// addUse records that somebody acknowledged the rules of use.
func (s *site) addUse(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	page := usesPage{Role: oneLine(f.Get("role")), Person: oneLine(f.Get("person")), Version: oneLine(f.Get("version")), When: typedOf(f, "given")}
	at, bad := s.happened(page.When, "given")
	if page.Role == "" {
		bad = append(bad, wrong{"role", "Say which role they have, such as “Year 4 class teacher”."})
	}
	if page.Person != "" {
		if err := register.CheckPerson(page.Person); err != nil {
			bad = append(bad, wrong{"person", sentence(err.Error())})
		}
	}
	if len(bad) == 0 {
		use := &register.Acknowledgement{Role: page.Role, Version: page.Version}
		if err = s.keep(r, v, register.Change{What: register.AcknowledgeUse, Use: use, When: at}, page.Person); mended(err) {
			bad = append(bad, wrong{"role", sentence(err.Error())})
		} else if err != nil {
			return err
		}
	}
	if page.Wrong = bad; len(bad) > 0 {
		return s.showUses(w, r, v, http.StatusUnprocessableEntity, page)
	}
	http.Redirect(w, r, registerAddress(v.school.ID)+"/rules-of-use?done=use", http.StatusSeeOther)
	return nil
}

// noticesPage shows what guests are told.
type noticesPage struct {
	Nav           []menuLink
	Address       string
	InUse         *noticeRow
	Earlier       []noticeRow
	MayKeep       bool
	Version, Text string // as typed
	Done          string
	Wrong         []wrong
}

// noticeRow is a notice for guests.
type noticeRow struct {
	register.GuestNotice
	Recorded *moment
	Lines    []string
}

func (s *site) guestNotices(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showNotices(w, r, v, http.StatusOK, noticesPage{})
}

func (s *site) showNotices(w http.ResponseWriter, r *http.Request, v visit, status int, page noticesPage) error {
	page.Nav, page.Address = registerNav(v, "notices"), registerAddress(v.school.ID)+"/guest-notices"
	page.MayKeep, page.Done = v.account.May(v.school.ID, access.KeepRegister), registerDone(r.URL.Query().Get("done"))
	known, err := s.Register.GuestNotices(r.Context(), v.school.ID, v.now)
	if err != nil {
		return err
	}
	for i, n := range known.Notices {
		row := noticeRow{n, s.clockwork(v).moment(n.Since), strings.Split(n.Text, "\n")}
		if i == 0 {
			page.InUse = &row
			continue
		}
		page.Earlier = append(page.Earlier, row)
	}
	title := "Notice for guests"
	title = titleOf(title, page.Wrong)
	return s.write(w, status, "guest-notices", s.page(v, title, "register"), page)
}

// maxNotice is more than the form of any notice has, in bytes.
const maxNotice = 64 << 10

// addNotice records a new version of what guests are told.
func (s *site) addNotice(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxNotice)
	if err != nil {
		return err
	}
	text := strings.TrimSpace(strings.ReplaceAll(f.Get("text"), "\r\n", "\n"))
	page := noticesPage{Version: oneLine(f.Get("version")), Text: text}
	if page.Version == "" {
		page.Wrong = append(page.Wrong, wrong{"version", "Give it a version, such as 2026-09: it stands in the record of each loan."})
	}
	if text == "" {
		page.Wrong = append(page.Wrong, wrong{"text", "Write what guests are told."})
	}
	if len(page.Wrong) == 0 {
		if err = s.keep(r, v, register.Change{What: register.SetNotice, Tag: page.Version, Text: text + "\n"}, ""); mended(err) {
			page.Wrong = append(page.Wrong, wrong{"version", sentence(err.Error())})
		} else if err != nil {
			return err
		}
	}
	if len(page.Wrong) > 0 {
		return s.showNotices(w, r, v, http.StatusUnprocessableEntity, page)
	}
	http.Redirect(w, r, registerAddress(v.school.ID)+"/guest-notices?done=notice", http.StatusSeeOther)
	return nil
}
