package access

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

const (
	maxPasskeys    = 10 // of an account
	passkeyLife    = 10 * time.Minute
	maxPasskeyText = 16 << 10 // bytes of an answer
	maxSpent       = 4096     // challenges that were answered

	newPasskeyPurpose = "new passkey"
	passkeyPurpose    = "passkey challenge"
)

// ErrPasskey says that a passkey was not accepted, and not why.
var ErrPasskey = errors.New("the passkey was not accepted")

// Passkey is a key that a person's own device holds, and that it uses only for
// the address it was made at.
type Passkey struct {
	Label      string              `json:"label"`
	Host       string              `json:"host"` // where it was made
	Added      time.Time           `json:"added"`
	Used       time.Time           `json:"used,omitzero"`
	Credential webauthn.Credential `json:"credential"`
}

// ID names a passkey on a page.
func (p Passkey) ID() string { return fmt.Sprintf("%x", p.Credential.ID) }

// Challenge is what a page hands to the browser, and gives back with what the
// browser's answer is.
type Challenge struct {
	Options string // JSON, as WebAuthn has it
	Ticket  string
}

// Site is where the pages are served, as the browser that asks has it.
type Site struct {
	Host   string // with its port, if it has one
	Secure bool
}

// passkeyHost is the host that passkeys are bound to; false if there can be none:
// they are of a name, reached over TLS, or of this machine.
func (s Site) passkeyHost() (string, bool) {
	host := strings.ToLower(s.Host)
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil || host == "" || len(host) > 253 {
		return "", false
	}
	return host, s.Secure || host == "localhost"
}

// Passkeys reports whether there can be passkeys where the pages are served.
func (s Site) Passkeys() bool {
	_, ok := s.passkeyHost()
	return ok
}

func (s Site) party() (*webauthn.WebAuthn, string, error) {
	host, ok := s.passkeyHost()
	if !ok {
		return nil, "", ErrPasskey
	}
	scheme := "http://"
	if s.Secure {
		scheme = "https://"
	}
	party, err := webauthn.New(&webauthn.Config{
		RPID: host, RPDisplayName: "Caretaker", RPOrigins: []string{scheme + strings.ToLower(s.Host)},
		AttestationPreference: protocol.PreferNoAttestation,
		// A passkey is both steps: the device has it, and checks who uses it.
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
	})
	if err != nil {
		return nil, "", fmt.Errorf("prepare for passkeys at %q: %w", host, err)
	}
	return party, host, nil
}

// holder is an account as WebAuthn sees it.
type holder struct {
	account Account
	steps   Steps
	host    string
}

func (h holder) WebAuthnID() []byte          { return []byte(h.account.ID) }
func (h holder) WebAuthnName() string        { return h.account.Name }
func (h holder) WebAuthnDisplayName() string { return h.account.Name }

// WebAuthnCredentials are those of the host alone.
func (h holder) WebAuthnCredentials() []webauthn.Credential {
	var list []webauthn.Credential
	for _, p := range h.steps.Passkeys {
		if p.Host == h.host {
			list = append(list, p.Credential)
		}
	}
	return list
}

// passkeyTicket is what has to come back with an answer.
type passkeyTicket struct {
	Account string               `json:"account,omitempty"`
	Session webauthn.SessionData `json:"session"`
}

// OfferPasskey asks the browser for a new passkey of the account.
func (a *Access) OfferPasskey(account Account, site Site) (Challenge, error) {
	party, host, err := site.party()
	if err != nil {
		return Challenge{}, err
	}
	steps, err := a.StepsOf(account.ID)
	if err != nil {
		return Challenge{}, err
	}
	h := holder{account, steps, host}
	creation, session, err := party.BeginRegistration(h, webauthn.WithExclusions(webauthn.Credentials(h.WebAuthnCredentials()).CredentialDescriptors()))
	if err != nil {
		return Challenge{}, fmt.Errorf("ask for a passkey: %w", err)
	}
	return a.challenge(newPasskeyPurpose, creation.Response, passkeyTicket{Account: account.ID, Session: *session})
}

func (a *Access) challenge(purpose string, options any, t passkeyTicket) (Challenge, error) {
	text, err := json.Marshal(options)
	if err != nil {
		return Challenge{}, fmt.Errorf("write what a browser is asked: %w", err)
	}
	t.Session.Expires = time.Time{} // the seal ends, by our own clock
	ticket, err := a.sealer.seal(purpose, t, a.clock.Now().Add(passkeyLife))
	return Challenge{Options: string(text), Ticket: ticket}, err
}

// AddPasskey adds the passkey that a browser made. It returns recovery codes if
// there were none: they are told this once and are not kept.
func (a *Access) AddPasskey(account Account, site Site, ticket, answer, label string) ([]string, error) {
	label, err := passkeyLabel(label)
	if err != nil {
		return nil, err
	}
	var t passkeyTicket
	if err := a.sealer.open(newPasskeyPurpose, ticket, a.clock.Now(), &t); err != nil || t.Account != account.ID {
		return nil, ErrStale
	}
	party, host, err := site.party()
	if err != nil {
		return nil, err
	}
	steps, err := a.StepsOf(account.ID)
	if err != nil {
		return nil, err
	}
	parsed, err := parseNewPasskey([]byte(answer))
	if err != nil || !a.spend(t.Session.Challenge) {
		return nil, ErrPasskey
	}
	made, err := party.CreateCredential(holder{account, steps, host}, t.Session, parsed)
	if err != nil {
		a.log.Info("a new passkey was not accepted", "account", account.ID, "error", err)
		return nil, ErrPasskey
	}
	var codes []string
	err = a.changeSteps(account.ID, func(s *Steps) error {
		switch {
		case len(s.Passkeys) >= maxPasskeys:
			return fmt.Errorf("%w: there are %d already", ErrPasskey, len(s.Passkeys))
		case slices.ContainsFunc(s.Passkeys, func(p Passkey) bool { return bytes.Equal(p.Credential.ID, made.ID) }):
			return fmt.Errorf("%w: it is there already", ErrPasskey)
		}
		s.Passkeys = append(s.Passkeys, Passkey{Label: label, Host: host, Added: a.clock.Now().UTC().Truncate(time.Second), Credential: *made})
		codes, err = s.firstCodes()
		return err
	})
	if err != nil {
		return nil, err
	}
	a.note(Event{What: PasskeyAdded, Account: account.ID, By: account.Name, Words: label})
	return codes, nil
}

