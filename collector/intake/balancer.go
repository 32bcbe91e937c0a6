package intake

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"

	"github.com/pires/go-proxyproto"
)

// ParseBalancers reads addresses of load balancers, each an address or a
// network, whose connections begin by saying whom they are from.
func ParseBalancers(texts []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if one, bad := netip.ParseAddr(text); bad == nil {
			prefix, err = one.Unmap().Prefix(one.Unmap().BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("%.80q is no address of a load balancer: write one such as 10.1.2.3, or a network such as 10.1.2.0/24", text)
		}
		all = append(all, prefix.Masked())
	}
	return all, nil
}

// isBalancer reports whether connections from an address begin by saying whom
// they are from.
func (d *door) isBalancer(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return false
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	for _, p := range d.in.o.Balancers {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// introduced has a load balancer say whom a connection is from, and counts it
// as one from there. Others are not asked: they would say what they like.
func (d *door) introduced(a *arrival) error {
	if !d.isBalancer(a.RemoteAddr()) {
		return nil
	}
	from, err := introduction(a.NetConn())
	if err != nil {
		d.unintroduced.Do(func() {
			d.in.o.Log.Warn("a load balancer does not say whom its connections are from: have it send the PROXY protocol, version 2, or take it from --agents-balancer",
				"balancer", a.RemoteAddr().String(), "reason", err)
		})
		return err
	}
	if from == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if a.in != d.halfOpen {
		return errors.New("it gave way")
	}
	a.waitNoMore()
	a.address = addressOf(from)
	d.halfOpen.add(a)
	return nil
}

// introduction reads the header of the PROXY protocol, version 2, and not a
// byte more. (The library reads one of version 1 only together with what may
// follow it.) It returns nil if a balancer speaks for itself, as when it
// looks whether the collector is there.
func introduction(from io.Reader) (net.Addr, error) {
	header, err := proxyproto.Read(bufio.NewReaderSize(single{from}, smallest))
	if err != nil {
		return nil, fmt.Errorf("read whom a connection is from: %w", err)
	}
	if header.Command.IsLocal() || header.TransportProtocol.IsUnspec() {
		return nil, nil //nolint:nilnil // it speaks for itself
	}
	tcp, _, ok := header.TCPAddrs()
	if !ok {
		return nil, errors.New("read whom a connection is from: it is from no TCP address")
	}
	return tcp, nil
}

// smallest is the size of a buffer that holds what a header begins with.
const smallest = 16

// single reads one byte at a time: what follows the header is not for whoever
// reads that, and the connection stays what it is.
type single struct{ io.Reader }

// Read implements io.Reader.
func (s single) Read(b []byte) (int, error) { return s.Reader.Read(b[:min(len(b), 1)]) }

// startsAsBalancer reports whether what should have been TLS begins as the
// PROXY protocol does, in either version.
func startsAsBalancer(record [5]byte) bool {
	return string(record[:]) == "PROXY" || strings.HasPrefix("\r\n\r\n\x00\r\nQUIT\n", string(record[:]))
}
