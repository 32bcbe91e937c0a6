package peer

import (
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
	"os"
	"slices"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/proof"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// cut is a network that carries so many bytes to the collector, and then does
// something else.
type cut struct {
	net.Conn
	left int
	then func(net.Conn, []byte) (goesOn bool) // is given the byte that comes next and what follows
	done bool
}

func (c *cut) Write(data []byte) (int, error) {
	if c.done || c.left >= len(data) {
		c.left -= len(data)
		return c.Conn.Write(data)
	}
	n, err := c.Conn.Write(data[:c.left])
	if err != nil {
		return n, err
	}
	c.done = true
	if !c.then(c.Conn, data[c.left:]) {
		c.Close()
		return n, io.ErrClosedPipe
	}
	return len(data), nil
}

// TestTLSBrokenAtEveryByte lets a device open TLS and report, and breaks the
// connection at each byte of that: it ends, is changed, or goes on as garbage.
func TestTLSBrokenAtEveryByte(t *testing.T) {
	w := newWorld(t)
	a := w.enrol(w.schools[0])
	report := a.report()
	// whole does everything and returns what came of it.
	whole := func(conn *cut) (verdict string, left int) {
		inside := tls.Client(conn, a.config())
		defer conn.Close()
		if err := inside.Handshake(); err != nil {
			return "closed", 0
		}
		p, o := newPeer(t, inside), newOutcome()
		id := p.open(p.request(connectMethod))
		p.data(id, slices.Concat(message(encode(t, hello())), message(encode(t, report))), true, &o)
		left = conn.left
		return p.await(id, o).verdict(), left
	}
	const plenty = 1 << 30
	counted := &cut{Conn: w.dial(t), left: plenty}
	got, left := whole(counted)
	if got != "ok" {
		t.Fatalf("an exchange that nobody breaks ended with %s", got)
	}
	length := plenty - left // what follows may be lost: it is answers to settings
	ways := map[string]func(net.Conn, []byte) bool{
		"ends": func(net.Conn, []byte) bool { return false },
		"is changed": func(c net.Conn, rest []byte) bool {
			changed := append([]byte{rest[0] ^ 0x55}, rest[1:]...)
			_, _ = c.Write(changed)
			return true
		},
		"goes on as garbage": func(c net.Conn, rest []byte) bool {
			garbage := make([]byte, 4<<10)
			_, _ = rand.Read(garbage)
			_, _ = c.Write(garbage)
			return false
		},
	}
	step := 67
	if thorough() {
		step = 1
	}
	for way, then := range ways {
		for at := 0; at < length; at += step {
			got := ""
			w.drive(t, func() { got, _ = whole(&cut{Conn: w.dial(t), left: at, then: then}) })
			if way != "is changed" && got != "closed" {
				t.Errorf("after byte %d it %s, and the exchange ended with %s", at, way, got)
			}
		}
		w.unharmed(t)
	}
	if got := a.recorded(proof.KindReport); got > 1 {
		t.Errorf("one report is %d times in the ledger", got)
	}
	w.settled(t)
}

func (w *world) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", w.address)
	must(t, err)
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	return conn
}

// drive moves the collector's clock on, so that who waits is sent away, until
// something has ended.
func (w *world) drive(t *testing.T, do func()) {
	t.Helper()
	ended := make(chan struct{})
	go func() { defer close(ended); do() }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
			w.clock.Advance(5 * time.Second)
		}
	}
}

// TestWhatIsNotTLSIsClosed knocks with what is no handshake, or with one that
// is not for a school here.
func TestWhatIsNotTLSIsClosed(t *testing.T) {
	w := newWorld(t)
	a := w.enrol(w.schools[0])
	raw := func(bytes ...byte) func(*testing.T, net.Conn) {
		return func(_ *testing.T, c net.Conn) { _, _ = c.Write(bytes) }
	}
	shake := func(change func(*tls.Config)) func(*testing.T, net.Conn) {
		return func(t *testing.T, c net.Conn) {
			config := a.config()
			change(config)
			conn := tls.Client(c, config)
			if conn.Handshake() == nil {
				// With TLS 1.3 a client learns later that it was refused.
				if _, err := conn.Read(make([]byte, 1)); err == nil {
					t.Error("it was let in")
				}
			}
		}
	}
	for name, knock := range map[string]func(*testing.T, net.Conn){
		"nothing":                      raw(),
		"half a record's head":         raw(22, 3, 1),
		"a record of 65,535 bytes":     raw(22, 3, 3, 255, 255, 1),
		"a handshake of 16 MB":         raw(22, 3, 1, 0, 4, 1, 255, 255, 255),
		"an alert":                     raw(21, 3, 3, 0, 2, 2, 40),
		"a record of no kind":          raw(99, 3, 3, 0, 1, 0),
		"application data at once":     raw(23, 3, 3, 0, 3, 1, 2, 3),
		"empty records without end":    func(_ *testing.T, c net.Conn) { flood(c, []byte{22, 3, 1, 0, 0}, 100_000) },
		"warnings without end":         func(_ *testing.T, c net.Conn) { flood(c, []byte{21, 3, 1, 0, 2, 1, 90}, 100_000) },
		"HTTP":                         func(_ *testing.T, c net.Conn) { _, _ = c.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")) },
		"HTTP/2 without TLS":           func(_ *testing.T, c net.Conn) { _, _ = c.Write([]byte(preface)) },
		"TLS 1.2":                      shake(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }),
		"no school":                    shake(func(c *tls.Config) { c.ServerName = "" }),
		"a school that is not here":    shake(func(c *tls.Config) { c.ServerName = identity.ServerName("s0000000000") }),
		"a name that is no school's":   shake(func(c *tls.Config) { c.ServerName = "collector.example" }),
		"a school with a strange name": shake(func(c *tls.Config) { c.ServerName = "..%00.school.caretaker" }),
	} {
		t.Run(name, func(t *testing.T) {
			conn := w.dial(t)
			defer conn.Close()
			w.drive(t, func() {
				knock(t, conn)
				if _, err := io.Copy(io.Discard, conn); err != nil {
					if errors.Is(err, os.ErrDeadlineExceeded) {
						t.Error("the connection stays open")
					}
				}
			})
			w.unharmed(t)
		})
	}
	w.settled(t)
}

