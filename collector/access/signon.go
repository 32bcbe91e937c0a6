package access

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	maxProviders = 32
	signOnLife   = 10 * time.Minute
	signOnWait   = 10 * time.Second // for one answer of a provider
	signOnAnswer = 1 << 20          // bytes of one
	signOnOnce   = 8                // questions to providers at a time
	maxLinks     = 8                // of an account
	googleIssuer = "https://accounts.google.com"

	signOnPurpose = "sign-on"
)

// Errors of signing on that a person is told apart.
var (
	// ErrProvider says that a provider could not be asked, or its answer not used.
	ErrProvider = errors.New("the sign-on service did not answer as it should")
	// ErrStranger says that no account is linked to whom a provider vouches for.
	ErrStranger = errors.New("no account is linked to this sign-on")
	// ErrLinked says that another account is linked to it already.
	ErrLinked = errors.New("another account is linked to this sign-on")
)

// ByVouchedSignOn is signing on by a provider that asks for a second step itself.
const ByVouchedSignOn Way = "sign-on with its second step"

// vouched reports whether a way is both steps by somebody else's word.
func (a *Access) vouched(way Way) bool { return way == ByVouchedSignOn }

// Link is somebody elsewhere whom an account is linked to: by what never changes
// there, and never by a name or an address that may pass to another.
type Link struct {
	Issuer  string    `json:"issuer"`
	Subject string    `json:"subject"`
	Shown   string    `json:"shown"` // what the provider called them then
	Since   time.Time `json:"since"`
}

// signOnTicket is what the browser keeps while a person is at the provider.
type signOnTicket struct {
	Provider string `json:"provider"`
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
	Next     string `json:"next"`
	Link     string `json:"link,omitempty"` // identifier of the account to link; "": to sign in
}

func (a *Access) signOnCookie() string {
	if a.secure {
		return "__Host-caretaker-sign-on"
	}
	return "caretaker-sign-on"
}

// StartSignOn sends a browser to a provider and keeps there what the answer is
// checked against. link is the account that is to be linked, if one is.
func (a *Access) StartSignOn(w http.ResponseWriter, r *http.Request, site Site, id, next string, link Account) (string, error) {
	p, ok := a.provider(id)
	if !ok {
		return "", ErrNoProvider
	}
	done, err := a.asking()
	if err != nil {
		return "", err
	}
	defer done()
	config, _, err := a.signOnConfig(r.Context(), p, site)
	if err != nil {
		return "", err
	}
	t := signOnTicket{Provider: id, State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Next: next, Link: link.ID}
	ticket, err := a.sealer.seal(signOnPurpose, t, a.clock.Now().Add(signOnLife))
	if err != nil {
		return "", err
	}
	a.setSignOn(w, ticket, int(signOnLife.Seconds()))
	options := []oauth2.AuthCodeOption{oidc.Nonce(t.Nonce), oauth2.S256ChallengeOption(t.Verifier), oauth2.SetAuthURLParam("prompt", "select_account")}
	if p.Domain != "" {
		options = append(options, oauth2.SetAuthURLParam("hd", p.Domain))
	}
	return config.AuthCodeURL(t.State, options...), nil
}

func (a *Access) setSignOn(w http.ResponseWriter, value string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: a.signOnCookie(), Value: value, Path: "/", MaxAge: age, Secure: a.secure, HttpOnly: true,
		SameSite: http.SameSiteLaxMode, // it has to come along when the provider sends the person back
	})
}

// asking bounds how many questions to providers strangers can have asked at once.
func (a *Access) asking() (func(), error) {
	select {
	case a.asks <- struct{}{}:
		return func() { <-a.asks }, nil
	default:
		return nil, ErrBusy
	}
}

