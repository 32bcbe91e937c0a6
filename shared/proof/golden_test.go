package proof

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write makes golden files that are not there yet. It never changes one: they
// are what laptops have signed and ledgers hold, and stay readable for ever.
var write = flag.Bool("write", false, "write golden files that are missing")

// golden compares bytes with those of the golden file, as hexadecimal digits in
// lines of 64.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".hex")
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) && *write {
		var b strings.Builder
		for rest := hex.EncodeToString(got); rest != ""; {
			n := min(64, len(rest))
			b.WriteString(rest[:n] + "\n")
			rest = rest[n:]
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%x\nwant\n%x", name, got, want)
	}
}

func digest(s string) Digest { return Digest(sha256.Sum256([]byte(s))) }

func exampleSection() Section {
	return Section{Name: "encryption", Class: Posture, Salt: [SaltSize]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, Body: []byte("the body of a section")}
}

func exampleReport() ReportStatement {
	return ReportStatement{
		School: "hollybank", Device: "dev-014", Sequence: 7, Previous: digest("the report before"), Policy: 3, Assignment: 2,
		MadeAt: 1_793_000_000_123, Boot: "0b6e2f4c-3c0a-4f6e-9f0e-52a1f0c7a911", Uptime: 61_500,
		Witness: Witness{Size: 42, Root: digest("a root")},
		Sections: []SectionRef{
			exampleSection().Ref(1_793_000_000_000, 7),
			{Name: "programs", Class: Inventory, Digest: digest("an older body"), ReadAt: 1_792_999_000_000, Carried: 4},
		},
	}
}

func exampleContact() ContactStatement {
	return ContactStatement{
		School: "hollybank", Device: "dev-014", Report: 7, Hash: digest("that report"), Count: 3, MadeAt: 1_793_000_600_123,
		Boot: "0b6e2f4c-3c0a-4f6e-9f0e-52a1f0c7a911", Uptime: 661_500, ReadAt: 1_793_000_500_000,
		Witness: Witness{Size: 43, Root: digest("another root")},
	}
}

func exampleEnvelope(t *testing.T) Envelope {
	t.Helper()
	statement, err := exampleReport().Encode()
	if err != nil {
		t.Fatal(err)
	}
	return Envelope{
		Kind: KindReport, School: "hollybank", Subject: "dev-014", Sequence: 7, ReceivedAt: 1_793_000_001_000, Intake: "collector",
		Statement: statement, Signature: []byte("in place of a signature"), Sections: []SectionRef{exampleReport().Sections[0]},
	}
}

func exampleContacts() Envelope {
	first := Section{Name: "contact", Class: Contacts, Salt: [SaltSize]byte{1}, Body: []byte("one")}
	second := Section{Name: "contact", Class: Contacts, Salt: [SaltSize]byte{2}, Body: []byte("two")}
	return Envelope{
		Kind: KindContacts, School: "hollybank", ReceivedAt: 1_793_000_601_000, Intake: "collector",
		Sections: []SectionRef{first.Ref(0, 0), second.Ref(0, 0)},
	}
}

// exampleSchoolKey and exampleDeviceKey are keys that anyone can make again.
func exampleSchoolKey() ed25519.PrivateKey {
	seed := digest("the key of an invented school")
	return ed25519.NewKeyFromSeed(seed[:])
}

func exampleDeviceKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	secret := digest("the key of an invented device")
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), new(big.Int).SetBytes(secret[:]).FillBytes(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestGolden holds every encoding to bytes that never change: what was written
// decodes, encodes to the same, and today's code writes the same.
func TestGolden(t *testing.T) {
	encode := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	report := encode(exampleReport().Encode())
	golden(t, "report-statement", report)
	reportHash := HashReport(report)
	golden(t, "report-hash", reportHash[:])
	contact := encode(exampleContact().Encode())
	golden(t, "contact-statement", contact)
	contactHash := HashContact(contact)
	golden(t, "contact-hash", contactHash[:])
	sectionHash := exampleSection().Digest()
	golden(t, "section-hash", sectionHash[:])
	envelope := encode(exampleEnvelope(t).Encode())
	golden(t, "envelope-report", envelope)
	leaf := LeafHash(envelope)
	golden(t, "leaf-hash", leaf[:])
	golden(t, "envelope-contacts", encode(exampleContacts().Encode()))
	golden(t, "signed-contact", encode(SignedContact{Statement: contact, Signature: []byte("in place of a signature")}.Encode()))
	golden(t, "document", encode(SignDocument("policy", []byte("a compiled policy"), exampleSchoolKey())))
	signer, err := CheckpointSigner("hollybank", exampleSchoolKey())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "checkpoint", encode(SignCheckpoint(Checkpoint{Origin: Origin("hollybank"), Size: 42, Root: digest("a root")}, signer)))
}

// TestGoldenFiles reads every golden file, so that none is forgotten when a
// newer encoding comes.
func TestGoldenFiles(t *testing.T) {
	again := map[string]func([]byte) ([]byte, error){
		"report-statement":  func(b []byte) ([]byte, error) { return reencode(DecodeReportStatement(b)) },
		"contact-statement": func(b []byte) ([]byte, error) { return reencode(DecodeContactStatement(b)) },
		"envelope-report":   func(b []byte) ([]byte, error) { return reencode(DecodeEnvelope(b)) },
		"envelope-contacts": func(b []byte) ([]byte, error) { return reencode(DecodeEnvelope(b)) },
		"signed-contact":    func(b []byte) ([]byte, error) { return reencode(DecodeSignedContact(b)) },
	}
	for name, read := range again {
		text, err := os.ReadFile(filepath.Join("testdata", "golden", name+".hex"))
		if err != nil {
			t.Fatal(err)
		}
		data, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := read(data); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: got %x, %v, want what was read", name, got, err)
		}
	}
}

func reencode[T interface{ Encode() ([]byte, error) }](v T, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return v.Encode()
}
