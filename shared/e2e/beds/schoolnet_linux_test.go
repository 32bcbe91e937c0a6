package beds

import (
	"bufio"
	"bytes"
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
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	"github.com/caretaker-school/caretaker/shared/tools/faults/exchange"
)

// The addresses of the three hosts: the laptop and the collector each have a
// cable to the school's own machine between them.
const (
	laptopAt    = "10.99.1.2"
	schoolAt    = "10.99.1.1" // as the laptop sees it
	outsideAt   = "10.99.2.1" // as the collector sees it
	collectorAt = "10.99.2.2"
	behindAt    = "10.99.2.3" // the collector's too, which only the school's machine uses
	collectorIs = collectorAt + ":8443"
	proxyIs     = schoolAt + ":3128"
)

// schoolNetwork is both programs on hosts of their own with a school's machine
// between.
type schoolNetwork struct {
	*exchange.Exchange
	t            *testing.T
	middle       netHost
	inner, outer *cable // to the laptop, to the collector
	agent        string
	said         *loud // by the agent
	agentHost    netHost
	acknowledged uint64
}

// loud keeps what a program says.
type loud struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *loud) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *loud) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newSchoolNetwork(t *testing.T) *schoolNetwork {
	t.Helper()
	needHosts(t)
	dir, err := os.MkdirTemp("", "net") // a short path: a socket lies in it
	must(t, err)
	must(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	collector := filepath.Join(dir, "caretaker-collector")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", collector, "./collector")
	build.Dir = "../../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the collector: %v\n%s", err, out)
	}
	laptop, middle, far := newHost(t, "laptop"), newHost(t, "school"), newHost(t, "collector")
	n := &schoolNetwork{t: t, middle: middle, agent: agentBinary(t), said: &loud{}, agentHost: laptop}
	n.inner = newCable(t, laptop, laptopAt, middle, schoolAt)
	n.outer = newCable(t, middle, outsideAt, far, collectorAt)
	laptop.ip(t, "route", "add", "default", "via", schoolAt)
	far.ip(t, "route", "add", "default", "via", outsideAt)
	far.ip(t, "addr", "add", behindAt+"/32", "dev", "lo")
	middle.ip(t, "route", "add", behindAt, "via", collectorAt)
	middle.leads(t, true)
	dressed, err := exchange.NewDressed(filepath.Join(dir, "laptop"), n.agent)
	must(t, err)
	n.Exchange, err = exchange.New(t.Context(), exchange.Options{
		Dir: dir, Collector: collector, Agent: n.agent, Laptop: dressed,
		Apart: &exchange.Apart{Collector: far.run(), Agent: laptop.run(), Address: collectorIs, Listen: ":8443", Unconnected: 15 * time.Second},
		Log: func(program string) io.Writer {
			if program == "agent" {
				return n.said
			}
			return io.Discard
		},
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, n.said)
	}
	t.Cleanup(func() { must(t, n.Close()) })
	return n
}

// reports has the laptop report something new and waits until all is
// acknowledged.
func (n *schoolNetwork) reports() {
	n.t.Helper()
	must(n.t, n.Talk(n.t.Context()))
	n.arrives()
}

func (n *schoolNetwork) arrives() {
	n.t.Helper()
	acknowledged, err := n.Settle(n.t.Context())
	if err != nil {
		n.t.Fatalf("%v\n%s", err, n.said)
	}
	if acknowledged <= n.acknowledged {
		n.t.Errorf("%d reports are acknowledged, and %d were before", acknowledged, n.acknowledged)
	}
	n.acknowledged = acknowledged
}

// anew has a new agent, and returns when it has assessed the laptop for the
// first time: what is changed from then on it reports when it is asked.
func (n *schoolNetwork) anew() {
	n.t.Helper()
	before, err := n.Status(n.t.Context())
	must(n.t, err)
	must(n.t, n.Restart())
	must(n.t, exchange.Until(n.t.Context(), "a new agent has assessed the laptop", func() (bool, error) {
		s, err := n.Status(n.t.Context())
		return s.AssessedAt.After(before.AssessedAt), err
	}))
}

