package stream

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	agentenroll "github.com/caretaker-school/caretaker/agent/enroll"
	"github.com/caretaker-school/caretaker/collector/enroll"
	"github.com/caretaker-school/caretaker/collector/intake"
	"github.com/caretaker-school/caretaker/shared/identity"
)

// http2Opening is how a client opens HTTP/2: the preface and empty settings.
const http2Opening = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"

// TestTenThousandHalfOpenConnections holds connections open at each stage at
// which a peer can stop. Laptops connect, report and enrol beside them; beyond
// a bound the oldest are shown out at once, and the others in time.
//
// Ten thousand of each with CARETAKER_THOROUGH=1, a small door with five
// hundred otherwise.
func TestTenThousandHalfOpenConnections(t *testing.T) {
	thorough := os.Getenv("CARETAKER_THOROUGH") != ""
	n, limits, most := 500, intake.Limits{HalfOpen: 80, Enrolling: 80}, 40 // half of them for one address
	if thorough {
		n, limits, most = 10_000, intake.Limits{}, 1024
	}
	for _, stage := range []struct {
		name string
		most int
		n    int
		// open goes as far as it goes and stops.
		open func(*collector, *laptop) (net.Conn, error)
	}{
		{"connected", most, n, func(c *collector, _ *laptop) (net.Conn, error) { return net.Dial("tcp", c.address) }},
		{"TLS begun", most, n, func(c *collector, _ *laptop) (net.Conn, error) {
			return write(net.Dial("tcp", c.address))("\x16\x03\x01\x01\x00\x01\x00\x00\xfc\x03\x03")
		}},
		{"TLS done", most, n, func(c *collector, _ *laptop) (net.Conn, error) { return tls.Dial("tcp", c.address, c.stranger()) }},
		{"HTTP/2 opened", most, n, func(c *collector, _ *laptop) (net.Conn, error) {
			return write(tls.Dial("tcp", c.address, c.stranger()))(http2Opening)
		}},
		{"TLS done with a stolen key", 4, n / 10, func(c *collector, thief *laptop) (net.Conn, error) {
			return tls.Dial("tcp", c.address, thief.config())
		}},
		{"HTTP/2 opened with a stolen key", 4, n / 10, func(c *collector, thief *laptop) (net.Conn, error) {
			return write(tls.Dial("tcp", c.address, thief.config()))(http2Opening)
		}},
	} {
		t.Run(stage.name, func(t *testing.T) {
			if !thorough { // which needs all file descriptors that there are
				t.Parallel()
			}
			c := newCollectorWith(t, limits)
			before, thief := newLaptop(t, c, 0), newLaptop(t, c, 0)
			defer before.connect(c)()
			before.delivers()
			idle := hold(t, stage.n, func() (net.Conn, error) { return stage.open(c, thief) })
			for _, conn := range idle[:stage.n-stage.most-atOnce] { // which of the last came first, nobody knows
				until(conn) // closed, for this returns
			}
			before.delivers()
			later := newLaptop(t, c, 0)
			defer later.connect(c)()
			later.delivers()
			c.endInTime(idle)
			before.delivers()
			before.wantAll(c)
			later.wantAll(c)
		})
	}
}

// stranger is the configuration of who has nothing but the token's fingerprint.
func (c *collector) stranger() *tls.Config {
	return identity.PinnedConfig(c.school.ID, c.school.Authority.Fingerprint(), identity.NewTrusted(monday))
}

func (l *laptop) config() *tls.Config {
	config, err := l.device.TLS()
	if err != nil {
		l.t.Error(err)
	}
	return config
}

func write[C net.Conn](conn C, err error) func(string) (net.Conn, error) {
	return func(what string) (net.Conn, error) {
		if err != nil {
			return nil, err
		}
		if _, err := conn.Write([]byte(what)); err != nil && !gone(err) {
			return conn, err
		}
		return conn, nil
	}
}

// gone reports whether the collector has shown somebody out.
func gone(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

const atOnce = 4

// hold opens n connections, atOnce at a time, and keeps them.
func hold(t *testing.T, n int, open func() (net.Conn, error)) []net.Conn {
	t.Helper()
	idle := make([]net.Conn, n)
	t.Cleanup(func() {
		for _, conn := range idle {
			if conn != nil {
				conn.Close()
			}
		}
	})
	for first := 0; first < n; first += atOnce {
		var g errgroup.Group
		for i := first; i < min(first+atOnce, n); i++ {
			g.Go(func() (err error) {
				idle[i], err = open()
				return err
			})
		}
		if err := g.Wait(); errors.Is(err, syscall.EMFILE) {
			t.Skipf("this machine does not give a program %d connections", n)
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return idle
}

// until reads a connection until it is closed.
func until(conn net.Conn) {
	buffer := make([]byte, 1<<10)
	for {
		if _, err := conn.Read(buffer); err != nil {
			return
		}
	}
}

// endInTime drives the clock until all connections are closed.
func (c *collector) endInTime(idle []net.Conn) {
	c.t.Helper()
	var open atomic.Int64
	var all sync.WaitGroup
	for _, conn := range idle {
		open.Add(1)
		all.Go(func() {
			until(conn)
			open.Add(-1)
		})
	}
	ended := make(chan struct{})
	go func() {
		all.Wait()
		close(ended)
	}()
	for late := time.After(2 * time.Minute); ; {
		select {
		case <-ended:
			return
		case <-late:
			c.t.Errorf("%d are still open", open.Load())
			for _, conn := range idle {
				conn.Close()
			}
			<-ended
			return
		default:
			c.clock.Advance(50 * time.Millisecond)
		}
	}
}

// delivers reports, and waits until that is acknowledged, while the clock
// stands still: nothing has to be tried twice.
func (l *laptop) delivers() {
	l.t.Helper()
	l.report()
	for {
		l.mu.Lock()
		acked := l.acked.Sequence
		l.mu.Unlock()
		if acked == l.sequence {
			return
		}
		select {
		case <-l.arrivals:
		case <-l.t.Context().Done():
			l.t.Fatalf("report %d was never acknowledged", l.sequence)
		}
	}
}

// TestATrolleyEnrolsThroughAFullDoor switches on a trolley of laptops while the
// door is full of strangers who show no token.
func TestATrolleyEnrolsThroughAFullDoor(t *testing.T) {
	c := newCollectorWith(t, intake.Limits{HalfOpen: 80, Enrolling: 40})
	hold(t, 100, func() (net.Conn, error) { return write(tls.Dial("tcp", c.address, c.stranger()))(http2Opening) })
	const laptops = 30
	token := c.token(enroll.NewToken{Uses: laptops})
	var g errgroup.Group
	g.SetLimit(10) // more than that are strangers themselves, who give way to newer ones
	for range laptops {
		state := t.TempDir()
		g.Go(func() error {
			_, err := agentenroll.Enroll(t.Context(), c.options(state, token))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}
