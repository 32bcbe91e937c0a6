package roster

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/body"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// The sections of the entries that the collector makes itself.
const (
	SectionToken        = "token"         // Kept: Token
	SectionEnrolment    = "enrolment"     // Kept: Enrolment; beside it "system", as in a report
	SectionAssignment   = "assignment"    // Kept: a signed document, see Assignment
	SectionPolicy       = "policy"        // Kept: a signed document whose body is policy.Encode's
	SectionPolicySource = "policy-source" // Kept: the YAML it was compiled from
	SectionRevocation   = "revocation"    // Kept: Revocation; beside it a decision
	SectionGap          = "gap"           // Kept: Gap
	SectionDoubt        = "doubt"         // Kept: Doubt
	SectionContact      = "contact"       // Contacts: proof.SignedContact
	SectionPurge        = "purge"         // Kept: Purge
	SectionRestored     = "restored"      // Kept: Restored
)

// The kinds of signed documents.
const (
	DocumentPolicy     = "policy"
	DocumentAssignment = "assignment"
)

// Token is an enrolment token as the ledger keeps it: without its secret.
type Token struct {
	ID        string            `json:"id"`
	Hash      proof.Digest      `json:"hash"` // identity.HashSecret of the secret
	Uses      int               `json:"uses"` // devices that it admits
	Ends      time.Time         `json:"ends"` // from then on it admits none
	Ownership posture.Ownership `json:"class"`
	By        string            `json:"by,omitempty"` // who made it
	// PersonalUse says that the devices are their users' own too: names of
	// programs are withheld from their first report on.
	PersonalUse bool     `json:"personalUse,omitempty"`
	Groups      []string `json:"groups,omitempty"` // in which they are from the first
	// Way is how it admits; "" as admission.AtOnce.
	Way admission.Way `json:"way,omitempty"`
}

// Enrolment says that a device was admitted. Its entry's subject is the device.
type Enrolment struct {
	Device       posture.DeviceID  `json:"device"`
	Certificate  []byte            `json:"certificate"` // DER, the first one; renewals keep its key
	Token        string            `json:"token"`
	Ownership    posture.Ownership `json:"class"`
	Platform     posture.Platform  `json:"platform"`
	AgentVersion string            `json:"agentVersion"`
	// Code is that of a device that waited until it was approved, and Claim the
	// identity.HashSecret of what it asks with in place of the token.
	Code  string       `json:"code,omitempty"`
	Claim proof.Digest `json:"claim,omitzero"`
	// From is the device to whose name this machine had answered before it was
	// told apart, which then has no token; "" with one.
	From posture.DeviceID `json:"from,omitempty"`
	// Asset is the tag of the asset whose serial number the device said, and was
	// admitted by; "" if it was admitted otherwise.
	Asset string `json:"asset,omitempty"`
}

// Assignment is the body of a signed assignment: for one device and no other.
type Assignment struct {
	School posture.SchoolID `json:"school"`
	Device posture.DeviceID `json:"device"`
	policy.Assignment
}

// Revocation says that a device is known no more. Its entry's subject is the
// device.
type Revocation struct {
	Device posture.DeviceID `json:"device"`
	Reason string           `json:"reason"`
}

// Gap says that reports of a device are missing. Its entry's subject is the
// device.
type Gap struct {
	From   uint64 `json:"from"` // sequences, both included
	To     uint64 `json:"to"`
	Reason string `json:"reason"` // one of the reasons below
}

// Why reports are missing.
const (
	GapDropped  = "dropped"  // the device's spool was full, or its disk lost them
	GapRestored = "restored" // they were acknowledged, and the collector has lost them since: it was restored from a copy
	GapConflict = "conflict" // the device made another report of the same number: it was restored from a copy, or there are two of it
	GapUnknown  = "unknown"
)

