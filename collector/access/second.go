package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

// RFC 6238 with what every authenticator app knows: SHA-1, six digits, 30 s.
const (
	secretLength = 20 // bytes
	codeEvery    = 30 * time.Second
	codeDrift    = 1 // steps that a phone's clock may be off, each way
	setUpLife    = 15 * time.Minute

	recoveryCodes = 10
)

// ErrCode says that a code is wrong, old or used already, and not which.
var ErrCode = errors.New("the code is wrong, or was used already")

// authenticator is an app that shows codes made of a secret and the time.
type authenticator struct {
	Secret []byte    `json:"secret"`
	Since  time.Time `json:"since"`
	// Last is the number of the code that was used last: it and all before it
	// are worth nothing any more.
	Last uint64 `json:"last"`
}

// NewAuthenticator is a secret that an app may take up.
type NewAuthenticator struct {
	Secret string // as a person types it
	Link   string // as an app reads it from a picture
	Ticket string // gives it back to SetAuthenticator
}

type authenticatorTicket struct {
	Account string `json:"account"`
	Secret  []byte `json:"secret"`
}

const authenticatorPurpose = "new authenticator"

// OfferAuthenticator makes up a secret for the account. Nothing of it is kept
// until SetAuthenticator shows that an app holds it.
func (a *Access) OfferAuthenticator(account Account) (NewAuthenticator, error) {
	secret := make([]byte, secretLength)
	if _, err := rand.Read(secret); err != nil {
		return NewAuthenticator{}, fmt.Errorf("make up a secret: %w", err)
	}
	ticket, err := a.sealer.seal(authenticatorPurpose, authenticatorTicket{account.ID, secret}, a.clock.Now().Add(setUpLife))
	if err != nil {
		return NewAuthenticator{}, err
	}
	return describeAuthenticator(account, secret, ticket), nil
}

// ReofferAuthenticator returns what a ticket stands for, for a page that is
// shown again.
func (a *Access) ReofferAuthenticator(account Account, ticket string) (NewAuthenticator, error) {
	t, err := a.authenticatorOf(account, ticket)
	if err != nil {
		return NewAuthenticator{}, err
	}
	return describeAuthenticator(account, t.Secret, ticket), nil
}

func describeAuthenticator(account Account, secret []byte, ticket string) NewAuthenticator {
	text := secretText(secret)
	link := url.URL{Scheme: "otpauth", Host: "totp", Path: "/Caretaker:" + account.Name}
	// Written out in this order and form: apps differ in how they read others.
	link.RawQuery = "secret=" + text + "&issuer=Caretaker"
	var groups []string
	for part := range slices.Chunk([]byte(text), 4) {
		groups = append(groups, string(part))
	}
	return NewAuthenticator{Secret: strings.Join(groups, " "), Link: link.String(), Ticket: ticket}
}

func secretText(secret []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
}

func (a *Access) authenticatorOf(account Account, ticket string) (authenticatorTicket, error) {
	var t authenticatorTicket
	if err := a.sealer.open(authenticatorPurpose, ticket, a.clock.Now(), &t); err != nil || t.Account != account.ID || len(t.Secret) != secretLength {
		return authenticatorTicket{}, ErrStale
	}
	return t, nil
}

// ErrStale says that a page was left open for too long, or is not this
// account's.
var ErrStale = errors.New("the page is too old")

// SetAuthenticator makes the app that took up a ticket's secret, and shows it
// by a code, the account's. It returns recovery codes if there were none: they
// are told this once and are not kept.
func (a *Access) SetAuthenticator(account Account, ticket, code string) ([]string, error) {
	t, err := a.authenticatorOf(account, ticket)
	if err != nil {
		return nil, err
	}
	now := a.clock.Now()
	number, ok := codeNumber(t.Secret, code, now, 0)
	if !ok {
		return nil, ErrCode
	}
	var codes []string
	err = a.changeSteps(account.ID, func(s *Steps) error {
		s.Authenticator = &authenticator{Secret: t.Secret, Since: now.UTC().Truncate(time.Second), Last: number}
		codes, err = s.firstCodes()
		return err
	})
	if err != nil {
		return nil, err
	}
	a.note(Event{What: AuthenticatorSet, Account: account.ID, By: account.Name})
	return codes, nil
}

// RemoveAuthenticator takes the app away. Recovery codes go with the last
// second step.
func (a *Access) RemoveAuthenticator(account Account) error {
	err := a.changeSteps(account.ID, func(s *Steps) error {
		s.Authenticator = nil
		return a.mayLack(account, s)
	})
	if err == nil {
		a.note(Event{What: AuthenticatorRemoved, Account: account.ID, By: account.Name})
	}
	return err
}

// ErrNeeded says that an account must keep a second step.
var ErrNeeded = errors.New("this role needs a second step: set up another one first")

