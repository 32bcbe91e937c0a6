package proof

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"fmt"
	"slices"
)

// VerifyStatement returns nil if signature is the device's, over the hash of
// its statement (HashReport or HashContact): ECDSA on P-256, in ASN.1 DER.
func VerifyStatement(key *ecdsa.PublicKey, hash Digest, signature []byte) error {
	switch {
	case key == nil || key.Curve != elliptic.P256():
		return errors.New("check statement: the key is not on P-256")
	case !ecdsa.VerifyASN1(key, hash[:], signature):
		return errors.New("check statement: the signature is not by this device's key")
	}
	return nil
}

// CheckStatement reports where a report's statement and its envelope disagree:
// they must name the same school, device and sequence, and the envelope must
// name exactly the sections that the statement says came with it. Entries of
// other kinds have nothing to compare.
func (e Envelope) CheckStatement() error {
	if e.Kind != KindReport {
		return nil
	}
	r, err := DecodeReportStatement(e.Statement)
	if err != nil {
		return err
	}
	own := slices.DeleteFunc(r.Sections, func(s SectionRef) bool { return s.Carried != r.Sequence })
	switch {
	case r.School != e.School:
		return fmt.Errorf("the statement is of school %q, its envelope of %q", r.School, e.School)
	case r.Device != e.Subject:
		return fmt.Errorf("the statement is of device %q, its envelope of %q", r.Device, e.Subject)
	case r.Sequence != e.Sequence:
		return fmt.Errorf("the statement has sequence %d, its envelope %d", r.Sequence, e.Sequence)
	case !slices.Equal(own, e.Sections):
		return errors.New("the statement and its envelope do not name the same sections")
	}
	return nil
}

// Equal reports whether two sections are the same, salt and body included.
func (s Section) Equal(t Section) bool {
	return s.Name == t.Name && s.Class == t.Class && s.Salt == t.Salt && bytes.Equal(s.Body, t.Body)
}