// signOnConfig asks a provider how to sign on with it, once.
func (a *Access) signOnConfig(ctx context.Context, p Provider, site Site) (oauth2.Config, *oidc.Provider, error) {
	a.mu.RLock()
	known := a.discovered[p.Issuer]
	a.mu.RUnlock()
	if known == nil {
		var err error
		if known, err = oidc.NewProvider(oidc.ClientContext(ctx, a.outside), p.Issuer); err != nil {
			a.log.Warn("a sign-on service could not be asked", "service", p.ID, "error", err)
			return oauth2.Config{}, nil, ErrProvider
		}
		a.mu.Lock()
		a.discovered[p.Issuer] = known
		a.mu.Unlock()
	}
	scheme := "http"
	if site.Secure {
		scheme = "https"
	}
	back := url.URL{Scheme: scheme, Host: site.Host, Path: p.Back()}
	return oauth2.Config{
		ClientID: p.Client, ClientSecret: p.Secret, Endpoint: known.Endpoint(), RedirectURL: back.String(),
		Scopes: []string{oidc.ScopeOpenID, "profile"},
	}, known, nil
}

// SignOn is what came of signing on.
type SignOn struct {
	Account Account
	Next    string
	Linked  bool // the account was linked; nobody was signed in
	Way     Way
}

// FinishSignOn checks what a provider sent a browser back with. current is who
// is signed in, for linking. The error is ErrStale, ErrProvider, ErrStranger,
// ErrLinked or ErrBusy if the answer is no.
func (a *Access) FinishSignOn(w http.ResponseWriter, r *http.Request, site Site, id string, current Account) (SignOn, error) {
	cookie, err := r.Cookie(a.signOnCookie())
	if err != nil {
		return SignOn{}, ErrStale
	}
	a.setSignOn(w, "", -1) // good for one answer
	var t signOnTicket
	query := r.URL.Query()
	p, ok := a.provider(id)
	switch err := a.sealer.open(signOnPurpose, cookie.Value, a.clock.Now(), &t); {
	case err != nil, !ok, t.Provider != id, t.State == "", query.Get("state") != t.State:
		return SignOn{}, ErrStale
	case query.Get("error") != "":
		a.log.Info("a sign-on service said no", "service", id, "reason", bounded(query.Get("error")))
		return SignOn{}, ErrProvider
	case query.Has("iss") && query.Get("iss") != p.Issuer:
		return SignOn{}, ErrProvider
	}
	done, err := a.asking()
	if err != nil {
		return SignOn{}, err
	}
	defer done()
	claims, err := a.claimsOf(r.Context(), p, site, t, query.Get("code"))
	if err != nil {
		a.log.Warn("what a sign-on service answered was not accepted", "service", id, "error", err)
		return SignOn{}, ErrProvider
	}
	if !a.spend(t.State) {
		return SignOn{}, ErrStale
	}
	if t.Link != "" {
		if current.ID != t.Link {
			return SignOn{}, ErrStale
		}
		return SignOn{Account: current, Next: t.Next, Linked: true}, a.link(current, p, claims)
	}
	account, ok := a.linkedTo(claims)
	if !ok || !p.covers(account) {
		return SignOn{}, ErrStranger
	}
	way := BySignOn
	if p.Vouches {
		way = ByVouchedSignOn
	}
	return SignOn{Account: account, Next: t.Next, Way: way}, nil
}

// claims are what is believed of a provider's word.
type claims struct {
	Issuer  string `json:"iss"`
	Subject string `json:"sub"`
	Tenant  string `json:"tid"`
	Domain  string `json:"hd"`
	Shown   string `json:"preferred_username"`
	Name    string `json:"name"`
}

// claimsOf exchanges a code for a provider's word and checks it: its signature,
// for whom and until when it is, that it answers our question, and that it is
// about somebody of the organisation.
func (a *Access) claimsOf(ctx context.Context, p Provider, site Site, t signOnTicket, code string) (claims, error) {
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, a.outside), 2*signOnWait)
	defer cancel()
	config, known, err := a.signOnConfig(ctx, p, site)
	if err != nil {
		return claims{}, err
	}
	token, err := config.Exchange(ctx, code, oauth2.VerifierOption(t.Verifier))
	if err != nil {
		return claims{}, fmt.Errorf("exchange the code: %w", err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return claims{}, errors.New("there is no ID token in the answer")
	}
	word, err := known.Verifier(&oidc.Config{ClientID: p.Client, Now: a.clock.Now}).Verify(ctx, raw)
	if err != nil {
		return claims{}, err
	}
	if word.Nonce != t.Nonce {
		return claims{}, errors.New("the answer is to another question")
	}
	var c claims
	if err := word.Claims(&c); err != nil {
		return claims{}, fmt.Errorf("read what the ID token says: %w", err)
	}
	return c, p.accept(c)
}

