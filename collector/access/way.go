package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Way is how a person has proven who they are.
type Way string

// The ways.
const (
	ByPassword Way = "password"
	ByPasskey  Way = "passkey"
	BySignOn   Way = "sign-on"
	ByApp      Way = "authenticator app"
	ByCode     Way = "recovery code"
	ByHelp     Way = "another person’s code"
)

// Stage is how far a person has come in signing in.
type Stage uint8

// The stages.
const (
	SignedOut Stage = iota
	Halfway         // the second step is to come
	SignedIn
)

const (
	halfLife = 10 * time.Minute // to take the second step in
	// freshFor is how long after signing in a person may change how they sign in:
	// a window left open is not enough.
	freshFor = 15 * time.Minute
)

// The values of a session.
const (
	accountKey = "account"
	versionKey = "version"
	halfKey    = "half" // true while the second step is to come
	idKey      = "id"   // by which it is listed and ended; not its token
	firstKey   = "first"
	secondKey  = "second"
	addressKey = "address"
	withKey    = "with" // what browser, on what system
	begunKey   = "begun"
)

// Session is one place where a person is signed in.
type Session struct {
	ID      string
	Begun   time.Time
	Seen    time.Time
	Address string
	With    string // such as "Firefox on Windows"; "" if not known
	First   Way
	Second  Way  // "" if none was asked for
	This    bool // it is the one that asks
}

// Begin signs the account in by the way it was proven, as far as that goes: an
// account with a second step is only halfway, unless the way was both. The
// session gets a new token, so that one planted before is worth nothing.
func (a *Access) Begin(w http.ResponseWriter, r *http.Request, account Account, way Way, address string) (Stage, error) {
	steps, err := a.StepsOf(account.ID)
	if err != nil {
		return SignedOut, err
	}
	stage := SignedIn
	if steps.Second() && way != ByPasskey && !a.vouched(way) {
		stage = Halfway
	}
	return stage, a.enter(w, r, account, stage, way, "", address)
}

// Finish signs in an account that came halfway and took the second step.
func (a *Access) Finish(w http.ResponseWriter, r *http.Request, account Account, second Way, address string) error {
	first := Way(a.sessions.manager.GetString(r.Context(), firstKey))
	return a.enter(w, r, account, SignedIn, first, second, address)
}

func (a *Access) enter(w http.ResponseWriter, r *http.Request, account Account, stage Stage, first, second Way, address string) error {
	m, ctx := a.sessions.manager, r.Context()
	if err := m.RenewToken(ctx); err != nil {
		return fmt.Errorf("begin a session: %w", err)
	}
	half, most := stage != SignedIn, maxOwn
	if half {
		most = maxHalf
	}
	a.sessions.store.makeRoom(most, func(data []byte) bool {
		v, ok := a.valuesOf(data)
		return ok && v.text(accountKey) == account.ID && v[halfKey] == half
	})
	m.Put(ctx, accountKey, account.ID)
	m.Put(ctx, versionKey, account.Version)
	m.Put(ctx, halfKey, half)
	m.Put(ctx, idKey, rand.Text())
	m.Put(ctx, firstKey, string(first))
	m.Put(ctx, secondKey, string(second))
	m.Put(ctx, addressKey, address)
	m.Put(ctx, withKey, browserWords(r.UserAgent()))
	m.Put(ctx, begunKey, a.clock.Now().Unix())
	if half {
		return nil
	}
	a.log.Info("signed in", "account", account.ID, "address", address, "way", first, "second", second)
	return a.know(w, r, account)
}

// End signs out.
func (a *Access) End(ctx context.Context) error {
	if err := a.sessions.manager.Destroy(ctx); err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}

// Current returns who is signed in where a request comes from. An account that
// was removed, whose password was changed since, or that came only halfway, is
// not.
func (a *Access) Current(ctx context.Context) (Account, bool) {
	account, stage := a.visitor(ctx)
	if stage != SignedIn {
		return Account{}, false
	}
	return account, true
}

