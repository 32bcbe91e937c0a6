package decision

import (
	"errors"
	"fmt"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Retention changes how long things are kept. The times themselves are in a
// section of their own, which is kept as long as the ledger: what is forgotten
// when does not depend on whether it is still known who said so.
const Retention Kind = "retention"

// RetentionSection is the name of the section that holds the times.
const RetentionSection = "retention"

// checkRetention is Check for a decision about how long things are kept.
func (d Decision) checkRetention() error {
	if d.Breach != (breach.Key{}) || d.Exemption != nil || d.Policy != nil || d.Person != "" {
		return errors.New("a decision about how long things are kept is about nothing else")
	}
	return nil
}

// RetentionSections returns the sections of the entry that changes how long
// things are kept. times is the body of the first, as collector/retention writes
// it. The salts are random.
func RetentionSections(d Decision, times []byte, salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
	if d.Kind != Retention {
		return nil, fmt.Errorf("how long things are kept is changed by a decision of that kind, not %.40q", string(d.Kind))
	}
	section, err := Encode(d, salts[1])
	if err != nil {
		return nil, err
	}
	return []proof.Section{{Name: RetentionSection, Class: proof.Kept, Salt: salts[0], Body: times}, section}, nil
}
