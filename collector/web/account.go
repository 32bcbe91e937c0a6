package web

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/caretaker-school/caretaker/collector/access"
)

// accountBody is a person's own account.
type accountBody struct {
	Name     string
	Owes     access.Owed
	By       *moment // from when a second step is needed, if there is none yet
	Needed   bool    // the role needs a second step
	Fresh    bool    // how one signs in may be changed now
	App      *moment // since when an app is set up
	Passkeys []passkeyRow
	Codes    int // recovery codes that are left
	Second   bool
	Services []serviceRow
	Sessions []sessionRow
	Others   bool // there are sessions beside this one
	CanAdd   bool // passkeys can be added where the pages are served
}

type passkeyRow struct {
	ID, Label, Host string
	Added, Used     *moment
	Elsewhere       bool // it was made at another address and is of no use here
}

type serviceRow struct {
	Name    string
	Shown   string // who one is there
	Since   *moment
	Issuer  string // to unlink
	Address string // to link; "" if it is linked
}

type sessionRow struct {
	ID, With, Address, How string
	Begun, Seen            *moment
	This                   bool
}

func (s *site) accountPage(w http.ResponseWriter, r *http.Request, v visit) error {
	steps, err := s.Access.StepsOf(v.account.ID)
	if err != nil {
		return err
	}
	clock := s.clockwork(v)
	body := accountBody{
		Name: v.account.Name, Owes: v.owes, Fresh: s.Access.Fresh(r.Context()), Codes: len(steps.Codes), Second: steps.Second(), CanAdd: s.here(r).Passkeys(),
	}
	by := s.Access.SecondBy(v.account)
	body.Needed = !by.IsZero()
	if body.Needed && !body.Second {
		body.By = clock.moment(by)
	}
	if steps.Authenticator != nil {
		body.App = clock.moment(steps.Authenticator.Since)
	}
	for _, p := range steps.Passkeys {
		row := passkeyRow{ID: p.ID(), Label: p.Label, Host: p.Host, Added: clock.moment(p.Added), Elsewhere: !s.here(r).Serves(p)}
		if !p.Used.IsZero() {
			row.Used = clock.moment(p.Used)
		}
		body.Passkeys = append(body.Passkeys, row)
	}
	body.Services = services(s.Access.Providers(), steps, clock)
	if err := s.addSessions(r.Context(), v, &body); err != nil {
		return err
	}
	return s.write(w, http.StatusOK, "account", s.page(v, "Your account", "account"), body)
}

