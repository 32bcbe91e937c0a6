package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// verify checks the whole of a school's ledger: bytes, tree, checkpoints, and
// every signature against the key that the device enrolled with. What it finds
// is its answer; an error means that it could not look.
func (c *collector) verify(ctx context.Context, a LedgerArguments) (LedgerReport, error) {
	chosen, err := c.record(a.School)
	if err != nil {
		return LedgerReport{}, err
	}
	report, err := c.verifyRecord(ctx, chosen, a)
	if err == nil {
		c.verified(chosen, report)
	}
	return report, err
}

func (c *collector) verifyRecord(ctx context.Context, chosen *record, a LedgerArguments) (LedgerReport, error) {
	s := chosen.present()
	if s == nil {
		if why := chosen.why(); why != nil && why.damaged() {
			return LedgerReport{School: chosen.id, Trouble: why.err.Error()}, nil
		}
		return LedgerReport{}, chosen.refusal()
	}
	checkpoint, err := s.ledger.LatestCheckpoint(), error(nil)
	if !c.aside { // no checkpoint is given that is not kept
		checkpoint, err = s.ledger.Checkpoint(ctx)
	}
	if err != nil { // such as on a full disk, which is no reason not to look
		c.log.Warn("no checkpoint of the present size could be given", "school", s.ID, "error", err)
		checkpoint = s.ledger.LatestCheckpoint()
	}
	w := witnesses{school: s, keys: map[string]*ecdsa.PublicKey{}}
	v, err := s.ledger.Verify(ctx, ledger.VerifyOptions{Check: w.check})
	r := LedgerReport{
		School: s.ID, Entries: v.Entries, Statements: v.Signatures, Bodies: v.Bodies, Forgotten: v.Forgotten, Root: v.Root,
		Gaps: v.Gaps, Checkpoint: string(checkpoint),
	}
	switch {
	case err == nil && !v.Proven && v.Checkpoints > 0:
		r.Trouble = "the checkpoints are not signed by the school's key"
	case err == nil:
		for _, given := range a.Against {
			if err := s.begins(given.Note, v.Entries, v.Root); err != nil {
				r.Trouble = fmt.Sprintf("against %s: %v", given.Name, err)
				return r, nil
			}
			r.Agrees++
		}
		r.Good = true
	case ctx.Err() != nil:
		return LedgerReport{}, err
	default:
		r.Trouble = err.Error()
	}
	return r, nil
}

// witnesses learns each device's key from its enrolment and checks what
// devices signed.
type witnesses struct {
	school *school
	keys   map[string]*ecdsa.PublicKey // by device
}

func (w *witnesses) check(ctx context.Context, r ledger.Record) (uint64, error) {
	switch r.Envelope.Kind {
	case proof.KindEnrolment:
		return 0, w.enrolled(ctx, r)
	case proof.KindReport:
		return w.signed(r.Envelope.Subject, proof.HashReport(r.Envelope.Statement), r.Envelope.Signature)
	case proof.KindContacts:
		return w.contacts(ctx, r)
	}
	return 0, nil
}

func (w *witnesses) enrolled(ctx context.Context, r ledger.Record) error {
	for n, s := range r.Envelope.Sections {
		if s.Name != roster.SectionEnrolment {
			continue
		}
		body, err := w.school.ledger.Body(ctx, r.Index, n)
		if err != nil {
			return err
		}
		e, err := roster.DecodeEnrolment(body)
		if err != nil {
			return err
		}
		certificate, err := x509.ParseCertificate(e.Certificate)
		if err != nil {
			return fmt.Errorf("read the certificate of device %s: %w", e.Device, err)
		}
		if err := w.school.Authority.Issued(certificate); err != nil {
			return fmt.Errorf("the certificate of device %s is not by the school's authority: %w", e.Device, err)
		}
		school, device, err := identity.CertificateDevice(certificate)
		if err != nil {
			return err
		}
		key, ok := certificate.PublicKey.(*ecdsa.PublicKey)
		if !ok || school != w.school.ID || device != e.Device {
			return fmt.Errorf("the certificate of device %s names %s of %s", e.Device, device, school)
		}
		w.keys[string(e.Device)] = key
	}
	return nil
}

func (w *witnesses) contacts(ctx context.Context, r ledger.Record) (good uint64, err error) {
	for n := range r.Envelope.Sections {
		body, err := w.school.ledger.Body(ctx, r.Index, n)
		if errors.Is(err, ledger.ErrForgotten) {
			continue
		}
		if err != nil {
			return good, err
		}
		c, err := proof.DecodeSignedContact(body)
		if err != nil {
			return good, err
		}
		s, err := proof.DecodeContactStatement(c.Statement)
		if err != nil {
			return good, err
		}
		one, err := w.signed(s.Device, proof.HashContact(c.Statement), c.Signature)
		if err != nil {
			return good, err
		}
		good += one
	}
	return good, nil
}

func (w *witnesses) signed(device string, hash proof.Digest, signature []byte) (uint64, error) {
	key, ok := w.keys[device]
	if !ok {
		return 0, fmt.Errorf("device %s signed before it was enrolled", device)
	}
	if err := proof.VerifyStatement(key, hash, signature); err != nil {
		return 0, fmt.Errorf("the signature of device %s: %w", device, err)
	}
	return 1, nil
}

// maxEntries bounds one listing of the ledger.
const maxEntries = 10_000

func (c *collector) entries(ctx context.Context, a LedgerArguments) ([]EntryView, error) {
	s, err := c.readable(a.School)
	if err != nil {
		return nil, err
	}
	if a.Count <= 0 || a.Count > maxEntries {
		return nil, fmt.Errorf("a listing holds 1 to %d entries, not %d", maxEntries, a.Count)
	}
	end := min(s.ledger.Size(), uint64(a.From)+uint64(a.Count))
	list := []EntryView{}
	for r, err := range s.ledger.Entries(ctx, a.From, ledger.Index(end)) {
		if err != nil {
			return nil, err
		}
		e := EntryView{
			Index: r.Index, Kind: r.Envelope.Kind.String(), School: s.ID, Subject: r.Envelope.Subject, Sequence: r.Envelope.Sequence,
			ReceivedAt: time.UnixMilli(int64(r.Envelope.ReceivedAt)).UTC(), Intake: r.Envelope.Intake,
			Leaf: proof.LeafHash(r.Encoded), Signed: len(r.Envelope.Signature) > 0, Sections: []SectionView{},
		}
		for n, ref := range r.Envelope.Sections {
			v := SectionView{Name: ref.Name, Class: ref.Class.String(), Digest: ref.Digest}
			if ref.ReadAt != 0 {
				v.ReadAt = time.UnixMilli(int64(ref.ReadAt)).UTC()
			}
			body, err := s.ledger.Body(ctx, r.Index, n)
			if v.Gone = errors.Is(err, ledger.ErrForgotten); err != nil && !v.Gone {
				return nil, err
			}
			v.Bytes = len(body)
			e.Sections = append(e.Sections, v)
		}
		list = append(list, e)
	}
	return list, nil
}
