package restricted

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"filippo.io/age"
)

// Key is the public half of a senior's key: to Recipient is sealed what they
// read, and Verifier checks what they sign.
type Key struct {
	Recipient string `json:"recipient"` // age1…
	Verifier  []byte `json:"verifier"`  // Ed25519
}

var (
	code     = regexp.MustCompile(`^[a-z2-7]{4}(-[a-z2-7]{4}){3}$`)
	alphabet = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
)

// Code names a key in sixteen letters and digits, 80 bits of its hash: short
// enough to be read to somebody, too long for another key with the same to be
// found.
func (k Key) Code() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "caretaker/senior/v1\n%s\n%x", k.Recipient, k.Verifier))
	return grouped(alphabet.EncodeToString(sum[:10]))
}

// CleanCode returns a code as Code writes it, however somebody typed it; "" if
// it is none.
func CleanCode(s string) string {
	c := grouped(strings.ToLower(plain(s)))
	if !code.MatchString(c) {
		return ""
	}
	return c
}

func (k Key) check() error {
	if _, err := age.ParseX25519Recipient(k.Recipient); err != nil || len(k.Verifier) != ed25519.PublicKeySize {
		return errors.New("a senior's key is not whole")
	}
	return nil
}

func (k Key) verify(signed, signature []byte) error {
	if !ed25519.Verify(k.Verifier, signed, signature) {
		return errors.New("it is not signed by who is named")
	}
	return nil
}

// Secret is the secret half of a senior's key.
type Secret struct {
	identity *age.X25519Identity
	sign     ed25519.PrivateKey
}

// NewSecret makes a key.
func NewSecret() (Secret, error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return Secret{}, fmt.Errorf("make a senior's key: %w", err)
	}
	_, sign, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Secret{}, fmt.Errorf("make a senior's key: %w", err)
	}
	return Secret{identity, sign}, nil
}

// Key returns the public half.
func (s Secret) Key() Key {
	public, _ := s.sign.Public().(ed25519.PublicKey)
	return Key{Recipient: s.identity.Recipient().String(), Verifier: public}
}

const signLine = "# caretaker-signing-key: "

// passphrase is what a passphrase looks like, written in groups: 120 bits.
const passphraseLetters = 24

// NewPassphrase makes up a passphrase. Nobody could guess it who has what it
// wraps, for as long as they like.
func NewPassphrase() string { return grouped(strings.ToLower(rand.Text()[:passphraseLetters])) }

// work is the cost of trying a passphrase: 16 MiB. A passphrase that we made up
// needs none; it is what the format has.
const work = 14

// Wrap returns the secret half, encrypted with a passphrase: an age file of an
// age identity, with the signing key in a comment.
func (s Secret) Wrap(passphrase string) ([]byte, error) {
	to, err := age.NewScryptRecipient(plain(passphrase))
	if err != nil {
		return nil, fmt.Errorf("wrap a senior's key: %w", err)
	}
	to.SetWorkFactor(work)
	return seal(fmt.Appendf(nil, "%s%s\n%s\n", signLine, base64.StdEncoding.EncodeToString(s.sign.Seed()), s.identity), to)
}

// ErrPassphrase says that a passphrase does not open a key.
var ErrPassphrase = errors.New("the passphrase is wrong")

// Unwrap opens what Wrap returned. The error is ErrPassphrase if the passphrase
// is another's.
func Unwrap(wrapped []byte, passphrase string) (Secret, error) {
	with, err := age.NewScryptIdentity(plain(passphrase))
	if err != nil {
		return Secret{}, ErrPassphrase // it is empty
	}
	with.SetMaxWorkFactor(work)
	text, err := open(wrapped, with)
	if _, none := errors.AsType[*age.NoIdentityMatchError](err); none {
		return Secret{}, ErrPassphrase
	}
	if err != nil {
		return Secret{}, fmt.Errorf("open a senior's key: %w", err)
	}
	return parseSecret(text)
}

func parseSecret(text []byte) (Secret, error) {
	var s Secret
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if seed, ok := strings.CutPrefix(line, signLine); ok {
			raw, err := base64.StdEncoding.DecodeString(seed)
			if err != nil || len(raw) != ed25519.SeedSize {
				return Secret{}, errors.New("a senior's key is not whole")
			}
			s.sign = ed25519.NewKeyFromSeed(raw)
		} else if identity, err := age.ParseX25519Identity(line); err == nil {
			s.identity = identity
		}
	}
	if s.identity == nil || s.sign == nil {
		return Secret{}, errors.New("a senior's key is not whole")
	}
	return s, nil
}

// plain is what somebody typed, without what is there for the eye.
func plain(s string) string {
	return strings.ToUpper(strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' || r == '\t' || r == '\r' || r == '\n' {
			return -1
		}
		return r
	}, s))
}

func grouped(s string) string {
	var b strings.Builder
	for i, r := range s {
		if i > 0 && i%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// seal encrypts to all of those that are given.
func seal(text []byte, to ...age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to...)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	if _, err := w.Write(text); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return out.Bytes(), nil
}

// mostText bounds what is opened, in bytes.
const mostText = 32 << 20

func open(sealed []byte, with ...age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), with...)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(r, mostText+1))
	if err == nil && len(text) > mostText {
		err = fmt.Errorf("it holds more than %d bytes", mostText)
	}
	return text, err
}
