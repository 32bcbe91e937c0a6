package enroll

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// appender is the part of the ledger that records decisions.
type appender interface {
	Append(ctx context.Context, entries ...ledger.Entry) ([]ledger.Index, error)
}

// NewToken says what token to make.
type NewToken struct {
	Addresses []string // of the collector, "host:port"
	Uses      int      // devices that it admits; 0 means 1
	Lasts     time.Duration
	Ownership posture.Ownership // "" means school-single-user
	By        string            // the account or the system's user that asked
	Intake    string
	// PersonalUse says that the devices are their users' own too.
	PersonalUse bool
	Groups      []string      // in which they are from the first
	Way         admission.Way // "" means admission.AtOnce
}

// Bounds and defaults of a token.
const (
	defaultTokenLife = 7 * 24 * time.Hour
	maxTokenLife     = 366 * 24 * time.Hour
	maxTokenUses     = 5000
)

// whole returns what to make with what was left out.
func (n NewToken) whole() NewToken {
	n.Uses = cmp.Or(n.Uses, 1)
	n.Lasts = cmp.Or(n.Lasts, defaultTokenLife)
	n.Ownership = cmp.Or(n.Ownership, posture.SchoolSingleUser)
	n.Way = cmp.Or(n.Way, admission.AtOnce)
	return n
}

// Check says why such a token is not made.
func (n NewToken) Check() error {
	n = n.whole()
	if n.Uses < 1 || n.Uses > maxTokenUses {
		return fmt.Errorf("a token admits 1 to %d laptops, not %d", maxTokenUses, n.Uses)
	}
	if n.Lasts < 0 || n.Lasts > maxTokenLife {
		return fmt.Errorf("a token lasts up to %d days, not %s", int(maxTokenLife.Hours()/24), n.Lasts)
	}
	if err := admission.CheckWay(n.Way); err != nil {
		return err
	}
	return checkOwnership(n.Ownership)
}

// way is how the record says how a token admits: it says nothing of one that
// admits at once, as it never did.
func (n NewToken) way() admission.Way {
	if n.Way == admission.AtOnce {
		return ""
	}
	return n.Way
}

// CreateToken makes a token and records it, without its secret. Only the
// caller ever sees the whole of it.
func CreateToken(ctx context.Context, s *School, to appender, n NewToken, now time.Time) (identity.Token, error) {
	n = n.whole()
	if err := n.Check(); err != nil {
		return identity.Token{}, fmt.Errorf("create token: %w", err)
	}
	token, err := identity.NewToken(n.Addresses, s.ID, s.Authority.Fingerprint())
	if err != nil {
		return identity.Token{}, err
	}
	section, err := roster.Section(roster.SectionToken, proof.Kept, roster.Token{
		ID: token.ID, Hash: token.Hash(), Uses: n.Uses, Ends: now.Add(n.Lasts).UTC(), Ownership: n.Ownership, By: n.By, PersonalUse: n.PersonalUse, Groups: n.Groups,
		Way: n.way(),
	})
	if err != nil {
		return identity.Token{}, fmt.Errorf("create token: %w", err)
	}
	maker := roster.Maker{School: s.ID, Intake: n.Intake}
	if _, err := to.Append(ctx, maker.Entry(proof.KindToken, "token:"+token.ID, now, section)); err != nil {
		return identity.Token{}, fmt.Errorf("record token: %w", err)
	}
	return token, nil
}

// checkOwnership refuses the classes whose devices get no agent.
func checkOwnership(o posture.Ownership) error {
	switch {
	case roster.Managed(o):
		return nil
	case o == posture.StudentOwned || o == posture.StaffOwned || o == posture.VisitorOwned:
		return fmt.Errorf("devices of the class %s belong to a person and get no agent: the school has no say over them", o)
	}
	return fmt.Errorf("%.40q is not a class of ownership", string(o))
}
