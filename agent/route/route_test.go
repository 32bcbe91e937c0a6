package route

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http/httpproxy"

	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
)

var monday = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// short is for what never comes; long for what always does, however slow the
// machine is.
const (
	short = 50 * time.Millisecond
	long  = time.Minute
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// listener answers connections until the test ends.
func listener(t *testing.T, answer func(net.Conn)) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	var open sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			open.Go(func() {
				defer c.Close()
				answer(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		open.Wait()
	})
	return l.Addr().String()
}

// school is a school's authority, what its device opens connections with, and
// a collector.
type school struct {
	authority *identity.Authority
	config    *tls.Config
	collector string // address
}

func newSchool(t *testing.T) school {
	t.Helper()
	return schoolAt(t, monday, monday)
}

// schoolAt is newSchool with a collector whose clock, and a laptop whose trusted
// time, are what is given.
func schoolAt(t *testing.T, collector, trusted time.Time) school {
	t.Helper()
	authority, err := identity.NewAuthority(t.TempDir(), "hollybank", monday)
	must(t, err)
	s := school{authority: authority, config: identity.PinnedConfig("hollybank", authority.Fingerprint(), identity.NewTrusted(trusted))}
	s.collector = answering(t, serverConfig(authority, collector))
	return s
}

func serverConfig(a *identity.Authority, now time.Time) *tls.Config {
	return identity.ServerConfig(func(posture.SchoolID) (*identity.Authority, bool) { return a, true }, clocktest.NewDriven(now))
}

// answering opens TLS on each connection and sends back what it is sent.
func answering(t *testing.T, config *tls.Config) string {
	t.Helper()
	return listener(t, func(c net.Conn) {
		s := tls.Server(c, config)
		if s.HandshakeContext(t.Context()) == nil {
			_, _ = io.Copy(s, s) // until the other end has enough
		}
	})
}

// appliance is the certificate of something between, for the given names.
func appliance(t *testing.T, most uint16, names ...string) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	issuer := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Westfield Filter CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: monday.Add(-time.Hour), NotAfter: monday.Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "filter"}, DNSNames: names,
		NotBefore: monday.Add(-time.Hour), NotAfter: monday.Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, issuer, key.Public(), key)
	must(t, err)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{"h2"}, MaxVersion: most}
}

// proxy is a proxy that leads where it is asked to.
type proxy struct {
	address string
	asked   atomic.Int64
	bearing atomic.Value // string: the last Proxy-Authorization
}

func newProxy(t *testing.T, allow func(*http.Request) string) *proxy {
	t.Helper()
	p := &proxy{}
	p.address = listener(t, func(c net.Conn) {
		p.asked.Add(1)
		request, err := readRequest(c)
		if err != nil {
			return
		}
		p.bearing.Store(request.Header.Get("Proxy-Authorization"))
		if no := allow(request); no != "" {
			_, _ = io.WriteString(c, no) // it may be gone
			return
		}
		far, err := new(net.Dialer).DialContext(t.Context(), "tcp", request.Host)
		if err != nil {
			_, _ = io.WriteString(c, "HTTP/1.1 502 Bad Gateway\r\n\r\n") // it may be gone
			return
		}
		defer far.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 200 Connection established\r\nVia: 1.1 filter\r\n\r\n") // as above
		var both sync.WaitGroup
		both.Go(func() { _, _ = io.Copy(far, c); far.Close() })
		both.Go(func() { _, _ = io.Copy(c, far); c.Close() })
		both.Wait()
	})
	return p
}

func anybody(*http.Request) string { return "" }

// echoes reports whether the way leads to something that sends back what it is
// sent.
func echoes(t *testing.T, w *Way) {
	t.Helper()
	defer w.raw.Close()
	_, err := io.WriteString(w.conn, "hello")
	must(t, err)
	said := make([]byte, 5)
	_, err = io.ReadFull(w.conn, said)
	must(t, err)
	if string(said) != "hello" {
		t.Errorf("it sends back %q", said)
	}
}

func routes(o Options) *Routes {
	if o.Within == (Within{}) {
		o.Within = Within{Reach: long, Tunnel: long, Handshake: long}
	}
	return New(o)
}

// through is a source that names proxies.
func through(proxies ...Proxy) Source {
	return func(context.Context, string) ([]Proxy, error) { return proxies, nil }
}

func setting(s Setting) func() (Setting, error) {
	return func() (Setting, error) { return s, nil }
}

func TestStraight(t *testing.T) {
	s := newSchool(t)
	r := routes(Options{})
	w, err := r.Open(t.Context(), s.collector, s.config)
	must(t, err)
	echoes(t, w)
	if r.Used() != "straight" {
		t.Errorf("it says that it went %q", r.Used())
	}
}