// accept refuses whom the organisation does not vouch for.
func (p Provider) accept(c claims) error {
	tenant, microsoft := p.tenant()
	switch {
	case c.Issuer != p.Issuer || c.Subject == "" || len(c.Subject) > 255:
		return errors.New("the ID token is not of this service, or about nobody")
	case microsoft && c.Tenant != tenant:
		return errors.New("the ID token is of another organisation at Microsoft")
	case p.Domain != "" && !strings.EqualFold(c.Domain, p.Domain):
		return errors.New("the ID token is of another domain")
	}
	return nil
}

// covers reports whether the service may vouch for an account: one that belongs
// beyond its schools it may not.
func (p Provider) covers(account Account) bool {
	return len(p.Schools) == 0 || !slices.ContainsFunc(account.Grants, func(g Grant) bool { return !slices.Contains(p.Schools, g.School) })
}

func (a *Access) linkedTo(c claims) (Account, bool) {
	a.mu.RLock()
	i := slices.IndexFunc(a.steps, func(s Steps) bool { return s.linked(c) })
	id := ""
	if i >= 0 {
		id = a.steps[i].Account
	}
	a.mu.RUnlock()
	account, ok := a.byID(id)
	account.Hash = ""
	return account, ok
}

func (s Steps) linked(c claims) bool {
	return slices.ContainsFunc(s.Links, func(l Link) bool { return l.Issuer == c.Issuer && l.Subject == c.Subject })
}

func (a *Access) link(account Account, p Provider, c claims) error {
	if !p.covers(account) {
		return ErrStranger
	}
	shown := c.Shown
	if shown == "" {
		shown = c.Name
	}
	if !printable(shown) || len(shown) > 100 {
		shown = ""
	}
	err := a.changeSteps(account.ID, func(s *Steps) error {
		switch {
		case s.linked(c):
			return nil
		case slices.ContainsFunc(a.steps, func(o Steps) bool { return o.linked(c) }): // changeSteps holds mu
			return ErrLinked
		case len(s.Links) >= maxLinks:
			return fmt.Errorf("%w: there are %d links already", ErrLinked, len(s.Links))
		}
		s.Links = append(s.Links, Link{Issuer: c.Issuer, Subject: c.Subject, Shown: shown, Since: a.clock.Now().UTC().Truncate(time.Second)})
		return nil
	})
	if err == nil {
		a.note(Event{What: Linked, Account: account.ID, By: account.Name, Words: p.Name})
	}
	return err
}

// Unlink takes the links to an issuer away from an account.
func (a *Access) Unlink(account Account, issuer string) error {
	err := a.changeSteps(account.ID, func(s *Steps) error {
		s.Links = slices.DeleteFunc(s.Links, func(l Link) bool { return l.Issuer == issuer })
		return nil
	})
	if err == nil {
		a.note(Event{What: Unlinked, Account: account.ID, By: account.Name, Words: issuer})
	}
	return err
}

// newOutside is how providers are asked: bounded in time and in what is read,
// and never led elsewhere.
func newOutside() *http.Client {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: signOnWait}).DialContext,
		TLSHandshakeTimeout: signOnWait, ResponseHeaderTimeout: signOnWait, MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true,
		IdleConnTimeout: time.Minute, MaxIdleConns: 4,
	}
	return &http.Client{
		Transport: limited{transport}, Timeout: signOnWait,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// limited reads no more of an answer than is bounded.
type limited struct{ http.RoundTripper }

func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := l.RoundTripper.RoundTrip(r)
	if err == nil {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(answer.Body, signOnAnswer), answer.Body}
	}
	return answer, err
}
