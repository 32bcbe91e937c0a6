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
	"os"
	"sync"
	"time"

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
	Logger *slog.Logger
	// Secure says that the pages are served over TLS, so that cookies are
	// bound to it.
	Secure bool
}

// Access is the store of accounts and sessions, and the way in.
type Access struct {
	dir      string
	clock    clock.Clock
	log      *slog.Logger
	hasher   *hasher
	limits   *limits
	sessions *sessions

	mu       sync.RWMutex // guards all below and the files that hold them
	accounts []Account
	keys     []Key
}

// Open opens the store in dir, which it makes if there is none.
func Open(dir string, o Options) (*Access, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of accounts: %w", err)
	}
	a := &Access{dir: dir, clock: o.Clock, log: o.Logger, hasher: newHasher(), limits: newLimits(o.Clock)}
	var err error
	if a.accounts, err = accountsIn.read(dir); err != nil {
		return nil, err
	}
	if a.keys, err = keysIn.read(dir); err != nil {
		return nil, err
	}
	store, err := openSessions(dir, o.Clock)
	if err != nil {
		return nil, err
	}
	a.sessions = newSessions(store, o)
	return a, nil
}

// SignIn checks a name and password given from an address. It takes as long
// for a name that nobody has as for a wrong password. The error is ErrWrong,
// ErrBusy or a *TooManyError if the answer is no.
func (a *Access) SignIn(ctx context.Context, address, name, password string) (Account, error) {
	if wait := a.limits.wait(address, fold(name)); wait > 0 {
		a.log.Warn("sign-in refused, too many attempts", "address", address)
		return Account{}, &TooManyError{RetryAfter: wait}
	}
	account, known := a.byName(name)
	hash := account.Hash
	if !known {
		hash = a.hasher.nobody
	}
	ok, err := a.hasher.matches(ctx, hash, password)
	if err != nil {
		return Account{}, err
	}
	if !ok || !known {
		a.limits.failed(address, fold(name))
		a.log.Info("sign-in failed", "address", address)
		return Account{}, ErrWrong
	}
	a.limits.forgive(address, fold(name))
	a.log.Info("signed in", "account", account.ID, "address", address)
	return account, nil
}