func TestThroughAProxyWithANameAndAPassword(t *testing.T) {
	s := newSchool(t)
	p := newProxy(t, func(r *http.Request) string {
		if r.Header.Get("Proxy-Authorization") != "Basic bGFwdG9wczpvcGVuIHNlc2FtZQ==" {
			return "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"filter\"\r\nContent-Length: 0\r\n\r\n"
		}
		return ""
	})
	r := routes(Options{Setting: setting(ToProxy(Proxy{Address: p.address, User: "laptops", Password: "open sesame"}))})
	w, err := r.Open(t.Context(), s.collector, s.config)
	must(t, err)
	echoes(t, w)
	if got := r.Used(); !strings.Contains(got, "through the proxy "+p.address) || strings.Contains(got, "laptops") || strings.Contains(got, "sesame") {
		t.Errorf("it says that it went %q", got)
	}
}

func TestWhatWorkedIsTriedFirst(t *testing.T) {
	s := newSchool(t)
	no := newProxy(t, func(*http.Request) string { return "HTTP/1.1 403 Forbidden\r\n\r\n" })
	yes := newProxy(t, anybody)
	r := routes(Options{Sources: []Source{through(Proxy{Address: no.address, From: "a test"}), through(Proxy{Address: yes.address, From: "a test"})}})
	for range 3 {
		w, err := r.Open(t.Context(), s.collector, s.config)
		must(t, err)
		echoes(t, w)
	}
	if no.asked.Load() != 1 || yes.asked.Load() != 3 {
		t.Errorf("the proxies were asked %d and %d times", no.asked.Load(), yes.asked.Load())
	}
}

func TestOnlyStraightIfTold(t *testing.T) {
	s := newSchool(t)
	p := newProxy(t, anybody)
	r := routes(Options{Setting: setting(Setting{Use: UseDirect}), Sources: []Source{through(Proxy{Address: p.address})}})
	w, err := r.Open(t.Context(), s.collector, s.config)
	must(t, err)
	echoes(t, w)
	if p.asked.Load() != 0 {
		t.Error("a proxy was asked")
	}
}

func TestANewSettingIsTriedBeforeWhatWorked(t *testing.T) {
	s := newSchool(t)
	p := newProxy(t, anybody)
	now := Setting{}
	r := routes(Options{Setting: func() (Setting, error) { return now, nil }})
	for range 2 {
		w, err := r.Open(t.Context(), s.collector, s.config)
		must(t, err)
		echoes(t, w)
	}
	now = ToProxy(Proxy{Address: p.address})
	w, err := r.Open(t.Context(), s.collector, s.config)
	must(t, err)
	echoes(t, w)
	if p.asked.Load() != 1 {
		t.Errorf("the proxy was asked %d times", p.asked.Load())
	}
}

func TestFallsBackToStraight(t *testing.T) {
	s := newSchool(t)
	filter := answering(t, appliance(t, 0, identity.ServerName("hollybank")))
	p := newProxy(t, func(r *http.Request) string { r.Host = filter; return "" })
	r := routes(Options{Setting: setting(ToProxy(Proxy{Address: p.address}))})
	w, err := r.Open(t.Context(), s.collector, s.config)
	must(t, err)
	echoes(t, w)
	if r.Used() != "straight" {
		t.Errorf("it says that it went %q", r.Used())
	}
}

// obstacle opens the way to an address and returns what stood in it.
func obstacle(t *testing.T, r *Routes, address string, config *tls.Config) *ObstacleError {
	t.Helper()
	w, err := r.Open(t.Context(), address, config)
	if err == nil {
		w.Close()
		t.Fatal("the way is open")
	}
	blocked, ok := errors.AsType[*BlockedError](err)
	if !ok {
		t.Fatalf("it fails with %T: %v", err, err)
	}
	o := blocked.Tried[0]
	if got, ok := errors.AsType[*ObstacleError](err); !ok || got != o {
		t.Errorf("%v does not hold what stood in the way", err)
	}
	return o
}

// wants checks what stood in the way and that the words name what is needed.
func wants(t *testing.T, o *ObstacleError, kind Kind, words ...string) {
	t.Helper()
	if o.Kind != kind {
		t.Errorf("it is %q, not %q: %v", o.Kind, kind, o)
	}
	for _, w := range words {
		if !strings.Contains(o.Error(), w) {
			t.Errorf("the words do not hold %q: %v", w, o)
		}
	}
}

