package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Messages follow RFC 5424: over UDP one to a datagram (RFC 5426), over TCP and
// TLS each with its length before it (RFC 6587, RFC 5425). Nobody acknowledges
// them: that one was delivered means that it was handed to the network whole.

const (
	facility = 13 // log audit
	// enterprise is the number that RFC 5612 sets aside for documentation: this
	// project has none of its own.
	enterprise   = "32473"
	mostDatagram = 2048 // which every receiver should take
)

func sendSyslog(ctx context.Context, settings Settings, c Channel, n Notice) error {
	network, address, err := syslogAddress(c.Address)
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "-"
	}
	messages := syslogMessages(n, host)
	dialled := network
	if network == "tls" {
		dialled = "tcp"
	}
	conn, err := dial(ctx, dialled, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if network == "tls" {
		name, _, err := net.SplitHostPort(address)
		if err != nil {
			return err
		}
		config, err := tlsTo(settings, name)
		if err != nil {
			return err
		}
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return err
		}
		defer secure.Close()
		conn = secure
	}
	for _, m := range messages {
		if network != "udp" {
			m = octets(m)
		}
		if _, err := conn.Write(m); err != nil {
			return err
		}
	}
	return nil
}

// octets frames a message by its length.
func octets(m []byte) []byte {
	return append([]byte(strconv.Itoa(len(m))+" "), m...)
}

// syslogMessages writes one message for each cause. It names no laptop.
func syslogMessages(n Notice, host string) [][]byte {
	if n.Test {
		return [][]byte{syslogMessage(n.At, host, "test", urgency(0), [][2]string{{"notice", n.ID}}, n.Subject())}
	}
	var list [][]byte
	for _, p := range n.Parts {
		for _, c := range p.Causes {
			list = append(list, syslogMessage(n.At, host, string(c.What), urgency(c.Severity), [][2]string{
				{"notice", n.ID},
				{"school", string(p.School)},
				{"rule", c.Rule},
				{"severity", c.Severity.String()},
				{"laptops", strconv.Itoa(c.Laptops)},
				{"since", c.Since.UTC().Format(time.RFC3339)},
			}, c.Headline()))
		}
	}
	return list
}

// syslogMessage writes one message. What the fields cannot hold is left out of
// them; the text is UTF-8, and is cut where a datagram ends.
func syslogMessage(at time.Time, host, id string, severity int, data [][2]string, text string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<%d>1 %s %s caretaker-collector - %s [caretaker@%s", facility*8+severity,
		at.UTC().Format("2006-01-02T15:04:05.000000Z"), field(host, 255), field(id, 32), enterprise)
	for _, d := range data {
		fmt.Fprintf(&b, ` %s="%s"`, d[0], quoted(d[1]))
	}
	b.WriteString("] \xEF\xBB\xBF")
	room := mostDatagram - b.Len()
	for _, r := range text {
		if r < ' ' || r == 0x7F {
			r = ' '
		}
		if room -= len(string(r)); room < 0 {
			break
		}
		b.WriteRune(r)
	}
	return b.Bytes()
}

// field is a text as a field of the header takes it: printable ASCII.
func field(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, text)
	if text = text[:min(len(text), most)]; text == "" {
		return "-"
	}
	return text
}

// mostValue bounds a value of the structured data, in characters.
const mostValue = 128

// quoted is a text as a value of the structured data.
func quoted(text string) string {
	runes := []rune(strings.ToValidUTF8(text, "\uFFFD"))
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`, "\n", " ", "\r", " ", "\x00", " ").
		Replace(string(runes[:min(len(runes), mostValue)]))
}
