// Package roster knows a school's devices as intake needs them: who is
// enrolled with which key, who was revoked or is lost, whose certificate may be
// renewed when, where each device's chain of reports stands, which tokens may still be used, and which policy and
// assignments are in force. All of it is folded from the school's ledger.
//
// It never knows a finding, and is never the only home of a fact: its snapshot
// can be thrown away.
package roster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Source is the part of a ledger that the roster reads.
type Source interface {
	Size() uint64
	Read(ctx context.Context, i ledger.Index) (ledger.Record, error)
	Entries(ctx context.Context, first, end ledger.Index) iter.Seq2[ledger.Record, error]
	Follow(ctx context.Context, first ledger.Index) iter.Seq2[ledger.Record, error]
	Body(ctx context.Context, i ledger.Index, n int) ([]byte, error)
}

// Options configures a roster.
type Options struct {
	School   posture.SchoolID
	Ledger   Source
	Verifier identity.SchoolVerifier // of the school's policies and assignments
	Snapshot string                  // file that saves reading the whole ledger; "" for none
	Log      *slog.Logger            // nil discards
}

// Device is one enrolled device.
type Device struct {
	ID         posture.DeviceID
	Key        *ecdsa.PublicKey
	Ownership  posture.Ownership
	EnrolledAt time.Time
	Enrolment  ledger.Index // its enrolment's entry
	Revoked    bool
	Last       uint64       // sequence of its last report in the ledger; 0 for none
	Hash       proof.Digest // of that report's statement
	Entry      ledger.Index // that report's entry
	Assignment uint64       // number of the assignment in force; 0 for none
	Contact    Contact      // the last one in the ledger
	Lost       bool         // as an incident says; see Standing
	Doubted    bool         // two machines answer to its name; see Standing
}

// Contact is the place of a contact in a device's chain.
type Contact struct {
	Report uint64 // sequence of the report that it confirms
	Count  uint64 // contacts since that report, from 1
}

// Covers reports whether a contact at that place says no more than this one
// or one before it.
func (c Contact) Covers(o Contact) bool {
	return o.Report < c.Report || o.Report == c.Report && o.Count <= c.Count
}

// record is a Device as it is kept: a school of 100,000 has 100,000 of them.
type record struct {
	Key        [65]byte // uncompressed point
	Hash       proof.Digest
	Last       uint64
	Entry      uint64
	Enrolment  uint64
	EnrolledAt int64 // milliseconds since 1970
	Assignment uint64
	AssignedIn uint64 // the assignment's entry
	Contact    Contact
	Ownership  uint8
	Revoked    bool
	LostBy     []string // incidents by which it is lost
	FoundIn    uint64   // the entry by which it was last found again
	Approved   int64    // when its renewal was last approved, milliseconds since 1970; 0: never
	Machine    Machine  // the computer that it was when it first reported
	DoubtIn    uint64   // the entry, counted from 1, by which two machines answer to its name; 0: it is one
	Keeps      string   // hash of the key by which the machine asked that keeps the name; "": nobody was told apart
	Parts      []string // and of those that may become devices of their own
}

// keyPrefix is enough of a key to tell nearly all keys apart.
func (d *record) keyPrefix() uint64 { return keyPrefix(d.Key[:]) }

func keyPrefix(point []byte) uint64 { return binary.BigEndian.Uint64(point[1:]) }

type tokenUse struct {
	Token Token
	Used  int
	Over  bool  // it admits nothing any more: an entry after it was received after its end, or it was taken back
	Taken int64 // when it was taken back, in milliseconds since 1970; 0: it was not
}

