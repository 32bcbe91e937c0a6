package route

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/caretaker-school/caretaker/shared/wire"
)

// handshake opens TLS, and says what answered if it was not the collector.
func (r *Routes) handshake(ctx context.Context, raw net.Conn, address string, config *tls.Config) (*Way, *ObstacleError) {
	ctx, cancel := context.WithTimeout(ctx, r.o.Within.Handshake)
	defer cancel()
	heard := &heard{Conn: raw}
	var shown []*x509.Certificate
	var wrong error
	config = config.Clone()
	verify := config.VerifyConnection
	config.VerifyConnection = func(s tls.ConnectionState) error {
		shown = s.PeerCertificates
		if verify != nil {
			wrong = verify(s)
		}
		return wrong
	}
	conn := tls.Client(heard, config)
	err := conn.HandshakeContext(ctx)
	first := heard.enough()
	switch {
	case err == nil && conn.ConnectionState().NegotiatedProtocol == "h2":
		return &Way{conn: conn, raw: raw}, nil
	case err == nil:
		return nil, &ObstacleError{Kind: Declined, Detail: "it does not speak HTTP/2"}
	case wrong != nil && len(shown) > 0:
		host, _, _ := net.SplitHostPort(address)
		return nil, notTheCollector(shown, wrong, config.ServerName, host)
	}
	return nil, notTLS(err, first)
}

// authorityPrefix begins the name of every school's authority. It is looked at
// for words alone: anybody can write it.
const authorityPrefix = "Caretaker "

// notTheCollector says who showed a certificate that is not the collector's.
func notTheCollector(shown []*x509.Certificate, why error, name, host string) *ObstacleError {
	leaf := shown[0]
	issuer := named(leaf.Issuer.CommonName, leaf.Issuer.Organization)
	o := &ObstacleError{Detail: issuer, err: why}
	var invalid x509.CertificateInvalidError
	ours := strings.HasPrefix(leaf.Issuer.CommonName, authorityPrefix)
	switch {
	case ours && errors.As(why, &invalid) && invalid.Reason == x509.Expired:
		o.Kind, o.Detail = Clock, "on "+leaf.NotAfter.UTC().Format("2 January 2006")
	case ours:
		o.Kind = OtherAuthority
	case leaf.VerifyHostname(name) == nil || leaf.VerifyHostname(host) == nil:
		o.Kind = Inspected
	default:
		o.Kind = Elsewhere
		o.Detail = fmt.Sprintf("a certificate for %s, issued by %s", named(subject(leaf), leaf.Subject.Organization), issuer)
	}
	return o
}

func subject(c *x509.Certificate) string {
	if len(c.DNSNames) > 0 {
		return c.DNSNames[0]
	}
	return c.Subject.CommonName
}

// named returns a name of a certificate as it can be shown.
func named(common string, organization []string) string {
	switch {
	case common != "":
		return "“" + wire.Visible(common, 80) + "”"
	case len(organization) > 0:
		return "“" + wire.Visible(organization[0], 80) + "”"
	}
	return "nobody that it names"
}

// errOldVersion is how the other end says that it speaks no version of
// TLS that this one does.
const errOldVersion tls.AlertError = 70

// alert returns what the other end said when it ended the handshake.
func alert(err error) (string, bool) {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" {
		return "", false
	}
	return op.Err.Error(), true
}

// notTLS says what answered if no certificate was shown. first is the beginning
// of what it said.
func notTLS(err error, first []byte) *ObstacleError {
	o := &ObstacleError{err: err}
	said, alerted := alert(err)
	_, recorded := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case recorded:
		o.Kind, o.Detail = Portal, spoke(first)
	case alerted && said == errOldVersion.Error(), strings.Contains(err.Error(), "unsupported protocol version"):
		// Every collector speaks TLS 1.3.
		o.Kind = Inspected
	case alerted:
		o.Kind, o.Detail = Declined, wire.Visible(said, 80)
	case errors.Is(err, context.DeadlineExceeded):
		o.Kind, o.Detail = Cut, "it says nothing"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		o.Kind, o.Detail = Cut, "the other end closed it"
	default:
		o.Kind, o.Detail = Cut, bare(err)
	}
	return o
}

// spoke says what somebody who does not speak TLS said.
func spoke(first []byte) string {
	answer, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(first)), nil)
	if err != nil {
		return "it does not speak TLS"
	}
	answer.Body.Close()
	words := fmt.Sprintf("it speaks HTTP: %s", wire.Visible(answer.Status, 60))
	if to, err := url.Parse(answer.Header.Get("Location")); err == nil && to.Host != "" {
		words += ", and sends to " + wire.Visible(to.Host, 80)
	}
	return words
}

// mostHeard is how much is kept of what is said first, in bytes.
const mostHeard = 2 << 10

// heard keeps the beginning of what the other end says until TLS is open.
type heard struct {
	net.Conn
	first []byte
	over  bool
}

// Read implements net.Conn.
func (h *heard) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	if !h.over {
		h.first = append(h.first, b[:min(n, mostHeard-len(h.first))]...)
		h.over = len(h.first) == mostHeard
	}
	return n, err
}

// enough returns what was kept and keeps nothing from now on.
func (h *heard) enough() []byte {
	first := h.first
	h.first, h.over = nil, true
	return first
}
