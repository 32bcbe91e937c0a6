package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
)

// pool returns the system's authorities and those given.
func pool(pem string) (*x509.CertPool, error) {
	if pem == "" {
		return nil, nil // the system's
	}
	p, err := x509.SystemCertPool()
	if err != nil {
		p = x509.NewCertPool() // there is none here: those given must do
	}
	if !p.AppendCertsFromPEM([]byte(pem)) {
		return nil, errors.New("the file of authorities holds no certificate in PEM")
	}
	return p, nil
}

// tlsTo is how a receiver is spoken to and recognised.
func tlsTo(settings Settings, host string) (*tls.Config, error) {
	roots, err := pool(settings.Authorities)
	if err != nil {
		return nil, err
	}
	return &tls.Config{ServerName: host, RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}

// refusedAddress says why no notice goes to an address: nobody's receiver is
// there, and what answers at link-local addresses in a cloud gives away keys.
// It is asked of the address that is really connected to, whatever name led
// there.
func refusedAddress(ip netip.Addr) error {
	ip = ip.Unmap()
	if ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() || ip == netip.MustParseAddr("255.255.255.255") {
		return fmt.Errorf("nothing is sent to %s: it is no address of a receiver", ip)
	}
	return nil
}

// onlyHere reports whether a host can only be this machine.
func onlyHere(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// mostAnswer bounds what is read of a receiver, in bytes.
const mostAnswer = 256 << 10

// dial connects to a receiver. The connection is closed when ctx ends, and reads
// no more than a receiver has to say.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("connect to %.80q: %w", address, err)
		}
		return refusedAddress(at.Addr().WithZone(""))
	}}
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	b := &bounded{Conn: c}
	b.stop = context.AfterFunc(ctx, func() { c.Close() })
	return b, nil
}

// bounded is a connection that ends with its context, and when the other side
// has said too much.
type bounded struct {
	net.Conn
	stop func() bool
	read atomic.Int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	if b.read.Add(int64(n)) > mostAnswer {
		return 0, fmt.Errorf("the receiver says more than %d bytes", mostAnswer)
	}
	return n, err
}

func (b *bounded) Close() error {
	b.stop()
	return b.Conn.Close()
}
