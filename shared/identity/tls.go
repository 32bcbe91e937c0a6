package identity

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Both ends speak TLS 1.3 only, with HTTP/2 inside. Sessions are not resumed:
// a full handshake costs the collector a millisecond, and in return every
// connection proves both keys afresh and no ticket outlives a revocation.
func baseConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}, SessionTicketsDisabled: true,
		// Small first records are for pages that begin to show before they are
		// whole. Here they are only more records.
		DynamicRecordSizingDisabled: true,
	}
}

// ServerConfig returns the collector's configuration. The authority is found
// by the name the client asks for. A client may come without a certificate, to
// enrol; one that brings a certificate must hold one of that school's, of
// which only the time may have run out: see Peer. Connections share what they
// can: each keeps its configuration for as long as it is open.
func ServerConfig(find func(posture.SchoolID) (*Authority, bool), c clock.Clock) *tls.Config {
	var mu sync.Mutex
	made := map[*Authority]*tls.Config{}
	config := baseConfig()
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		school, ok := SchoolOf(hello.ServerName)
		if !ok {
			return nil, errors.New("the client does not name a school")
		}
		authority, ok := find(school)
		if !ok {
			return nil, errors.New("the client names a school that is not served here")
		}
		mu.Lock()
		defer mu.Unlock()
		if made[authority] == nil {
			made[authority] = authority.serverConfig(c)
		}
		return made[authority], nil
	}
	return config
}

func (a *Authority) serverConfig(c clock.Clock) *tls.Config {
	config := baseConfig()
	config.ClientAuth = tls.RequestClientCert // verified below: an expired one must reach renewal
	config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.Server(c.Now()) }
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return nil
		}
		return a.verifyDevice(state.PeerCertificates[0])
	}
	return config
}

// verifyDevice checks a certificate but for its end.
func (a *Authority) verifyDevice(c *x509.Certificate) error {
	err := verifyAt(c, a.pool, x509.ExtKeyUsageClientAuth, c.NotBefore)
	if err != nil {
		return fmt.Errorf("verify the device's certificate: %w", err)
	}
	school, _, err := CertificateDevice(c)
	if err != nil {
		return fmt.Errorf("verify the device's certificate: %w", err)
	}
	if school != a.School {
		return errors.New("verify the device's certificate: it is another school's")
	}
	return nil
}

func verifyAt(c *x509.Certificate, roots *x509.CertPool, usage x509.ExtKeyUsage, at time.Time) error {
	_, err := c.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{usage}})
	return err
}

// Peer is whoever opened a connection to the collector.
type Peer struct {
	School posture.SchoolID
	Device posture.DeviceID // "" without a certificate
	Until  time.Time        // the certificate's end, which alone is not verified
}

// PeerOf returns who is at the other end of a connection made with
// ServerConfig.
func PeerOf(state tls.ConnectionState) (Peer, error) {
	school, ok := SchoolOf(state.ServerName)
	if !ok || !state.HandshakeComplete {
		return Peer{}, errors.New("the connection does not say for which school it is")
	}
	if len(state.PeerCertificates) == 0 {
		return Peer{School: school}, nil
	}
	named, device, err := CertificateDevice(state.PeerCertificates[0])
	if err != nil {
		return Peer{}, err
	}
	if named != school {
		return Peer{}, errors.New("the certificate is another school's")
	}
	return Peer{School: school, Device: device, Until: state.PeerCertificates[0].NotAfter}, nil
}

// Expired reports whether the peer's certificate has ended. It may still ask
// for renewal, and for nothing else.
func (p Peer) Expired(now time.Time) bool {
	return p.Device != "" && now.After(p.Until)
}

// Trusted tells the time by which a device judges the end of certificates. A
// laptop's own clock may be wrong by years, so it is the later of the time at
// which the program was built and the last time that an authenticated
// collector told. It is safe for concurrent use.
type Trusted struct {
	mu sync.Mutex // guards at
	at time.Time
}

// NewTrusted returns the latest of times.
func NewTrusted(times ...time.Time) *Trusted {
	t := &Trusted{}
	for _, at := range times {
		if at.After(t.at) {
			t.at = at
		}
	}
	return t
}

