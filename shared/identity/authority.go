package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// How long certificates hold. A device renews by itself when two thirds have
// passed, and after the end its known key still reaches renewal.
const (
	DeviceLifetime    = 90 * 24 * time.Hour
	ServerLifetime    = 30 * 24 * time.Hour
	authorityLifetime = 30 * 365 * 24 * time.Hour
	backdate          = time.Hour // for clocks of other machines that are a little slow
)

// RenewAfter returns when a certificate is due for renewal: when two thirds of
// its life have passed.
func RenewAfter(c *x509.Certificate) time.Time {
	return c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) * 2 / 3)
}

// Authority is a school's certificate authority. It is safe for concurrent use.
type Authority struct {
	School      posture.SchoolID
	Certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pool        *x509.CertPool
	former      []*x509.Certificate // those before it, the first first
	shown       [][]byte            // beside its own certificate: vouchers and those before it

	mu     sync.Mutex // guards server
	server *tls.Certificate
}

const (
	authorityKeyFile = "authority.key.pem"
	authorityFile    = "authority.pem"
	pemCertificate   = "CERTIFICATE"
)

// NewAuthority makes a school's authority and stores it in the folder dir.
func NewAuthority(dir string, school posture.SchoolID, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	template, err := authorityTemplate(school, now)
	if err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	err = writeKey(filepath.Join(dir, authorityKeyFile), key)
	if err == nil {
		err = durable.WriteFile(filepath.Join(dir, authorityFile), pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: der}), 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("store authority: %w", err)
	}
	return newAuthority(school, der, key)
}

// LoadAuthority reads a school's authority from the folder dir: the last one, if
// it was replaced.
func LoadAuthority(dir string, school posture.SchoolID) (*Authority, error) {
	n, err := generations(dir)
	if err != nil {
		return nil, fmt.Errorf("load authority: %w", err)
	}
	var a *Authority
	var former []*x509.Certificate
	var shown [][]byte
	for g := 1; g <= n; g++ {
		keyAt, at, voucherAt := generation(g)
		key, err := readKey[*ecdsa.PrivateKey](filepath.Join(dir, keyAt))
		if err != nil {
			return nil, fmt.Errorf("load authority: %w", err)
		}
		der, err := readPEM(filepath.Join(dir, at), pemCertificate)
		if err != nil {
			return nil, fmt.Errorf("load authority: %w", err)
		}
		if g > 1 {
			voucher, err := readPEM(filepath.Join(dir, voucherAt), pemCertificate)
			if err != nil {
				return nil, fmt.Errorf("load authority: %w", err)
			}
			former, shown = append(former, a.Certificate), append(shown, voucher, a.Certificate.Raw)
		}
		if a, err = newAuthority(school, der, key); err != nil {
			return nil, err
		}
	}
	a.former, a.shown = former, shown
	for _, c := range former {
		a.pool.AddCert(c)
	}
	return a, nil
}

func newAuthority(school posture.SchoolID, der []byte, key *ecdsa.PrivateKey) (*Authority, error) {
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read authority: %w", err)
	}
	if public, ok := certificate.PublicKey.(*ecdsa.PublicKey); !ok || !public.Equal(key.Public()) || !certificate.IsCA {
		return nil, errors.New("read authority: its certificate is not for its key")
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return &Authority{School: school, Certificate: certificate, key: key, pool: pool}, nil
}

// Fingerprint returns the SHA-256 hash of the authority's certificate, which
// tokens carry.
func (a *Authority) Fingerprint() proof.Digest { return sha256.Sum256(a.Certificate.Raw) }

// CheckRequest reads a device's certificate request and returns its key. It
// accepts only keys on P-256 whose holder signed the request.
func CheckRequest(der []byte) (*ecdsa.PublicKey, error) {
	if len(der) > maxKeyFile {
		return nil, fmt.Errorf("read certificate request: it has %d bytes, too many", len(der))
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("read certificate request: %w", err)
	}
	key, ok := request.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("read certificate request: its key is not on P-256")
	}
	if err := request.CheckSignature(); err != nil {
		return nil, fmt.Errorf("read certificate request: it is not signed by its key: %w", err)
	}
	return key, nil
}

// Issue makes a device's certificate (DER).
func (a *Authority) Issue(device posture.DeviceID, key *ecdsa.PublicKey, now time.Time) ([]byte, error) {
	template, err := template(now, DeviceLifetime)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %s: %w", device, err)
	}
	template.Subject = pkix.Name{CommonName: string(device), Organization: []string{string(a.School)}}
	template.URIs = []*url.URL{deviceURI(a.School, device)}
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, a.Certificate, key, a.key)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %s: %w", device, err)
	}
	return der, nil
}

// Server returns the certificate of the collector for this school, making one
// when two thirds of the present one's life have passed. Its key is never
// stored.
func (a *Authority) Server(now time.Time) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.server != nil && now.Before(RenewAfter(a.server.Leaf)) && !now.Before(a.server.Leaf.NotBefore) {
		return a.server, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the collector's certificate: %w", err)
	}
	template, err := template(now, ServerLifetime)
	if err != nil {
		return nil, fmt.Errorf("make the collector's certificate: %w", err)
	}
	template.DNSNames = []string{ServerName(a.School)}
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, a.Certificate, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("make the collector's certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make the collector's certificate: %w", err)
	}
	a.server = &tls.Certificate{Certificate: append([][]byte{der, a.Certificate.Raw}, a.shown...), PrivateKey: key, Leaf: leaf}
	return a.server, nil
}

func template(now time.Time, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("choose a serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber: serial, NotBefore: now.Add(-backdate).UTC(), NotAfter: now.Add(life).UTC(), BasicConstraintsValid: true,
	}, nil
}

const serverSuffix = ".school.caretaker"

// ServerName returns the name under which a school's devices ask for the
// collector, so that one port serves many schools, each with its own authority.
func ServerName(school posture.SchoolID) string { return string(school) + serverSuffix }

// SchoolOf returns the school that a server name asks for.
func SchoolOf(serverName string) (posture.SchoolID, bool) {
	school, ok := strings.CutSuffix(serverName, serverSuffix)
	return posture.SchoolID(school), ok && validID(school)
}

const uriScheme = "caretaker"

func deviceURI(school posture.SchoolID, device posture.DeviceID) *url.URL {
	return &url.URL{Scheme: uriScheme, Host: string(school), Path: "/" + string(device)}
}

// CertificateDevice returns whom a device's certificate names. The certificate
// must have been verified.
func CertificateDevice(c *x509.Certificate) (posture.SchoolID, posture.DeviceID, error) {
	if len(c.URIs) != 1 || c.URIs[0].Scheme != uriScheme {
		return "", "", errors.New("the certificate does not name a device")
	}
	school, device := c.URIs[0].Host, strings.TrimPrefix(c.URIs[0].Path, "/")
	if !validID(school) || !validID(device) || *c.URIs[0] != *deviceURI(posture.SchoolID(school), posture.DeviceID(device)) {
		return "", "", errors.New("the certificate does not name a device")
	}
	return posture.SchoolID(school), posture.DeviceID(device), nil
}

// validID reports whether s can be a school's or device's identifier.
func validID(s string) bool {
	if s == "" || len(s) > proof.MaxIdentifier {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