// Roster is safe for concurrent use.
type Roster struct {
	o Options

	folding sync.Mutex // held while entries are folded in

	mu       sync.RWMutex // guards all below
	devices  map[posture.DeviceID]*record
	tokens   map[string]*tokenUse
	policy   uint64                      // number in force
	policyIn uint64                      // its entry
	next     uint64                      // first entry not folded in
	purges   []Forgotten                 // in the order of their entries
	window   int                         // days after its end in which a certificate may be renewed; 0: the usual number
	sealed   []uint64                    // entries that are acts of restricted incidents
	retained []uint64                    // entries that say how long things are kept
	restores []restore                   // of the record from backups
	latest   uint64                      // the latest time at which an entry was received, in milliseconds since 1970
	soonest  uint64                      // when the next token ends; 0 if none is left
	saved    uint64                      // next at the last snapshot
	holders  map[uint64]posture.DeviceID // by keyPrefix; only what this finds is found fast
	changed  chan struct{}
	news     Changes // since somebody last asked
}

// Changes says whom it concerns what came into force.
type Changes struct {
	Everybody bool               // a policy, or too many to name
	Devices   []posture.DeviceID // whose assignment changed, or who were revoked, lost or found
}

// mostNamed is how many devices are named in Changes.
const mostNamed = 10_000

func (c *Changes) add(id posture.DeviceID) {
	if c.Everybody || len(c.Devices) == mostNamed {
		*c = Changes{Everybody: true}
		return
	}
	c.Devices = append(c.Devices, id)
}

// Open folds the ledger as it is now.
func Open(ctx context.Context, o Options) (*Roster, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &Roster{o: o, devices: map[posture.DeviceID]*record{}, tokens: map[string]*tokenUse{}, changed: make(chan struct{})}
	if err := r.load(ctx); err != nil {
		o.Log.Info("snapshot of the roster not used", "school", o.School, "reason", err)
	}
	r.saved, r.holders = r.next, make(map[uint64]posture.DeviceID, len(r.devices))
	for id, d := range r.devices {
		r.holders[d.keyPrefix()] = id
	}
	if err := r.CatchUp(ctx); err != nil {
		return nil, err
	}
	r.Changes() // nobody has been told anything else yet
	return r, nil
}

// CatchUp folds in everything that the ledger holds now.
func (r *Roster) CatchUp(ctx context.Context) error {
	r.folding.Lock()
	defer r.folding.Unlock()
	r.mu.RLock()
	next := r.next
	r.mu.RUnlock()
	end := r.o.Ledger.Size()
	if next >= end {
		return nil
	}
	for rec, err := range r.o.Ledger.Entries(ctx, ledger.Index(next), ledger.Index(end)) {
		if err != nil {
			return fmt.Errorf("bring the roster of school %s up to date: %w", r.o.School, err)
		}
		if err := r.fold(ctx, rec); err != nil {
			return fmt.Errorf("bring the roster of school %s up to date with entry %d: %w", r.o.School, rec.Index, err)
		}
	}
	return nil
}

// snapshotEvery is how many entries are folded in between two snapshots.
const snapshotEvery = 65_536