// Now returns the time.
func (t *Trusted) Now() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.at
}

// Heard moves the time on to what an authenticated collector told, but never
// beyond the device's own clock: a collector that was wrong once must not make
// its later certificates look old for ever.
func (t *Trusted) Heard(told, own time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if own.Before(told) {
		told = own
	}
	if told.After(t.at) {
		t.at = told
	}
}

// Client is what a device needs to open a connection to the collector.
type Client struct {
	School    posture.SchoolID
	Authority []byte   // the school's authority, DER
	Others    [][]byte // authorities that are trusted beside it, DER
	// Learned is told of an authority that one that is trusted vouches for, DER;
	// nil if nobody wants to know.
	Learned     func(authority []byte)
	Trusted     *Trusted
	Certificate func() (*tls.Certificate, error) // asked for each connection, so that it can change
}

// Config returns the device's configuration.
func (c Client) Config() (*tls.Config, error) {
	authority, err := x509.ParseCertificate(c.Authority)
	if err != nil {
		return nil, fmt.Errorf("read the school's authority: %w", err)
	}
	known := []*x509.Certificate{authority}
	for _, der := range c.Others {
		other, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("read another of the school's authorities: %w", err)
		}
		known = append(known, other)
	}
	config := clientConfig(c.School, c.Trusted, func(tls.ConnectionState) ([]*x509.Certificate, error) { return known, nil }, c.Learned)
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.Certificate() }
	return config, nil
}

// PinnedConfig returns the configuration of a device that holds nothing but a
// token: the collector must show the authority of that fingerprint and a
// certificate by it.
func PinnedConfig(school posture.SchoolID, fingerprint proof.Digest, trusted *Trusted) *tls.Config {
	return clientConfig(school, trusted, func(state tls.ConnectionState) ([]*x509.Certificate, error) {
		for _, c := range state.PeerCertificates[1:] {
			hash := sha256.Sum256(c.Raw)
			if c.IsCA && bytes.Equal(hash[:], fingerprint[:]) {
				return []*x509.Certificate{c}, nil
			}
		}
		return nil, errors.New("the collector does not show the authority that the token names")
	}, nil)
}

// clientConfig verifies the collector by hand because a laptop's clock may be
// wrong: a certificate is judged at the trusted time, or at its own beginning
// if that is later.
func clientConfig(school posture.SchoolID, trusted *Trusted, authorities func(tls.ConnectionState) ([]*x509.Certificate, error), tell func([]byte)) *tls.Config {
	config := baseConfig()
	config.ServerName = ServerName(school)
	config.InsecureSkipVerify = true // VerifyConnection below always runs and does the verifying
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("verify the collector: it shows no certificate")
		}
		known, err := authorities(state)
		if err != nil {
			return fmt.Errorf("verify the collector: %w", err)
		}
		shown := state.PeerCertificates[1:]
		all, roots := trust(known, shown, trusted.Now()), x509.NewCertPool()
		for _, root := range all {
			roots.AddCert(root)
		}
		leaf, at := state.PeerCertificates[0], trusted.Now()
		if at.Before(leaf.NotBefore) {
			at = leaf.NotBefore
		}
		if err := verifyAt(leaf, roots, x509.ExtKeyUsageServerAuth, at); err != nil {
			return fmt.Errorf("verify the collector: %w", err)
		}
		if err := leaf.VerifyHostname(ServerName(school)); err != nil {
			return fmt.Errorf("verify the collector: %w", err)
		}
		if tell != nil {
			for _, root := range learned(known, all, shown) {
				tell(root)
			}
		}
		return nil
	}
	return config
}

// Handshake opens the collector's end of a connection and says who is at the
// other. It ends with ctx. Afterwards the connection no longer knows the
// peer's certificates.
func Handshake(ctx context.Context, conn *tls.Conn) (Peer, error) {
	if err := conn.HandshakeContext(ctx); err != nil {
		return Peer{}, fmt.Errorf("open TLS: %w", err)
	}
	state := conn.ConnectionState()
	// The list is the connection's own, which would hold four kilobytes of
	// parsed certificate for as long as a laptop is connected. Without session
	// tickets nothing reads it again.
	defer clear(state.PeerCertificates)
	return PeerOf(state)
}
