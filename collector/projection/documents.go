package projection

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// enrolmentBody is what the projection reads of a section "enrolment".
type enrolmentBody struct {
	Certificate  []byte           `json:"certificate"` // DER
	Platform     posture.Platform `json:"platform"`
	Hostname     string           `json:"hostname"`
	AgentVersion string           `json:"agentVersion"`
}

// enrolment takes in that a device was admitted. From then on it can be silent.
func (f *folder) enrolment(ctx context.Context, tx *view.Tx, r ledger.Record) error {
	var body enrolmentBody
	if ok, err := f.decodeBody(ctx, r, "enrolment", &body); err != nil || !ok {
		return err
	}
	was, known, err := tx.Device(posture.DeviceID(r.Envelope.Subject))
	if err != nil {
		return err
	}
	received := moment(r.Envelope.ReceivedAt)
	row := was
	row.ID = posture.DeviceID(r.Envelope.Subject)
	row.Hostname, row.Platform = cmp.Or(row.Hostname, body.Hostname), cmp.Or(body.Platform, row.Platform)
	row.AgentVersion = cmp.Or(body.AgentVersion, row.AgentVersion)
	if certificate, err := x509.ParseCertificate(body.Certificate); err == nil {
		sum := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
		row.KeyFingerprint = hex.EncodeToString(sum[:])
	}
	if !known {
		row.EnrolledAt = received
	}
	return f.reconsider(ctx, tx, was, row, r)
}

// reconsider judges the school's rules about a device of which the school has
// learnt something, and writes its row.
func (f *folder) reconsider(ctx context.Context, tx *view.Tx, was, row view.DeviceRow, r ledger.Record) error {
	received := moment(r.Envelope.ReceivedAt)
	j, err := f.judge(ctx, tx, row, received, order(r.Index, 0))
	if err != nil {
		return err
	}
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
	return j.save(was)
}

// assign takes in a device's assignment. It applies from the first report that
// names it; what pages say of ownership, at once.
func (f *folder) assign(ctx context.Context, tx *view.Tx, r ledger.Record) error {
	data, ok, err := f.body(ctx, r, "assignment")
	if err != nil || !ok {
		return err
	}
	if data, err = proof.VerifyDocument("assignment", data, f.school.Key); err != nil {
		return &notUnderstood{err}
	}
	var a policy.Assignment
	if err := json.Unmarshal(data, &a); err != nil {
		return &notUnderstood{fmt.Errorf("read an assignment: %w", err)}
	}
	id := posture.DeviceID(r.Envelope.Subject)
	if err := tx.PutAssignment(id, a); err != nil {
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
	r, err := f.record(ctx, i)
	if err != nil {
		return nil, err
	}
	data, ok, err := f.body(ctx, r, "policy")
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, &notUnderstood{errors.New("the entry carries no policy")}
	}
	if data, err = proof.VerifyDocument("policy", data, f.school.Key); err != nil {
		return nil, &notUnderstood{err}
	}
	p, err := policy.Decode(data)
	if err != nil {
		return nil, &notUnderstood{err}
	}
	made, err := prepare(p)
	if err != nil {
		return nil, &notUnderstood{err}
	}
	return made, nil
}

func (f *folder) record(ctx context.Context, i ledger.Index) (ledger.Record, error) {
	for r, err := range f.school.Ledger.Entries(ctx, i, i+1) {
		return r, err
	}
	return ledger.Record{}, fmt.Errorf("read entry %d: %w", i, ledger.ErrNotFound)
}