func TestWhatStandsInTheWayIsSaid(t *testing.T) {
	s := newSchool(t)
	name := identity.ServerName("hollybank")
	says := func(text string) string {
		return listener(t, func(c net.Conn) {
			first := make([]byte, 1)
			_, _ = io.ReadFull(c, first)   // it speaks when it is spoken to
			_, _ = io.WriteString(c, text) // the other end may have enough
		})
	}
	t.Run("inspected", func(t *testing.T) {
		at := answering(t, appliance(t, 0, name))
		wants(t, obstacle(t, routes(Options{}), at, s.config), Inspected, "issued by “Westfield Filter CA”", "ask whoever runs the filter to except "+at)
	})
	t.Run("inspected with the name that was dialled", func(t *testing.T) {
		at := answering(t, appliance(t, 0, "filter.example", "127.0.0.1"))
		o := obstacle(t, routes(Options{}), at, s.config)
		wants(t, o, Elsewhere, "filter.example", "Westfield Filter CA") // an IP address is no DNS name
	})
	t.Run("inspected in an old version", func(t *testing.T) {
		at := answering(t, appliance(t, tls.VersionTLS12, name))
		wants(t, obstacle(t, routes(Options{}), at, s.config), Inspected, "version of TLS", at)
	})
	t.Run("elsewhere", func(t *testing.T) {
		at := answering(t, appliance(t, 0, "wifi.guest.example"))
		wants(t, obstacle(t, routes(Options{}), at, s.config), Elsewhere, "wifi.guest.example", "Westfield Filter CA", "open any web page")
	})
	t.Run("another school's collector", func(t *testing.T) {
		other, err := identity.NewAuthority(filepath.Join(t.TempDir()), "hollybank", monday)
		must(t, err)
		at := answering(t, serverConfig(other, monday))
		wants(t, obstacle(t, routes(Options{}), at, s.config), OtherAuthority, "not the one that this laptop knows")
	})
	t.Run("a collector whose clock is years behind", func(t *testing.T) {
		s := schoolAt(t, monday.AddDate(-2, 0, 0), monday)
		wants(t, obstacle(t, routes(Options{}), s.collector, s.config), Clock, "the collector's clock is wrong")
	})
	t.Run("a school that is not served", func(t *testing.T) {
		at := answering(t, identity.ServerConfig(func(posture.SchoolID) (*identity.Authority, bool) { return nil, false }, clocktest.NewDriven(monday)))
		wants(t, obstacle(t, routes(Options{}), at, s.config), Declined, "does not serve it")
	})
	t.Run("captive portal", func(t *testing.T) {
		at := says("HTTP/1.1 302 Found\r\nLocation: http://sign-in.guest.example/?to=x\r\nContent-Length: 0\r\n\r\n")
		wants(t, obstacle(t, routes(Options{}), at, s.config), Portal, "302 Found", "sign-in.guest.example", "sign in", at)
	})
	t.Run("captive portal with hostile words", func(t *testing.T) {
		at := says("HTTP/1.1 302 \x1b[31m\u202eevil\r\nLocation: http://x\u202ey.example/\r\n\r\n")
		o := obstacle(t, routes(Options{}), at, s.config)
		wants(t, o, Portal)
		if strings.ContainsAny(o.Error(), "\x1b\u202e") {
			t.Errorf("what the portal says is shown as it is: %q", o.Error())
		}
	})
	t.Run("something that speaks no TLS", func(t *testing.T) {
		at := says("SSH-2.0-OpenSSH_9.2\r\n and so on and so on")
		wants(t, obstacle(t, routes(Options{}), at, s.config), Portal, "does not speak TLS")
	})
	t.Run("cut", func(t *testing.T) {
		at := says("")
		wants(t, obstacle(t, routes(Options{}), at, s.config), Cut, "ask whoever runs the network to let TCP port")
	})
	t.Run("says nothing", func(t *testing.T) {
		at := listener(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
		r := routes(Options{Within: Within{Reach: long, Tunnel: long, Handshake: short}})
		wants(t, obstacle(t, r, at, s.config), Cut, "it says nothing")
	})
	t.Run("refused", func(t *testing.T) {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		must(t, err)
		l.Close()
		wants(t, obstacle(t, routes(Options{}), l.Addr().String(), s.config), Refused, "refuses connections")
	})
	t.Run("unresolved", func(t *testing.T) {
		wants(t, obstacle(t, routes(Options{}), "collector.invalid:8443", s.config), Unresolved, "the name collector.invalid is not found")
	})
}

func TestWhatTheSystemSaysHasWords(t *testing.T) {
	for kind, err := range map[Kind]error{
		Silent:     context.DeadlineExceeded,
		NoNetwork:  &net.OpError{Op: "dial", Err: errNoNetwork},
		Refused:    &net.OpError{Op: "dial", Err: errRefused},
		Unresolved: &net.DNSError{Name: "x", IsTimeout: true},
		Cut:        errors.New("something else"),
	} {
		o := unreached(err)
		o.At = "collector.hollybank.example:8443"
		if o.Kind != kind || !strings.Contains(o.Error(), "collector.hollybank.example") {
			t.Errorf("%v is %q: %v", err, o.Kind, o)
		}
	}
}

func TestWhatProxiesAnswer(t *testing.T) {
	s := newSchool(t)
	const ntlm = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\nContent-Length: 4\r\n\r\nno!\n"
	for name, c := range map[string]struct {
		answer string
		kind   Kind
		words  string
	}{
		"Windows sign-in":   {ntlm, ProxySignIn, "without signing in"},
		"a name":            {"HTTP/1.1 407 No\r\nproxy-authenticate: Digest x, Basic realm=\"a\"\r\n\r\n", ProxySignIn, "caretaker-agent proxy set --user"},
		"another way":       {"HTTP/1.1 407 No\r\nProxy-Authenticate: Digest realm=\"a\"\r\n\r\n", ProxySignIn, "a way that the agent does not know"},
		"forbidden":         {"HTTP/1.1 403 Forbidden\r\n\r\n<html>", ProxyForbids, "allow CONNECT to " + s.collector},
		"a page to sign in": {"HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n", ProxyForbids, "sign in"},
		"no gateway":        {"HTTP/1.1 502 Bad Gateway\r\n\r\n", ProxyFailed, "502 Bad Gateway"},
		"nothing":           {"", ProxyFailed, "closes the connection"},
		"no proxy":          {"220 mail.example ESMTP\r\n\r\n", ProxyFailed, "does not answer as a proxy does"},
		"too much":          {"HTTP/1.1 200 OK\r\n\r\nand more", ProxyFailed, "more than it was asked"},
		"without end":       {"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 10_000), ProxyFailed, "does not answer as a proxy does"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProxy(t, func(*http.Request) string { return c.answer })
			if c.answer == "" {
				p.address = listener(t, func(c net.Conn) { _, _ = readRequest(c) })
			}
			r := routes(Options{Setting: setting(ToProxy(Proxy{Address: p.address}))})
			o := tried(t, r, p, s)
			wants(t, o, c.kind, c.words, "through the proxy "+p.address)
		})
	}
}

