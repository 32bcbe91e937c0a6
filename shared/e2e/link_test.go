package e2e

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

// link is the network between the laptops and a collector: it can be cut and
// mended, and it can be slow.
type link struct {
	t      *testing.T
	listen net.Listener
	wait   sync.WaitGroup

	mu    sync.Mutex // guards all below
	to    string
	down  bool
	delay time.Duration // of each chunk, both ways
	open  map[net.Conn]bool
}

// newLink makes a link to an address.
func newLink(t *testing.T, to string) *link {
	t.Helper()
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	l := &link{t: t, listen: listen, to: to, open: map[net.Conn]bool{}}
	l.wait.Go(l.accept)
	t.Cleanup(func() {
		must(t, listen.Close())
		l.cut()
		l.wait.Wait()
	})
	return l
}

func (l *link) address() string { return l.listen.Addr().String() }

// cut ends every connection and refuses new ones.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	for c := range l.open {
		c.Close()
	}
}

// mend lets connections through again, to an address if one is given.
func (l *link) mend(to string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
	if to != "" {
		l.to = to
	}
}

// slow makes each chunk take a while.
func (l *link) slow(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = d
}

func (l *link) accept() {
	for {
		near, err := l.listen.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			l.t.Errorf("accept on the link: %v", err)
			return
		}
		l.wait.Go(func() { l.carry(near) })
	}
}

// carry connects the two ends and moves bytes until either ends.
func (l *link) carry(near net.Conn) {
	defer near.Close()
	if !l.hold(near) {
		return
	}
	defer l.release(near)
	l.mu.Lock()
	to := l.to
	l.mu.Unlock()
	far, err := net.Dial("tcp", to)
	if err != nil {
		return // nobody there, as on any network
	}
	defer far.Close()
	if !l.hold(far) {
		return
	}
	defer l.release(far)
	var both sync.WaitGroup
	both.Go(func() { l.move(far, near) })
	both.Go(func() { l.move(near, far) })
	both.Wait()
}

// hold notes a connection as open, unless the link is down.
func (l *link) hold(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.down {
		l.open[c] = true
	}
	return !l.down
}

func (l *link) release(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
}

func (l *link) move(to, from net.Conn) {
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
			if _, err := to.Write(chunk[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
