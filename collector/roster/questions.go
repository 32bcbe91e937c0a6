package roster

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Device returns a device by its identifier.
func (r *Roster) Device(id posture.DeviceID) (Device, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	d, ok := r.devices[id]
	if !ok {
		return Device{}, false
	}
	return d.device(id), true
}

// Contact returns the place of a device's last contact.
func (r *Roster) Contact(id posture.DeviceID) Contact {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if d, ok := r.devices[id]; ok {
		return d.Contact
	}
	return Contact{}
}

// Holder returns the device whose key it is, revoked or not.
func (r *Roster) Holder(key *ecdsa.PublicKey) (Device, bool) {
	point, err := key.Bytes()
	if err != nil {
		return Device{}, false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	id, ok := r.holders[keyPrefix(point)]
	if !ok {
		return Device{}, false
	}
	if d := r.devices[id]; d != nil && bytes.Equal(d.Key[:], point) {
		return d.device(id), true
	}
	for id, d := range r.devices { // somebody searched for keys that begin alike
		if bytes.Equal(d.Key[:], point) {
			return d.device(id), true
		}
	}
	return Device{}, false
}

// Devices yields every device, in the order of identifiers.
func (r *Roster) Devices() iter.Seq[Device] {
	r.mu.RLock()
	ids := make([]posture.DeviceID, 0, len(r.devices))
	for id := range r.devices {
		ids = append(ids, id)
	}
	r.mu.RUnlock()
	slices.Sort(ids)
	return func(yield func(Device) bool) {
		for _, id := range ids {
			if d, ok := r.Device(id); ok && !yield(d) {
				return
			}
		}
	}
}

func (d *record) device(id posture.DeviceID) Device {
	// A point that came from a snapshot may be none: then the key is nil, and
	// nothing that the device signs is accepted.
	key, _ := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), d.Key[:])
	ownership := posture.Ownership("")
	if all := ownerships(); int(d.Ownership) < len(all) {
		ownership = all[d.Ownership]
	}
	return Device{
		ID: id, Key: key, Ownership: ownership,
		EnrolledAt: time.UnixMilli(d.EnrolledAt).UTC(), Enrolment: ledger.Index(d.Enrolment), Revoked: d.Revoked,
		Last: d.Last, Hash: d.Hash, Entry: ledger.Index(d.Entry), Assignment: d.Assignment, Contact: d.Contact,
		Lost: len(d.LostBy) > 0, Doubted: d.DoubtIn > 0,
	}
}

// Enrolment returns the record of a device's enrolment.
func (r *Roster) Enrolment(ctx context.Context, d Device) (Enrolment, error) {
	body, err := r.body(ctx, d.Enrolment, SectionEnrolment)
	if err != nil {
		return Enrolment{}, fmt.Errorf("read the enrolment of device %s: %w", d.ID, err)
	}
	return DecodeEnrolment(body)
}

// Sections returns the sections that a device's last report named: its state
// as the device last signed it.
func (r *Roster) Sections(ctx context.Context, d Device) ([]proof.SectionRef, error) {
	if d.Last == 0 {
		return nil, nil
	}
	rec, err := r.o.Ledger.Read(ctx, d.Entry)
	if err != nil {
		return nil, fmt.Errorf("read the last report of device %s: %w", d.ID, err)
	}
	statement, err := proof.DecodeReportStatement(rec.Envelope.Statement)
	if err != nil {
		return nil, fmt.Errorf("read the last report of device %s: %w", d.ID, err)
	}
	return statement.Sections, nil
}

// Token returns a token and how many devices it has admitted.
func (r *Roster) Token(id string) (t Token, used int, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	u, ok := r.tokens[id]
	if !ok {
		return Token{}, 0, false
	}
	return u.Token, u.Used, true
}

