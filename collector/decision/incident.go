package decision

import (
	"errors"
	"fmt"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Incident is a change of an incident. The change itself is in a section of its
// own, which is kept as long as the ledger and names nobody. Who recorded it,
// and all that they wrote, is in the decision beside it. That is kept as long as
// incidents are, longer than other decisions, and can be forgotten: the
// incident, its deadline and what was decided stay.
const Incident Kind = "incident"

// checkIncident is Check for a change of an incident.
func (d Decision) checkIncident() error {
	if d.Breach != (breach.Key{}) || d.Exemption != nil || d.Policy != nil || d.Person != "" {
		return errors.New("a decision about an incident is about nothing else")
	}
	return nil
}

// IncidentSections returns the sections of the entry that records a change of
// an incident. The salts are random.
func IncidentSections(d Decision, c incident.Change, salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
	if d.Kind != Incident {
		return nil, fmt.Errorf("a change of an incident is recorded by a decision of that kind, not %.40q", string(d.Kind))
	}
	body, err := incident.Encode(c)
	if err != nil {
		return nil, err
	}
	section, err := Encode(d, salts[1])
	if err != nil {
		return nil, err
	}
	section.Class = proof.Incidents
	return []proof.Section{{Name: incident.Section, Class: proof.Kept, Salt: salts[0], Body: body}, section}, nil
}
