package intake

import (
	"container/list"
	"net"
	"net/netip"
	"time"
)

// crowd is connections that wait, oldest first: until their peer is known, or
// has shown a good token. It has room for so many, and for fewer of one
// address; where there is none left the oldest gives way, so that whoever is
// in a hurry, as laptops are, gets through between any number that only wait.
// It is used with door.mu held.
type crowd struct {
	most, mostOfOne int
	all             *list.List                  // *arrival
	from            map[netip.Prefix][]*arrival // oldest first
}

func newCrowd(most, mostOfOne int) *crowd {
	return &crowd{most, mostOfOne, list.New(), map[netip.Prefix][]*arrival{}}
}

// add puts an arrival at the end. Whoever has to give way for it is shown out:
// its handshake or its call fails, and closes the rest.
func (c *crowd) add(a *arrival) {
	a.waitNoMore()
	if of := c.from[a.address]; len(of) >= c.mostOfOne {
		of[0].showOut()
	}
	if c.all.Len() >= c.most {
		c.thin()
	}
	a.in, a.place = c, c.all.PushBack(a)
	c.from[a.address] = append(c.from[a.address], a)
}

// thin shows the oldest out and reports whether there was one.
func (c *crowd) thin() bool {
	oldest, ok := c.oldest()
	if ok {
		oldest.showOut()
	}
	return ok
}

func (c *crowd) oldest() (*arrival, bool) {
	if c.all.Len() == 0 {
		return nil, false
	}
	a, ok := c.all.Front().Value.(*arrival)
	return a, ok
}

func (c *crowd) remove(a *arrival) {
	c.all.Remove(a.place)
	of := c.from[a.address]
	for n, o := range of {
		if o == a {
			of = append(of[:n], of[n+1:]...)
			break
		}
	}
	if len(of) == 0 {
		delete(c.from, a.address)
		return
	}
	c.from[a.address] = of
}

// closeSince shows those out who have waited for so long.
func (c *crowd) closeSince(now time.Time, most time.Duration) {
	for {
		oldest, ok := c.oldest()
		if !ok || now.Sub(oldest.since) < most {
			return
		}
		oldest.showOut()
	}
}

// addressOf returns what counts as one address: a whole network of the newer
// kind, because each household has one.
func addressOf(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	prefix, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