// flood writes the same again and again until it is done or the other end is
// gone.
func flood(c net.Conn, data []byte, times int) {
	for range times {
		if _, err := c.Write(data); err != nil {
			return
		}
	}
}

// TestCertificatesThatDoNotCount opens streams with certificates of every sort.
func TestCertificatesThatDoNotCount(t *testing.T) {
	w := newWorld(t)
	ours, theirs := w.schools[0], w.schools[1]
	issue := func(a *attacker, by *identity.Authority, at time.Time) *tls.Certificate {
		der, err := by.Issue(a.id, a.key.Public(), at)
		must(t, err)
		certificate, err := a.key.Certificate(der)
		must(t, err)
		return certificate
	}
	stranger, err := identity.NewAuthority(t.TempDir(), ours.ID, monday)
	must(t, err)
	for name, c := range map[string]struct {
		certificate func(*attacker) *tls.Certificate
		want        string
	}{
		"its own":                  {func(a *attacker) *tls.Certificate { return issue(a, ours.Authority, monday) }, "ok"},
		"none":                     {func(*attacker) *tls.Certificate { return &tls.Certificate{} }, "status 12"},
		"another authority's":      {func(a *attacker) *tls.Certificate { return issue(a, stranger, monday) }, "closed"},
		"another authority's, old": {func(a *attacker) *tls.Certificate { return issue(a, stranger, monday.Add(-200*day)) }, "closed"},
		"another school's":         {func(a *attacker) *tls.Certificate { return issue(a, theirs.Authority, monday) }, "closed"},
		"signed by itself":         {func(a *attacker) *tls.Certificate { return selfSigned(t, string(ours.ID), string(a.id)) }, "closed"},
		"the collector's":          {func(*attacker) *tls.Certificate { c, err := ours.Authority.Server(monday); must(t, err); return c }, "closed"},
		"not a certificate": {func(a *attacker) *tls.Certificate {
			c := issue(a, ours.Authority, monday)
			c.Certificate = [][]byte{{1, 2, 3}}
			return c
		}, "closed"},
		"another device's, no key": {func(a *attacker) *tls.Certificate {
			c := issue(a, ours.Authority, monday)
			c.Certificate = [][]byte{w.bystander.device.Certificate}
			return c
		}, "closed"},
		"of a device that is unknown": {func(a *attacker) *tls.Certificate { a.id = "d0000000000"; return issue(a, ours.Authority, monday) }, "refused unknown"},
		"of a device that is revoked": {func(a *attacker) *tls.Certificate { revoke(a); return issue(a, ours.Authority, monday) }, "refused revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			a := w.enrol(ours)
			size := ours.ledger.Size()
			config := a.config(c.certificate(a))
			conn, err := tls.Dial("tcp", w.address, config)
			got := "closed"
			if err == nil {
				must(t, conn.SetDeadline(time.Now().Add(patience)))
				p := newPeer(t, conn)
				got = p.say(connectMethod, message(encode(t, hello()))).verdict()
				p.close()
			}
			if got != c.want {
				t.Errorf("it ended with %q, want %q", got, c.want)
			}
			w.unharmed(t)
			if grew := ours.ledger.Size() - size; grew > 2 { // the other laptop's report, and the revocation
				t.Errorf("%d entries were made", grew)
			}
		})
	}
	// At last time passes: the attacker's certificate ends, and the other
	// laptop's stream, which is open, stays.
	late := w.enrol(ours)
	w.clock.Advance(100 * day)
	p := late.connect()
	if got := p.say(connectMethod, message(encode(t, hello())), message(encode(t, late.report()))).verdict(); got != "refused expired" {
		t.Errorf("with a certificate that has ended it ended with %s", got)
	}
	if got := late.recorded(proof.KindReport); got != 0 {
		t.Errorf("a report of a device whose certificate has ended was recorded")
	}
	request, err := late.key.Request()
	must(t, err)
	if got := p.say(renewMethod, message(encode(t, &pb.RenewRequest{CertificateRequest: request}))).verdict(); got != "ok" {
		t.Errorf("renewing ended with %s, and an expired certificate may do that", got)
	}
	p.close()
	w.unharmed(t)
	w.settled(t)
}

func revoke(a *attacker) {
	a.t.Helper()
	entry, err := roster.Maker{School: a.school}.Revocation(roster.Revocation{Device: a.id, Reason: "lost"}, monday)
	must(a.t, err)
	_, err = a.place.ledger.Append(a.t.Context(), entry)
	must(a.t, err)
}

func selfSigned(t *testing.T, school, device string) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: device, Organization: []string{school}},
		NotBefore: monday.Add(-day), NotAfter: monday.Add(day), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
