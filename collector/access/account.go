package access

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"golang.org/x/text/unicode/norm"
)

const (
	maxAccounts = 10_000
	maxName     = 64 // characters
)

// Account is a person who may sign in.
type Account struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"` // what they sign in with
	Grants    []Grant   `json:"grants"`
	CreatedAt time.Time `json:"createdAt"`
	// Version rises when the password changes; sessions of an older one end.
	Version int `json:"version"`
	// KeysFrom is when the password was last reset. Keys made before are void,
	// also if an older list of keys is put back.
	KeysFrom time.Time `json:"keysFrom,omitzero"`
	// Hash is the password's argon2id hash with its parameters. It is empty
	// in accounts that Accounts and Current return.
	Hash string `json:"hash,omitempty"`
}

// NewAccount is what CreateAccount needs to know.
type NewAccount struct {
	Name     string
	Grants   []Grant
	Password string   // made up if empty
	Context  []string // words a password may not be made of, such as the school's name
	By       string   // who has it made, for those who read what was changed; "": nobody reads of it
}

type accountsJSON struct {
	Accounts []Account `json:"accounts"`
}

var accountsIn = file[Account]{
	name: "accounts.json", what: "accounts", parse: parseAccounts, pack: func(list []Account) any { return accountsJSON{list} },
}

// CreateAccount makes an account. If no password was given it makes one up
// and returns it: it is told this once and is not kept.
func (a *Access) CreateAccount(ctx context.Context, n NewAccount) (Account, string, error) {
	name, err := cleanName(n.Name)
	if err != nil {
		return Account{}, "", err
	}
	if err := checkGrants(n.Grants); err != nil {
		return Account{}, "", err
	}
	hash, made, err := a.newHash(ctx, n.Password, append([]string{name}, n.Context...))
	if err != nil {
		return Account{}, "", err
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return Account{}, "", fmt.Errorf("make up an account's id: %w", err)
	}
	account := Account{
		ID: id.String(), Name: name, Grants: slices.Clone(n.Grants),
		CreatedAt: a.clock.Now().UTC().Truncate(time.Second), Version: 1, Hash: hash,
	}
	err = a.change(func(accounts []Account) ([]Account, error) {
		if slices.ContainsFunc(accounts, func(o Account) bool { return fold(o.Name) == fold(name) }) {
			return nil, fmt.Errorf("%w: there is an account named %q", ErrName, name)
		}
		if len(accounts) >= maxAccounts {
			return nil, fmt.Errorf("%w: there are %d accounts already", ErrName, len(accounts))
		}
		return append(accounts, account), nil
	})
	if err != nil {
		return Account{}, "", err
	}
	if n.By != "" {
		roles := make([]string, 0, len(account.Grants))
		for _, g := range account.Grants {
			roles = append(roles, g.words())
		}
		a.note(Event{What: AccountMade, Account: account.ID, By: n.By, Words: strings.Join(roles, ", ")})
	}
	account.Hash = ""
	return account, made, nil
}

// Reset is what came of giving an account a new password.
type Reset struct {
	Password string // that was made up; "" if it was given
	Keys     int    // that were taken back
}

// ResetPassword gives an account a new password, made up if empty, ends its
// sessions and takes its keys back: whoever knew the old password may have made
// one. The keys are gone even if the password then cannot be stored. by is who has
// it done, for those who read what was changed.
func (a *Access) ResetPassword(ctx context.Context, by, name, password string, words ...string) (Reset, error) {
	hash, made, err := a.newHash(ctx, password, append([]string{name}, words...))
	if err != nil {
		return Reset{}, err
	}
	account, ok := a.byName(name)
	if !ok {
		return Reset{}, cmp.Or(a.Closed(), ErrNoAccount)
	}
	r := Reset{Password: made}
	if r.Keys, err = a.revokeKeysOf(account.ID); err != nil {
		return Reset{}, fmt.Errorf("take back the keys of %s: %w", account.Name, err)
	}
	err = a.change(func(accounts []Account) ([]Account, error) {
		i := slices.IndexFunc(accounts, func(o Account) bool { return o.ID == account.ID })
		if i < 0 {
			return nil, ErrNoAccount
		}
		accounts[i].Hash = hash
		accounts[i].KeysFrom = a.clock.Now().UTC().Truncate(time.Second)
		accounts[i].Version++
		return accounts, nil
	})
	if err != nil {
		return r, err
	}
	a.note(Event{What: PasswordChanged, Account: account.ID, By: by})
	return r, a.knowsPassword(account.ID)
}

