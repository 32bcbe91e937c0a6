package proof

import (
	"bytes"
	"crypto/ed25519"
	"testing"
)

// same fuzzes a decoder: what it reads, it writes again byte for byte.
func same[T interface{ Encode() ([]byte, error) }](f *testing.F, decode func([]byte) (T, error), seeds ...[]byte) {
	for _, s := range seeds {
		f.Add(s)
		f.Add(s[:len(s)/2])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := decode(bytes.Clone(data))
		if err != nil {
			return
		}
		again, err := v.Encode()
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("read %x, wrote %x, %v", data, again, err)
		}
	})
}

func seed(f *testing.F, data []byte, err error) []byte {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
	return data
}

func FuzzReportStatement(f *testing.F) {
	data, err := exampleReport().Encode()
	same(f, DecodeReportStatement, seed(f, data, err))
}

func FuzzContactStatement(f *testing.F) {
	data, err := exampleContact().Encode()
	same(f, DecodeContactStatement, seed(f, data, err))
}

func FuzzEnvelope(f *testing.F) {
	data, err := exampleContacts().Encode()
	statement, reportErr := exampleReport().Encode()
	report, err2 := Envelope{
		Kind: KindReport, School: "hollybank", Subject: "dev-014", Sequence: 7, Statement: seed(f, statement, reportErr),
		Signature: []byte("s"), Sections: exampleReport().Sections[:1],
	}.Encode()
	same(f, DecodeEnvelope, seed(f, data, err), seed(f, report, err2))
}

func FuzzSignedContact(f *testing.F) {
	data, err := SignedContact{Statement: []byte("statement"), Signature: []byte("signature")}.Encode()
	same(f, DecodeSignedContact, seed(f, data, err))
}

func FuzzDocument(f *testing.F) {
	key := exampleSchoolKey()
	data, err := SignDocument("policy", []byte("a policy"), key)
	f.Add(seed(f, data, err))
	f.Fuzz(func(t *testing.T, data []byte) {
		body, err := VerifyDocument("policy", data, key.Public().(ed25519.PublicKey))
		if err == nil && string(body) != "a policy" {
			t.Errorf("verified %q, which was never signed", body)
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	signer, err := CheckpointSigner("hollybank", exampleSchoolKey())
	if err != nil {
		f.Fatal(err)
	}
	c := Checkpoint{Origin: Origin("hollybank"), Size: 42, Root: digest("a root")}
	data, err := SignCheckpoint(c, signer)
	f.Add(seed(f, data, err))
	f.Add([]byte(c.Text()))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := ReadCheckpoint(data)
		if err == nil && !bytes.HasPrefix(data, []byte(got.Text())) {
			t.Errorf("read %q as %+v", data, got)
		}
	})
}
