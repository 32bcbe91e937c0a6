package proof

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

var errTruncated = errors.New("it ends too early")

// Witness is the last checkpoint a device was given, or nothing. By signing it the device
// bears witness that the ledger once had this size and root.
type Witness struct {
	Size uint64 // 0 if no checkpoint was given yet, or that of an empty ledger
	Root Digest // zero if Size is 0
}

// ReportStatement is what a device signs for a report. It names every section
// of the device's state by hash, those that have not changed included.
type ReportStatement struct {
	School     string
	Device     string
	Sequence   uint64 // from 1, rising by 1
	Previous   Digest // Hash of the statement before; zero for the first
	Policy     uint64 // number of the policy that judged
	Assignment uint64
	MadeAt     uint64 // milliseconds since 1970 by the device's clock
	Boot       string // identifies the boot; may be empty where the system tells none
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
	var d Digest
	h.Sum(d[:0])
	return d
}

// Encode returns the statement's bytes.
func (r ReportStatement) Encode() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("encode report statement: %w", err)
	}
	encoded := make([]byte, 0, maxStatementHead+refsSize(r.Sections))
	encoded = appendText(encoded, r.School)
	encoded = appendText(encoded, r.Device)
	encoded = binary.BigEndian.AppendUint64(encoded, r.Sequence)
	encoded = append(encoded, r.Previous[:]...)
	encoded = binary.BigEndian.AppendUint64(encoded, r.Policy)
	encoded = binary.BigEndian.AppendUint64(encoded, r.Assignment)
	encoded = binary.BigEndian.AppendUint64(encoded, r.MadeAt)
	encoded = appendText(encoded, r.Boot)
	encoded = binary.BigEndian.AppendUint64(encoded, r.Uptime)
	encoded = appendWitness(encoded, r.Witness)
	encoded = appendRefs(encoded, r.Sections)
	if len(encoded) > MaxStatement {
		return nil, fmt.Errorf("encode report statement: it has %d bytes, more than the %d allowed", len(encoded), MaxStatement)
	}
	return encoded, nil
}

// check holds for every statement that is written or read.
func (r ReportStatement) check() error {
	if err := errors.Join(checkIdentifier("school", r.School, 1), checkIdentifier("device", r.Device, 1),
		checkIdentifier("boot", r.Boot, 0), r.Witness.check(), checkRefs(r.Sections, false)); err != nil {
		return err
	}
	if r.Sequence == 0 {
		return errors.New("its sequence is 0; the first is 1")
	}
	for _, ref := range r.Sections {
		if ref.Carried == 0 || ref.Carried > r.Sequence {
			return fmt.Errorf("section %s is said to be carried by report %d, which is not 1 to %d",
				ref.Name, ref.Carried, r.Sequence)
		}
	}
	return nil
}

// DecodeReportStatement reads what Encode writes and refuses anything else.
func DecodeReportStatement(data []byte) (ReportStatement, error) {
	var r ReportStatement
	s := cryptobyte.String(data)
	err := func() error {
		if len(data) > MaxStatement {
			return fmt.Errorf("it has %d bytes, more than the %d allowed", len(data), MaxStatement)
		}
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
		return r.check()
	}()
	if err != nil {
		return ReportStatement{}, fmt.Errorf("read report statement: %w", err)
	}
	return r, nil
}

// Encode returns the statement's bytes.
func (c ContactStatement) Encode() ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("encode contact statement: %w", err)
	}
	b := make([]byte, 0, maxStatementHead)
	b = appendText(b, c.School)
	b = appendText(b, c.Device)
	b = binary.BigEndian.AppendUint64(b, c.Report)
	b = append(b, c.Hash[:]...)
	b = binary.BigEndian.AppendUint64(b, c.Count)
	b = binary.BigEndian.AppendUint64(b, c.MadeAt)
	b = appendText(b, c.Boot)
	b = binary.BigEndian.AppendUint64(b, c.Uptime)
	b = binary.BigEndian.AppendUint64(b, c.ReadAt)
	return appendWitness(b, c.Witness), nil
}

// maxStatementHead is more than all of a statement but its sections takes.
const maxStatementHead = 3*(1+MaxIdentifier) + 2*32 + 6*8

// check holds for every statement that is written or read.
func (c ContactStatement) check() error {
	err := errors.Join(checkIdentifier("school", c.School, 1), checkIdentifier("device", c.Device, 1),
		checkIdentifier("boot", c.Boot, 0), c.Witness.check())
	switch {
	case err != nil:
		return err
	case (c.Report == 0) != c.Hash.IsZero():
		return fmt.Errorf("it names report %d with the hash %v: both or neither must be zero", c.Report, c.Hash)
	case c.Count == 0:
		return errors.New("its count is 0; the first is 1")
	}
	return nil
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
		return c.check()
	}()
	if err != nil {
		return ContactStatement{}, fmt.Errorf("read contact statement: %w", err)
	}
	return c, nil
}

func (w Witness) check() error {
	if (w.Size == 0) != w.Root.IsZero() {
		return fmt.Errorf("it bears witness to size %d with root %v: both or neither must be zero", w.Size, w.Root)
	}
	return nil
}

// MaxIdentifier is the length of the longest identifier in bytes. Schools,
// devices, people, boots and collectors are named by a-z, 0-9, '-' and ':'.
const MaxIdentifier = 63

func checkIdentifier(what, s string, least int) error {
	if len(s) < least || len(s) > MaxIdentifier {
		return fmt.Errorf("%s %.70q is not %d to %d bytes long", what, s, least, MaxIdentifier)
	}
	for _, c := range []byte(s) {
		if !plain(c) && c != ':' {
			return fmt.Errorf("%s %q holds a character other than a-z, 0-9, '-' and ':'", what, s)
		}
	}
	return nil
}

func readIdentifier(s *cryptobyte.String, out *string) bool {
	var v cryptobyte.String
	if !s.ReadUint8LengthPrefixed(&v) {
		return false
	}
	*out = string(v)
	return true
}

func appendWitness(b []byte, w Witness) []byte {
	return append(binary.BigEndian.AppendUint64(b, w.Size), w.Root[:]...)
}

func readWitness(s *cryptobyte.String, w *Witness) bool {
	return s.ReadUint64(&w.Size) && s.CopyBytes(w.Root[:])
}
