package proof

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/mod/sumdb/tlog"
)

// Kind is the sort of an entry. Its numbers are stored and never change.
type Kind uint8

// The kinds of entry.
const (
	KindReport     Kind = 1  // a device's signed report
	KindContacts   Kind = 2  // signed contacts of many devices, a section each
	KindEnrolment  Kind = 3  // a device was admitted, with its certificate
	KindToken      Kind = 4  // an enrolment token was made, with the hash of its secret
	KindPolicy     Kind = 5  // a policy was published
	KindAssignment Kind = 6  // a device's assignment changed
	KindDecision   Kind = 7  // a person decided something
	KindPurge      Kind = 8  // bodies were forgotten: counts only
	KindNotice     Kind = 9  // people were told of something
	KindGap        Kind = 10 // a device's reports are missing, with what is known of why
	KindLook       Kind = 11 // somebody looked at what is recorded of people
)

var kindNames = map[Kind]string{
	KindReport: "report", KindContacts: "contacts", KindEnrolment: "enrolment", KindToken: "token",
	KindPolicy: "policy", KindAssignment: "assignment", KindDecision: "decision", KindPurge: "purge",
	KindNotice: "notice", KindGap: "gap", KindLook: "look",
}

// String returns the kind in one word, or its number if this version does not
// know it.
func (k Kind) String() string {
	if name, ok := kindNames[k]; ok {
		return name
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Envelope is the part of an entry that is never forgotten: who, when, in
// which order, and the hashes of the rest. Its encoding is the leaf of the
// ledger's tree.
type Envelope struct {
	Kind       Kind
	School     string
	Subject    string       // the device or person it is about; "" for the school itself
	Sequence   uint64       // the subject's own number; 0 where it has none
	ReceivedAt uint64       // milliseconds since 1970 by the collector's clock
	Intake     string       // which collector took it in
	Statement  []byte       // what the subject signed; empty if the collector speaks for itself
	Signature  []byte       // over the statement's hash, by the subject's key
	Sections   []SectionRef // the sections whose bodies came with this entry
}

const envelopeVersion = 1

// MaxStatement is the length of the longest statement in bytes.
const MaxStatement = 1<<16 - 1

// maxSignature is the length of the longest signature in bytes.
const maxSignature = 1<<8 - 1

// Encode returns the envelope's bytes.
func (e Envelope) Encode() ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, fmt.Errorf("encode envelope: %w", err)
	}
	size := 2 + 3*(1+MaxIdentifier) + 2*8 + 2 + len(e.Statement) + 1 + len(e.Signature) + refsSize(e.Sections)
	b := append(make([]byte, 0, size), envelopeVersion, byte(e.Kind))
	b = appendText(b, e.School)
	b = appendText(b, e.Subject)
	b = binary.BigEndian.AppendUint64(b, e.Sequence)
	b = binary.BigEndian.AppendUint64(b, e.ReceivedAt)
	b = appendText(b, e.Intake)
	b = binary.BigEndian.AppendUint16(b, uint16(len(e.Statement)))
	b = append(b, e.Statement...)
	b = append(append(b, byte(len(e.Signature))), e.Signature...)
	return appendRefs(b, e.Sections), nil
}

// DecodeEnvelope reads what Encode writes and refuses anything else. The
// envelope's statement and signature share data's memory.
func DecodeEnvelope(data []byte) (Envelope, error) {
	var e Envelope
	s := cryptobyte.String(data)
	err := func() error {
		var version, kind uint8
		var statement, signature cryptobyte.String
		if !s.ReadUint8(&version) {
			return errTruncated
		}
		if version != envelopeVersion {
			return fmt.Errorf("its version is %d; this program knows only %d", version, envelopeVersion)
		}
		if !s.ReadUint8(&kind) || !readIdentifier(&s, &e.School) || !readIdentifier(&s, &e.Subject) ||
			!s.ReadUint64(&e.Sequence) || !s.ReadUint64(&e.ReceivedAt) || !readIdentifier(&s, &e.Intake) ||
			!s.ReadUint16LengthPrefixed(&statement) || !s.ReadUint8LengthPrefixed(&signature) {
			return errTruncated
		}
		e.Kind = Kind(kind)
		if len(statement) > 0 {
			e.Statement = statement
		}
		if len(signature) > 0 {
			e.Signature = signature
		}
		var err error
		if e.Sections, err = readRefs(&s); err != nil {
			return err
		}
		if !s.Empty() {
			return fmt.Errorf("%d bytes follow its end", len(s))
		}
		return e.check()
	}()
	if err != nil {
		return Envelope{}, fmt.Errorf("read envelope: %w", err)
	}
	return e, nil
}

func (e Envelope) check() error {
	if e.Kind == 0 {
		return errors.New("it has no kind")
	}
	if len(e.Statement) > MaxStatement {
		return fmt.Errorf("its statement has %d bytes, more than the %d allowed", len(e.Statement), MaxStatement)
	}
	if len(e.Signature) > maxSignature {
		return fmt.Errorf("its signature has %d bytes, more than the %d allowed", len(e.Signature), maxSignature)
	}
	if (len(e.Statement) == 0) != (len(e.Signature) == 0) {
		return errors.New("it has a statement without a signature, or a signature without a statement")
	}
	if e.ReceivedAt >= yearTenThousand {
		return fmt.Errorf("it was received %d milliseconds after 1970, which no clock should say", e.ReceivedAt)
	}
	return errors.Join(checkIdentifier("school", e.School, 1), checkIdentifier("subject", e.Subject, 0),
		checkIdentifier("intake", e.Intake, 0), checkRefs(e.Sections, e.Kind == KindContacts))
}

// yearTenThousand bounds times of receipt, whose months name files.
const yearTenThousand = 253_402_300_800_000

// LeafHash returns the hash of an encoded envelope as a leaf of the ledger's
// tree (RFC 6962, section 2.1).
func LeafHash(encoded []byte) Digest { return Digest(tlog.RecordHash(encoded)) }