// mayLack refuses to take the last second step from an account whose role needs
// one.
func (a *Access) mayLack(account Account, s *Steps) error {
	if s.Second() {
		return nil
	}
	s.Codes = nil
	set := a.settings // changeSteps holds mu
	if slices.ContainsFunc(account.Grants, func(g Grant) bool { return slices.Contains(set.Second, g.Role) }) {
		return ErrNeeded
	}
	return nil
}

// NewCodes makes up recovery codes in place of those that are left.
func (a *Access) NewCodes(account Account) ([]string, error) {
	var codes []string
	err := a.changeSteps(account.ID, func(s *Steps) error {
		if !s.Second() {
			return errors.New("recovery codes stand in for a second step, and there is none")
		}
		s.Codes = nil
		var err error
		codes, err = s.firstCodes()
		return err
	})
	if err != nil {
		return nil, err
	}
	a.note(Event{What: CodesMade, Account: account.ID, By: account.Name})
	return codes, nil
}

// firstCodes makes up recovery codes if there are none.
func (s *Steps) firstCodes() ([]string, error) {
	if len(s.Codes) > 0 {
		return nil, nil
	}
	var codes []string
	for range recoveryCodes {
		code, err := makeWord(3)
		if err != nil {
			return nil, err
		}
		codes = append(codes, code)
		s.Codes = append(s.Codes, hashCode(s.Account, code))
	}
	return codes, nil
}

// hashCode hashes a code of at least 57 random bits, so that neither salt nor
// cost is needed; the account's identifier keeps equal codes apart.
func hashCode(account, code string) string {
	sum := sha256.Sum256([]byte(account + "\x00" + plainCode(code)))
	return hex.EncodeToString(sum[:])
}

// plainCode undoes what people do to a code that they copy.
func plainCode(code string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '\t' || r == '\u2010' || r == '\u2011' || r == '\u2013' || r == '\u00a0' {
			return -1
		}
		return r
	}, strings.ToLower(code))
}

// Second checks the code that a person gives for their second step: of their
// app, or one of their recovery codes, or one that another person gave them. It
// says which it was. The error is ErrCode or a *TooManyError if the answer is no.
func (a *Access) Second(_ context.Context, account Account, t Attempt) (Way, error) {
	from := source{address: t.Address, browser: a.browserOf(account, t.Proofs)}
	if wait := a.limits.waitSecond(from, account.ID); wait > 0 {
		return "", &TooManyError{RetryAfter: wait}
	}
	now := a.clock.Now()
	var way Way
	err := a.changeSteps(account.ID, func(s *Steps) error {
		var ok bool
		if way, ok = s.spend(t.Password, now); !ok {
			return ErrCode
		}
		return nil
	})
	if errors.Is(err, ErrCode) {
		a.limits.failedSecond(from, account.ID)
		a.log.Warn("a second step failed after the right password", "account", account.ID, "address", t.Address)
	}
	if err != nil {
		return "", err
	}
	a.limits.forgiveSecond(from, account.ID)
	switch way {
	case ByCode:
		a.note(Event{What: CodeUsed, Account: account.ID, By: account.Name, Address: t.Address})
	case ByHelp:
		a.note(Event{What: HelpUsed, Account: account.ID, By: account.Name, Address: t.Address, Words: string(LostSecond)})
	default: // an app's codes are used every day
	}
	return way, nil
}

// spend uses a code up, if it is good.
func (s *Steps) spend(code string, now time.Time) (Way, bool) {
	if s.Authenticator != nil {
		if number, ok := codeNumber(s.Authenticator.Secret, code, now, s.Authenticator.Last); ok {
			s.Authenticator.Last = number
			return ByApp, true
		}
	}
	hash := hashCode(s.Account, code)
	for i, h := range s.Codes {
		if subtle.ConstantTimeCompare([]byte(h), []byte(hash)) == 1 {
			s.Codes = slices.Delete(s.Codes, i, i+1)
			return ByCode, true
		}
	}
	if _, ok := s.spendHelp(LostSecond, hash, now); ok {
		// Whoever holds what was lost holds it no longer.
		s.Authenticator, s.Passkeys, s.Codes = nil, nil, nil
		return ByHelp, true
	}
	return "", false
}

// codeNumber returns the number of an app's code, if it is one of now, give or
// take the drift, and later than the last one used.
func codeNumber(secret []byte, code string, now time.Time, last uint64) (uint64, bool) {
	code = plainCode(code)
	number := uint64(now.Unix()) / uint64(codeEvery/time.Second)
	for n := number - codeDrift; n <= number+codeDrift; n++ {
		ok, err := hotp.ValidateCustom(code, n, secretText(secret), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err == nil && ok && n > last {
			return n, true
		}
	}
	return 0, false
}
