package identity

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"golang.org/x/crypto/cryptobyte"

	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Token admits devices to a school: where the collector is, how to know it,
// and a secret. It is written as "ctk1-" and letters and digits in which case
// and white space mean nothing.
type Token struct {
	Addresses   []string // "host:port", tried in order; 1 to 4
	School      posture.SchoolID
	Fingerprint proof.Digest // of the school's authority
	ID          string       // 16 hexadecimal digits
	Secret      [SecretSize]byte
}

// SecretSize is the length of a token's secret in bytes.
const SecretSize = 16

const (
	tokenPrefix  = "ctk1-"
	tokenIDSize  = 8
	tokenSum     = 4
	maxAddresses = 4
	maxAddress   = 255
	maxToken     = 4096 // characters
)

var tokenEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewToken makes a token with an identifier and a secret of its own.
func NewToken(addresses []string, school posture.SchoolID, fingerprint proof.Digest) (Token, error) {
	t := Token{Addresses: addresses, School: school, Fingerprint: fingerprint}
	id := make([]byte, tokenIDSize)
	if _, err := rand.Read(id); err != nil {
		return Token{}, fmt.Errorf("make token: %w", err)
	}
	if _, err := rand.Read(t.Secret[:]); err != nil {
		return Token{}, fmt.Errorf("make token: %w", err)
	}
	t.ID = hex.EncodeToString(id)
	if err := t.check(); err != nil {
		return Token{}, fmt.Errorf("make token: %w", err)
	}
	return t, nil
}

// Hash returns the hash of the secret, which is what the collector keeps.
func (t Token) Hash() proof.Digest { return HashSecret(t.Secret[:]) }

// HashSecret returns the hash of a token's secret.
func HashSecret(secret []byte) proof.Digest {
	return sha256.Sum256(append([]byte("caretaker/token/v1\n"), secret...))
}

// SameHash compares two hashes in constant time.
func SameHash(a, b proof.Digest) bool { return subtle.ConstantTimeCompare(a[:], b[:]) == 1 }

// String returns the token as people carry it. It holds the secret.
func (t Token) String() string {
	var b cryptobyte.Builder
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, a := range t.Addresses {
			b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(a)) })
		}
	})
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(t.School)) })
	b.AddBytes(t.Fingerprint[:])
	id, err := hex.DecodeString(t.ID)
	if err != nil || len(id) != tokenIDSize {
		return "a token without an identifier"
	}
	b.AddBytes(id)
	b.AddBytes(t.Secret[:])
	content, err := b.Bytes()
	if err != nil {
		return "a token that is too long"
	}
	sum := sha256.Sum256(content)
	return tokenPrefix + tokenEncoding.EncodeToString(append(content, sum[:tokenSum]...))
}

// ParseToken reads a token. It refuses one in which a character was changed or
// lost, and what it accepts String writes alike.
func ParseToken(text string) (Token, error) {
	if len(text) > maxToken {
		return Token{}, fmt.Errorf("read token: it has %d characters, more than a token can have", len(text))
	}
	text = strings.ToLower(strings.Join(strings.Fields(text), ""))
	encoded, ok := strings.CutPrefix(text, tokenPrefix)
	if !ok {
		return Token{}, fmt.Errorf("read token: it does not begin with %q", tokenPrefix)
	}
	raw, err := tokenEncoding.DecodeString(encoded)
	if err != nil || tokenEncoding.EncodeToString(raw) != encoded {
		return Token{}, errors.New("read token: it is incomplete or mistyped")
	}
	if len(raw) < tokenSum {
		return Token{}, errors.New("read token: it is incomplete")
	}
	content := raw[:len(raw)-tokenSum]
	if sum := sha256.Sum256(content); !bytes.Equal(sum[:tokenSum], raw[len(content):]) {
		return Token{}, errors.New("read token: it is incomplete or mistyped: its check digits do not match")
	}
	t, err := decodeToken(content)
	if err != nil {
		return Token{}, fmt.Errorf("read token: %w", err)
	}
	return t, nil
}

func decodeToken(content []byte) (Token, error) {
	var t Token
	s := cryptobyte.String(content)
	var addresses, school cryptobyte.String
	id := make([]byte, tokenIDSize)
	if !s.ReadUint8LengthPrefixed(&addresses) || !s.ReadUint8LengthPrefixed(&school) || !s.CopyBytes(t.Fingerprint[:]) ||
		!s.CopyBytes(id) || !s.CopyBytes(t.Secret[:]) || !s.Empty() {
		return Token{}, errors.New("it is not laid out as a token")
	}
	for !addresses.Empty() {
		var a cryptobyte.String
		if !addresses.ReadUint8LengthPrefixed(&a) {
			return Token{}, errors.New("it is not laid out as a token")
		}
		t.Addresses = append(t.Addresses, string(a))
	}
	t.School, t.ID = posture.SchoolID(school), hex.EncodeToString(id)
	return t, t.check()
}

func (t Token) check() error {
	if len(t.Addresses) == 0 || len(t.Addresses) > maxAddresses {
		return fmt.Errorf("it names %d addresses of the collector, not 1 to %d", len(t.Addresses), maxAddresses)
	}
	total := 0
	for _, a := range t.Addresses {
		if err := CheckAddress(a); err != nil {
			return err
		}
		total += 1 + len(a)
	}
	if total > maxAddress {
		return fmt.Errorf("its addresses have %d characters, more than the %d allowed", total, maxAddress)
	}
	if !validID(string(t.School)) {
		return fmt.Errorf("%.70q is not a school's identifier", string(t.School))
	}
	return nil
}

// CheckAddress reports what is wrong with an address of the collector.
func CheckAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%.80q is not an address of the form host:port", address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%.80q does not end in a port number", address)
	}
	for _, c := range []byte(host) {
		if c <= ' ' || c > '~' || strings.IndexByte(`/\"'@?#`, c) >= 0 {
			return fmt.Errorf("%.80q holds a character that no host name has", address)
		}
	}
	if host == "" {
		return fmt.Errorf("%.80q names no host", address)
	}
	return nil
}
