package assess

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// Chain is what a device must remember of its reports to make the next one:
// each names the one before by hash, and each section by the report that
// carried it. It is stored between reports and holds no bodies.
type Chain struct {
	Sequence uint64         `json:"sequence"` // of the last report; 0 before the first
	Previous proof.Digest   `json:"previous"` // hash of its statement
	Policy   uint64         `json:"policy"`   // the policy that it was judged by
	Sections []ChainSection `json:"sections"`
	Contacts uint64         `json:"contacts"` // contacts made since it
	// Assignment is the one under which it was judged; 0 in the state of an
	// earlier version, which then says it once more.
	Assignment uint64 `json:"assignment"`
	// Full says that the next report must carry every section, because the
	// collector may not have what earlier ones carried.
	Full bool `json:"full"`
}

// ChainSection is one section of a device's state as last reported.
type ChainSection struct {
	Ref  proof.SectionRef `json:"ref"`
	Body proof.Digest     `json:"body"` // plain SHA-256 of the body, to see whether it changed
}

// Moment is when and under what circumstances a statement is made.
type Moment struct {
	School     posture.SchoolID
	Device     posture.DeviceID
	Policy     uint64
	Assignment uint64
	MadeAt     time.Time
	Boot       string
	Uptime     time.Duration
	Witness    proof.Witness
}

// Draft is a statement that is ready to be signed, with the bodies of the
// sections that it carries.
type Draft struct {
	Sequence  uint64 // of the report, or of the report that a contact confirms
	Contact   bool
	Statement []byte
	Hash      proof.Digest // what the device signs
	Sections  []proof.Section
}

// Next drafts what to say after an assessment, and returns the chain as it is
// once that has been stored: a report if anything changed, else a contact.
// bodies holds every section of the device's state; salt is called once for
// each section that the report carries.
func (c Chain) Next(bodies []wire.Body, m Moment, salt func() [proof.SaltSize]byte) (Draft, Chain, error) {
	next := Chain{Sequence: c.Sequence + 1, Policy: m.Policy, Assignment: m.Assignment}
	var carried []proof.Section
	var refs []proof.SectionRef
	changed := c.Full || c.Sequence == 0 || c.Policy != m.Policy || c.Assignment != m.Assignment
	for _, b := range bodies {
		hash := proof.Digest(sha256.Sum256(b.Data))
		ref, same := c.unchanged(b, hash)
		if !same {
			s := proof.Section{Name: b.Name, Class: b.Class, Salt: salt(), Body: b.Data}
			carried = append(carried, s)
			ref = s.Ref(0, next.Sequence)
			changed = true
		}
		ref.ReadAt = milliseconds(b.ReadAt)
		refs = append(refs, ref)
		if b.Name != wire.MediaEvents { // what happened is said once; the others are how things are
			next.Sections = append(next.Sections, ChainSection{Ref: ref, Body: hash})
		}
	}
	changed = changed || len(next.Sections) != len(c.Sections)
	if !changed {
		return c.Contact(bodies, m)
	}
	statement, err := proof.ReportStatement{
		School: string(m.School), Device: string(m.Device), Sequence: next.Sequence, Previous: c.Previous,
		Policy: m.Policy, Assignment: m.Assignment, MadeAt: milliseconds(m.MadeAt),
		Boot: m.Boot, Uptime: uint64(m.Uptime.Milliseconds()), Witness: m.Witness, Sections: refs,
	}.Encode()
	if err != nil {
		return Draft{}, Chain{}, fmt.Errorf("state report %d: %w", next.Sequence, err)
	}
	next.Previous = proof.HashReport(statement)
	return Draft{Sequence: next.Sequence, Statement: statement, Hash: next.Previous, Sections: carried}, next, nil
}

// unchanged returns the reference under which the section was last reported,
// if its body is still the same and the collector has it.
func (c Chain) unchanged(b wire.Body, hash proof.Digest) (proof.SectionRef, bool) {
	i := slices.IndexFunc(c.Sections, func(s ChainSection) bool { return s.Ref.Name == b.Name })
	if c.Full || i < 0 || c.Sections[i].Body != hash {
		return proof.SectionRef{}, false
	}
	return c.Sections[i].Ref, true
}

// Behind returns the chain as it goes on behind a report that the collector
// has and this device does not know, because its state was restored or lost.
// The next report carries everything, and names a report before it that is not
// the collector's, which the collector records.
func (c Chain) Behind(sequence uint64) Chain {
	return Chain{Sequence: sequence, Previous: c.Previous, Policy: c.Policy, Assignment: c.Assignment, Full: true}
}

// Confirms reports whether there is a report that a contact could confirm. While
// the collector may not have what a report carried, there is none.
func (c Chain) Confirms() bool { return c.Sequence > 0 && !c.Full }

// Contact drafts a contact: nothing has changed since the last report. It
// fails before the first report.
func (c Chain) Contact(bodies []wire.Body, m Moment) (Draft, Chain, error) {
	if !c.Confirms() {
		return Draft{}, Chain{}, fmt.Errorf("there is no report that a contact could confirm")
	}
	next := c
	next.Contacts++
	next.Sections = slices.Clone(c.Sections)
	var oldest uint64
	for i, s := range next.Sections {
		for _, b := range bodies {
			if b.Name == s.Ref.Name {
				next.Sections[i].Ref.ReadAt = milliseconds(b.ReadAt)
			}
		}
		if at := next.Sections[i].Ref.ReadAt; at != 0 && (oldest == 0 || at < oldest) {
			oldest = at
		}
	}
	statement, err := proof.ContactStatement{
		School: string(m.School), Device: string(m.Device), Report: c.Sequence, Hash: c.Previous,
		Count: next.Contacts, MadeAt: milliseconds(m.MadeAt), Boot: m.Boot, Uptime: uint64(m.Uptime.Milliseconds()),
		ReadAt: oldest, Witness: m.Witness,
	}.Encode()
	if err != nil {
		return Draft{}, Chain{}, fmt.Errorf("state contact %d since report %d: %w", next.Contacts, c.Sequence, err)
	}
	return Draft{Sequence: c.Sequence, Contact: true, Statement: statement, Hash: proof.HashContact(statement)}, next, nil
}

func milliseconds(t time.Time) uint64 {
	if t.IsZero() || t.UnixMilli() < 0 {
		return 0
	}
	return uint64(t.UnixMilli())
}
