package intake

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// What one device may send. A laptop that was away for a term drains its whole
// spool within minutes; one that sends without end is slowed, then refused.
const (
	messagesPerSecond = 20
	messagesAtOnce    = 2000
	bytesPerSecond    = 512 << 10
	bytesAtOnce       = 32 << 20
	longestDelay      = time.Minute
	maxQuotas         = 10_000 // kept for devices that are not connected
)

// quota bounds one device. It outlives the device's stream, so that opening
// another gives nothing.
type quota struct{ messages, bytes *rate.Limiter }

func newQuota() *quota {
	return &quota{rate.NewLimiter(messagesPerSecond, messagesAtOnce), rate.NewLimiter(bytesPerSecond, bytesAtOnce)}
}

// delay takes one message of a size and returns how long to wait before it is
// dealt with, and false if that would be too long.
func (q *quota) delay(now time.Time, size int) (time.Duration, bool) {
	m, b := q.messages.ReserveN(now, 1), q.bytes.ReserveN(now, size)
	if !m.OK() || !b.OK() {
		return 0, false
	}
	d := max(m.DelayFrom(now), b.DelayFrom(now))
	return d, d <= longestDelay
}

// full reports whether nothing was taken from it lately.
func (q *quota) full(now time.Time) bool {
	return q.messages.TokensAt(now) >= messagesAtOnce && q.bytes.TokensAt(now) >= bytesAtOnce
}

// quota returns a device's quota. It is called with mu held.
func (s *school) quota(id posture.DeviceID, now time.Time) *quota {
	if q, ok := s.quotas[id]; ok {
		return q
	}
	if len(s.quotas) > len(s.sessions)+maxQuotas {
		for other, q := range s.quotas {
			if _, connected := s.sessions[other]; !connected && q.full(now) {
				delete(s.quotas, other)
			}
		}
	}
	q := newQuota()
	s.quotas[id] = q
	return q
}
