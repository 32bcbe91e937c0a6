package access

import (
	"container/list"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/caretaker-school/caretaker/shared/clock"
	"golang.org/x/time/rate"
)

// How many attempts to sign in are let through. Nothing refuses attempts for
// the account's sake alone: whoever guesses at a head's password slows only
// their own address down, and never a browser that the head has signed in with.
// Once many have guessed at one account, each address has fewer attempts on it;
// the first from anywhere is always heard.
const (
	pairBurst    = 5                // from one address on one account
	pairEvery    = 30 * time.Second // and then one each
	addressBurst = 30               // from one address on any account
	addressEvery = 5 * time.Second
	siegeBurst   = 50 // from anywhere on one account, before it counts as besieged
	siegeEvery   = 10 * time.Minute
	scarceBurst  = 2 // from one address on a besieged account
	scarceEvery  = 10 * time.Minute
	secondBurst  = 10 // wrong second steps of one account: whoever gets there knows the password
	secondEvery  = 5 * time.Minute
	maxLimits    = 8192 // remembered of each kind; the least recently used is forgotten first
)

// source is where an attempt comes from.
type source struct {
	address string
	browser string // of those that the account has signed in with; "": not one
}

// TooManyError says that an address has tried too often.
type TooManyError struct {
	RetryAfter time.Duration
}

// Error implements error.
func (e *TooManyError) Error() string {
	return fmt.Sprintf("too many attempts to sign in; try again in %s", e.RetryAfter.Round(time.Second))
}

// allowance is a kind of count: what is counted together, and how much of it
// is let through.
type allowance struct {
	every time.Duration
	burst int
}

var (
	ofBrowser = allowance{pairEvery, pairBurst}
	ofPair    = allowance{pairEvery, pairBurst}
	ofAddress = allowance{addressEvery, addressBurst}
	ofAccount = allowance{siegeEvery, siegeBurst}
	ofScarce  = allowance{scarceEvery, scarceBurst}
	ofSecond  = allowance{secondEvery, secondBurst}
)

type limitKey struct {
	from    string // address or browser; "" for all of them
	account string // "" for all of them
}

type limitEntry struct {
	key     limitKey
	limiter *rate.Limiter
}

// buckets holds token buckets of one kind.
type buckets struct {
	allowance
	recent *list.List // of limitEntry, the latest used first
	byKey  map[limitKey]*list.Element
}

func newBuckets(of allowance) *buckets {
	return &buckets{allowance: of, recent: list.New(), byKey: map[limitKey]*list.Element{}}
}

// limits holds the counts. A flood of addresses makes those of addresses
// forget, and never those of browsers.
type limits struct {
	clock clock.Clock

	mu       sync.Mutex // guards all below
	browsers *buckets   // each known browser with its account
	pairs    *buckets   // each address with each account
	address  *buckets
	accounts *buckets
	scarce   *buckets // each address with each account, while that is besieged
	seconds  *buckets // the second step of each account
}

func newLimits(c clock.Clock) *limits {
	return &limits{
		clock: c, browsers: newBuckets(ofBrowser), pairs: newBuckets(ofPair), address: newBuckets(ofAddress),
		accounts: newBuckets(ofAccount), scarce: newBuckets(ofScarce), seconds: newBuckets(ofSecond),
	}
}

// wait returns how long an attempt must wait; 0 lets it through.
func (l *limits) wait(from source, account string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, account := l.clock.Now(), bounded(account)
	if from.browser != "" {
		return l.browsers.lacking(limitKey{from.browser, account}, now)
	}
	address := network(from.address)
	wait := max(l.pairs.lacking(limitKey{address, account}, now), l.address.lacking(limitKey{from: address}, now))
	if l.accounts.lacking(limitKey{account: account}, now) > 0 {
		wait = max(wait, l.scarce.lacking(limitKey{address, account}, now))
	}
	return wait
}

// failed counts an attempt that failed. Those that succeed count for nothing:
// a whole staff may sign in from one address.
func (l *limits) failed(from source, account string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, account := l.clock.Now(), bounded(account)
	if from.browser != "" {
		l.browsers.take(limitKey{from.browser, account}, now)
		return
	}
	address := network(from.address)
	l.pairs.take(limitKey{address, account}, now)
	l.address.take(limitKey{from: address}, now)
	if !l.accounts.take(limitKey{account: account}, now) {
		l.scarce.take(limitKey{address, account}, now)
	}
}

func bounded(account string) string { return account[:min(len(account), 4*maxName)] }

// forgive starts the counts of one source on one account afresh.
func (l *limits) forgive(from source, account string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.browsers.forget(limitKey{from.browser, bounded(account)})
	l.pairs.forget(limitKey{network(from.address), bounded(account)})
}

// waitSecond is wait for a second step. Only who knows the password gets to it,
// so that a count for the account's sake keeps nobody out who is not found out
// already; a known browser has a count of its own all the same.
func (l *limits) waitSecond(from source, account string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seconds.lacking(limitKey{from.browser, account}, l.clock.Now())
}

func (l *limits) failedSecond(from source, account string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seconds.take(limitKey{from.browser, account}, l.clock.Now())
}

func (l *limits) forgiveSecond(from source, account string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seconds.forget(limitKey{from.browser, account})
}

// lacking returns how long it takes until a bucket holds a token. It makes none:
// one that is not there is full.
func (b *buckets) lacking(key limitKey, now time.Time) time.Duration {
	e, ok := b.byKey[key]
	if !ok {
		return 0
	}
	b.recent.MoveToFront(e)
	l := e.Value.(limitEntry).limiter
	missing := 1 - l.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing / float64(l.Limit()) * float64(time.Second)).Round(time.Millisecond)
}

// Turns lets so much through for each of those who come, and more as time goes
// by. It remembers a bounded number of them: of many more it forgets those that
// came longest ago.
type Turns struct {
	clock clock.Clock

	mu      sync.Mutex // guards buckets
	buckets *buckets
}

// NewTurns lets burst through at once, and then one each.
func NewTurns(c clock.Clock, burst int, each time.Duration) *Turns {
	return &Turns{clock: c, buckets: newBuckets(allowance{each, burst})}
}

// Take lets who comes through, or says how long they have to wait.
func (t *Turns) Take(who string) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, k := t.clock.Now(), limitKey{from: bounded(who)}
	if !t.buckets.take(k, now) {
		return max(t.buckets.lacking(k, now), time.Second)
	}
	return 0
}

// Network is what counts as one who comes, of a network address: itself, or the
// 64 bits of an IPv6 address that a line is given.
func Network(address string) string { return network(address) }

// take takes a token out of a bucket, if it holds one.
func (b *buckets) take(key limitKey, now time.Time) bool {
	e, ok := b.byKey[key]
	if !ok {
		for b.recent.Len() >= maxLimits {
			oldest := b.recent.Remove(b.recent.Back()).(limitEntry)
			delete(b.byKey, oldest.key)
		}
		e = b.recent.PushFront(limitEntry{key: key, limiter: rate.NewLimiter(rate.Every(b.every), b.burst)})
		b.byKey[key] = e
	}
	b.recent.MoveToFront(e)
	return e.Value.(limitEntry).limiter.AllowN(now, 1)
}

func (b *buckets) forget(key limitKey) {
	if e, ok := b.byKey[key]; ok {
		b.recent.Remove(e)
		delete(b.byKey, key)
	}
}

// network is what counts as one address: an IPv4 address, or the 64 bits of an
// IPv6 address that a line is given.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	return netip.PrefixFrom(ip, 64).Masked().String()
}
