package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// mostSeniorKeys bounds the keys of one account: an old one stays, for what was
// sealed to it.
const mostSeniorKeys = 20

// SeniorKey is a key with which a senior reads and signs restricted incidents.
// Its secret half is wrapped with a passphrase that is kept nowhere.
type SeniorKey struct {
	Account   string    `json:"account"` // identifier of the account
	Code      string    `json:"code"`    // names the key
	Recipient string    `json:"recipient"`
	Verifier  []byte    `json:"verifier"`
	Wrapped   []byte    `json:"wrapped"`
	Made      time.Time `json:"made"`
	By        string    `json:"by"` // who had it made: the account itself, or the console
}

type seniorsJSON struct {
	Keys []SeniorKey `json:"keys"`
}

var seniorsIn = file[SeniorKey]{
	name: "seniors.json", what: "seniors' keys", parse: parseSeniors, pack: func(list []SeniorKey) any { return seniorsJSON{list} },
}

// Seniors is the store of seniors' keys. It is kept beside the accounts.
type Seniors struct {
	dir string

	mu   sync.RWMutex // guards all below and the file that holds it
	keys []SeniorKey
	none error // the keys could not be read; nil: they were
}

// OpenSeniors opens the store in the directory of the accounts. Keys that cannot
// be read keep nobody from anything else: see Trouble.
func OpenSeniors(dir string) *Seniors {
	keys, err := seniorsIn.read(dir)
	if err != nil {
		err = fmt.Errorf("the seniors' keys cannot be read, so no restricted incident can be: put %s back from a backup: %w", filepath.Join(dir, seniorsIn.name), err)
	}
	return &Seniors{dir: dir, keys: keys, none: err}
}

// Trouble returns why there are no keys; nil if they could be read.
func (s *Seniors) Trouble() error { return s.none }

// Add keeps a key. Those that the account had stay.
func (s *Seniors) Add(k SeniorKey) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.none != nil {
		return s.none
	}
	next, err := seniorsIn.change(s.dir, s.keys, func(keys []SeniorKey) ([]SeniorKey, error) {
		had := 0
		for _, o := range keys {
			if o.Account == k.Account {
				had++
			}
			if o.Code == k.Code {
				return nil, fmt.Errorf("there is a key %s already", k.Code)
			}
		}
		if had >= mostSeniorKeys {
			return nil, fmt.Errorf("this account has had %d keys, and none can be taken away: what was sealed to it would be lost", had)
		}
		return append(keys, k), checkSenior(k)
	})
	if err == nil {
		s.keys = next
	}
	return err
}

// Of lists the keys of an account, the newest first.
func (s *Seniors) Of(account string) []SeniorKey {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var list []SeniorKey
	for _, k := range s.keys {
		if k.Account == account {
			list = append(list, k)
		}
	}
	slices.Reverse(list)
	return list
}

// ByCode returns the key of a code.
func (s *Seniors) ByCode(code string) (SeniorKey, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if i := slices.IndexFunc(s.keys, func(k SeniorKey) bool { return k.Code == code }); i >= 0 {
		return s.keys[i], true
	}
	return SeniorKey{}, false
}

func checkSenior(k SeniorKey) error {
	if k.Account == "" || k.Code == "" || k.Recipient == "" || len(k.Verifier) == 0 || len(k.Wrapped) == 0 || k.Made.IsZero() {
		return errors.New("a senior's key is not whole")
	}
	return nil
}

func parseSeniors(data []byte) ([]SeniorKey, error) {
	var j seniorsJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return nil, fmt.Errorf("read the seniors' keys: %w", err)
	}
	if len(j.Keys) > maxAccounts {
		return nil, fmt.Errorf("read the seniors' keys: %d of them, more than %d", len(j.Keys), maxAccounts)
	}
	for _, k := range j.Keys {
		if err := checkSenior(k); err != nil {
			return nil, fmt.Errorf("read the senior's key %.20q: %w", k.Code, err)
		}
	}
	return j.Keys, nil
}

// Account returns the account of a name, in whatever capitals, without its hash.
func (a *Access) Account(name string) (Account, bool) {
	account, ok := a.byName(name)
	account.Hash = ""
	return account, ok
}

// SameName reports whether two names are of one person, as far as accounts go.
func SameName(a, b string) bool { return fold(a) == fold(b) }
