package access

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxKeys    = 1000
	maxLabel   = 80 // characters
	keyPrefix  = "ctp1-"
	keySecret  = 20 // bytes, 160 bits: a guess is hopeless, so its hash needs no salt and no cost
	keyIDBytes = 5
)

// MaxKeyLife is the longest that a key may last: one that is forgotten must
// end by itself.
const MaxKeyLife = 366 * 24 * time.Hour

// ErrKey says that a key is wrong, has ended or was taken back, or that its
// account has gone; and not which.
var ErrKey = errors.New("the key is not valid")

var keyEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Key lets a program act for an account, with no more than a part of what the
// account may do.
type Key struct {
	ID      string    `json:"id"`      // shown; the first part of the key itself
	Account string    `json:"account"` // identifier of the account
	Label   string    `json:"label"`   // what it is for
	Grants  []Grant   `json:"grants"`  // each within a grant of the account's
	Made    time.Time `json:"made"`
	Ends    time.Time `json:"ends"` // from then on it is not valid
	// Hash is the SHA-256 of the secret, in hexadecimal. Keys leaves it out.
	Hash string `json:"hash,omitempty"`
}

// NewKey is what CreateKey needs to know.
type NewKey struct {
	Account string // name
	Label   string
	Grants  []Grant // none: all of the account's
	Lasts   time.Duration
	By      string // who has it made, for those who read what was changed; "": nobody reads of it
}

type keysJSON struct {
	Keys []Key `json:"keys"`
}

var keysIn = file[Key]{name: "keys.json", what: "keys", parse: parseKeys, pack: func(list []Key) any { return keysJSON{list} }}

// CreateKey makes a key and returns it with its secret text, which is told
// this once and is not kept.
func (a *Access) CreateKey(n NewKey) (Key, string, error) {
	account, ok := a.byName(n.Account)
	if !ok {
		return Key{}, "", cmp.Or(a.Closed(), ErrNoAccount)
	}
	label, err := cleanLabel(n.Label)
	if err != nil {
		return Key{}, "", err
	}
	if n.Lasts <= 0 || n.Lasts > MaxKeyLife {
		return Key{}, "", fmt.Errorf("a key lasts for up to %d days", int(MaxKeyLife.Hours()/24))
	}
	if len(n.Grants) == 0 {
		n.Grants = account.Grants
	}
	for _, g := range n.Grants {
		if !account.holds(g) {
			return Key{}, "", fmt.Errorf("%s is not %s at %s, so no key of theirs can be", account.Name, g.Role, g.School)
		}
	}
	random := make([]byte, keyIDBytes+keySecret)
	if _, err := rand.Read(random); err != nil {
		return Key{}, "", fmt.Errorf("make up a key: %w", err)
	}
	id, secret := keyEncoding.EncodeToString(random[:keyIDBytes]), random[keyIDBytes:]
	sum := sha256.Sum256(secret)
	now := a.clock.Now().UTC().Truncate(time.Second)
	key := Key{
		ID: id, Account: account.ID, Label: label, Grants: slices.Clone(n.Grants),
		Made: now, Ends: now.Add(n.Lasts), Hash: hex.EncodeToString(sum[:]),
	}
	err = a.changeKeys(func(keys []Key) ([]Key, error) {
		keys = slices.DeleteFunc(keys, func(k Key) bool { return !k.Ends.After(now) })
		if len(keys) >= maxKeys {
			return nil, fmt.Errorf("there are %d keys already: take some back", len(keys))
		}
		return append(keys, key), nil
	})
	if err != nil {
		return Key{}, "", err
	}
	if n.By != "" {
		a.note(Event{What: KeyMade, Account: key.Account, By: n.By, Words: key.Label})
	}
	key.Hash = ""
	return key, keyPrefix + id + "-" + keyEncoding.EncodeToString(secret), nil
}

// Keys lists the keys that are valid, the newest first, without their hashes.
func (a *Access) Keys() []Key {
	a.mu.RLock()
	defer a.mu.RUnlock()
	now := a.clock.Now()
	list := []Key{}
	for _, k := range a.keys {
		if k.Ends.After(now) {
			k.Hash = ""
			list = append(list, k)
		}
	}
	slices.SortStableFunc(list, func(x, y Key) int { return y.Made.Compare(x.Made) })
	return list
}

// RevokeKey takes a key back. It is worth nothing from then on.
func (a *Access) RevokeKey(id string) error {
	return a.changeKeys(func(keys []Key) ([]Key, error) {
		kept := slices.DeleteFunc(keys, func(k Key) bool { return k.ID == id })
		if len(kept) == len(keys) {
			return nil, fmt.Errorf("there is no key %.20q", id)
		}
		return kept, nil
	})
}

