package decision

import (
	"errors"
	"fmt"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Register is a change of what the school keeps about its things. The change
// itself is in a section of its own, which is kept as long as the ledger and
// names nobody: the decision beside it says who made it and of whom, and can be
// forgotten without the register losing a device.
const Register Kind = "register"

// checkRegister is Check for a change of the register.
func (d Decision) checkRegister() error {
	if d.Breach != (breach.Key{}) || d.Exemption != nil {
		return errors.New("a decision about the register is about no breach")
	}
	if d.Person == "" {
		return nil
	}
	return register.CheckPerson(d.Person)
}

// RegisterSections returns the sections of the entry that records a change of
// the register. The salts are random.
func RegisterSections(d Decision, c register.Change, salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
	if d.Kind != Register {
		return nil, fmt.Errorf("a change of the register is recorded by a decision of that kind, not %.40q", string(d.Kind))
	}
	if c.Names() != (d.Person != "") {
		return nil, errors.New("the change and the decision differ on whether a person is named")
	}
	body, err := register.Encode(c)
	if err != nil {
		return nil, err
	}
	section, err := Encode(d, salts[1])
	if err != nil {
		return nil, err
	}
	return []proof.Section{{Name: register.Section, Class: proof.Kept, Salt: salts[0], Body: body}, section}, nil
}
