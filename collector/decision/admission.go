package decision

import (
	"errors"
	"fmt"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// The kinds of decision about enrolments. What was decided is in a section of
// its own, which is kept as long as the ledger: admission.Section, and for what
// is known no more the roster's revocation.
const (
	Admission Kind = "admission"
	Revoke    Kind = "revoke" // a device is known no more
)

// checkAdmission is Check for a decision about an enrolment.
func (d Decision) checkAdmission() error {
	if d.Breach != (breach.Key{}) || d.Exemption != nil || d.Policy != nil || d.Person != "" {
		return errors.New("a decision about an enrolment is about nothing else")
	}
	return nil
}

// AdmissionSections returns the sections of the entry that records a change of
// enrolments. The salts are random.
func AdmissionSections(d Decision, c admission.Change, salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
	if d.Kind != Admission {
		return nil, fmt.Errorf("a change of enrolments is recorded by a decision of that kind, not %.40q", string(d.Kind))
	}
	body, err := admission.Encode(c)
	if err != nil {
		return nil, err
	}
	section, err := Encode(d, salts[1])
	if err != nil {
		return nil, err
	}
	return []proof.Section{{Name: admission.Section, Class: proof.Kept, Salt: salts[0], Body: body}, section}, nil
}
