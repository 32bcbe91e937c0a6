package decision

import (
	"errors"

	"github.com/caretaker-school/caretaker/collector/breach"
)

// SetParticulars says who the school is for data protection. What it says is in
// the decision itself, not beside it: it names people, such as the data-protection
// officer, and who no longer is one is to be forgotten. The last of them is kept
// for as long as it is the last.
const SetParticulars Kind = "particulars"

// checkParticulars is Check for a decision that says who the school is.
func (d Decision) checkParticulars() error {
	switch {
	case d.Breach != (breach.Key{}) || d.Exemption != nil || d.Policy != nil || d.Person != "":
		return errors.New("a decision that says who the school is for data protection is about nothing else")
	case d.Particulars == nil:
		return errors.New("a decision that says who the school is for data protection says it")
	}
	return d.Particulars.Check()
}