// RemovePasskey takes a passkey of that ID away. Recovery codes go with the last
// second step.
func (a *Access) RemovePasskey(account Account, id string) error {
	label := ""
	err := a.changeSteps(account.ID, func(s *Steps) error {
		i := slices.IndexFunc(s.Passkeys, func(p Passkey) bool { return p.ID() == id })
		if i < 0 {
			return ErrPasskey
		}
		label = s.Passkeys[i].Label
		s.Passkeys = slices.Delete(s.Passkeys, i, i+1)
		return a.mayLack(account, s)
	})
	if err == nil {
		a.note(Event{What: PasskeyRemoved, Account: account.ID, By: account.Name, Words: label})
	}
	return err
}

// AskPasskey asks the browser for a passkey of whoever uses it.
func (a *Access) AskPasskey(site Site) (Challenge, error) {
	party, _, err := site.party()
	if err != nil {
		return Challenge{}, err
	}
	assertion, session, err := party.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return Challenge{}, fmt.Errorf("ask for a passkey: %w", err)
	}
	return a.challenge(passkeyPurpose, assertion.Response, passkeyTicket{Session: *session})
}

// SignInByPasskey returns whose passkey answered. It costs little and is not
// slowed down: nobody guesses a signature.
func (a *Access) SignInByPasskey(site Site, ticket, answer, address string) (Account, error) {
	var t passkeyTicket
	if err := a.sealer.open(passkeyPurpose, ticket, a.clock.Now(), &t); err != nil {
		return Account{}, ErrStale
	}
	party, host, err := site.party()
	if err != nil {
		return Account{}, err
	}
	parsed, err := parsePasskey([]byte(answer))
	if err != nil {
		return Account{}, ErrPasskey
	}
	user, used, err := party.ValidatePasskeyLogin(func(_, handle []byte) (webauthn.User, error) {
		account, ok := a.byID(string(handle))
		if !ok {
			return nil, ErrNoAccount
		}
		steps, err := a.StepsOf(account.ID)
		return holder{account, steps, host}, err
	}, t.Session, parsed)
	if err != nil || used.Authenticator.CloneWarning {
		a.log.Warn("a passkey was not accepted", "address", address, "copied", err == nil, "error", err)
		return Account{}, ErrPasskey
	}
	h, ok := user.(holder)
	if !ok || !a.spend(t.Session.Challenge) {
		return Account{}, ErrPasskey
	}
	err = a.changeSteps(h.account.ID, func(s *Steps) error {
		i := slices.IndexFunc(s.Passkeys, func(p Passkey) bool { return p.Host == host && bytes.Equal(p.Credential.ID, used.ID) })
		if i < 0 {
			return ErrPasskey // taken away since
		}
		s.Passkeys[i].Credential, s.Passkeys[i].Used = *used, a.clock.Now().UTC().Truncate(time.Second)
		return nil
	})
	h.account.Hash = ""
	return h.account, err
}

// parseNewPasskey reads a browser's answer with a new passkey.
func parseNewPasskey(answer []byte) (*protocol.ParsedCredentialCreationData, error) {
	if len(answer) > maxPasskeyText {
		return nil, ErrPasskey
	}
	return protocol.ParseCredentialCreationResponseBytes(answer)
}

// parsePasskey reads a browser's answer with a passkey's signature.
func parsePasskey(answer []byte) (*protocol.ParsedCredentialAssertionData, error) {
	if len(answer) > maxPasskeyText {
		return nil, ErrPasskey
	}
	return protocol.ParseCredentialRequestResponseBytes(answer)
}

// spend says whether a challenge is answered for the first time. Of those that
// were, the latest are remembered; each is worth something for minutes only. It
// is asked of right answers alone: wrong ones, which anybody can give, must not
// push them out.
func (a *Access) spend(challenge string) bool {
	a.spending.Lock()
	defer a.spending.Unlock()
	if slices.Contains(a.spent, challenge) {
		return false
	}
	if len(a.spent) >= maxSpent {
		a.spent = a.spent[1:]
	}
	a.spent = append(a.spent, challenge)
	return true
}

func passkeyLabel(label string) (string, error) {
	label = strings.Join(strings.Fields(label), " ")
	if n := utf8.RuneCountInString(label); n == 0 || n > 40 || !printable(label) {
		return "", ErrLabel
	}
	return label, nil
}

// ErrLabel says that a passkey's name will not do.
var ErrLabel = errors.New("a passkey needs a name of up to 40 characters, such as the device that holds it")

// Serves reports whether a passkey is of use where the pages are served.
func (s Site) Serves(p Passkey) bool {
	host, ok := s.passkeyHost()
	return ok && host == p.Host
}
