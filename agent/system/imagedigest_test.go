package system

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // as in the code
	"crypto/sha256"
	"encoding/binary"
	"os"
	"testing"
)

// TestDigestImageIsWhatWasSigned: the hash that a signature holds is the oracle.
// The program was signed by osslsigncode.
func TestDigestImageIsWhatWasSigned(t *testing.T) {
	signed, err := os.ReadFile("testdata/signed.exe")
	if err != nil {
		t.Fatal(err)
	}
	d, ok, err := digestImage(bytes.NewReader(signed), int64(len(signed)))
	if err != nil || !ok {
		t.Fatalf("not hashed: %v, %v", ok, err)
	}
	if !bytes.Contains(signed, d.sha256[:]) {
		t.Errorf("the signature does not hold %x", d.sha256)
	}
	_, end, _, err := imageParts(bytes.NewReader(signed), int64(len(signed)))
	if err != nil {
		t.Fatal(err)
	}
	// Without its signature, and with another checksum, it is the same program.
	bare := bytes.Clone(signed[:end])
	start := int(binary.LittleEndian.Uint32(bare[0x3c:]))
	directories := 96
	if binary.LittleEndian.Uint16(bare[start+24:]) == 0x20b {
		directories = 112
	}
	clear(bare[start+24+directories+32:][:8])
	bare[start+24+64]++
	again, ok, err := digestImage(bytes.NewReader(bare), int64(len(bare)))
	if err != nil || !ok || again != d {
		t.Errorf("without its signature: %v, %v, the same: %v", ok, err, again == d)
	}
	bare[len(bare)-1]++
	if other, ok, err := digestImage(bytes.NewReader(bare), int64(len(bare))); err != nil || !ok || other == d {
		t.Error("another program has the same hash")
	}
}

func FuzzDigestImage(f *testing.F) {
	signed, err := os.ReadFile("testdata/signed.exe")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed)
	f.Add([]byte("MZ"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, ok, err := digestImage(bytes.NewReader(data), int64(len(data)))
		if ok && (err != nil || d.sha256 == sha256.Sum256(data) || d.sha1 == sha1.Sum(data)) { //nolint:gosec // as in the code
			t.Errorf("hashed whole, or with %v", err)
		}
	})
}
