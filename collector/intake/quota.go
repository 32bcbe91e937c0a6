package intake

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// What one device may send. A laptop that was away for a term drains its whole
// spool, of 64 MB at most, within minutes; one that sends without end is slowed,
// then refused. The budget is what it may add to the disk: a stolen laptop must
// not fill it, also not with messages that are small themselves.
const (
	messagesPerSecond = 20
	messagesAtOnce    = 2000
	bytesPerSecond    = 512 << 10
	bytesAtOnce       = 32 << 20
	budgetPerDay      = 64 << 20
	budgetAtOnce      = 256 << 20
	messageCost       = 1 << 10 // of any message, towards the budget: an envelope, or that reports are missing
	longestDelay      = time.Minute
	maxQuotas         = 10_000 // kept for devices that are not connected
)

// quota bounds one device. It outlives the device's stream, so that opening
// another gives nothing.
type quota struct{ messages, bytes, budget *rate.Limiter }

func newQuota() *quota {
	return &quota{
		rate.NewLimiter(messagesPerSecond, messagesAtOnce), rate.NewLimiter(bytesPerSecond, bytesAtOnce),
		rate.NewLimiter(budgetPerDay/rate.Limit((24*time.Hour).Seconds()), budgetAtOnce),
	}
}

// delay takes one message of a size and returns how long to wait before it is
// dealt with. If that would be too long it takes nothing and returns false.
func (q *quota) delay(now time.Time, size int) (delay time.Duration, ok bool) {
	if q.messages.TokensAt(now) >= 1 && q.bytes.TokensAt(now) >= float64(size) && q.budget.TokensAt(now) >= float64(size+messageCost) {
		// As nearly always: only the device's one stream takes from it.
		if q.messages.AllowN(now, 1) && q.bytes.AllowN(now, size) && q.budget.AllowN(now, size+messageCost) {
			return 0, true
		}
	}
	taken := []*rate.Reservation{
		q.messages.ReserveN(now, 1), q.bytes.ReserveN(now, size), q.budget.ReserveN(now, size+messageCost),
	}
	ok = true
	for _, r := range taken {
		if ok = ok && r.OK(); ok {
			delay = max(delay, r.DelayFrom(now))
		}
	}
	if ok && delay <= longestDelay {
		return delay, true
	}
	for _, r := range taken {
		if r.OK() {
			r.CancelAt(now)
		}
	}
	return 0, false
}

// full reports whether nothing was taken from it lately.
func (q *quota) full(now time.Time) bool {
	return q.messages.TokensAt(now) >= messagesAtOnce && q.bytes.TokensAt(now) >= bytesAtOnce && q.budget.TokensAt(now) >= budgetAtOnce
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