// blocked has the agent connect anew and waits until it says that these stand
// in its ways, to people in words that hold some; it returns all of them.
func (n *schoolNetwork) blocked(word string, kinds ...string) string {
	n.t.Helper()
	n.anew()
	var s agentapp.Status
	err := exchange.Until(n.t.Context(), "the laptop says what stands in its way", func() (ok bool, err error) {
		s, err = n.Status(n.t.Context())
		return slices.Equal(s.Obstacles, kinds) && strings.Contains(s.Trouble, word) && !s.Connected, err
	})
	if err != nil {
		n.t.Fatalf("%v; it says %v: %s\n%s", err, s.Obstacles, s.Trouble, n.said)
	}
	return s.Trouble
}

// goes sets by which way the laptop goes.
func (n *schoolNetwork) goes(args ...string) {
	n.t.Helper()
	command := append(append([]string{"proxy"}, args...), "--state", n.State)
	_, err := exchange.Good(n.t.Context(), n.agent, command...)
	must(n.t, err)
}

// way returns by which way the laptop says that it is connected.
func (n *schoolNetwork) way() string {
	n.t.Helper()
	s, err := n.Status(n.t.Context())
	must(n.t, err)
	return s.Way
}

// between has the school's machine answer in the collector's place, until what
// it returns is called.
func (n *schoolNetwork) between(answer func(net.Conn)) (stop func()) {
	n.t.Helper()
	n.middle.ip(n.t, "addr", "add", collectorAt+"/32", "dev", "lo")
	end := n.middle.listen(n.t, collectorIs, answer)
	return func() {
		n.t.Helper()
		end()
		n.middle.ip(n.t, "addr", "del", collectorAt+"/32", "dev", "lo")
	}
}

// inspector opens what is encrypted with a certificate of its own for whatever
// name it is asked, and passes it on to the collector, as a filter does.
func (n *schoolNetwork) inspector() func(net.Conn) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(n.t, err)
	day := 24 * time.Hour
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Westfield Filter CA"}, IsCA: true, BasicConstraintsValid: true, NotBefore: time.Now().Add(-day), NotAfter: time.Now().Add(day)}
	config := &tls.Config{NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12, GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		leaf := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{h.ServerName}, NotBefore: time.Now().Add(-day), NotAfter: time.Now().Add(day), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
		der, err := x509.CreateCertificate(rand.Reader, leaf, authority, key.Public(), key)
		return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
	}}
	return func(c net.Conn) {
		near := tls.Server(c, config)
		if near.HandshakeContext(n.t.Context()) != nil {
			return
		}
		raw, err := n.middle.dial(n.t.Context(), behindAt+":8443")
		if err != nil {
			return
		}
		far := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}, ServerName: near.ConnectionState().ServerName}) //nolint:gosec // as such a filter does
		join(near, far)
	}
}

// join moves bytes both ways until either ends.
func join(a, b net.Conn) {
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // either may end at any time
			way[0].Close()
		})
	}
	both.Wait()
}

// connectProxy leads where it is asked to those who are let in.
func (n *schoolNetwork) connectProxy(led *atomic.Int64, letIn func(*http.Request) string) func(net.Conn) {
	return func(c net.Conn) {
		request, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil || request.Method != http.MethodConnect {
			return
		}
		if no := letIn(request); no != "" {
			_, _ = io.WriteString(c, no) // it may be gone
			return
		}
		far, err := n.middle.dial(n.t.Context(), request.Host)
		if err != nil {
			_, _ = io.WriteString(c, "HTTP/1.1 502 Bad Gateway\r\n\r\n") // as above
			return
		}
		led.Add(1)
		if _, err := io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n"); err == nil {
			join(c, far)
		}
		far.Close()
	}
}

