package e2e

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	"github.com/caretaker-school/caretaker/shared/tools/faults/exchange"
)

// stands answers connections with what a test puts in the collector's place, or
// before it, until the test ends; it returns its address.
func stands(t *testing.T, answer func(net.Conn)) string {
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
				answer(c)
				c.Close()
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

// inspecting opens what is encrypted with a certificate of its own for whatever
// name it is asked, as a filter does.
func inspecting(t *testing.T) func(net.Conn) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Westfield Filter CA"}, IsCA: true, BasicConstraintsValid: true}
	config := &tls.Config{NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12, GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		leaf := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{h.ServerName}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, leaf, authority, key.Public(), key)
		return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
	}}
	return func(c net.Conn) {
		near := tls.Server(c, config)
		if near.HandshakeContext(t.Context()) == nil {
			_, _ = io.Copy(io.Discard, near) // until the laptop has seen enough
		}
	}
}

// anew has a new agent, and returns when it has assessed the laptop.
func (x *talk) anew() {
	x.t.Helper()
	before := x.status().AssessedAt
	must(x.t, x.Restart())
	must(x.t, exchange.Until(x.t.Context(), "a new agent has assessed the laptop", func() (bool, error) {
		s, err := x.Status(x.t.Context())
		return s.AssessedAt.After(before), err
	}))
}

// blocked has a new agent and waits until it says what stands in its ways, to
// people in words that hold some.
func (x *talk) blocked(word string, kinds ...string) {
	x.t.Helper()
	x.anew()
	var s agentapp.Status
	err := exchange.Until(x.t.Context(), "the laptop says what stands in its way", func() (ok bool, err error) {
		s, err = x.Status(x.t.Context())
		return slices.Equal(s.Obstacles, kinds) && strings.Contains(s.Trouble, word) && !s.Connected, err
	})
	if err != nil {
		x.t.Fatalf("%v; it says %v: %s", err, s.Obstacles, s.Trouble)
	}
}

// reports has the laptop report something new and waits until that is
// acknowledged.
func (x *talk) reports() uint64 {
	x.t.Helper()
	x.anew()
	x.says()
	return x.settled()
}

// leads has the network lead somewhere else.
func (x *talk) leads(to string) {
	x.Network.Cut()
	x.Network.Mend(to)
}

// TestWhatASchoolHasBeforeItsNetwork has both built programs talk over what
// schools have between: a filter, a page to sign in, a proxy with a password.
// shared/e2e/beds tells the same on hosts of their own.
func TestWhatASchoolHasBeforeItsNetwork(t *testing.T) {
	x := newTalk(t)
	collector := x.Network.Leads()
	x.settled()
	if got := x.status().Way; got != "straight" {
		t.Errorf("it goes %q", got)
	}

	x.leads(stands(t, inspecting(t)))
	x.blocked("issued by “Westfield Filter CA”); ask whoever runs the filter to except "+x.Network.Address(), "inspected")
	x.leads(stands(t, func(c net.Conn) {
		_, _ = io.ReadFull(c, make([]byte, 1))                                                                                     // whatever it is
		_, _ = io.WriteString(c, "HTTP/1.1 302 Found\r\nLocation: http://sign-in.westfield.example/\r\nContent-Length: 0\r\n\r\n") // it may be gone
		_, _ = io.Copy(io.Discard, c)
	}))
	x.blocked("sign-in.westfield.example", "portal")
	x.leads(collector)
	acknowledged := x.reports()

	// The proxy alone leads to the collector.
	x.Network.Cut()
	proxy := stands(t, func(c net.Conn) {
		request, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil || request.Method != http.MethodConnect || request.Host != x.Network.Address() {
			return
		}
		if request.Header.Get("Proxy-Authorization") != "Basic bGFwdG9wczpzZXNhbWUtNDI=" { // laptops:sesame-42
			_, _ = io.WriteString(c, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"school\"\r\n\r\n") // as above
			return
		}
		far, err := new(net.Dialer).DialContext(t.Context(), "tcp", collector)
		if err != nil {
			return
		}
		defer far.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n") // as above
		var both sync.WaitGroup
		both.Go(func() { _, _ = io.Copy(far, c); far.Close() })
		both.Go(func() { _, _ = io.Copy(c, far); c.Close() })
		both.Wait()
	})
	set := func(args ...string) {
		t.Helper()
		_, err := exchange.Good(t.Context(), program(t, "caretaker-agent"), append(append([]string{"proxy"}, args...), "--state", x.State)...)
		must(t, err)
	}
	set("set", proxy)
	x.blocked("wants a name and a password", "proxy-sign-in", "cut")
	file := filepath.Join(t.TempDir(), "password")
	must(t, os.WriteFile(file, []byte("sesame-42\n"), 0o600))
	set("set", proxy, "--user", "laptops", "--password-file", file)
	if more := x.reports(); more <= acknowledged {
		t.Errorf("%d reports are acknowledged, and %d were before", more, acknowledged)
	}
	if got := x.status().Way; !strings.Contains(got, "through the proxy "+proxy) || strings.Contains(got, "laptops") {
		t.Errorf("it goes %q", got)
	}
	set("automatic")
	x.Network.Mend("")
	x.whole(x.reports())
}
