// Package ledgertest holds what every implementation of a ledger must pass,
// and makes the entries for that: signed reports of invented devices.
//
// It is for tests only; no program imports it.
package ledgertest

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// School is the school of all entries made here.
const School = "hollybank"

// Start is when the first entries are received: 1 September 2026, 08:00 UTC,
// in milliseconds since 1970.
const Start = 1_788_249_600_000

// Day is a day in milliseconds.
const Day = 24 * 60 * 60 * 1000

// Keys returns a signer and a verifier of the school's checkpoints. They are
// the same every time.
func Keys(t testing.TB) (note.Signer, note.Verifier) {
	t.Helper()
	seed := sha256.Sum256([]byte("the key of an invented school"))
	key := ed25519.NewKeyFromSeed(seed[:])
	signer, err := proof.CheckpointSigner(School, key)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := proof.CheckpointVerifier(School, key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return signer, verifier
}

// Options returns the options of a ledger of School with its keys.
func Options(t testing.TB) ledger.Options {
	t.Helper()
	signer, verifier := Keys(t)
	return ledger.Options{School: School, Signer: signer, Verifier: verifier}
}

// Device is an invented device that signs reports.
type Device struct {
	ID  string
	Key *ecdsa.PrivateKey

	sequence uint64
	previous proof.Digest
}

// NewDevice returns a device with a new key.
func NewDevice(t testing.TB, id string) *Device {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &Device{ID: id, Key: key}
}

// Section makes a section whose salt is derived from what it is given, so that
// the same call gives the same bytes.
func Section(name string, class proof.Class, body []byte, salt ...uint64) proof.Section {
	s := proof.Section{Name: name, Class: class, Body: body}
	seed := []byte(name)
	for _, n := range salt {
		seed = binary.BigEndian.AppendUint64(seed, n)
	}
	sum := sha256.Sum256(seed)
	copy(s.Salt[:], sum[:])
	return s
}

// Report makes the device's next report, received at a time in milliseconds.
func (d *Device) Report(t testing.TB, receivedAt uint64, sections ...proof.Section) ledger.Entry {
	t.Helper()
	d.sequence++
	statement := proof.ReportStatement{
		School: School, Device: d.ID, Sequence: d.sequence, Previous: d.previous, Policy: 1, Assignment: 1,
		MadeAt: receivedAt - 250, Boot: "0b6e2f4c-3c0a-4f6e-9f0e-52a1f0c7a911", Uptime: 60_000,
	}
	for _, s := range sections {
		statement.Sections = append(statement.Sections, s.Ref(receivedAt-1000, d.sequence))
	}
	encoded, err := statement.Encode()
	if err != nil {
		t.Fatal(err)
	}
	d.previous = proof.HashReport(encoded)
	signature, err := ecdsa.SignASN1(rand.Reader, d.Key, d.previous[:])
	if err != nil {
		t.Fatal(err)
	}
	return ledger.Entry{Sections: sections, Envelope: proof.Envelope{
		Kind: proof.KindReport, School: School, Subject: d.ID, Sequence: d.sequence, ReceivedAt: receivedAt,
		Intake: "collector", Statement: encoded, Signature: signature, Sections: statement.Sections,
	}}
}

// Usual makes a report with a body in three classes, which says n.
func (d *Device) Usual(t testing.TB, receivedAt, n uint64) ledger.Entry {
	t.Helper()
	body := func(what string) []byte { return fmt.Appendf(nil, "%s of %s, number %d", what, d.ID, n) }
	return d.Report(t, receivedAt,
		Section("encryption", proof.Posture, body("encryption"), n),
		Section("media", proof.Media, body("media"), n),
		Section("programs", proof.Inventory, body("programs"), n))
}

// Plain makes an entry without a statement: a decision that says n.
func Plain(receivedAt, n uint64) ledger.Entry {
	s := Section("decision", proof.People, fmt.Appendf(nil, `{"n":%d}`, n), n)
	return ledger.Entry{Sections: []proof.Section{s}, Envelope: proof.Envelope{
		Kind: proof.KindDecision, School: School, Subject: "person:head", ReceivedAt: receivedAt,
		Intake: "collector", Sections: []proof.SectionRef{s.Ref(0, 0)},
	}}
}

// Purge makes the entry that records a purge.
func Purge(receivedAt uint64, p ledger.Purge) (ledger.Entry, error) {
	body, err := json.Marshal(p)
	if err != nil {
		return ledger.Entry{}, err
	}
	s := Section("purge", proof.Kept, body, receivedAt)
	return ledger.Entry{Sections: []proof.Section{s}, Envelope: proof.Envelope{
		Kind: proof.KindPurge, School: School, ReceivedAt: receivedAt, Intake: "collector",
		Sections: []proof.SectionRef{s.Ref(0, 0)},
	}}, nil
}
