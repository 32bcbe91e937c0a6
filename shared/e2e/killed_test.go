package e2e

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/tools/faults/exchange"
)

// kills is how often each side is killed here. The fault runner, which
// `make nightly` starts, does it a hundred times.
const kills = 3

// moments chooses how many bytes go over the network before something happens:
// a stream and a report have some thousands, and what comes back has fewer.
func moments(t *testing.T) func() (exchange.Direction, int64) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("the moments are those of seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	return func() (exchange.Direction, int64) {
		if random.IntN(2) == 0 {
			return exchange.Down, random.Int64N(1000)
		}
		return exchange.Up, random.Int64N(6000)
	}
}

// struck has the laptop report, and something happen at a byte of that, or
// when all of it is acknowledged.
func (x *talk) struck(direction exchange.Direction, n int64, happens func() error) {
	x.t.Helper()
	happened := make(chan error, 1)
	x.Network.After(direction, n, func() { happened <- happens() })
	x.says()
	until(x.t, "it has happened, or all is acknowledged", func() bool {
		_, settled, err := x.Settled(x.t.Context())
		return len(happened) > 0 || err == nil && settled
	})
	x.Network.After(direction, 0, nil)
	if len(happened) == 0 {
		happened <- happens()
	}
	must(x.t, <-happened)
}

func TestAKilledAgentLosesAndRepeatsNothing(t *testing.T) {
	x, moment := newTalk(t), moments(t)
	for range kills {
		direction, n := moment()
		x.struck(direction, n, func() error { return x.Agent().Kill() })
		x.settled()
	}
	x.whole(x.settled())
}

func TestAKilledCollectorLosesAndRepeatsNothing(t *testing.T) {
	x, moment := newTalk(t), moments(t)
	for range kills {
		direction, n := moment()
		x.struck(direction, n, func() error { return x.Collector().Kill() })
		acknowledged := x.status().Acknowledged
		if got := x.settled(); got < acknowledged {
			t.Errorf("report %d is acknowledged, and before it was %d", got, acknowledged)
		}
	}
	x.whole(x.settled())
}

func TestBothKilledOverASlowNetworkLoseAndRepeatNothing(t *testing.T) {
	x, moment := newTalk(t), moments(t)
	x.Network.Slow(20 * time.Millisecond)
	for range kills {
		direction, n := moment()
		x.struck(direction, n, func() error {
			if err := x.Collector().Kill(); err != nil {
				return err
			}
			return x.Agent().Kill()
		})
		x.settled()
	}
	x.Network.Slow(0)
	x.whole(x.settled())
}