// Run follows the ledger until ctx ends, then saves a snapshot.
func (r *Roster) Run(ctx context.Context) error {
	for {
		r.mu.RLock()
		next, saved := r.next, r.saved
		r.mu.RUnlock()
		if next-saved >= snapshotEvery {
			r.save()
		}
		for _, err := range r.o.Ledger.Follow(ctx, ledger.Index(next)) {
			if ctx.Err() != nil {
				break
			}
			if err != nil {
				return fmt.Errorf("follow the ledger of school %s: %w", r.o.School, err)
			}
			break // there is something to fold in
		}
		if ctx.Err() != nil {
			r.save()
			return nil
		}
		if err := r.CatchUp(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// fold takes in one entry. What it cannot understand it passes over with a
// word: an enrolment that cannot be read admits nobody.
func (r *Roster) fold(ctx context.Context, rec ledger.Record) error {
	e := rec.Envelope
	switch e.Kind {
	case proof.KindReport:
		r.change(e.Subject, func(d *record) {
			d.Last, d.Hash, d.Entry = e.Sequence, proof.HashReport(e.Statement), uint64(rec.Index)
		})
		if err := r.foldMachine(ctx, rec); err != nil {
			return err
		}
	case proof.KindContacts:
		if err := r.foldContacts(ctx, rec); err != nil {
			return err
		}
	case proof.KindToken, proof.KindEnrolment, proof.KindAssignment, proof.KindPolicy, proof.KindDecision, proof.KindPurge, proof.KindGap:
		if err := r.foldBodies(ctx, rec); err != nil {
			return err
		}
	default:
	}
	if err := r.foldSealed(ctx, rec); err != nil {
		return err
	}
	r.foldRetained(rec)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pass(e.ReceivedAt)
	r.next = uint64(rec.Index) + 1
	return nil
}

// pass takes in that it was once that late: the tokens that had ended by then
// stay so, whatever the clock says later. It is called with mu held.
func (r *Roster) pass(received uint64) {
	r.latest = max(r.latest, received)
	if r.soonest == 0 || received < r.soonest {
		return
	}
	for _, t := range r.tokens {
		t.Over = t.Over || received >= uint64(t.Token.Ends.UnixMilli())
	}
	r.nextEnd()
}

// nextEnd finds when the next token ends. It is called with mu held.
func (r *Roster) nextEnd() {
	r.soonest = 0
	for _, t := range r.tokens {
		if ends := uint64(t.Token.Ends.UnixMilli()); !t.Over && (r.soonest == 0 || ends < r.soonest) {
			r.soonest = ends
		}
	}
}

func (r *Roster) foldBodies(ctx context.Context, rec ledger.Record) error {
	for n, ref := range rec.Envelope.Sections {
		take := map[string]func(ledger.Record, []byte) error{
			SectionToken: r.foldToken, SectionEnrolment: r.foldEnrolment, SectionAssignment: r.foldAssignment,
			SectionPolicy: r.foldPolicy, SectionRevocation: r.foldRevocation, SectionPurge: r.foldPurge,
			admission.Section: r.foldAdmission, incident.Section: r.foldIncident, SectionDoubt: r.foldDoubt,
			SectionRestored: r.foldRestored,
		}[ref.Name]
		if take == nil || ref.Class != proof.Kept {
			continue
		}
		body, err := r.o.Ledger.Body(ctx, rec.Index, n)
		if err != nil {
			return err
		}
		if err := take(rec, body); err != nil {
			r.o.Log.Error("entry not understood", "school", r.o.School, "entry", rec.Index, "section", ref.Name, "error", err)
		}
	}
	return nil
}

func (r *Roster) foldToken(_ ledger.Record, body []byte) error {
	t, err := decode[Token](body)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.tokens[t.ID]; ok {
		return fmt.Errorf("there is a token %s already", t.ID)
	}
	r.tokens[t.ID] = &tokenUse{Token: t}
	if ends := uint64(t.Ends.UnixMilli()); r.soonest == 0 || ends < r.soonest {
		r.soonest = ends // looking through all for each would take long where each device has its own
	}
	return nil
}

func (r *Roster) foldEnrolment(rec ledger.Record, body []byte) error {
	e, err := decode[Enrolment](body)
	if err != nil {
		return err
	}
	certificate, err := x509.ParseCertificate(e.Certificate)
	if err != nil {
		return err
	}
	key, ok := certificate.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return errors.New("its certificate is not for a key on P-256")
	}
	point, err := key.Bytes()
	if err != nil {
		return err
	}
	d := &record{EnrolledAt: int64(rec.Envelope.ReceivedAt), Enrolment: uint64(rec.Index), Ownership: ownershipNumber(e.Ownership)}
	copy(d.Key[:], point)
	r.mu.Lock()
	defer r.mu.Unlock()
	id := posture.DeviceID(rec.Envelope.Subject)
	if _, ok := r.devices[id]; ok {
		return fmt.Errorf("device %s is enrolled already", id)
	}
	r.devices[id], r.holders[d.keyPrefix()] = d, id
	if t, ok := r.tokens[e.Token]; ok {
		t.Used++
	}
	return nil
}

func (r *Roster) foldAssignment(rec ledger.Record, document []byte) error {
	a, err := OpenAssignment(r.o.Verifier, document)
	if err != nil {
		return err
	}
	if string(a.Device) != rec.Envelope.Subject {
		return fmt.Errorf("it is for device %s, not %s", a.Device, rec.Envelope.Subject)
	}
	r.change(rec.Envelope.Subject, func(d *record) {
		if a.Number > d.Assignment {
			d.Assignment, d.AssignedIn, d.Ownership = a.Number, uint64(rec.Index), ownershipNumber(a.Ownership)
			r.news.add(a.Device)
			r.tell()
		}
	})
	return nil
}

func (r *Roster) foldPolicy(rec ledger.Record, document []byte) error {
	number, err := policyNumber(r.o.Verifier, document)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if number <= r.policy {
		return fmt.Errorf("policy %d follows policy %d: numbers only rise", number, r.policy)
	}
	r.policy, r.policyIn, r.news = number, uint64(rec.Index), Changes{Everybody: true}
	r.tell()
	return nil
}

// Forgotten is a class and month of which bodies were forgotten.
type Forgotten struct {
	At     time.Time
	Class  string // in one word
	Month  string // such as "2026-10"
	Count  uint64
	Reason string
	Item   string // the time of which was over; "" if somebody asked
	Events uint64 // media that came, in what was forgotten
	By     string
}

func (r *Roster) foldPurge(rec ledger.Record, body []byte) error {
	p, err := decode[Purge](body)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.purges = append(r.purges, Forgotten{
		At: time.UnixMilli(int64(rec.Envelope.ReceivedAt)).UTC(), Class: p.Class, Month: p.Month, Count: p.Forgotten, Reason: p.Reason,
		Item: p.Item, Events: p.Events, By: p.By,
	})
	return nil
}

func (r *Roster) foldRevocation(rec ledger.Record, _ []byte) error {
	r.change(rec.Envelope.Subject, func(d *record) {
		d.Revoked = true
		r.news.add(posture.DeviceID(rec.Envelope.Subject))
		r.tell()
	})
	return nil
}

// foldContacts takes in the places of contacts. Those that were forgotten are
// older than any that a device could send again.
func (r *Roster) foldContacts(ctx context.Context, rec ledger.Record) error {
	for n, ref := range rec.Envelope.Sections {
		if ref.Name != SectionContact {
			continue
		}
		body, err := r.o.Ledger.Body(ctx, rec.Index, n)
		if errors.Is(err, ledger.ErrForgotten) {
			continue
		}
		if err != nil {
			return err
		}
		signed, err := proof.DecodeSignedContact(body)
		if err == nil {
			err = r.foldContact(signed.Statement)
		}
		if err != nil {
			r.o.Log.Error("contact not understood", "school", r.o.School, "entry", rec.Index, "section", n, "error", err)
		}
	}
	return nil
}

func (r *Roster) foldContact(statement []byte) error {
	c, err := proof.DecodeContactStatement(statement)
	if err != nil {
		return err
	}
	at := Contact{Report: c.Report, Count: c.Count}
	r.change(c.Device, func(d *record) {
		if !d.Contact.Covers(at) {
			d.Contact = at
		}
	})
	return nil
}

// Changed returns a channel that is closed when a policy or an assignment
// next comes into force, or a device is revoked.
func (r *Roster) Changed() <-chan struct{} {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.changed
}

// Changes returns what came into force since it was last asked. It answers one
// follower.
func (r *Roster) Changes() Changes {
	r.mu.Lock()
	defer r.mu.Unlock()
	news := r.news
	r.news = Changes{}
	return news
}

// tell is called with mu held.
func (r *Roster) tell() {
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *Roster) change(id string, by func(*record)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d, ok := r.devices[posture.DeviceID(id)]; ok {
		by(d)
	}
}