// Accounts lists the accounts by name, without their hashes.
func (a *Access) Accounts() []Account {
	a.mu.RLock()
	defer a.mu.RUnlock()
	all := slices.Clone(a.accounts)
	for i := range all {
		all[i].Hash = ""
	}
	slices.SortFunc(all, func(x, y Account) int { return strings.Compare(fold(x.Name), fold(y.Name)) })
	return all
}

func (a *Access) newHash(ctx context.Context, password string, words []string) (hash, made string, err error) {
	if password == "" {
		if made, err = makePassword(); err != nil {
			return "", "", err
		}
		password = made
	} else if err := checkPassword(password, words); err != nil {
		return "", "", err
	}
	hash, err = a.hasher.hash(ctx, password)
	return hash, made, err
}

// change writes what f makes of the accounts before anybody sees it.
func (a *Access) change(f func([]Account) ([]Account, error)) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.Closed(); err != nil {
		return err
	}
	next, err := accountsIn.change(a.dir, a.accounts, f)
	if err == nil {
		a.accounts = next
	}
	return err
}

func parseAccounts(data []byte) ([]Account, error) {
	var j accountsJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return nil, fmt.Errorf("read the accounts: %w", err)
	}
	if len(j.Accounts) > maxAccounts {
		return nil, fmt.Errorf("read the accounts: %d of them, more than %d", len(j.Accounts), maxAccounts)
	}
	for _, account := range j.Accounts {
		if _, err := parseHash(account.Hash); err != nil {
			return nil, fmt.Errorf("read the account %q: %w", account.Name, err)
		}
		if err := checkGrants(account.Grants); err != nil {
			return nil, fmt.Errorf("read the account %q: %w", account.Name, err)
		}
	}
	return j.Accounts, nil
}

func (a *Access) byName(name string) (Account, bool) {
	return a.find(func(o Account) bool { return fold(o.Name) == fold(name) })
}

// Named returns the account of that name, without its hash.
func (a *Access) Named(name string) (Account, bool) {
	account, ok := a.byName(name)
	account.Hash = ""
	return account, ok
}

func (a *Access) byID(id string) (Account, bool) {
	return a.find(func(o Account) bool { return o.ID == id })
}

func (a *Access) find(is func(Account) bool) (Account, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if i := slices.IndexFunc(a.accounts, is); i >= 0 {
		return a.accounts[i], true
	}
	return Account{}, false
}

func checkGrants(grants []Grant) error {
	if len(grants) == 0 {
		return errors.New("an account needs a role")
	}
	for _, g := range grants {
		if _, err := ParseRole(string(g.Role)); err != nil {
			return err
		}
		if g.School == "" {
			return errors.New("a role needs a school")
		}
	}
	return nil
}

// cleanName bounds a name to what can be read aloud and typed again.
func cleanName(name string) (string, error) {
	name = norm.NFC.String(strings.TrimSpace(name))
	if n := utf8.RuneCountInString(name); n == 0 || n > maxName {
		return "", fmt.Errorf("%w: it needs 1 to %d characters", ErrName, maxName)
	}
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.Mn, r) && !strings.ContainsRune(" .-_'@+", r) {
			return "", fmt.Errorf("%w: only letters, digits, spaces and . - _ ' @ + are allowed", ErrName)
		}
	}
	return name, nil
}

// fold makes names that a person would call the same equal.
func fold(name string) string {
	return strings.ToLower(norm.NFC.String(strings.TrimSpace(name)))
}
