package notify

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caretaker-school/caretaker/collector/notify/notifytest"
)

// header is the header and structured data of RFC 5424, for what we send.
var header = regexp.MustCompile(`^<(\d{1,3})>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z [!-~]{1,255} caretaker-collector - [!-~]{1,32} \[caretaker@32473( [a-z]+="([^"\\\]]|\\["\\\]])*")+\] \x{FEFF}`)

// TestSyslogOverEveryWay sends to real receivers over UDP, TCP and TLS.
func TestSyslogOverEveryWay(t *testing.T) {
	check := func(name string, messages [][]byte) {
		t.Helper()
		if len(messages) != 2 || !header.Match(messages[0]) || !bytes.HasPrefix(messages[0], []byte("<106>1 2026-11-02T06:00:00.000000Z ")) ||
			!bytes.Contains(messages[0], []byte(`school="shollybank" rule="ENC-01" severity="critical" laptops="2"`)) || !bytes.HasSuffix(messages[1], []byte("Locks itself (CFG-02)")) {
			t.Errorf("%s: got %q", name, messages)
		}
	}
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if err := sendNow(t, Settings{}, Channel{Kind: Syslog, Address: "udp://" + u.LocalAddr().String()}); err != nil {
		t.Fatal(err)
	}
	var datagrams [][]byte
	for range 2 {
		b := make([]byte, 4096)
		n, _, err := u.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		datagrams = append(datagrams, b[:n])
	}
	check("udp", datagrams)

	certificate, authority := notifytest.Certificate(t)
	for scheme, config := range map[string]*tls.Config{"tcp": nil, "tls": {Certificates: []tls.Certificate{certificate}}} {
		got := make(chan []byte, 1)
		address := answering(t, config, func(c net.Conn) {
			all, _ := io.ReadAll(c)
			got <- all
		})
		if err := sendNow(t, Settings{Authorities: authority}, Channel{Kind: Syslog, Address: scheme + "://" + address}); err != nil {
			t.Fatal(err)
		}
		var messages [][]byte
		for stream := <-got; len(stream) > 0; {
			var m []byte
			if m, stream, err = unframe(stream); err != nil {
				t.Fatalf("%s: %v", scheme, err)
			}
			messages = append(messages, m)
		}
		check(scheme, messages)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if err := sendNow(t, Settings{}, Channel{Kind: Syslog, Address: "tcp://" + closed.Addr().String()}); err == nil {
		t.Error("nobody took it, and it was delivered")
	}
	_, another := notifytest.Certificate(t)
	address := answering(t, &tls.Config{Certificates: []tls.Certificate{certificate}}, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	if err := sendNow(t, Settings{Authorities: another}, Channel{Kind: Syslog, Address: "tls://" + address}); err == nil {
		t.Error("a certificate of nobody known was believed")
	}
}

// FuzzSyslogMessage: whatever a policy's words are, a message is one, valid and
// bounded, and comes out of a stream as it went in.
func FuzzSyslogMessage(f *testing.F) {
	f.Add("collector", "opened", "ENC-01", "System disk encrypted")
	f.Add("", "", `a"b\c]d`, "line\nline\x00\x1b[31m")
	f.Add("a b", strings.Repeat("x", 300), strings.Repeat("é", 300), strings.Repeat("日本", 5000))
	f.Add("\xff", "\xff", "\xff", "\xff")
	f.Fuzz(func(t *testing.T, host, id, value, text string) {
		m := syslogMessage(monday, host, id, 4, [][2]string{{"rule", value}}, text)
		if !header.Match(m) || !utf8.Valid(m) || len(m) > mostDatagram || bytes.ContainsAny(m, "\n\r\x00") {
			t.Fatalf("the message is %q", m)
		}
		stream := append(octets(m), octets([]byte(text))...)
		first, rest, err := unframe(stream)
		if err != nil || !bytes.Equal(first, m) {
			t.Fatalf("got %q: %v", first, err)
		}
		if text == "" {
			return // nobody sends a message of no length
		}
		second, rest, err := unframe(rest)
		if err != nil || string(second) != text || len(rest) != 0 {
			t.Fatalf("got %q and %q: %v", second, rest, err)
		}
	})
}

var errFrame = errors.New("this is not a message with its length before it")

// unframe takes the first message off a stream, as a receiver does.
func unframe(b []byte) (message, rest []byte, err error) {
	length, after, ok := bytes.Cut(b, []byte(" "))
	n, err := strconv.ParseUint(string(length), 10, 31)
	if !ok || err != nil || len(length) == 0 || length[0] == '0' || uint64(len(after)) < n {
		return nil, nil, errFrame
	}
	return after[:n], after[n:], nil
}
