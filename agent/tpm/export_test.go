package tpm

import (
	"encoding/asn1"
	"encoding/pem"
	"testing"
)

// File is a key's file.
type File = file

// Decoded returns what is in a key's file.
func Decoded(t testing.TB, data []byte) (f File) {
	t.Helper()
	block, _ := pem.Decode(data)
	if _, err := asn1.Unmarshal(block.Bytes, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// Encoded returns the file that holds f.
func Encoded(t testing.TB, f File) []byte {
	t.Helper()
	der, err := asn1.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})
}