func services(providers []access.Provider, steps access.Steps, clock clockwork) []serviceRow {
	var rows []serviceRow
	for _, p := range providers {
		row := serviceRow{Name: p.Name, Address: "/account/sign-on/" + p.ID}
		for _, l := range steps.Links {
			if l.Issuer == p.Issuer {
				row.Shown, row.Since, row.Issuer, row.Address = l.Shown, clock.moment(l.Since), l.Issuer, ""
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func (s *site) addSessions(ctx context.Context, v visit, body *accountBody) error {
	sessions, err := s.Access.SessionsOf(v.account.ID, s.Access.SessionID(ctx))
	if err != nil {
		return err
	}
	clock := s.clockwork(v)
	for _, o := range sessions {
		how := string(o.First)
		if o.Second != "" {
			how += ", then " + string(o.Second)
		}
		body.Sessions = append(body.Sessions, sessionRow{
			ID: o.ID, With: o.With, Address: o.Address, How: how, Begun: clock.moment(o.Begun), Seen: clock.moment(o.Seen), This: o.This,
		})
		body.Others = body.Others || !o.This
	}
	return nil
}

// fresh refuses to change how a person signs in who signed in long ago, unless
// they have to change it now.
func (s *site) fresh(r *http.Request, v visit) error {
	if v.owes == access.OwesNothing && !s.Access.Fresh(r.Context()) {
		return errStale
	}
	return nil
}

// passwordBody is the page on which a password is changed.
type passwordBody struct {
	Owed  bool // another person's code stood in for the old one
	Error string
}

func (s *site) passwordPage(w http.ResponseWriter, _ *http.Request, v visit) error {
	return s.showPassword(w, v, "")
}

func (s *site) showPassword(w http.ResponseWriter, v visit, wrong string) error {
	status, title := http.StatusOK, "Change your password"
	if wrong != "" {
		status, title = http.StatusUnprocessableEntity, "Error: "+title
	}
	return s.write(w, status, "password", s.page(v, title, "account"), passwordBody{Owed: v.owes == access.OwesWord, Error: wrong})
}

func (s *site) changePassword(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	if f.Get("new") != f.Get("again") {
		return s.showPassword(w, v, "The new password was not typed twice alike.")
	}
	words, err := s.schoolNames(r.Context())
	if err != nil {
		return err
	}
	err = s.Access.ChangePassword(r.Context(), v.account, f.Get("old"), f.Get("new"), words...)
	switch {
	case errors.Is(err, access.ErrWrong):
		return s.showPassword(w, v, "The old password is wrong.")
	case errors.Is(err, access.ErrPassword):
		return s.showPassword(w, v, "The new password will not do: "+reasonOf(err))
	case err != nil:
		return err
	}
	http.Redirect(w, r, "/account", http.StatusSeeOther)
	return nil
}

// reasonOf is why a password will not do.
func reasonOf(err error) string {
	_, why, _ := strings.Cut(err.Error(), ": ")
	return why + "."
}

func (s *site) schoolNames(ctx context.Context) ([]string, error) {
	schools, err := s.Queries.Schools(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, o := range schools {
		names = append(names, o.Name)
	}
	return names, nil
}

// authenticatorBody is the page on which an authenticator app is set up.
type authenticatorBody struct {
	access.NewAuthenticator
	Picture qrPicture
	Error   string
}

func (s *site) authenticatorPage(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := s.fresh(r, v); err != nil {
		return err
	}
	offer, err := s.Access.OfferAuthenticator(v.account)
	if err != nil {
		return err
	}
	return s.showAuthenticator(w, v, offer, "")
}

func (s *site) showAuthenticator(w http.ResponseWriter, v visit, offer access.NewAuthenticator, wrong string) error {
	drawn, err := draw(offer.Link)
	if err != nil {
		return err
	}
	status, title := http.StatusOK, "Set up an app for codes"
	if wrong != "" {
		status, title = http.StatusUnprocessableEntity, "Error: "+title
	}
	return s.write(w, status, "authenticator", s.page(v, title, "account"), authenticatorBody{NewAuthenticator: offer, Picture: drawn, Error: wrong})
}

func (s *site) setAuthenticator(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	if err := s.fresh(r, v); err != nil {
		return err
	}
	codes, err := s.Access.SetAuthenticator(v.account, f.Get("ticket"), f.Get("code"))
	if errors.Is(err, access.ErrCode) {
		offer, err := s.Access.ReofferAuthenticator(v.account, f.Get("ticket"))
		if err != nil {
			return err
		}
		return s.showAuthenticator(w, v, offer, "The code is not that of the app now. Wait for the next one; if that is wrong too, check that the phone’s clock is right.")
	}
	if err != nil {
		return err
	}
	return s.changed(w, r, v, codes)
}

// changed goes back to the account, by way of new recovery codes if there are
// some: they are shown this once.
func (s *site) changed(w http.ResponseWriter, r *http.Request, v visit, codes []string) error {
	if len(codes) == 0 {
		http.Redirect(w, r, "/account", http.StatusSeeOther)
		return nil
	}
	return s.write(w, http.StatusOK, "codes", s.page(v, "Your recovery codes", "account"), codes)
}

func (s *site) removeAuthenticator(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := s.fresh(r, v); err != nil {
		return err
	}
	if err := s.Access.RemoveAuthenticator(v.account); err != nil {
		return err
	}
	return s.changed(w, r, v, nil)
}

// passkeyBody is the page on which a passkey is made.
type passkeyBody struct {
	Challenge access.Challenge
	Error     string
}

func (s *site) passkeyPage(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showPasskey(w, r, v, "")
}

func (s *site) showPasskey(w http.ResponseWriter, r *http.Request, v visit, wrong string) error {
	if err := s.fresh(r, v); err != nil {
		return err
	}
	if !s.here(r).Passkeys() {
		return errNoPage
	}
	c, err := s.Access.OfferPasskey(v.account, s.here(r))
	if err != nil {
		return err
	}
	status, title := http.StatusOK, "Add a passkey"
	if wrong != "" {
		status, title = http.StatusUnprocessableEntity, "Error: "+title
	}
	return s.writeScripted(w, status, "passkey", "passkey.js", s.page(v, title, "account"), passkeyBody{c, wrong})
}

func (s *site) addPasskey(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxLongForm)
	if err != nil {
		return err
	}
	if err := s.fresh(r, v); err != nil {
		return err
	}
	codes, err := s.Access.AddPasskey(v.account, s.here(r), f.Get("ticket"), f.Get("answer"), f.Get("label"))
	switch {
	case errors.Is(err, access.ErrLabel):
		return s.showPasskey(w, r, v, "Give the passkey a name of up to 40 characters, such as the device that holds it.")
	case errors.Is(err, access.ErrPasskey):
		return s.showPasskey(w, r, v, "The passkey was not accepted. Try again.")
	case err != nil:
		return err
	}
	return s.changed(w, r, v, codes)
}

func (s *site) removePasskey(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	if err := s.fresh(r, v); err != nil {
		return err
	}
	if err := s.Access.RemovePasskey(v.account, f.Get("passkey")); err != nil && !errors.Is(err, access.ErrPasskey) {
		return err
	}
	return s.changed(w, r, v, nil)
}

func (s *site) newCodes(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := s.fresh(r, v); err != nil {
		return err
	}
	codes, err := s.Access.NewCodes(v.account)
	if err != nil {
		return err
	}
	return s.changed(w, r, v, codes)
}

func (s *site) linkSignOn(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := s.fresh(r, v); err != nil {
		return err
	}
	return s.toService(w, r, "/account", v.account)
}

func (s *site) unlinkSignOn(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	if err := s.fresh(r, v); err != nil {
		return err
	}
	if err := s.Access.Unlink(v.account, f.Get("issuer")); err != nil {
		return err
	}
	return s.changed(w, r, v, nil)
}

// endSession ends one of a person's sessions, or all but this one.
func (s *site) endSession(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	if session := f.Get("session"); session == "others" {
		_, err = s.Access.EndOtherSessions(r.Context(), v.account.ID)
	} else if err = s.Access.EndSession(v.account.ID, session); errors.Is(err, access.ErrNoSession) {
		err = nil // it is over, which is what was wanted
	}
	if err != nil {
		return err
	}
	return s.changed(w, r, v, nil)
}

// secondWanted is what is said on a school's overview to whoever has to set up a
// second step soon.
func (s *site) secondWanted(v visit) []notice {
	by := s.Access.SecondBy(v.account)
	if by.IsZero() {
		return nil
	}
	steps, err := s.Access.StepsOf(v.account.ID)
	if err != nil || steps.Second() {
		return nil
	}
	return []notice{{Title: "Your role needs a second step to sign in", Words: []string{
		"Set one up under your account, at the top of the page, before " + s.clockwork(v).moment(by).Text + ". From then on it is asked for first.",
	}}}
}
