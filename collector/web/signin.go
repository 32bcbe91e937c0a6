package web

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/caretaker-school/caretaker/collector/access"
)

// signInBody is the sign-in page, and those that come after it.
type signInBody struct {
	Name      string
	Next      string
	Error     string // what went wrong, or ""
	Challenge *access.Challenge
	Services  []serviceLink
	Passkeys  bool // the account has some, of wherever
	App       bool // it has an authenticator app
}

// serviceLink is a way to sign on elsewhere.
type serviceLink struct {
	Name    string
	Address string
}

const (
	maxForm     = 8 << 10  // bytes
	maxLongForm = 40 << 10 // with a passkey's answer
)

// form reads what a page sent.
func form(w http.ResponseWriter, r *http.Request, limit int64) (url.Values, error) {
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	if err := r.ParseForm(); err != nil {
		return nil, errNoPage
	}
	return r.PostForm, nil
}

func (s *site) here(r *http.Request) access.Site { return access.Site{Host: r.Host, Secure: s.TLS} }

func (s *site) signInPage(w http.ResponseWriter, r *http.Request, v visit) error {
	next := ownAddress(r.URL.Query().Get("next"))
	if v.known {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
	return s.showSignIn(w, r, v, signInBody{Next: next})
}

// showSignIn shows the sign-in page, with a script where there can be passkeys.
func (s *site) showSignIn(w http.ResponseWriter, r *http.Request, v visit, body signInBody) error {
	status, title := http.StatusOK, "Sign in"
	if body.Error != "" {
		status, title = http.StatusUnprocessableEntity, "Error: Sign in"
	}
	for _, p := range s.Access.Providers() {
		body.Services = append(body.Services, serviceLink{p.Name, "/sign-in/with/" + p.ID + "?" + url.Values{"next": {body.Next}}.Encode()})
	}
	return s.showWithPasskey(w, r, v, status, "sign-in", title, body)
}

func (s *site) showWithPasskey(w http.ResponseWriter, r *http.Request, v visit, status int, name, title string, body signInBody) error {
	p := s.page(v, title, "")
	if !s.here(r).Passkeys() {
		return s.write(w, status, name, p, body)
	}
	c, err := s.Access.AskPasskey(s.here(r))
	if err != nil {
		return err
	}
	body.Challenge = &c
	return s.writeScripted(w, status, name, "passkey.js", p, body)
}

func (s *site) signIn(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	body := signInBody{Name: bounded(f.Get("name")), Next: ownAddress(f.Get("next"))}
	password := f.Get("password")
	if body.Name == "" || password == "" {
		body.Error = "Enter your name and your password."
		return s.showSignIn(w, r, v, body)
	}
	account, err := s.Access.SignIn(r.Context(), s.Access.Attempt(r, addressOf(r), body.Name, password))
	if errors.Is(err, access.ErrWrong) {
		body.Error = "The name or the password is wrong. Check both and try again."
		return s.showSignIn(w, r, v, body)
	}
	if err != nil {
		return err
	}
	return s.begin(w, r, account, access.ByPassword, body.Next)
}

// begin signs an account in and sends the person on, to the second step if there
// is one.
func (s *site) begin(w http.ResponseWriter, r *http.Request, account access.Account, way access.Way, next string) error {
	stage, err := s.Access.Begin(w, r, account, way, addressOf(r))
	if err != nil {
		return err
	}
	if stage == access.Halfway {
		next = "/sign-in/second?" + url.Values{"next": {next}}.Encode()
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

func (s *site) signInByPasskey(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxLongForm)
	if err != nil {
		return err
	}
	next := ownAddress(f.Get("next"))
	account, err := s.Access.SignInByPasskey(s.here(r), f.Get("ticket"), f.Get("answer"), addressOf(r))
	if errors.Is(err, access.ErrPasskey) || errors.Is(err, access.ErrStale) {
		return s.showSignIn(w, r, v, signInBody{Next: next, Error: "The passkey was not accepted. Try again, or sign in with your name and password."})
	}
	if err != nil {
		return err
	}
	return s.begin(w, r, account, access.ByPasskey, next)
}

func (s *site) secondPage(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showSecond(w, r, v, signInBody{Next: ownAddress(r.URL.Query().Get("next"))})
}

func (s *site) showSecond(w http.ResponseWriter, r *http.Request, v visit, body signInBody) error {
	steps, err := s.Access.StepsOf(v.account.ID)
	if err != nil {
		return err
	}
	body.App, body.Passkeys, body.Name = steps.Authenticator != nil, len(steps.Passkeys) > 0, v.account.Name
	status, title := http.StatusOK, "Your second step"
	if body.Error != "" {
		status, title = http.StatusUnprocessableEntity, "Error: Your second step"
	}
	if !body.Passkeys {
		return s.write(w, status, "second", s.page(v, title, ""), body)
	}
	return s.showWithPasskey(w, r, v, status, "second", title, body)
}

func (s *site) second(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	body := signInBody{Next: ownAddress(f.Get("next"))}
	code := f.Get("code")
	if code == "" {
		body.Error = "Enter a code."
		return s.showSecond(w, r, v, body)
	}
	way, err := s.Access.Second(r.Context(), v.account, s.Access.Attempt(r, addressOf(r), v.account.Name, code))
	if errors.Is(err, access.ErrCode) {
		body.Error = "The code is wrong, or was used already. A code of an app is good for about a minute, and once: wait for the next one."
		return s.showSecond(w, r, v, body)
	}
	if err != nil {
		return err
	}
	if err := s.Access.Finish(w, r, v.account, way, addressOf(r)); err != nil {
		return err
	}
	if way != access.ByApp {
		body.Next = "/account" // where it says what is left, and what to set up anew
	}
	http.Redirect(w, r, body.Next, http.StatusSeeOther)
	return nil
}

func (s *site) recoverPage(w http.ResponseWriter, _ *http.Request, v visit) error {
	return s.write(w, http.StatusOK, "recover", s.page(v, "Let in again by another person", ""), signInBody{})
}

func (s *site) recover(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	body := signInBody{Name: bounded(f.Get("name"))}
	account, err := s.Access.Recover(r.Context(), s.Access.Attempt(r, addressOf(r), body.Name, f.Get("code")))
	if errors.Is(err, access.ErrWrong) {
		body.Error = "The name or the code is wrong, or the code has ended. A code is good for an hour, and once."
		return s.write(w, http.StatusUnprocessableEntity, "recover", s.page(v, "Error: Let in again by another person", ""), body)
	}
	if err != nil {
		return err
	}
	return s.begin(w, r, account, access.ByHelp, "/account/password")
}

// signOn sends a person to a sign-on service.
func (s *site) signOn(w http.ResponseWriter, r *http.Request, _ visit) error {
	return s.toService(w, r, ownAddress(r.URL.Query().Get("next")), access.Account{})
}

func (s *site) toService(w http.ResponseWriter, r *http.Request, next string, link access.Account) error {
	address, err := s.Access.StartSignOn(w, r, s.here(r), r.PathValue("provider"), next, link)
	if err != nil {
		return err
	}
	http.Redirect(w, r, address, http.StatusSeeOther)
	return nil
}

// signedOn is where a sign-on service sends a person back to.
func (s *site) signedOn(w http.ResponseWriter, r *http.Request, v visit) error {
	done, err := s.Access.FinishSignOn(w, r, s.here(r), r.PathValue("provider"), v.account)
	if err != nil {
		return err
	}
	if done.Linked {
		http.Redirect(w, r, "/account", http.StatusSeeOther)
		return nil
	}
	return s.begin(w, r, done.Account, done.Way, done.Next)
}

func (s *site) signOut(w http.ResponseWriter, r *http.Request, _ visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	if err := s.Access.End(r.Context()); err != nil {
		return err
	}
	address := "/sign-in"
	if next := ownAddress(f.Get("next")); next != "/" {
		address += "?" + url.Values{"next": {next}}.Encode()
	}
	http.Redirect(w, r, address, http.StatusSeeOther)
	return nil
}

// addressOf is the address that a request came from, as the socket tells it:
// what a header says of it anybody can write.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func (s *site) healthz(w http.ResponseWriter, _ *http.Request, _ visit) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := io.WriteString(w, "ok\n")
	return err
}
