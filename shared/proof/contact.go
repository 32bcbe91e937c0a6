package proof

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

// SignedContact is the body of a section "contact": one contact of one
// device, provable alone.
type SignedContact struct {
	Statement []byte // an encoded ContactStatement
	Signature []byte // over its HashContact, by the device's key
}

// Encode returns the contact's bytes.
func (c SignedContact) Encode() ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("encode signed contact: %w", err)
	}
	var b cryptobyte.Builder
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(c.Statement) })
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(c.Signature) })
	return b.Bytes()
}

// DecodeSignedContact reads what Encode writes and refuses anything else. The
// contact shares data's memory.
func DecodeSignedContact(data []byte) (SignedContact, error) {
	s := cryptobyte.String(data)
	var statement, signature cryptobyte.String
	if !s.ReadUint16LengthPrefixed(&statement) || !s.ReadUint8LengthPrefixed(&signature) {
		return SignedContact{}, fmt.Errorf("read signed contact: %w", errTruncated)
	}
	if !s.Empty() {
		return SignedContact{}, fmt.Errorf("read signed contact: %d bytes follow its end", len(s))
	}
	c := SignedContact{Statement: statement, Signature: signature}
	if err := c.check(); err != nil {
		return SignedContact{}, fmt.Errorf("read signed contact: %w", err)
	}
	return c, nil
}

func (c SignedContact) check() error {
	switch {
	case len(c.Statement) == 0:
		return errors.New("it has no statement")
	case len(c.Statement) > MaxStatement:
		return fmt.Errorf("its statement has %d bytes, more than the %d allowed", len(c.Statement), MaxStatement)
	case len(c.Signature) == 0:
		return errors.New("it has no signature")
	case len(c.Signature) > maxSignature:
		return fmt.Errorf("its signature has %d bytes, more than the %d allowed", len(c.Signature), maxSignature)
	}
	return nil
}
