package decision

import (
	"errors"
	"fmt"

	"github.com/caretaker-school/caretaker/collector/breach"
)

// OfferRelease is to offer a release of the agent to laptops of the school, or to
// stop. What it says is in the decision itself: it names nobody but who decided.
const OfferRelease Kind = "offer-release"

// checkRelease is Check for a decision to offer a release, or to stop.
func (d Decision) checkRelease() error {
	switch {
	case d.Breach != (breach.Key{}) || d.Exemption != nil || d.Policy != nil || d.Person != "":
		return fmt.Errorf("a decision to %s is about a release and nothing else", d.Kind)
	case d.Release == nil:
		return errors.New("a decision to offer a release says which, or that none is")
	}
	return d.Release.Check()
}