// EndKey is RevokeKey, and writes down who has it done.
func (a *Access) EndKey(by, id string) error {
	a.mu.RLock()
	i := slices.IndexFunc(a.keys, func(k Key) bool { return k.ID == id })
	var key Key
	if i >= 0 {
		key = a.keys[i]
	}
	a.mu.RUnlock()
	if err := a.RevokeKey(id); err != nil {
		return err
	}
	a.note(Event{What: KeyTaken, Account: key.Account, By: by, Words: key.Label})
	return nil
}

// revokeKeysOf takes back all keys of an account, and returns how many. Keys that
// cannot be read are worth nothing, and stay as they are.
func (a *Access) revokeKeysOf(account string) (int, error) {
	if readable := a.noKeys == nil; !readable {
		return 0, nil
	}
	taken := 0
	err := a.changeKeys(func(keys []Key) ([]Key, error) {
		kept := slices.DeleteFunc(keys, func(k Key) bool { return k.Account == account })
		taken = len(a.keys) - len(kept)
		return kept, nil
	})
	return taken, err
}

// KeyID returns the identifier of a key, which is no secret; "" of what is none.
func KeyID(text string) string {
	id, _, _ := parseKey(text)
	return id
}

// OpenKey returns the account that a key acts for, with only the grants that
// both have. The error is ErrKey if it is not valid, and an *UnreadableError if
// none is known to be.
func (a *Access) OpenKey(text string) (Account, error) {
	if err := cmp.Or(a.Closed(), a.Keyless()); err != nil {
		return Account{}, err
	}
	id, secret, ok := parseKey(text)
	if !ok {
		return Account{}, ErrKey
	}
	sum := sha256.Sum256(secret)
	hash := hex.EncodeToString(sum[:])
	a.mu.RLock()
	i := slices.IndexFunc(a.keys, func(k Key) bool { return k.ID == id })
	var key Key
	if i >= 0 {
		key = a.keys[i]
	}
	a.mu.RUnlock()
	if subtle.ConstantTimeCompare([]byte(key.Hash), []byte(hash)) != 1 || !key.Ends.After(a.clock.Now()) {
		return Account{}, ErrKey
	}
	account, ok := a.byID(key.Account)
	if !ok || key.Made.Before(account.KeysFrom) {
		return Account{}, ErrKey
	}
	held := account.Grants
	account.Hash, account.Grants = "", nil
	for _, g := range key.Grants {
		if (Account{Grants: held}).holds(g) {
			account.Grants = append(account.Grants, g)
		}
	}
	if len(account.Grants) == 0 {
		return Account{}, ErrKey
	}
	return account, nil
}

// holds reports whether the account has that role at that school, or at every
// one.
func (a Account) holds(g Grant) bool {
	return slices.ContainsFunc(a.Grants, func(has Grant) bool {
		return has.Role == g.Role && (has.School == g.School || has.School == EverySchool)
	})
}

func parseKey(text string) (id string, secret []byte, ok bool) {
	rest, ok := strings.CutPrefix(text, keyPrefix)
	if !ok || len(rest) > 64 {
		return "", nil, false
	}
	id, encoded, ok := strings.Cut(rest, "-")
	if !ok || id == "" {
		return "", nil, false
	}
	secret, err := keyEncoding.DecodeString(encoded)
	return id, secret, err == nil && len(secret) == keySecret && keyEncoding.EncodeToString(secret) == encoded
}

func cleanLabel(label string) (string, error) {
	label = strings.Join(strings.Fields(label), " ")
	if label == "" || len([]rune(label)) > maxLabel || strings.ContainsFunc(label, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) {
		return "", fmt.Errorf("a key needs a label of up to %d characters that says what it is for", maxLabel)
	}
	return label, nil
}

// changeKeys writes what f makes of the keys before anybody sees it.
func (a *Access) changeKeys(f func([]Key) ([]Key, error)) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.Keyless(); err != nil {
		return err
	}
	next, err := keysIn.change(a.dir, a.keys, f)
	if err == nil {
		a.keys = next
	}
	return err
}

func parseKeys(data []byte) ([]Key, error) {
	var j keysJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	if len(j.Keys) > maxKeys {
		return nil, fmt.Errorf("read the keys: %d of them, more than %d", len(j.Keys), maxKeys)
	}
	for _, k := range j.Keys {
		if sum, err := hex.DecodeString(k.Hash); err != nil || len(sum) != sha256.Size || k.ID == "" || k.Ends.IsZero() {
			return nil, fmt.Errorf("read the key %.20q: it is not whole", k.ID)
		}
		if err := checkGrants(k.Grants); err != nil {
			return nil, fmt.Errorf("read the key %.20q: %w", k.ID, err)
		}
	}
	return j.Keys, nil
}
