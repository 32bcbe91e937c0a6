package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// NoticeDesk knows who is told of what happens at a school, and how. It never
// gives away an address that is a secret, or a password.
type NoticeDesk interface {
	Told(ctx context.Context, school posture.SchoolID) (Told, error)
	// AddWay adds a way on which people are told. What cannot be as it was asked
	// for is a decision.RefusedError, here and below.
	AddWay(ctx context.Context, school posture.SchoolID, n NewWay) error
	EndWay(ctx context.Context, id string) error
	// TestWay sends a notice that says that it is a test, at once.
	TestWay(ctx context.Context, id string) error
	// SetServer changes what holds for every school.
	SetServer(ctx context.Context, n NoticeServer) error
}

// Told is who is told, and whether that works.
type Told struct {
	Ways    []Way
	Server  NoticeServer // without its password
	Trouble string       // why nobody is told anything; ""
	Roles   []access.Role
}

// Way is a way on which people are told.
type Way struct {
	ID, Kind, To string
	Role         access.Role
	Every        bool // it is told of every school
	Delivered    int
	Last         time.Time // when something was last delivered
	Failing      time.Time // since when it is not; zero: it is
	Next         time.Time // when it is tried again
	Why          string
}

// NewWay is a way as somebody asks for it.
type NewWay struct {
	Kind, Address, Secret string
	Role                  access.Role
}

// NoticeServer is what holds for the notices of every school.
type NoticeServer struct {
	Pages, Digest                          string
	Mail, Protection, From, User, Password string
}

// toldPage is who is told, and where that is changed.
type toldPage struct {
	Address   string
	Rows      []wayRow
	Trouble   string
	MaySet    bool
	MayServer bool
	Server    NoticeServer
	Kinds     []choice
	Roles     []choice
	Guards    []choice // how the way to the mail server is kept secret
	Form      NewWay
	Wrong     []wrong
	Done      string
}

type wayRow struct {
	Way
	KindWords, RoleWords      string
	LastAt, FailingAt, NextAt *moment
	MayEnd                    bool
}

// everywhere reports whether an account has a right at every school: what holds
// for all of them is changed by nobody else.
func (s *site) everywhere(ctx context.Context, a access.Account, right access.Right) (bool, error) {
	all, err := s.Queries.Schools(ctx)
	if err != nil {
		return false, err
	}
	for _, school := range all {
		if !a.May(school.ID, right) {
			return false, nil
		}
	}
	return true, nil
}

func (s *site) told(w http.ResponseWriter, r *http.Request, v visit) error {
	done := map[string]string{
		"added": "Added. From now on notices go there; a test shows whether they arrive.", "ended": "Removed: nothing goes there any more.",
		"tested": "The test was delivered.", "server": "Set, and used from now on.",
	}[r.URL.Query().Get("done")]
	return s.showTold(w, r, v, toldPage{Done: done}, nil)
}

var wayKinds = [...][2]string{
	{"mail", "Mail"}, {"teams", "Microsoft Teams"}, {"webhook", "A program (webhook)"}, {"syslog", "A log server (syslog)"},
}

func wayWords(kind string) string {
	for _, k := range wayKinds {
		if k[0] == kind {
			return k[1]
		}
	}
	return kind
}

func (s *site) showTold(w http.ResponseWriter, r *http.Request, v visit, page toldPage, typed *NoticeServer) error {
	known, err := s.Desk.Told(r.Context(), v.school.ID)
	if err != nil {
		return err
	}
	c := s.clockwork(v)
	page.Address, page.MaySet, page.Trouble, page.Server = settingsAddress(v, "/notices"), v.account.May(v.school.ID, access.SetNotices), known.Trouble, known.Server
	if page.MayServer, err = s.everywhere(r.Context(), v.account, access.SetNotices); err != nil {
		return err
	}
	if typed != nil {
		page.Server = *typed
	}
	page.Server.Password = ""
	for _, one := range known.Ways {
		page.Rows = append(page.Rows, wayRow{
			one, wayWords(one.Kind), string(one.Role), c.moment(one.Last), c.moment(one.Failing), c.moment(one.Next), page.MaySet && (!one.Every || page.MayServer),
		})
	}
	for _, k := range wayKinds {
		page.Kinds = append(page.Kinds, choice{k[0], k[1], page.Form.Kind == k[0]})
	}
	for _, role := range known.Roles {
		page.Roles = append(page.Roles, choice{string(role), toldAs(role), page.Form.Role == role})
	}
	for _, p := range [...][2]string{{"starttls", "STARTTLS, as most servers have it"}, {"tls", "TLS from the first byte"}, {"none", "Not at all: a server on this machine"}} {
		page.Guards = append(page.Guards, choice{p[0], p[1], page.Server.Protection == p[0]})
	}
	return s.write(w, statusOf(page.Wrong), "told", s.page(v, titleOf("Who is told", page.Wrong), "settings"), page)
}

