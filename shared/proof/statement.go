package proof

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

var errTruncated = errors.New("it ends too early")

// Witness is the last checkpoint a device was given. By signing it the device
// bears witness that the ledger once had this size and root.
type Witness struct {
	Size uint64
	Root Digest // zero if no checkpoint was given yet
}

// ReportStatement is what a device signs for a report. It names every section
// of the device's state by hash, those that have not changed included.
type ReportStatement struct {
	School     string
	Device     string
	Sequence   uint64
	Previous   Digest // Hash of the statement before; zero for the first
	Policy     uint64 // number of the policy that judged
	Assignment uint64
	MadeAt     uint64 // milliseconds since 1970 by the device's clock
	Boot       string // identifies the boot; 0 to 63 bytes of a-z, 0-9 and '-'
	Uptime     uint64 // milliseconds since that boot
	Witness    Witness
	Sections   []SectionRef
}

// ContactStatement is what a device signs when nothing has changed.
type ContactStatement struct {
	School  string
	Device  string
	Report  uint64 // sequence of the report that still holds
	Hash    Digest // Hash of that report's statement; zero if Report is 0
	Count   uint64 // contacts since that report, from 1
	MadeAt  uint64 // milliseconds since 1970 by the device's clock
	Boot    string
	Uptime  uint64 // milliseconds since that boot
	ReadAt  uint64 // when the oldest of the device's facts was last read
	Witness Witness
}

// The labels under which statements are hashed for signing, so that a
// signature over one can never pass for another.
const (
	reportLabel  = "caretaker/report/v1\n"
	contactLabel = "caretaker/contact/v1\n"
)

// HashReport returns the hash of an encoded report statement: what the device
// signs, and what the next statement names as Previous.
func HashReport(encoded []byte) Digest { return labelled(reportLabel, encoded) }

// HashContact returns the hash of an encoded contact statement: what the
// device signs.
func HashContact(encoded []byte) Digest { return labelled(contactLabel, encoded) }

func labelled(label string, encoded []byte) Digest {
	h := sha256.New()
	h.Write([]byte(label))
	h.Write(encoded)
	return Digest(h.Sum(nil))
}

// Encode returns the statement's bytes.
func (r ReportStatement) Encode() ([]byte, error) {
	if err := errors.Join(checkIdentifier("school", r.School, 1), checkIdentifier("device", r.Device, 1),
		checkIdentifier("boot", r.Boot, 0), checkRefs(r.Sections)); err != nil {
		return nil, fmt.Errorf("encode report statement: %w", err)
	}
	var b cryptobyte.Builder
	addIdentifier(&b, r.School)
	addIdentifier(&b, r.Device)
	b.AddUint64(r.Sequence)
	b.AddBytes(r.Previous[:])
	b.AddUint64(r.Policy)
	b.AddUint64(r.Assignment)
	b.AddUint64(r.MadeAt)
	addIdentifier(&b, r.Boot)
	b.AddUint64(r.Uptime)
	addWitness(&b, r.Witness)
	addRefs(&b, r.Sections)
	return b.Bytes()
}

// DecodeReportStatement reads what Encode writes and refuses anything else.
func DecodeReportStatement(data []byte) (ReportStatement, error) {
	var r ReportStatement
	s := cryptobyte.String(data)
	err := func() error {
		if !readIdentifier(&s, &r.School) || !readIdentifier(&s, &r.Device) || !s.ReadUint64(&r.Sequence) ||
			!s.CopyBytes(r.Previous[:]) || !s.ReadUint64(&r.Policy) || !s.ReadUint64(&r.Assignment) ||
			!s.ReadUint64(&r.MadeAt) || !readIdentifier(&s, &r.Boot) || !s.ReadUint64(&r.Uptime) ||
			!readWitness(&s, &r.Witness) {
			return errTruncated
		}
		var err error
		if r.Sections, err = readRefs(&s); err != nil {
			return err
		}
		if !s.Empty() {
			return fmt.Errorf("%d bytes follow its end", len(s))
		}
		return errors.Join(checkIdentifier("school", r.School, 1), checkIdentifier("device", r.Device, 1),
			checkIdentifier("boot", r.Boot, 0), checkRefs(r.Sections))
	}()
	if err != nil {
		return ReportStatement{}, fmt.Errorf("read report statement: %w", err)
	}
	return r, nil
}

