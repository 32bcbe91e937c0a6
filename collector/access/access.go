// Package access says who may see what: accounts with their passwords, the
// role each holds at each school, sign-in and sessions. It keeps its own small
// store, apart from the ledger and the view, so that a password never reaches
// either.
//
// It never decides what a page shows, and never stores a password or a session
// token as it was given: only what they hash to.
package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/caretaker-school/caretaker/shared/clock"
)

// Bounds of a session: how long it lives without being used, and at all.
const (
	IdleLimit     = time.Hour
	AbsoluteLimit = 12 * time.Hour
)

// Errors that callers tell apart.
var (
	// ErrWrong says that the name or the password is wrong, and not which.
	ErrWrong = errors.New("the name or the password is wrong")
	// ErrBusy says that too many sign-ins are being checked at once.
	ErrBusy = errors.New("too many sign-ins at once")
	// ErrName says that an account of this name exists, or that the name will not do.
	ErrName = errors.New("this name cannot be used")
	// ErrPassword says that a password is too easy to guess.
	ErrPassword = errors.New("this password is too easy to guess")
	// ErrNoAccount says that no account has the name.
	ErrNoAccount = errors.New("no account has this name")
)

// Options are what Open needs beside the directory.
type Options struct {
	Clock  clock.Clock
	Logger *slog.Logger // nil discards
	// Secure says that the pages are served over TLS, so that cookies are
	// bound to it.
	Secure bool
}

// Access is the store of accounts and sessions, and the way in.
type Access struct {
	dir      string
	clock    clock.Clock
	log      *slog.Logger
	secure   bool
	hasher   *hasher
	limits   *limits
	sealer   *sealer
	sessions *sessions

	mu       sync.RWMutex // guards all below and the files that hold them
	accounts []Account
	keys     []Key

	noAccounts *UnreadableError // the accounts could not be read; nil: they were
	noKeys     *UnreadableError // the keys could not be read; nil: they were

	steps    []Steps
	noSteps  *UnreadableError // the second steps could not be read; nil: they were
	settings Settings

	providers   []Provider
	noProviders *UnreadableError          // the sign-on services could not be read; nil: they were
	discovered  map[string]*oidc.Provider // by issuer

	outside *http.Client
	asks    chan struct{} // questions to providers under way

	spending sync.Mutex // guards spent
	spent    []string   // challenges and states that were answered

	events sync.Mutex // guards the files of events
}

// Open opens the store in dir, which it makes if there is none. Accounts or keys
// that cannot be read admit nobody and do not keep the rest of the collector from
// its work: Trouble says what does not work.
func Open(dir string, o Options) (*Access, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of accounts: %w", err)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	a := &Access{
		dir: dir, clock: o.Clock, log: o.Logger, secure: o.Secure, hasher: newHasher(), limits: newLimits(o.Clock),
		discovered: map[string]*oidc.Provider{}, outside: newOutside(), asks: make(chan struct{}, signOnOnce),
	}
	a.accounts, a.noAccounts = accountsIn.open(dir)
	a.keys, a.noKeys = keysIn.open(dir)
	a.steps, a.noSteps = stepsIn.open(dir)
	a.providers, a.noProviders = providersIn.open(dir)
	for _, err := range a.Trouble() {
		a.log.Error("what people sign in with cannot be used", "reason", err)
	}
	var err error
	if a.sealer, err = openSealer(dir, o.Logger); err != nil {
		return nil, err
	}
	if err := a.openSettings(); err != nil {
		return nil, err
	}
	store, err := openSessions(dir, o.Clock, o.Logger)
	if err != nil {
		return nil, err
	}
	a.sessions = newSessions(store, o)
	return a, nil
}

// Attempt is a name and a password, and where they come from.
type Attempt struct {
	Address  string
	Proofs   []string // that the browser carries of accounts it has signed in with
	Name     string
	Password string
}

// Attempt returns the attempt that a request makes from an address.
func (a *Access) Attempt(r *http.Request, address, name, password string) Attempt {
	return Attempt{Address: address, Proofs: a.proofs(r), Name: name, Password: password}
}

// SignIn checks a name and a password. It takes as long for a name that nobody
// has as for a wrong password. The error is ErrWrong, ErrBusy or a
// *TooManyError if the answer is no.
func (a *Access) SignIn(ctx context.Context, t Attempt) (Account, error) {
	switch {
	case a.noAccounts != nil:
		return Account{}, a.noAccounts
	case a.noSteps != nil: // a second step that is not known of must not be skipped
		return Account{}, a.noSteps
	}
	account, known := a.byName(t.Name)
	from := source{address: t.Address, browser: a.browserOf(account, t.Proofs)}
	if wait := a.limits.wait(from, fold(t.Name)); wait > 0 {
		a.log.Warn("sign-in refused, too many attempts", "address", t.Address)
		return Account{}, &TooManyError{RetryAfter: wait}
	}
	hash := account.Hash
	if !known {
		hash = a.hasher.nobody
	}
	lane := a.hasher.strangers
	if from.browser != "" {
		lane = a.hasher.known
	}
	ok, err := a.hasher.matches(ctx, lane, hash, t.Password)
	if err != nil {
		return Account{}, err
	}
	if !ok || !known {
		a.limits.failed(from, fold(t.Name))
		a.log.Info("sign-in failed", "address", t.Address)
		return Account{}, ErrWrong
	}
	a.limits.forgive(from, fold(t.Name))
	account.Hash = ""
	return account, nil
}

// Trouble says what cannot be read, and what to do: nothing, as a rule.
func (a *Access) Trouble() (list []error) {
	for _, err := range []*UnreadableError{a.noAccounts, a.noKeys, a.noSteps, a.noProviders} {
		if err != nil {
			list = append(list, err)
		}
	}
	return list
}

// Closed says why nobody can sign in and no key works; nil if the accounts were
// read.
func (a *Access) Closed() error {
	if a.noAccounts != nil {
		return a.noAccounts
	}
	return nil
}

// Keyless says why no key works; nil if the keys were read.
func (a *Access) Keyless() error {
	if a.noKeys != nil {
		return a.noKeys
	}
	return nil
}
