// Package identity says who is who between laptops and the collector: the keys
// and certificates of devices and schools, the token that admits a device, and
// the one TLS configuration of both ends.
//
// It proves identities. It never decides who may see or do what.
package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// DeviceKey is the key of one device: ECDSA on P-256. It is made on the device
// and never leaves it.
type DeviceKey struct {
	key    crypto.Signer
	public *ecdsa.PublicKey
	place  posture.KeyPlace
}

// NewDeviceKey returns the key with which a signer on the device signs, which is
// kept in a place.
func NewDeviceKey(key crypto.Signer, place posture.KeyPlace) (*DeviceKey, error) {
	public, ok := key.Public().(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		return nil, fmt.Errorf("load device key: it is a key of another sort, %T", key.Public())
	}
	return &DeviceKey{key, public, place}, nil
}

// LoadDeviceKey reads the key in the file at path. Its error is fs.ErrNotExist
// if there is none.
func LoadDeviceKey(path string) (*DeviceKey, error) {
	key, err := readKey[*ecdsa.PrivateKey](path)
	if err != nil {
		return nil, fmt.Errorf("load device key: %w", err)
	}
	if key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("load device key: %s holds a key on %s, not P-256", path, key.Params().Name)
	}
	return NewDeviceKey(key, posture.InFile)
}

// MakeDeviceKey reads the key in the file at path, or makes one and stores it
// there, readable by its owner alone. Called again after a crash it returns
// the same key.
func MakeDeviceKey(path string) (*DeviceKey, error) {
	key, err := LoadDeviceKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	made, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make device key: %w", err)
	}
	if err := writeKey(path, made); err != nil {
		return nil, fmt.Errorf("make device key: %w", err)
	}
	return NewDeviceKey(made, posture.InFile)
}

// Public returns the public half.
func (k *DeviceKey) Public() *ecdsa.PublicKey { return k.public }

// Place returns where it is kept.
func (k *DeviceKey) Place() posture.KeyPlace { return k.place }

// Try reports why the key cannot be used now; nil if it can.
func (k *DeviceKey) Try() error {
	_, err := k.Sign(proof.Digest{})
	return err
}

// Sign signs the hash of a statement, as proof.VerifyStatement checks it.
func (k *DeviceKey) Sign(hash proof.Digest) ([]byte, error) {
	signature, err := k.key.Sign(rand.Reader, hash[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign statement: %w", err)
	}
	return signature, nil
}

// Request returns a certificate request (PKCS #10, DER). It names nobody: who
// a device is, the collector says.
func (k *DeviceKey) Request() ([]byte, error) {
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, k.key)
	if err != nil {
		return nil, fmt.Errorf("make certificate request: %w", err)
	}
	return request, nil
}

// Certificate returns the key with its certificate (DER) as TLS takes it.
func (k *DeviceKey) Certificate(der []byte) (*tls.Certificate, error) {
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the device's certificate: %w", err)
	}
	public, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	if !ok || !public.Equal(k.Public()) {
		return nil, errors.New("read the device's certificate: it is for another key")
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k.key, Leaf: leaf}, nil
}

// KeyFingerprint returns the SHA-256 hash of a device's public key (PKIX, DER),
// by which people compare keys.
func KeyFingerprint(key *ecdsa.PublicKey) (proof.Digest, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return proof.Digest{}, fmt.Errorf("hash public key: %w", err)
	}
	return sha256.Sum256(der), nil
}

const pemKey = "PRIVATE KEY"

// maxKeyFile bounds a file that holds a key or a certificate, in bytes.
const maxKeyFile = 16 << 10

func readKey[K crypto.PrivateKey](path string) (K, error) {
	var none K
	der, err := readPEM(path, pemKey)
	if err != nil {
		return none, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return none, fmt.Errorf("read %s: %w", path, err)
	}
	key, ok := parsed.(K)
	if !ok {
		return none, fmt.Errorf("read %s: it holds a key of another sort, %T", path, parsed)
	}
	return key, nil
}

func writeKey(path string, key crypto.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode key: %w", err)
	}
	return durable.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der}), 0o600)
}

func readPEM(path, kind string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxKeyFile {
		return nil, fmt.Errorf("read %s: it has %d bytes, more than a key has", path, info.Size())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(data)
	if block == nil || block.Type != kind || len(rest) > 0 {
		return nil, fmt.Errorf("read %s: it is not one PEM block of the type %s", path, kind)
	}
	return block.Bytes, nil
}
