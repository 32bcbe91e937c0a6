package backup

import (
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

// hardest is the hardest work that a passphrase may take, as a power of two: a
// file that asks for more was not made here, and would take the memory of this
// machine.
const hardest = 18

// minPassphrase is how short a passphrase may be: what it protects lies on a
// disk that somebody may try for years.
const minPassphrase = 12

// ForPassphrase is whoever knows a passphrase.
func ForPassphrase(passphrase string) (age.Recipient, error) {
	if len(passphrase) < minPassphrase {
		return nil, fmt.Errorf("the passphrase has %d characters: give at least %d, such as four words", len(passphrase), minPassphrase)
	}
	r, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, fmt.Errorf("use the passphrase: %w", err)
	}
	r.SetWorkFactor(hardest)
	return r, nil
}

// ForKey is whoever holds the key of a recipient such as age1….
func ForKey(recipient string) (age.Recipient, error) {
	r, err := age.ParseX25519Recipient(recipient)
	if err != nil {
		return nil, fmt.Errorf("use the recipient %.80q, which is to begin with age1: %w", recipient, err)
	}
	return r, nil
}

// WithPassphrase opens what was encrypted to a passphrase.
func WithPassphrase(passphrase string) (age.Identity, error) {
	i, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, fmt.Errorf("use the passphrase: %w", err)
	}
	i.SetMaxWorkFactor(hardest)
	return i, nil
}

// WithKeys opens what was encrypted to one of the keys of a file as age-keygen
// writes it.
func WithKeys(r io.Reader) ([]age.Identity, error) {
	keys, err := age.ParseIdentities(r)
	if err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	return keys, nil
}

// Seal encrypts what is written to it until it is closed.
func Seal(w io.Writer, to ...age.Recipient) (io.WriteCloser, error) {
	sealed, err := age.Encrypt(w, to...)
	if err != nil {
		return nil, fmt.Errorf("encrypt the backup: %w", err)
	}
	return sealed, nil
}

// Open decrypts a backup as it is read.
func Open(r io.Reader, with ...age.Identity) (io.Reader, error) {
	plain, err := age.Decrypt(r, with...)
	if errors.Is(err, age.ErrIncorrectIdentity) {
		return nil, errors.New("open the backup: the passphrase or the key is not the one that it was made with")
	}
	if err != nil {
		return nil, fmt.Errorf("open the backup: it is none, or its beginning is damaged: %w", err)
	}
	return plain, nil
}