// Halfway returns whose second step is to come.
func (a *Access) Halfway(ctx context.Context) (Account, bool) {
	account, stage := a.visitor(ctx)
	if stage != Halfway || a.clock.Now().Sub(a.begun(ctx)) >= halfLife {
		return Account{}, false
	}
	return account, true
}

func (a *Access) visitor(ctx context.Context) (Account, Stage) {
	m := a.sessions.manager
	id := m.GetString(ctx, accountKey)
	if id == "" {
		return Account{}, SignedOut
	}
	account, ok := a.byID(id)
	if !ok || account.Version != m.GetInt(ctx, versionKey) {
		return Account{}, SignedOut
	}
	account.Hash = ""
	if m.GetBool(ctx, halfKey) {
		return account, Halfway
	}
	return account, SignedIn
}

func (a *Access) begun(ctx context.Context) time.Time {
	return time.Unix(a.sessions.manager.GetInt64(ctx, begunKey), 0)
}

// Fresh reports whether the person signed in so lately that they may change how
// they sign in.
func (a *Access) Fresh(ctx context.Context) bool {
	since := a.clock.Now().Sub(a.begun(ctx))
	return since >= 0 && since < freshFor
}

// SessionID names the session that a request belongs to.
func (a *Access) SessionID(ctx context.Context) string {
	return a.sessions.manager.GetString(ctx, idKey)
}

// SessionsOf lists where an account is signed in, the latest used first. current
// is the session that asks; "" if none does.
func (a *Access) SessionsOf(id, current string) ([]Session, error) {
	account, ok := a.byID(id)
	if !ok {
		return nil, ErrNoAccount
	}
	list := []Session{}
	a.eachSession(func(row sessionRow, v sessionValues) {
		if v.text(accountKey) != id || v[versionKey] != account.Version {
			return
		}
		list = append(list, Session{
			ID: v.text(idKey), Begun: row.BegunAt, Seen: row.SeenAt, Address: v.text(addressKey), With: v.text(withKey),
			First: Way(v.text(firstKey)), Second: Way(v.text(secondKey)), This: v.text(idKey) == current && current != "",
		})
	})
	slices.SortFunc(list, func(x, y Session) int { return cmp.Or(y.Seen.Compare(x.Seen), strings.Compare(x.ID, y.ID)) })
	return list, nil
}

// SessionCounts says in how many places each account is signed in, by identifier.
func (a *Access) SessionCounts() map[string]int {
	versions := map[string]int{}
	for _, account := range a.Accounts() {
		versions[account.ID] = account.Version
	}
	counts := map[string]int{}
	a.eachSession(func(_ sessionRow, v sessionValues) {
		id := v.text(accountKey)
		if version, ok := versions[id]; ok && v[versionKey] == version {
			counts[id]++
		}
	})
	return counts
}

// eachSession calls f with every session of somebody who came all the way in.
func (a *Access) eachSession(f func(sessionRow, sessionValues)) {
	for _, row := range a.sessions.store.all() {
		if v, ok := a.valuesOf(row.Data); ok && v[halfKey] != true {
			f(row, v)
		}
	}
}

// sessionValues are what a stored session holds.
type sessionValues map[string]any

func (v sessionValues) text(key string) string {
	text, _ := v[key].(string)
	return text
}

func (a *Access) valuesOf(data []byte) (sessionValues, bool) {
	_, values, err := a.sessions.manager.Codec.Decode(data)
	return values, err == nil
}

// EndSession ends one session of an account: the person's own doing.
func (a *Access) EndSession(id, session string) error {
	n, err := a.sessions.store.end(func(data []byte) bool {
		v, ok := a.valuesOf(data)
		return ok && v.text(accountKey) == id && v.text(idKey) == session && session != ""
	})
	if err == nil && n == 0 {
		err = ErrNoSession
	}
	return err
}