// TestALaptopOnASchoolsNetwork has both built programs on hosts of their own,
// and between them what schools have between them.
func TestALaptopOnASchoolsNetwork(t *testing.T) {
	n := newSchoolNetwork(t)
	if got := n.way(); got != "straight" {
		t.Errorf("it goes %q", got)
	}
	for _, story := range []struct {
		name string
		tell func(*schoolNetwork)
	}{
		{"a slow link", (*schoolNetwork).slow},
		{"a link that loses packets", (*schoolNetwork).lossy},
		{"a link that is cut amid a report", (*schoolNetwork).cutAmid},
		{"a link that is cut while reports are made", (*schoolNetwork).cutLong},
		{"a filter that inspects", (*schoolNetwork).inspected},
		{"a page to sign in", (*schoolNetwork).portal},
		{"a proxy", (*schoolNetwork).proxied},
		{"a proxy that wants a password", (*schoolNetwork).password},
	} {
		if !t.Run(story.name, func(t *testing.T) {
			within := *n
			within.t = t
			story.tell(&within)
			n.acknowledged = within.acknowledged
		}) {
			return
		}
	}
	wrong, err := n.Whole(t.Context(), n.acknowledged)
	must(t, err)
	for _, w := range wrong {
		t.Error(w)
	}
}

// slow: 300 ms each way.
func (n *schoolNetwork) slow() {
	n.outer.is(func(c *cable) { c.delay = 300 * time.Millisecond })
	defer n.outer.is(func(c *cable) { c.delay = 0 })
	n.reports()
	n.anew() // with a handshake
	n.reports()
}

// lossy: one packet of twenty.
func (n *schoolNetwork) lossy() {
	n.outer.is(func(c *cable) { c.loss = 0.05 })
	defer n.outer.is(func(c *cable) { c.loss = 0 })
	for range 3 {
		n.reports()
	}
	n.anew()
	n.reports()
}

// cutAmid stops everything without a word when a part of a report has passed.
func (n *schoolNetwork) cutAmid() {
	n.reports() // it is connected, and has said what it had to
	n.inner.is(func(c *cable) { c.after = mtu + mtu/2 })
	must(n.t, n.Talk(n.t.Context()))
	must(n.t, exchange.Until(n.t.Context(), "the link is cut", func() (bool, error) { return n.inner.isCut(), nil }))
	must(n.t, n.Agent().Kill()) // and the laptop's battery with it
	n.inner.is(func(c *cable) { c.cut = false })
	must(n.t, n.StartAgent())
	n.reports()
}

// cutLong has the laptop make reports that it cannot send.
func (n *schoolNetwork) cutLong() {
	n.outer.is(func(c *cable) { c.cut = true })
	before := 0
	for range 3 {
		must(n.t, n.Agent().Terminate())
		must(n.t, n.Talk(n.t.Context()))
		must(n.t, exchange.Until(n.t.Context(), "another report waits", func() (bool, error) {
			s, err := n.Status(n.t.Context())
			more := s.Waiting > before
			if more {
				before = s.Waiting
			}
			return more, err
		}))
	}
	n.blocked("nobody answers at "+collectorIs, "silent")
	n.outer.is(func(c *cable) { c.cut = false })
	n.reports()
}

// inspected: the laptop says so, names who inspects and what to ask for, and
// says nothing else to it.
func (n *schoolNetwork) inspected() {
	stop := n.between(n.inspector())
	words := n.blocked("inspects encrypted traffic", "inspected")
	for _, want := range []string{"issued by “Westfield Filter CA”", "ask whoever runs the filter to except " + collectorIs} {
		if !strings.Contains(words, want) {
			n.t.Errorf("it says %q, without %q", words, want)
		}
	}
	if !strings.Contains(n.said.String(), "Westfield Filter CA") {
		n.t.Error("its log does not say so")
	}
	stop()
	n.reports()
}

