package access

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/caretaker-school/caretaker/shared/durable"
)

const (
	sealFile   = "seal.key"
	sealKey    = 32      // bytes
	maxSealed  = 4 << 10 // characters
	sealedVoid = "this was not made here, was changed, or is too old"
)

var errSealed = errors.New(sealedVoid)

// sealer lets a browser hold something for us that nobody there can read or
// change: what is given to strangers takes no room here, however many ask.
type sealer struct {
	secret []byte
}

// openSealer reads the secret, or makes one. A secret that cannot be read is
// made anew: what was sealed with it is worth nothing any more, which costs a
// person one more step and lets nobody in.
func openSealer(dir string, log *slog.Logger) (*sealer, error) {
	path := filepath.Join(dir, sealFile)
	secret, err := os.ReadFile(path)
	if err == nil && len(secret) == sealKey {
		return &sealer{secret}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		log.Warn("the secret of the cookies cannot be read and is made anew", "error", err)
	}
	secret = make([]byte, sealKey)
	if _, err := rand.Read(secret); err != nil {
		return nil, fmt.Errorf("make up the secret of the cookies: %w", err)
	}
	if err := durable.WriteFile(path, secret, 0o600); err != nil {
		return nil, fmt.Errorf("store the secret of the cookies: %w", err)
	}
	return &sealer{secret}, nil
}

// sealed is what is inside.
type sealed struct {
	Ends  time.Time       `json:"ends"`
	Value json.RawMessage `json:"value"`
}

// seal seals a value for one purpose until it ends.
func (s *sealer) seal(purpose string, v any, ends time.Time) (string, error) {
	value, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("seal a %s: %w", purpose, err)
	}
	plain, err := json.Marshal(sealed{Ends: ends, Value: value})
	if err != nil {
		return "", fmt.Errorf("seal a %s: %w", purpose, err)
	}
	aead, err := s.cipher(purpose)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(aead.Seal(nil, nil, plain, nil)), nil
}

// open opens what seal sealed for the same purpose, unless it has ended.
func (s *sealer) open(purpose, text string, now time.Time, into any) error {
	if len(text) > maxSealed {
		return errSealed
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return errSealed
	}
	aead, err := s.cipher(purpose)
	if err != nil {
		return err
	}
	plain, err := aead.Open(nil, nil, data, nil)
	if err != nil {
		return errSealed
	}
	var inside sealed
	if err := json.Unmarshal(plain, &inside); err != nil || !now.Before(inside.Ends) {
		return errSealed
	}
	return json.Unmarshal(inside.Value, into)
}

// cipher is that of one purpose: what was sealed for another does not open.
func (s *sealer) cipher(purpose string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, s.secret, nil, "caretaker "+purpose, sealKey)
	if err != nil {
		return nil, fmt.Errorf("derive the key of a %s: %w", purpose, err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("derive the key of a %s: %w", purpose, err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}
