package exchange

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Link is the network between laptops and a collector: it can be cut and
// mended, it can be slow, and it can tell when a byte has passed.
type Link struct {
	listen net.Listener
	wait   sync.WaitGroup

	mu     sync.Mutex // guards all below
	to     string
	down   bool
	delay  time.Duration // of each chunk, both ways
	open   map[net.Conn]bool
	passed [2]int64 // bytes in each direction, ever
	trap   *trap    // nil: none is set
	failed error    // why it stopped listening
}

// Direction is one of the two.
type Direction int

// The two directions.
const (
	Up   Direction = iota // from the laptops
	Down                  // to them
)

func (d Direction) String() string {
	if d == Up {
		return "from the laptop"
	}
	return "to the laptop"
}

// trap calls do when a byte has passed, before the one after it does.
type trap struct {
	direction Direction
	at        int64 // of passed
	do        func()
}

// NewLink makes a link to an address.
func NewLink(ctx context.Context, to string) (*Link, error) {
	listen, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("make a link: %w", err)
	}
	l := &Link{listen: listen, to: to, open: map[net.Conn]bool{}}
	l.wait.Go(l.accept)
	return l, nil
}

// Address is where laptops reach it.
func (l *Link) Address() string { return l.listen.Addr().String() }

// Close ends it.
func (l *Link) Close() error {
	l.listen.Close()
	l.Cut()
	l.wait.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// Cut ends every connection and refuses new ones.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	for c := range l.open {
		c.Close()
	}
}

// Mend lets connections through again, to an address if one is given.
func (l *Link) Mend(to string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
	if to != "" {
		l.to = to
	}
}

// lead has new connections go to an address; a link that is cut stays so.
func (l *Link) lead(to string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.to = to
}

// Slow makes each chunk take a while.
func (l *Link) Slow(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = d
}

// Passed returns how many bytes have gone in a direction so far.
func (l *Link) Passed(d Direction) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.passed[d]
}

// After has do called once n more bytes have gone in a direction: exactly then,
// with the byte after them held back until do returns. A later call takes the
// place of an earlier one; without do it only takes that away.
func (l *Link) After(d Direction, n int64, do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trap = nil
	if do != nil {
		l.trap = &trap{direction: d, at: l.passed[d] + n, do: do}
	}
}

func (l *Link) accept() {
	for {
		near, err := l.listen.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			l.mu.Lock()
			l.failed = fmt.Errorf("accept on the link: %w", err)
			l.mu.Unlock()
			return
		}
		l.wait.Go(func() { l.carry(near) })
	}
}

// carry connects the two ends and moves bytes until either ends.
func (l *Link) carry(near net.Conn) {
	defer near.Close()
	if !l.hold(near) {
		return
	}
	defer l.release(near)
	l.mu.Lock()
	to := l.to
	l.mu.Unlock()
	far, err := new(net.Dialer).DialContext(context.Background(), "tcp", to)
	if err != nil {
		return // nobody there, as on any network
	}
	defer far.Close()
	if !l.hold(far) {
		return
	}
	defer l.release(far)
	var both sync.WaitGroup
	both.Go(func() { l.move(far, near, Up) })
	both.Go(func() { l.move(near, far, Down) })
	both.Wait()
}

// hold notes a connection as open, unless the link is down.
func (l *Link) hold(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.down {
		l.open[c] = true
	}
	return !l.down
}

func (l *Link) release(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
}

func (l *Link) move(to, from net.Conn, d Direction) {
	defer to.Close()
	defer from.Close()
	chunk := make([]byte, 4<<10)
	for {
		n, err := from.Read(chunk)
		if n > 0 {
			l.mu.Lock()
			delay := l.delay
			l.mu.Unlock()
			if delay > 0 {
				<-time.After(delay)
			}
			if !l.pass(to, chunk[:n], d) {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass writes a chunk, and stops at the byte for which a trap is set. It
// returns false if the chunk cannot go on.
func (l *Link) pass(to net.Conn, chunk []byte, d Direction) bool {
	for len(chunk) > 0 {
		l.mu.Lock()
		now, sprung := chunk, (*trap)(nil)
		if t := l.trap; t != nil && t.direction == d && t.at <= l.passed[d]+int64(len(chunk)) {
			now, sprung, l.trap = chunk[:max(t.at-l.passed[d], 0)], t, nil
		}
		l.passed[d] += int64(len(now))
		l.mu.Unlock()
		n, err := to.Write(now)
		if err != nil {
			l.mu.Lock()
			l.passed[d] -= int64(len(now) - n)
			l.mu.Unlock()
		}
		if sprung != nil {
			sprung.do() // also if nobody takes the byte any more: it was on its way
		}
		if err != nil {
			return false
		}
		chunk = chunk[len(now):]
	}
	return true
}

// Leads returns where new connections go.
func (l *Link) Leads() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to
}