// Tokens lists the school's tokens and how they stand at a moment, those that
// end last first.
func (r *Roster) Tokens(now time.Time) []admission.Token {
	r.mu.RLock()
	defer r.mu.RUnlock()
	list := make([]admission.Token, 0, len(r.tokens))
	for _, t := range r.tokens {
		list = append(list, t.standing(now))
	}
	slices.SortFunc(list, func(a, b admission.Token) int { return cmp.Or(b.Ends.Compare(a.Ends), cmp.Compare(a.ID, b.ID)) })
	return list
}

func (t *tokenUse) standing(now time.Time) admission.Token {
	s := admission.Token{
		ID: t.Token.ID, Class: t.Token.Ownership, PersonalUse: t.Token.PersonalUse, Groups: slices.Clone(t.Token.Groups),
		Uses: t.Token.Uses, Used: t.Used, Ends: t.Token.Ends, By: t.Token.By, State: admission.TokenOpen, Way: cmp.Or(t.Token.Way, admission.AtOnce),
	}
	switch {
	case t.Taken > 0:
		s.State, s.TakenBack = admission.TokenTakenBack, time.UnixMilli(t.Taken).UTC()
	case t.Used >= t.Token.Uses:
		s.State = admission.TokenUsedUp
	case t.Over, !now.Before(t.Token.Ends):
		s.State = admission.TokenEnded
	}
	return s
}

// TokenOver reports whether the record holds that a token admits nothing any
// more: something was received after its end, whatever the clock says now, or it
// was taken back.
func (r *Roster) TokenOver(id string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	t, ok := r.tokens[id]
	return ok && t.Over
}

// Forgotten returns what was forgotten, in order.
func (r *Roster) Forgotten() []Forgotten {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Clone(r.purges)
}

// Latest returns the latest time at which an entry was received; zero if there
// is none. A clock that says it is earlier was set back since.
func (r *Roster) Latest() time.Time {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.latest == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(r.latest)).UTC()
}

// Policy returns the number of the policy in force; 0 is the baseline.
func (r *Roster) Policy() uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.policy
}

// PolicyEntry returns the entry that published the policy in force; ok is false if
// none was published.
func (r *Roster) PolicyEntry() (entry ledger.Index, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return ledger.Index(r.policyIn), r.policy > 0
}

// PolicyDocument returns the policy in force as the school signed it; nil if
// none was published.
func (r *Roster) PolicyDocument(ctx context.Context) ([]byte, error) {
	r.mu.RLock()
	number, entry := r.policy, r.policyIn
	r.mu.RUnlock()
	if number == 0 {
		return nil, nil
	}
	document, err := r.body(ctx, ledger.Index(entry), SectionPolicy)
	if err != nil {
		return nil, fmt.Errorf("read policy %d: %w", number, err)
	}
	return document, nil
}

// AssignmentDocument returns a device's assignment in force as the school
// signed it; nil if there is none.
func (r *Roster) AssignmentDocument(ctx context.Context, id posture.DeviceID) ([]byte, error) {
	r.mu.RLock()
	d, ok := r.devices[id]
	var entry ledger.Index
	if ok {
		ok, entry = d.Assignment > 0, ledger.Index(d.AssignedIn)
	}
	r.mu.RUnlock()
	if !ok {
		return nil, nil
	}
	document, err := r.body(ctx, entry, SectionAssignment)
	if err != nil {
		return nil, fmt.Errorf("read the assignment of device %s: %w", id, err)
	}
	return document, nil
}

// Verifier returns the public half of the school's key.
func (r *Roster) Verifier() identity.SchoolVerifier { return r.o.Verifier }

func (r *Roster) body(ctx context.Context, i ledger.Index, section string) ([]byte, error) {
	rec, err := r.o.Ledger.Read(ctx, i)
	if err != nil {
		return nil, err
	}
	n := slices.IndexFunc(rec.Envelope.Sections, func(ref proof.SectionRef) bool { return ref.Name == section })
	if n < 0 {
		return nil, fmt.Errorf("entry %d has no section %s", i, section)
	}
	return r.o.Ledger.Body(ctx, i, n)
}