// tried goes to a collector that cannot be reached straight and returns what
// stood in the way through the proxy.
func tried(t *testing.T, r *Routes, p *proxy, s school) *ObstacleError {
	t.Helper()
	_, o := r.try(t.Context(), s.collector, Proxy{Address: p.address, From: "a test"}, s.config)
	if o == nil {
		t.Fatal("the way is open")
	}
	return o
}

func TestAProxyThatIsNotThere(t *testing.T) {
	s := newSchool(t)
	_, o := routes(Options{}).try(t.Context(), s.collector, Proxy{Address: "filter.invalid:8080", From: "a test"}, s.config)
	wants(t, o, ProxyGone, "the proxy cannot be reached", "its name is not found here")
	silent := listener(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	r := routes(Options{Within: Within{Reach: long, Tunnel: short, Handshake: long}})
	_, o = r.try(t.Context(), s.collector, Proxy{Address: silent, From: "a test"}, s.config)
	wants(t, o, ProxyFailed, "it does not answer")
}

func TestItEndsWhenItIsTold(t *testing.T) {
	s := newSchool(t)
	reached := make(chan bool, 1)
	silent := listener(t, func(c net.Conn) { reached <- true; _, _ = io.Copy(io.Discard, c) })
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-reached
		cancel()
	}()
	_, err := routes(Options{Setting: setting(ToProxy(Proxy{Address: silent}))}).Open(ctx, s.collector, s.config)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}

func TestAPasswordIsNeverSaid(t *testing.T) {
	s := newSchool(t)
	p := newProxy(t, func(*http.Request) string {
		return "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"sesame\"\r\n\r\n"
	})
	_, o := routes(Options{}).try(t.Context(), s.collector, Proxy{Address: p.address, User: "laptops", Password: "sesame", From: "a test"}, s.config)
	wants(t, o, ProxySignIn, "does not accept the name and password")
	bad := &httpproxy.Config{HTTPSProxy: "http://laptops:sesame@bad host:99999"}
	_, err := fromEnvironment(bad, s.collector, "a test")
	socks := &httpproxy.Config{HTTPSProxy: "socks5://laptops:sesame@host:1080"}
	_, other := fromEnvironment(socks, "collector.example:8443", "a test")
	if other == nil {
		t.Error("a proxy of another kind is taken")
	}
	for _, words := range []string{o.Error(), errors.Join(err, other).Error(), o.Proxy.String(), ToProxy(o.Proxy).String()} {
		if strings.Contains(words, "sesame") || strings.Contains(words, "laptops") {
			t.Errorf("it says %q", words)
		}
	}
}