// Purge says that bodies of a class and month were forgotten: how many, by whom
// and why, and nothing of what they held.
type Purge struct {
	ledger.Purge
	Item   string `json:"item,omitempty"`   // the time of which was over, as collector/retention names it; "" if somebody asked
	Events uint64 `json:"events,omitempty"` // media that came, in what was forgotten
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Managed reports whether devices of a class get an agent at all.
func Managed(o posture.Ownership) bool {
	return o == posture.SchoolSingleUser || o == posture.SchoolMultiUser || o == posture.Authorised
}

// ownerships numbers the classes of ownership in snapshots: never reorder.
func ownerships() []posture.Ownership {
	return []posture.Ownership{
		"", posture.SchoolSingleUser, posture.SchoolMultiUser, posture.Authorised, posture.StudentOwned, posture.StaffOwned, posture.VisitorOwned,
	}
}

func ownershipNumber(o posture.Ownership) uint8 { return uint8(max(0, slices.Index(ownerships(), o))) }

// maxRecord bounds the JSON of a record in bytes.
const maxRecord = 64 << 10

func decode[T any](data []byte) (T, error) { return body.Decode[T](data, maxRecord) }

// DecodeToken reads the body of a token.
func DecodeToken(body []byte) (Token, error) { return named[Token](SectionToken, body) }

// DecodeEnrolment reads the body of an enrolment.
func DecodeEnrolment(body []byte) (Enrolment, error) { return named[Enrolment](SectionEnrolment, body) }

// DecodeRevocation reads the body of a revocation.
func DecodeRevocation(body []byte) (Revocation, error) {
	return named[Revocation](SectionRevocation, body)
}

// DecodeGap reads the body of a gap.
func DecodeGap(body []byte) (Gap, error) { return named[Gap](SectionGap, body) }

func named[T any](name string, body []byte) (T, error) {
	v, err := decode[T](body)
	if err != nil {
		return v, fmt.Errorf("read section %s: %w", name, err)
	}
	return v, nil
}

// OpenAssignment reads an assignment signed by the school.
func OpenAssignment(v identity.SchoolVerifier, document []byte) (Assignment, error) {
	body, err := v.Document(DocumentAssignment, document)
	if err != nil {
		return Assignment{}, fmt.Errorf("open assignment: %w", err)
	}
	a, err := decode[Assignment](body)
	if err != nil {
		return Assignment{}, fmt.Errorf("open assignment: %w", err)
	}
	if a.School != v.School {
		return Assignment{}, fmt.Errorf("open assignment: it is of school %.70q, not %s", string(a.School), v.School)
	}
	return a, nil
}

// OpenPolicy reads a policy signed by the school.
func OpenPolicy(v identity.SchoolVerifier, document []byte) (*policy.Policy, error) {
	body, err := v.Document(DocumentPolicy, document)
	if err != nil {
		return nil, fmt.Errorf("open policy: %w", err)
	}
	p, err := policy.Decode(body)
	if err != nil {
		return nil, fmt.Errorf("open policy: %w", err)
	}
	return p, nil
}

// policyNumber reads only the number of a signed policy, so that one made by a
// newer program keeps its place.
func policyNumber(v identity.SchoolVerifier, document []byte) (uint64, error) {
	body, err := v.Document(DocumentPolicy, document)
	if err != nil {
		return 0, fmt.Errorf("open policy: %w", err)
	}
	var p struct {
		Number uint64 `json:"number"`
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return 0, fmt.Errorf("open policy: %w", err)
	}
	return p.Number, nil
}

// Maker makes the entries of one school that the collector speaks for.
type Maker struct {
	School posture.SchoolID
	Intake string // which collector this is
}

// Section returns a section with a fresh salt and v as its JSON.
func Section(name string, class proof.Class, v any) (proof.Section, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return proof.Section{}, fmt.Errorf("encode section %s: %w", name, err)
	}
	return RawSection(name, class, body)
}

// RawSection returns a section with a fresh salt.
func RawSection(name string, class proof.Class, body []byte) (proof.Section, error) {
	s := proof.Section{Name: name, Class: class, Body: body}
	if _, err := rand.Read(s.Salt[:]); err != nil {
		return proof.Section{}, fmt.Errorf("salt section %s: %w", name, err)
	}
	return s, nil
}

// Entry returns an entry of a kind about a subject.
func (m Maker) Entry(kind proof.Kind, subject string, now time.Time, sections ...proof.Section) ledger.Entry {
	e := ledger.Entry{Envelope: proof.Envelope{
		Kind: kind, School: string(m.School), Subject: subject, ReceivedAt: uint64(now.UnixMilli()), Intake: m.Intake,
	}, Sections: sections}
	for _, s := range sections {
		e.Envelope.Sections = append(e.Envelope.Sections, s.Ref(0, 0))
	}
	return e
}

// Policy returns the entry that publishes a policy. beside it may say who decided
// that.
func (m Maker) Policy(document, source []byte, now time.Time, beside ...proof.Section) (ledger.Entry, error) {
	compiled, err := RawSection(SectionPolicy, proof.Kept, document)
	if err != nil {
		return ledger.Entry{}, err
	}
	written, err := RawSection(SectionPolicySource, proof.Kept, source)
	if err != nil {
		return ledger.Entry{}, err
	}
	return m.Entry(proof.KindPolicy, "", now, append([]proof.Section{compiled, written}, beside...)...), nil
}

// Assignment returns the entry that changes a device's assignment. beside it may
// say who decided that.
func (m Maker) Assignment(key *identity.SchoolKey, a Assignment, now time.Time, beside ...proof.Section) (ledger.Entry, []byte, error) {
	a.School = m.School
	body, err := json.Marshal(a)
	if err != nil {
		return ledger.Entry{}, nil, fmt.Errorf("encode assignment: %w", err)
	}
	document, err := key.SignDocument(DocumentAssignment, body)
	if err != nil {
		return ledger.Entry{}, nil, err
	}
	section, err := RawSection(SectionAssignment, proof.Kept, document)
	if err != nil {
		return ledger.Entry{}, nil, err
	}
	return m.Entry(proof.KindAssignment, string(a.Device), now, append([]proof.Section{section}, beside...)...), document, nil
}

// Revocation returns the entry that revokes a device. decision, made by
// collector/decision, says who and why in words; it may be left out.
func (m Maker) Revocation(r Revocation, now time.Time, decision ...proof.Section) (ledger.Entry, error) {
	section, err := Section(SectionRevocation, proof.Kept, r)
	if err != nil {
		return ledger.Entry{}, err
	}
	return m.Entry(proof.KindDecision, string(r.Device), now, append([]proof.Section{section}, decision...)...), nil
}

// Gap returns the entry that says that reports are missing.
func (m Maker) Gap(device posture.DeviceID, g Gap, now time.Time) (ledger.Entry, error) {
	section, err := Section(SectionGap, proof.Kept, g)
	if err != nil {
		return ledger.Entry{}, err
	}
	return m.Entry(proof.KindGap, string(device), now, section), nil
}
