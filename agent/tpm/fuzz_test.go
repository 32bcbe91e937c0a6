package tpm

import (
	"bytes"
	"crypto/elliptic"
	"os"
	"testing"
)

// The file was made by a software TPM that is gone.
func FuzzKeyFile(f *testing.F) {
	seed, err := os.ReadFile("testdata/device.key.pem")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte("-----BEGIN TSS2 PRIVATE KEY-----\n-----END TSS2 PRIVATE KEY-----\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := decode(data)
		if err != nil {
			return
		}
		if key.public.Curve != elliptic.P256() {
			t.Fatalf("a key on %s was taken", key.public.Params().Name)
		}
		again, err := key.encode()
		if err != nil {
			t.Fatal(err)
		}
		same, err := decode(again)
		if err != nil || !same.public.Equal(key.public) || !bytes.Equal(same.private, key.private) || same.parent != key.parent {
			t.Fatalf("what was written is another key: %v", err)
		}
	})
}