// ErrNoSession says that a session is over already, or is not the account's.
var ErrNoSession = errors.New("there is no such session any more")

// EndOtherSessions ends all of an account's sessions but the one that asks.
func (a *Access) EndOtherSessions(ctx context.Context, id string) (int, error) {
	current := a.SessionID(ctx)
	return a.sessions.store.end(func(data []byte) bool {
		v, ok := a.valuesOf(data)
		return ok && v.text(accountKey) == id && (v.text(idKey) != current || current == "")
	})
}

// EndSessions ends all sessions of an account, by another person.
func (a *Access) EndSessions(by, id string) error {
	if _, ok := a.byID(id); !ok {
		return ErrNoAccount
	}
	_, err := a.sessions.store.end(func(data []byte) bool {
		v, ok := a.valuesOf(data)
		return ok && v.text(accountKey) == id
	})
	if err == nil {
		a.note(Event{What: SessionsEnded, Account: id, By: by})
	}
	return err
}

// ChangePassword gives the account that is signed in a new password. The old
// one is asked for, unless another person's code stood in for it. Every other
// session of the account ends. The error is ErrWrong, ErrPassword, ErrBusy or a
// *TooManyError if the answer is no.
func (a *Access) ChangePassword(ctx context.Context, account Account, old, password string, words ...string) error {
	steps, err := a.StepsOf(account.ID)
	if err != nil {
		return err
	}
	if !steps.NewPassword {
		if err := a.checkOwn(ctx, account, old); err != nil {
			return err
		}
	}
	// None given is none chosen: nothing is made up here.
	if err := checkPassword(password, append([]string{account.Name}, words...)); err != nil {
		return err
	}
	hash, err := a.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	version := 0
	err = a.change(func(accounts []Account) ([]Account, error) {
		i := slices.IndexFunc(accounts, func(o Account) bool { return o.ID == account.ID })
		if i < 0 {
			return nil, ErrNoAccount
		}
		accounts[i].Hash = hash
		accounts[i].Version++
		version = accounts[i].Version
		return accounts, nil
	})
	if err != nil {
		return err
	}
	a.sessions.manager.Put(ctx, versionKey, version)
	a.note(Event{What: PasswordChanged, Account: account.ID, By: account.Name})
	return a.knowsPassword(account.ID)
}

// checkOwn checks the password of somebody who is signed in, as slowly as a
// second step: a window left open must not be where to guess.
func (a *Access) checkOwn(ctx context.Context, account Account, password string) error {
	from := source{browser: "signed in"}
	if wait := a.limits.waitSecond(from, account.ID); wait > 0 {
		return &TooManyError{RetryAfter: wait}
	}
	full, ok := a.byID(account.ID)
	if !ok {
		return ErrNoAccount
	}
	ok, err := a.hasher.matches(ctx, a.hasher.known, full.Hash, password)
	if err != nil {
		return err
	}
	if !ok {
		a.limits.failedSecond(from, account.ID)
		return ErrWrong
	}
	a.limits.forgiveSecond(from, account.ID)
	return nil
}

// browserWords names a browser and its system as people do; "" if it is not one
// of those that are known. More of what a browser says is not kept.
func browserWords(agent string) string {
	name, system := "", ""
	for _, b := range [][2]string{{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"Chrome/", "Chrome"}, {"CriOS/", "Chrome"}, {"Safari/", "Safari"}} {
		if name == "" && strings.Contains(agent, b[0]) {
			name = b[1]
		}
	}
	for _, s := range [][2]string{{"Windows", "Windows"}, {"CrOS", "ChromeOS"}, {"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Mac OS X", "macOS"}, {"Linux", "Linux"}} {
		if system == "" && strings.Contains(agent, s[0]) {
			system = s[1]
		}
	}
	if name == "" || system == "" {
		return ""
	}
	return name + " on " + system
}
