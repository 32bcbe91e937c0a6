package tpm

import (
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpmutil"
)

// A key's file is one PEM block as OpenSSL's providers for TPMs have it, too:
// "TSS2 PRIVATE KEY", ASN.1 specification for TPM 2.0 key files
// (draft-bottomley-tpm2-keys).
const pemType = "TSS2 PRIVATE KEY"

// maxFile bounds it, in bytes.
const maxFile = 16 << 10

// loadable says that a TPM made it beneath a storage key of its own.
var loadable = asn1.ObjectIdentifier{2, 23, 133, 10, 1, 3} //nolint:gochecknoglobals // a constant

// file is a key's file. EmptyAuth says that it takes no password.
type file struct {
	Type      asn1.ObjectIdentifier
	EmptyAuth bool `asn1:"optional,explicit,tag:0"`
	Parent    int64
	Public    []byte // with its length before it
	Private   []byte // with its length before it
}

func (k *Key) encode() ([]byte, error) {
	area, err := tpmutil.Pack(tpmutil.U16Bytes(k.area))
	if err != nil {
		return nil, fmt.Errorf("write the key's file: %w", err)
	}
	private, err := tpmutil.Pack(tpmutil.U16Bytes(k.private))
	if err != nil {
		return nil, fmt.Errorf("write the key's file: %w", err)
	}
	der, err := asn1.Marshal(file{loadable, true, int64(k.parent), area, private})
	if err != nil {
		return nil, fmt.Errorf("write the key's file: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}), nil
}

func decode(data []byte) (*Key, error) {
	block, rest := pem.Decode(data)
	if block == nil || block.Type != pemType || len(rest) > 0 {
		return nil, fmt.Errorf("it is not one PEM block of the type %s: %w", pemType, errors.ErrUnsupported)
	}
	var f file
	rest, err := asn1.Unmarshal(block.Bytes, &f)
	switch {
	case err != nil:
		return nil, err
	case len(rest) > 0:
		return nil, errors.New("more than a key is in it")
	case !f.Type.Equal(loadable) || !f.EmptyAuth:
		return nil, errors.New("it is a TPM's key of another sort")
	case f.Parent != int64(keptStorage) && f.Parent != int64(madeStorage):
		return nil, fmt.Errorf("it lies beneath another key, %#x", f.Parent)
	}
	k := &Key{parent: tpmutil.Handle(f.Parent)}
	if k.area, err = sized(f.Public); err != nil {
		return nil, err
	}
	if k.private, err = sized(f.Private); err != nil {
		return nil, err
	}
	if k.public, err = decodeArea(k.area); err != nil {
		return nil, err
	}
	return k, nil
}

// sized returns what follows its own length.
func sized(b []byte) ([]byte, error) {
	if len(b) < 2 || len(b)-2 != int(b[0])<<8|int(b[1]) {
		return nil, errors.New("a part of it has another length than it says")
	}
	return b[2:], nil
}
