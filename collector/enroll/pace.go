package enroll

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How many a school admits in a second, and at once: each costs two signatures
// and its part of a sync. A token lets a trolley of 400 through that are
// switched on together, and 10,000 laptops in five minutes; whoever has got
// hold of one occupies half of the school's desk at most. Who has no good token
// costs nothing here but a hash: the door bounds how many of those there are.
const (
	schoolPerSecond = 100
	schoolAtOnce    = 1000
	tokenPerSecond  = 50
	tokenAtOnce     = 500
	renewPerSecond  = 100
	renewAtOnce     = 1000
	mostPaced       = 256 // tokens that are remembered though they are not in use
)

// pace bounds what one school's desk does. It is safe for concurrent use.
type pace struct {
	school, renewals *rate.Limiter
	claims           *rate.Limiter // of those who ask without a token and are not known to wait
	mu               *sync.Mutex   // guards tokens
	tokens           map[string]*rate.Limiter
}

func newPace() pace {
	return pace{
		rate.NewLimiter(schoolPerSecond, schoolAtOnce), rate.NewLimiter(renewPerSecond, renewAtOnce),
		rate.NewLimiter(schoolPerSecond, schoolAtOnce),
		new(sync.Mutex),
		map[string]*rate.Limiter{},
	}
}

// allow reports whether a device with this token may be admitted now.
func (p pace) allow(token string, now time.Time) bool {
	return p.of(token, now).AllowN(now, 1) && p.school.AllowN(now, 1)
}

func (p pace) of(token string, now time.Time) *rate.Limiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	l, ok := p.tokens[token]
	if ok {
		return l
	}
	if len(p.tokens) >= mostPaced {
		for other, l := range p.tokens {
			if l.TokensAt(now) >= tokenAtOnce {
				delete(p.tokens, other)
			}
		}
	}
	l = rate.NewLimiter(tokenPerSecond, tokenAtOnce)
	p.tokens[token] = l
	return l
}

// renew reports whether a certificate may be renewed now.
func (p pace) renew(now time.Time) bool { return p.renewals.AllowN(now, 1) }
