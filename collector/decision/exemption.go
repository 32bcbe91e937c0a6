package decision

import (
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
)

// An exemption takes two decisions: somebody asks, and another account
// approves what was asked, word for word. Its identifier ties them together.

// exemptionID is what an exemption's identifier looks like: short enough to be
// read aloud.
var exemptionID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// NewExemptionID returns an identifier that no other exemption has.
func NewExemptionID() string { return "ex-" + strings.ToLower(rand.Text()[:10]) }

// consolePrefix begins the name under which a decision at the console is
// recorded. No account can have such a name.
const consolePrefix = "console"

// AtConsole reports whether a decision was made at the console, where everybody
// who has a shell on the collector is one operator.
func AtConsole(by string) bool {
	return by == consolePrefix || strings.HasPrefix(by, consolePrefix+":")
}

// Ask returns the decision of somebody who asks for an exemption.
func Ask(id string, scope breach.Scope, until time.Time, by, reason string, at time.Time) Decision {
	return Decision{
		Kind: AskExemption, By: by, At: at, Reason: reason,
		Exemption: &breach.Exemption{ID: id, Scope: scope, Until: until.UTC()},
	}
}

// Approve returns the decision of somebody who approves what another asked for.
// It holds from then on.
func Approve(asked breach.Exemption, by, reason string, at time.Time) Decision {
	asked.From, asked.Approver = at, by
	return Decision{Kind: Exempt, By: by, At: at, Reason: reason, Exemption: &asked}
}

// About returns a decision to refuse or to end an exemption.
func About(kind Kind, id, by, reason string, at time.Time) Decision {
	return Decision{Kind: kind, By: by, At: at, Reason: reason, Exemption: &breach.Exemption{ID: id}}
}

// mostExemptionReason bounds the reason of an exemption, in bytes: every breach
// that it covers shows it.
const mostExemptionReason = 1000

// checkExemption is Check for a decision about an exemption.
func (d Decision) checkExemption() error {
	if d.Breach != (breach.Key{}) {
		return fmt.Errorf("a decision to %s names a scope and no breach", d.Kind)
	}
	if d.Exemption == nil || !exemptionID.MatchString(d.Exemption.ID) {
		return errors.New("a decision about an exemption names it")
	}
	if len(d.Reason) > mostExemptionReason {
		return fmt.Errorf("the reason of an exemption has at most %d bytes", mostExemptionReason)
	}
	e := *d.Exemption
	switch d.Kind {
	case AskExemption:
		return d.checkAsk(e)
	case Exempt:
		switch {
		case e.Approver != d.By || !e.From.Equal(d.At) || !e.Ended.IsZero():
			return errors.New("an exemption begins when it is approved, and by whom")
		case AtConsole(d.By):
			return errors.New("the console is never a second person: an exemption is approved by an account")
		}
		return e.Check()
	}
	if e != (breach.Exemption{ID: e.ID}) {
		return fmt.Errorf("a decision to %s names the exemption and nothing of it", d.Kind)
	}
	return nil
}

func (d Decision) checkAsk(e breach.Exemption) error {
	switch {
	case e != (breach.Exemption{ID: e.ID, Scope: e.Scope, Until: e.Until}):
		return errors.New("who asks for an exemption says its scope and its end")
	case !e.Until.After(d.At):
		return errors.New("an exemption ends after it was asked for")
	case e.Until.Sub(d.At) > breach.LongestExemption:
		return fmt.Errorf("an exemption ends at most %d days after it was asked for", int(breach.LongestExemption.Hours()/24))
	}
	return e.Scope.Check()
}
