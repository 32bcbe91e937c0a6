package decision

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/concern"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Concern is what somebody reported without signing in, or what the school did
// about that. The change itself is in a section of its own, which is kept as
// long as the ledger and holds nothing that was told. Whoever raised it, and all
// that they wrote, is in the decision beside it, which can be forgotten.
const Concern Kind = "concern"

// NotSignedIn stands where an account would, in what somebody told without
// signing in. No account has this name.
const NotSignedIn = "public:not signed in"

// checkConcern is Check for what somebody reported.
func (d Decision) checkConcern() error {
	if d.Breach != (breach.Key{}) || d.Exemption != nil || d.Policy != nil || d.Person != "" {
		return errors.New("a report is about nothing else")
	}
	if d.Concern == nil {
		return nil
	}
	return d.Concern.Check()
}

// ConcernSections returns the sections of the entry that records what somebody
// reported, or what the school did about it. The salts are random.
func ConcernSections(d Decision, c concern.Change, salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
	switch {
	case d.Kind != Concern:
		return nil, fmt.Errorf("what somebody reported is recorded by a decision of that kind, not %.40q", string(d.Kind))
	case (d.Concern != nil) != (c.What == concern.Raise):
		return nil, errors.New("what was told belongs to a report, and to nothing else")
	case c.What == concern.Raise && utf8.RuneCountInString(d.Reason) > concern.MostWords:
		return nil, fmt.Errorf("what happened is told in at most %d characters", concern.MostWords)
	}
	body, err := concern.Encode(c)
	if err != nil {
		return nil, err
	}
	section, err := Encode(d, salts[1])
	if err != nil {
		return nil, err
	}
	return []proof.Section{{Name: concern.Section, Class: proof.Kept, Salt: salts[0], Body: body}, section}, nil
}