// Encode returns the statement's bytes.
func (c ContactStatement) Encode() ([]byte, error) {
	if err := errors.Join(checkIdentifier("school", c.School, 1), checkIdentifier("device", c.Device, 1),
		checkIdentifier("boot", c.Boot, 0)); err != nil {
		return nil, fmt.Errorf("encode contact statement: %w", err)
	}
	var b cryptobyte.Builder
	addIdentifier(&b, c.School)
	addIdentifier(&b, c.Device)
	b.AddUint64(c.Report)
	b.AddBytes(c.Hash[:])
	b.AddUint64(c.Count)
	b.AddUint64(c.MadeAt)
	addIdentifier(&b, c.Boot)
	b.AddUint64(c.Uptime)
	b.AddUint64(c.ReadAt)
	addWitness(&b, c.Witness)
	return b.Bytes()
}

// DecodeContactStatement reads what Encode writes and refuses anything else.
func DecodeContactStatement(data []byte) (ContactStatement, error) {
	var c ContactStatement
	s := cryptobyte.String(data)
	err := func() error {
		if !readIdentifier(&s, &c.School) || !readIdentifier(&s, &c.Device) || !s.ReadUint64(&c.Report) ||
			!s.CopyBytes(c.Hash[:]) || !s.ReadUint64(&c.Count) || !s.ReadUint64(&c.MadeAt) ||
			!readIdentifier(&s, &c.Boot) || !s.ReadUint64(&c.Uptime) || !s.ReadUint64(&c.ReadAt) ||
			!readWitness(&s, &c.Witness) {
			return errTruncated
		}
		if !s.Empty() {
			return fmt.Errorf("%d bytes follow its end", len(s))
		}
		return errors.Join(checkIdentifier("school", c.School, 1), checkIdentifier("device", c.Device, 1),
			checkIdentifier("boot", c.Boot, 0))
	}()
	if err != nil {
		return ContactStatement{}, fmt.Errorf("read contact statement: %w", err)
	}
	return c, nil
}

// MaxIdentifier is the length of the longest identifier in bytes.
const MaxIdentifier = 63

func checkIdentifier(what, s string, least int) error {
	if len(s) < least || len(s) > MaxIdentifier {
		return fmt.Errorf("%s %.70q is not %d to %d bytes long", what, s, least, MaxIdentifier)
	}
	return checkAlphabet(what, s)
}

func checkRefs(refs []SectionRef) error {
	if len(refs) > MaxSections {
		return fmt.Errorf("%d sections, more than the %d allowed", len(refs), MaxSections)
	}
	seen := make(map[string]bool, len(refs))
	for _, r := range refs {
		if err := checkName(r.Name); err != nil {
			return err
		}
		if seen[r.Name] {
			return fmt.Errorf("section %s is named twice", r.Name)
		}
		seen[r.Name] = true
	}
	return nil
}

func addIdentifier(b *cryptobyte.Builder, s string) {
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(s)) })
}

func readIdentifier(s *cryptobyte.String, out *string) bool {
	var v cryptobyte.String
	if !s.ReadUint8LengthPrefixed(&v) {
		return false
	}
	*out = string(v)
	return true
}

func addWitness(b *cryptobyte.Builder, w Witness) {
	b.AddUint64(w.Size)
	b.AddBytes(w.Root[:])
}

func readWitness(s *cryptobyte.String, w *Witness) bool {
	return s.ReadUint64(&w.Size) && s.CopyBytes(w.Root[:])
}