// portal: everything is answered with a page to sign in.
func (n *schoolNetwork) portal() {
	stop := n.between(func(c net.Conn) {
		first := make([]byte, 1)
		_, _ = io.ReadFull(c, first)                                                                                               // whatever it is
		_, _ = io.WriteString(c, "HTTP/1.1 302 Found\r\nLocation: http://sign-in.westfield.example/\r\nContent-Length: 0\r\n\r\n") // it may be gone
		_, _ = io.Copy(io.Discard, c)
	})
	words := n.blocked("sign-in.westfield.example", "portal")
	if !strings.Contains(words, "open any web page in a browser and sign in") {
		n.t.Errorf("it says %q", words)
	}
	stop()
	n.reports()
}

// proxied: nothing leaves the school but through the proxy.
func (n *schoolNetwork) proxied() {
	n.middle.leads(n.t, false)
	n.blocked("nobody answers", "silent")
	var led atomic.Int64
	stop := n.middle.listen(n.t, proxyIs, n.connectProxy(&led, func(*http.Request) string { return "" }))
	defer stop()
	n.goes("set", proxyIs)
	n.anew()
	n.reports()
	if got := n.way(); led.Load() == 0 || !strings.Contains(got, "through the proxy "+proxyIs) {
		n.t.Errorf("it goes %q", got)
	}
	// At home there is no proxy, and the way is straight again.
	stop()
	n.middle.leads(n.t, true)
	n.anew()
	n.reports()
	if got := n.way(); got != "straight" {
		n.t.Errorf("without the proxy it goes %q", got)
	}
}

// password: the proxy wants one, and nobody ever reads it.
func (n *schoolNetwork) password() {
	n.middle.leads(n.t, false)
	const secret = "bGFwdG9wczpzZXNhbWUtNDI=" // laptops:sesame-42
	var led atomic.Int64
	var windows atomic.Bool
	defer n.middle.listen(n.t, proxyIs, n.connectProxy(&led, func(r *http.Request) string {
		if windows.Load() {
			return "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n\r\n"
		}
		if r.Header.Get("Proxy-Authorization") != "Basic "+secret {
			return "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"school\"\r\n\r\n"
		}
		return ""
	}))()
	n.goes("set", proxyIs)
	n.blocked("wants a name and a password", "proxy-sign-in", "silent")
	windows.Store(true)
	n.blocked("without signing in", "proxy-sign-in", "silent")
	windows.Store(false)
	file := filepath.Join(n.t.TempDir(), "password")
	must(n.t, os.WriteFile(file, []byte("sesame-42\n"), 0o600))
	n.goes("set", proxyIs, "--user", "laptops", "--password-file", file)
	n.anew()
	n.reports()
	if led.Load() == 0 {
		n.t.Error("nothing went through the proxy")
	}
	n.keepsSecret("sesame-42", secret)
	n.middle.leads(n.t, true)
	n.goes("automatic")
	n.anew()
	n.reports()
	if got := n.way(); got != "straight" {
		n.t.Errorf("it goes %q", got)
	}
}

// keepsSecret looks for a password wherever the laptop writes, but in the one
// file that is for it.
func (n *schoolNetwork) keepsSecret(forms ...string) {
	n.t.Helper()
	shown, err := exchange.Good(context.Background(), n.agent, "proxy", "show", "--state", n.State)
	must(n.t, err)
	places := map[string]string{"its log": n.said.String(), "proxy show": shown}
	for _, file := range []string{"status.json", "chain.json", "identity.json"} {
		data, err := os.ReadFile(filepath.Join(n.State, file))
		must(n.t, err)
		places[file] = string(data)
	}
	for place, text := range places {
		for _, form := range forms {
			if strings.Contains(text, form) {
				n.t.Errorf("the proxy's password is in %s", place)
			}
		}
	}
	info, err := os.Stat(filepath.Join(n.State, "proxy.json"))
	if must(n.t, err); info.Mode().Perm() != 0o600 {
		n.t.Errorf("others may read the proxy's password: %v", info.Mode())
	}
	if _, err := os.Stat(filepath.Join(n.State, "proxy.json")); errors.Is(err, os.ErrNotExist) {
		n.t.Error("the setting is not kept")
	}
}
