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

// How many attempts to sign in are let through. Nothing counts attempts on an
// account alone: whoever guesses at a head's password slows only their own
// address down.
const (
	pairBurst    = 5                // from one address on one account
	pairEvery    = 30 * time.Second // and then one each
	addressBurst = 30               // from one address on any account
	addressEvery = 5 * time.Second
	maxLimits    = 8192 // remembered; the least recently used is forgotten first
)

// TooManyError says that an address has tried too often.
type TooManyError struct {
	RetryAfter time.Duration
}

// Error implements error.
func (e *TooManyError) Error() string {
	return fmt.Sprintf("too many attempts to sign in; try again in %s", e.RetryAfter.Round(time.Second))
}

type limitKey struct {
	address string
	account string // "" for the address alone
}

type limitEntry struct {
	key     limitKey
	limiter *rate.Limiter
}

// limits holds a token bucket for each address, and for each address with
// each account.
type limits struct {
	clock clock.Clock

	mu     sync.Mutex // guards all below
	recent *list.List // of limitEntry, the latest used first
	byKey  map[limitKey]*list.Element
}

func newLimits(c clock.Clock) *limits {
	return &limits{clock: c, recent: list.New(), byKey: map[limitKey]*list.Element{}}
}

// wait returns how long an attempt must wait; 0 lets it through.
func (l *limits) wait(address, account string) time.Duration {
	address = network(address)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	pair := l.limiter(limitKey{address, bounded(account)}, pairEvery, pairBurst)
	all := l.limiter(limitKey{address: address}, addressEvery, addressBurst)
	return max(lacking(pair, now), lacking(all, now))
}

// lacking returns how long it takes until a bucket holds a token.
func lacking(l *rate.Limiter, now time.Time) time.Duration {
	missing := 1 - l.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing / float64(l.Limit()) * float64(time.Second)).Round(time.Millisecond)
}

// failed counts an attempt that failed. Those that succeed count for nothing:
// a whole staff may sign in from one address.
func (l *limits) failed(address, account string) {
	address = network(address)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	l.limiter(limitKey{address, bounded(account)}, pairEvery, pairBurst).AllowN(now, 1)
	l.limiter(limitKey{address: address}, addressEvery, addressBurst).AllowN(now, 1)
}

func bounded(account string) string { return account[:min(len(account), 4*maxName)] }

// forgive starts the count of one address on one account afresh.
func (l *limits) forgive(address, account string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := limitKey{network(address), bounded(account)}
	if e, ok := l.byKey[key]; ok {
		l.recent.Remove(e)
		delete(l.byKey, key)
	}
}

func (l *limits) limiter(key limitKey, every time.Duration, burst int) *rate.Limiter {
	if e, ok := l.byKey[key]; ok {
		l.recent.MoveToFront(e)
		return e.Value.(limitEntry).limiter
	}
	for l.recent.Len() >= maxLimits {
		oldest := l.recent.Remove(l.recent.Back()).(limitEntry)
		delete(l.byKey, oldest.key)
	}
	limiter := rate.NewLimiter(rate.Every(every), burst)
	l.byKey[key] = l.recent.PushFront(limitEntry{key: key, limiter: limiter})
	return limiter
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
