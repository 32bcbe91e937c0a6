package projection

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"time"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// enrolment takes in that a device was admitted. From then on it can be silent.
func (f *folder) enrolment(ctx context.Context, tx *view.Tx, r ledger.Record) error {
	data, ok, err := f.body(ctx, r, roster.SectionEnrolment)
	if err != nil || !ok {
		return err
	}
	body, err := roster.DecodeEnrolment(data)
	if err != nil {
		return &notUnderstoodError{err}
	}
	hostname, err := f.hostname(ctx, r)
	if err != nil {
		return err
	}
	was, known, err := tx.Device(posture.DeviceID(r.Envelope.Subject))
	if err != nil {
		return err
	}
	received := moment(r.Envelope.ReceivedAt)
	row := was
	row.ID = posture.DeviceID(r.Envelope.Subject)
	row.Hostname, row.Platform = cmp.Or(row.Hostname, hostname), cmp.Or(body.Platform, row.Platform)
	row.AgentVersion = cmp.Or(body.AgentVersion, row.AgentVersion)
	if certificate, err := x509.ParseCertificate(body.Certificate); err == nil {
		sum := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
		row.KeyFingerprint = hex.EncodeToString(sum[:])
	}
	if !known {
		row.EnrolledAt, row.Ownership = received, body.Ownership
	}
	return f.reconsider(ctx, tx, was, row, r)
}

// hostname returns the name that a device gave when it enrolled.
func (f *folder) hostname(ctx context.Context, r ledger.Record) (string, error) {
	data, ok, err := f.body(ctx, r, wire.System)
	if err != nil || !ok {
		return "", err
	}
	var facts posture.Facts
	if err := wire.DecodeSection(wire.System, data, time.Time{}, &facts, nil); err != nil {
		return "", &notUnderstoodError{err}
	}
	if len(facts.System.Items) == 0 {
		return "", nil
	}
	return facts.System.Items[0].Hostname, nil
}

// reconsider judges the school's rules about a device of which the school has
// learnt something, and writes its row.
func (f *folder) reconsider(ctx context.Context, tx *view.Tx, was, row view.DeviceRow, r ledger.Record) error {
	if was.ReplacedBy != "" {
		return nil
	}
	received := moment(r.Envelope.ReceivedAt)
	j, err := f.judge(ctx, tx, was, received, order(r.Index, 0))
	if err != nil {
		return err
	}
	if err := j.lapseAll(); err != nil {
		return err
	}
	j.row = row
	if was.ID == "" || r.Envelope.Kind == proof.KindEnrolment {
		if err := j.heard(); err != nil {
			return err
		}
	}
	a, _, err := tx.Assignment(row.ID, row.Assignment)
	if err != nil {
		return err
	}
	if err := j.school(a); err != nil {
		return err
	}
	if err := j.regroup(); err != nil {
		return err
	}
	return j.save(was)
}

// assign takes in a device's assignment. It applies from the first report that
// names it; what pages say of ownership, at once.
func (f *folder) assign(ctx context.Context, tx *view.Tx, r ledger.Record) error {
	data, ok, err := f.body(ctx, r, roster.SectionAssignment)
	if err != nil || !ok {
		return err
	}
	a, err := roster.OpenAssignment(f.school.Verifier, data)
	if err != nil {
		return &notUnderstoodError{err}
	}
	id := a.Device
	told := view.Assigned{Assignment: a.Assignment, At: moment(r.Envelope.ReceivedAt), Entry: uint64(r.Index) + 1}
	if told.By, told.Reason, err = f.asked(ctx, r); err != nil {
		return err
	}
	if err := tx.PutAssigned(id, told); err != nil {
		return err
	}
	was, known, err := tx.Device(id)
	if err != nil || !known {
		return err
	}
	row := was
	row.Ownership = a.Ownership
	if row.LastReport == 0 {
		row.Assignment = a.Number
	}
	return f.reconsider(ctx, tx, was, row, r)
}

// readPolicy reads a policy from the entry that published it.
func (f *folder) readPolicy(ctx context.Context, i ledger.Index) (*prepared, error) {
	r, err := f.school.Ledger.Read(ctx, i)
	if err != nil {
		return nil, err
	}
	data, ok, err := f.body(ctx, r, roster.SectionPolicy)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, &notUnderstoodError{errors.New("the entry carries no policy")}
	}
	p, err := roster.OpenPolicy(f.school.Verifier, data)
	if err != nil {
		return nil, &notUnderstoodError{err}
	}
	made, err := prepare(p)
	if err != nil {
		return nil, &notUnderstoodError{err}
	}
	return made, nil
}
