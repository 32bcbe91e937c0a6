package decision

import (
	"errors"
	"fmt"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/subject"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Subject is a change of a request of somebody who asks what is kept about them.
// It names them, and so is in the decision itself, which is forgotten. An export
// is in a section of its own, which is forgotten long before.
const Subject Kind = "subject-request"

// SubjectExport is the name of the section that holds what was gathered about a
// person.
const SubjectExport = "subject-export"

// checkSubject is Check for a change of a request.
func (d Decision) checkSubject() error {
	switch {
	case d.Breach != (breach.Key{}) || d.Exemption != nil || d.Policy != nil || d.Person != "":
		return errors.New("a decision about a request of a person is about nothing else")
	case d.Request == nil:
		return errors.New("a decision about a request of a person says what is recorded of it")
	}
	return d.Request.Check()
}

// ExportSections returns the sections of the entry that holds an export. The salts
// are random.
func ExportSections(d Decision, export []byte, salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
	if d.Kind != Subject || d.Request == nil || d.Request.What != subject.Export {
		return nil, fmt.Errorf("an export is recorded by a decision of its own kind, not %.40q", string(d.Kind))
	}
	if subject.Digest(export) != d.Request.Digest {
		return nil, errors.New("the decision names another file than the one that was gathered")
	}
	section, err := Encode(d, salts[1])
	if err != nil {
		return nil, err
	}
	return []proof.Section{{Name: SubjectExport, Class: proof.People, Salt: salts[0], Body: export}, section}, nil
}
