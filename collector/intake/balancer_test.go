package intake

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/pires/go-proxyproto"
)

// header is how a load balancer begins a connection from an address.
func header(t testing.TB, version byte, from string) []byte {
	t.Helper()
	h := &proxyproto.Header{
		Version: version, Command: proxyproto.PROXY, TransportProtocol: proxyproto.TCPv4,
		SourceAddr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(from)), DestinationAddr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:7443")),
	}
	data, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestWhomAConnectionIsFrom(t *testing.T) {
	const from = "203.0.113.9:40000"
	for name, c := range map[string]struct {
		data []byte
		want string // "": it speaks for itself; "-": an error
	}{
		"version 1":                  {header(t, 1, from), "-"},
		"version 2":                  {header(t, 2, from), from},
		"a look whether it is there": {append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x20, 0, 0, 0), ""},
		"unknown":                    {[]byte("PROXY UNKNOWN\r\n"), "-"},
		"TLS":                        {[]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), "-"},
		"nothing":                    {nil, "-"},
		"the half":                   {header(t, 2, from)[:20], "-"},
		"another protocol":           {append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x21, 0x12, 0, 12, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 0, 2), "-"}, // UDP
		"without end":                {append([]byte("\r\n\r\n\x00\r\nQUIT\n"), append([]byte{0x21, 0x11, 0xff, 0xff}, make([]byte, 1<<16)...)...), "-"},
	} {
		r := bytes.NewReader(append(c.data[:len(c.data):len(c.data)], "what follows"...))
		if c.want == "-" {
			r = bytes.NewReader(c.data)
		}
		got, err := introduction(r)
		if (err != nil) != (c.want == "-") || err == nil && (got == nil) != (c.want == "") || got != nil && got.String() != c.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if rest, _ := io.ReadAll(r); err == nil && string(rest) != "what follows" {
			t.Errorf("%s: it took more than was meant for it, and left %q", name, rest)
		}
	}
}

func TestAddressesOfBalancers(t *testing.T) {
	got, err := ParseBalancers([]string{"10.1.2.3", "10.2.0.77/16", "2001:db8::1", "::ffff:192.0.2.7"})
	if want := "[10.1.2.3/32 10.2.0.0/16 2001:db8::1/128 192.0.2.7/32]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("%v, %v, want %s", got, err, want)
	}
	for _, bad := range []string{"", "balancer.example", "10.1.2.3:80", "10.1.2.3/33"} {
		if _, err := ParseBalancers([]string{bad}); err == nil {
			t.Errorf("%q is taken for an address", bad)
		}
	}
}

// balance has whoever connects to what it returns reach an address as if from
// another one.
func balance(t *testing.T, to, from string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	begin := header(t, 2, from)
	wait.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			mu.Lock()
			open = append(open, near, far)
			mu.Unlock()
			wait.Go(func() { _, _ = far.Write(begin); _, _ = io.Copy(far, near); far.Close() })
			wait.Go(func() { _, _ = io.Copy(near, far); near.Close() })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		wait.Wait()
	})
	return l.Addr().String()
}

// TestBehindABalancerEachCountsForItself has a stranger behind the same load
// balancer as a school: who waits at the stranger's address gives way, and not
// who waits elsewhere.
func TestBehindABalancerEachCountsForItself(t *testing.T) {
	limits := Limits{HalfOpen: 16}
	w := newWorld(t, limits)
	w.stop()
	w.balancers = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	w.start(limits)
	collector := w.address
	w.address = balance(t, collector, "198.51.100.7:40000")
	l := w.enrol(w.schools[0])
	var idle []net.Conn
	dial := func(address string) net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	other := dial(collector)
	if _, err := other.Write(header(t, 2, "192.0.2.55:40000")); err != nil {
		t.Fatal(err)
	}
	stranger := balance(t, collector, "203.0.113.9:40000")
	for range 10 { // eight of one address may wait
		idle = append(idle, dial(stranger))
	}
	closed := 0
	gone := make(chan bool)
	for _, c := range idle {
		go func() {
			_, _ = c.Read(make([]byte, 1)) // it is never spoken to
			gone <- true
		}()
	}
	for ; closed < 2; closed++ {
		<-gone
	}
	l.works()
	for _, c := range idle {
		c.Close()
	}
	for ; closed < len(idle); closed++ {
		<-gone
	}
	l.works()
}

func TestABalancerThatSaysNothingIsTold(t *testing.T) {
	said := make(told, 64)
	w := newWorld(t, Limits{})
	w.stop()
	w.log, w.balancers = slog.New(slog.NewTextHandler(said, nil)), []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	w.start(Limits{})
	shut(t, w.address, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
	said.until(t, "have it send the PROXY protocol")

	w.stop()
	w.balancers = nil
	w.start(Limits{})
	shut(t, w.address, string(header(t, 2, "203.0.113.9:40000")))
	said.until(t, "name it with --agents-balancer")
}

// told is lines of a log.
type told chan string

func (l told) Write(b []byte) (int, error) {
	select {
	case l <- string(b):
	default: // nobody waits for so many
	}
	return len(b), nil
}

// until waits for a line that holds some words.
func (l told) until(t *testing.T, words string) {
	t.Helper()
	for line := range l {
		if strings.Contains(line, words) {
			return
		}
	}
}

// shut says something to the collector and waits until that has enough.
func shut(t *testing.T, address, text string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, conn) // until it is closed, however that is
}

func FuzzIntroduction(f *testing.F) {
	f.Add(header(f, 1, "203.0.113.9:40000"))
	f.Add(header(f, 2, "203.0.113.9:40000"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"))
	f.Fuzz(func(t *testing.T, data []byte) {
		from, err := introduction(bytes.NewReader(data))
		if err == nil && !bytes.HasPrefix(data, []byte("\r\n\r\n\x00\r\nQUIT\n")) {
			t.Errorf("%q is from %v", data, from)
		}
		if from != nil && !addressOf(from).IsValid() {
			t.Errorf("%q is from %v, which is no address", data, from)
		}
	})
}
