// Package route finds the way from a laptop to its school's collector: straight,
// or through a proxy that the agent was told of, that its environment names or
// that the system is set to use. It opens TLS on the way, so that one that leads
// to something else than the collector is never taken for one that leads there,
// and it says in words what stands in the way and what to ask for.
//
// It believes nothing of what it meets on the way: who the collector is, the
// TLS configuration it is given decides alone. It runs no script, and a proxy's
// password is in no error and no log.
package route

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// Within bounds what is waited for on one way. Zero means the default.
type Within struct {
	Reach     time.Duration // until somebody answers at an address; default 10 s
	Tunnel    time.Duration // until a proxy has answered; default 20 s
	Handshake time.Duration // until TLS is open; default 20 s
}

// Source names proxies that may lead to an address, the best first. The zero
// Proxy is the straight way.
type Source func(ctx context.Context, address string) ([]Proxy, error)

// Options say where ways are looked for. All may be left out.
type Options struct {
	// Setting returns what the agent itself was told; asked for each time.
	Setting func() (Setting, error)
	// Sources are asked in this order after that.
	Sources []Source
	Log     *slog.Logger
	Within  Within
}

// Routes finds ways. It is safe for concurrent use.
type Routes struct {
	o Options

	mu       sync.Mutex // guards all below
	setting  Setting    // by which the way was found that is remembered
	worked   map[string]Proxy
	told     string // how the way that last worked was called
	troubled string
}

// New returns routes. Without options they only go straight.
func New(o Options) *Routes {
	w := &o.Within
	w.Reach, w.Tunnel, w.Handshake = or(w.Reach, 10*time.Second), or(w.Tunnel, 20*time.Second), or(w.Handshake, 20*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Routes{o: o, worked: map[string]Proxy{}}
}

func or(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// Open goes to an address, "host:port", and opens TLS with what must be the
// collector there. It tries the way that last led there first, and asks what
// others there are only if that is blocked. What stood in each way is a
// BlockedError.
//
// A nil Routes only goes straight.
func (r *Routes) Open(ctx context.Context, address string, config *tls.Config) (*Way, error) {
	if r == nil {
		r = New(Options{})
	}
	s, err := r.newest()
	a := &attempt{routes: r, address: address, config: config}
	if err != nil {
		a.troubles = append(a.troubles, err.Error())
	}
	if p, ok := r.lastWorked(address); ok && a.goes(ctx, p) {
		return a.way, nil
	}
	for p := range r.ways(ctx, address, s, a) {
		if ctx.Err() != nil || a.goes(ctx, p) {
			break
		}
	}
	r.tell(a.troubles)
	switch {
	case a.way != nil:
		return a.way, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("open the way to %s: %w", address, context.Cause(ctx))
	}
	return nil, &BlockedError{Tried: a.tried, Troubles: a.troubles}
}

// attempt is one attempt to reach an address.
type attempt struct {
	routes   *Routes
	address  string
	config   *tls.Config
	way      *Way // that led there
	tried    []*ObstacleError
	troubles []string // what could not be found out
}

// goes tries a way, unless it was, and reports whether it led there.
func (a *attempt) goes(ctx context.Context, p Proxy) bool {
	if len(a.tried) >= mostWays || slices.ContainsFunc(a.tried, func(o *ObstacleError) bool { return o.Proxy.same(p) }) {
		return false
	}
	w, o := a.routes.try(ctx, a.address, p, a.config)
	if o != nil {
		a.tried = append(a.tried, o)
		return false
	}
	a.way = w
	a.routes.remember(a.address, p)
	return true
}

// Used says by which way an address was last reached, in words; "" if it was
// not.
func (r *Routes) Used() string {
	if r == nil {
		return ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.told
}

// remember has the way tried first next time.
func (r *Routes) remember(address string, p Proxy) {
	r.mu.Lock()
	r.worked[address] = p
	words := p.words()
	changed := r.told != words
	r.told = words
	r.mu.Unlock()
	if changed {
		r.o.Log.Info("the collector is reached", "address", address, "way", words)
	}
}

// newest returns the setting as it is now. Where it is another one than before,
// what worked by that is forgotten.
func (r *Routes) newest() (s Setting, err error) {
	if r.o.Setting != nil {
		s, err = r.o.Setting()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s != r.setting {
		r.setting = s
		clear(r.worked)
	}
	return s, err
}

// lastWorked returns the way that last led to the address.
func (r *Routes) lastWorked(address string) (Proxy, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.worked[address]
	return p, ok
}

// ways yields the ways to try, the best first.
func (r *Routes) ways(ctx context.Context, address string, s Setting, a *attempt) iter.Seq[Proxy] {
	return func(yield func(Proxy) bool) {
		if s.Use == UseProxy && !yield(s.proxy()) {
			return
		}
		if s.Use != UseDirect {
			for _, source := range r.o.Sources {
				found, err := source(ctx, address)
				if err != nil {
					a.troubles = append(a.troubles, err.Error())
				}
				for _, p := range found {
					if !yield(p) {
						return
					}
				}
			}
		}
		yield(Proxy{})
	}
}

// mostWays is how many ways are tried at most.
const mostWays = 8

// tell logs what could not be found out, when that is news.
func (r *Routes) tell(troubles []string) {
	words := strings.Join(troubles, "; ")
	r.mu.Lock()
	news := words != r.troubled
	r.troubled = words
	r.mu.Unlock()
	if news && words != "" {
		r.o.Log.Warn("not every way to the collector can be tried", "reason", words)
	}
}

// try goes one way.
func (r *Routes) try(ctx context.Context, address string, p Proxy, config *tls.Config) (*Way, *ObstacleError) {
	raw, o := r.reach(ctx, address, p)
	if o == nil {
		var w *Way
		if w, o = r.handshake(ctx, raw, address, config); o == nil {
			w.proxy = p
			return w, nil
		}
		raw.Close()
	}
	o.At, o.Proxy = address, p
	return nil, o
}

// reach returns a connection that leads to the address, through the proxy if
// there is one.
func (r *Routes) reach(ctx context.Context, address string, p Proxy) (net.Conn, *ObstacleError) {
	to := address
	if p.Address != "" {
		to = p.Address
	}
	reach, cancel := context.WithTimeout(ctx, r.o.Within.Reach)
	defer cancel()
	// Go's own sign of life every 15 seconds would wake a laptop for nothing:
	// gRPC sends one when it matters.
	dialer := net.Dialer{KeepAlive: -1}
	conn, err := dialer.DialContext(reach, "tcp", to)
	if err != nil {
		o := unreached(err)
		if p.Address != "" {
			o = &ObstacleError{Kind: ProxyGone, Detail: o.Kind.short(), err: err}
		}
		return nil, o
	}
	if p.Address == "" {
		return conn, nil
	}
	tunnel, cancel := context.WithTimeout(ctx, r.o.Within.Tunnel)
	defer cancel()
	if o := tunnelTo(tunnel, conn, address, p); o != nil {
		conn.Close()
		return nil, o
	}
	return conn, nil
}

// errUsed means that gRPC asks for a second connection on a way that was used.
var errUsed = errors.New("the connection has ended")
