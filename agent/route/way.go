package route

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// Way is an open connection to the collector.
type Way struct {
	conn  *tls.Conn
	raw   net.Conn // below it
	proxy Proxy
	taken atomic.Bool
}

// Client returns a gRPC client that uses the way, once: when the connection
// ends so does the client's use.
func (w *Way) Client(address string, config *tls.Config, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	// gRPC sets how long it waits for the network on the connection itself, and
	// gets the encrypted one in its handshake.
	dial := func(context.Context, string) (net.Conn, error) {
		if w.taken.Swap(true) {
			return nil, errUsed
		}
		return w.raw, nil
	}
	options = append(options, grpc.WithContextDialer(dial), grpc.WithNoProxy(),
		grpc.WithTransportCredentials(opened{credentials.NewTLS(config), w.conn}))
	return grpc.NewClient("passthrough:///"+address, options...)
}

// Close closes the connection, unless a client has taken it: that closes it.
func (w *Way) Close() error {
	if w.taken.Swap(true) {
		return nil
	}
	return w.raw.Close()
}

// opened is what gRPC is told of a connection on which TLS is open already.
type opened struct {
	credentials.TransportCredentials
	conn *tls.Conn
}

// ClientHandshake implements credentials.TransportCredentials.
func (o opened) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return o.conn, credentials.TLSInfo{
		State: o.conn.ConnectionState(), CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
	}, nil
}

// Clone implements credentials.TransportCredentials.
func (o opened) Clone() credentials.TransportCredentials {
	return opened{o.TransportCredentials.Clone(), o.conn}
}