// toldAs says what a role is told, as collector/notify has it.
func toldAs(role access.Role) string {
	switch role {
	case access.Administrator:
		return "Administrator: every breach"
	case access.Technician:
		return "Technician: every breach"
	case access.DPO:
		return "Data-protection officer: what is about encryption, and deadlines of incidents"
	case access.Head:
		return "Head: losses, deadlines of incidents, and what has become critical"
	default:
		return string(role)
	}
}

func (s *site) addTold(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	n := NewWay{Kind: f.Get("kind"), Role: access.Role(f.Get("role")), Address: strings.TrimSpace(f.Get("address")), Secret: strings.TrimSpace(f.Get("secret"))}
	refused := func(bad ...wrong) error { return s.showTold(w, r, v, toldPage{Form: n, Wrong: bad}, nil) }
	known, err := s.Desk.Told(r.Context(), v.school.ID)
	if err != nil {
		return err
	}
	switch {
	case !slices.ContainsFunc(wayKinds[:], func(k [2]string) bool { return k[0] == n.Kind }):
		return refused(wrong{"kind", "Choose how."})
	case !slices.Contains(known.Roles, n.Role):
		return refused(wrong{"role", "Choose what is told."})
	case n.Address == "":
		return refused(wrong{"address", "Enter where notices go."})
	case n.Kind == "mail" && known.Server.Mail == "":
		return refused(wrong{"address", "Mail needs a server: set it below first."})
	}
	if err := s.Desk.AddWay(r.Context(), v.school.ID, n); isRefusal(err) {
		return refused(wrong{"address", sentence(err.Error())})
	} else if err != nil {
		return err
	}
	return s.backToTold(w, r, v, "added")
}

func (s *site) backToTold(w http.ResponseWriter, r *http.Request, v visit, done string) error {
	http.Redirect(w, r, settingsAddress(v, "/notices")+"?done="+url.QueryEscape(done), http.StatusSeeOther)
	return nil
}

// wayOf is a way that the page lists, and that whoever asks may change. One of
// another school looks like one that there is not.
func (s *site) wayOf(r *http.Request, v visit) (string, error) {
	known, err := s.Desk.Told(r.Context(), v.school.ID)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(known.Ways, func(o Way) bool { return o.ID == r.PathValue("notice") })
	if i < 0 {
		return "", errNoPage
	}
	if known.Ways[i].Every {
		if may, err := s.everywhere(r.Context(), v.account, access.SetNotices); err != nil || !may {
			return "", orNotYours(err)
		}
	}
	return known.Ways[i].ID, nil
}

func orNotYours(err error) error {
	if err != nil {
		return err
	}
	return errNotYours
}

func (s *site) testTold(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.changeTold(w, r, v, s.Desk.TestWay, "tested")
}

func (s *site) endTold(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.changeTold(w, r, v, s.Desk.EndWay, "ended")
}

func (s *site) changeTold(w http.ResponseWriter, r *http.Request, v visit, how func(context.Context, string) error, done string) error {
	if _, err := form(w, r, maxForm); err != nil {
		return err
	}
	id, err := s.wayOf(r, v)
	if err != nil {
		return err
	}
	if err := how(r.Context(), id); isRefusal(err) {
		return s.showTold(w, r, v, toldPage{Wrong: []wrong{{"way-" + id, sentence(err.Error())}}}, nil)
	} else if err != nil {
		return err
	}
	return s.backToTold(w, r, v, done)
}

// setServer changes what holds for the notices of every school.
func (s *site) setServer(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	if may, err := s.everywhere(r.Context(), v.account, access.SetNotices); err != nil {
		return err
	} else if !may {
		return s.showTold(w, r, v, toldPage{Wrong: []wrong{{"server", "This holds for every school, and is set by somebody who is administrator at each of them."}}}, nil)
	}
	if !s.Access.Fresh(r.Context()) {
		return errStale
	}
	get := func(name string) string { return strings.TrimSpace(f.Get(name)) }
	n := NoticeServer{
		Pages: get("pages"), Digest: get("digest"), Mail: get("mail"), Protection: get("protection"), From: get("from"), User: get("user"), Password: f.Get("mail-password"),
	}
	if err := s.Desk.SetServer(r.Context(), n); isRefusal(err) {
		return s.showTold(w, r, v, toldPage{Wrong: []wrong{{"server", sentence(err.Error())}}}, &n)
	} else if err != nil {
		return err
	}
	return s.backToTold(w, r, v, "server")
}

func (s *site) toldState(ctx context.Context, v visit) (string, bool, error) {
	known, err := s.Desk.Told(ctx, v.school.ID)
	if err != nil {
		return "", false, err
	}
	failing := 0
	for _, one := range known.Ways {
		if !one.Failing.IsZero() {
			failing++
		}
	}
	switch {
	case known.Trouble != "":
		return sentence("nobody is told of anything: " + known.Trouble), true, nil
	case len(known.Ways) == 0:
		return "Nobody is told of breaches.", true, nil
	case failing > 0:
		return "On " + of(failing, len(known.Ways), "way") + " notices do not arrive.", true, nil
	}
	return "On " + count(len(known.Ways), "way") + ", and they arrive.", false, nil
}
