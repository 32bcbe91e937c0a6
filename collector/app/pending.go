package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/enroll"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// PendingArguments decide about laptops that wait to be admitted.
type PendingArguments struct {
	School string   `json:"school"`
	Codes  []string `json:"codes,omitempty"` // that they show
	Token  string   `json:"token,omitempty"` // all that wait and asked with this one
	Reason string   `json:"reason,omitempty"`
}

// PendingList is the laptops of a school that wait to be admitted, and those that
// were refused of late.
type PendingList struct {
	School  posture.SchoolID    `json:"school"`
	Pending []admission.Pending `json:"pending"`
}

// DecidedList is what became of each that was decided about.
type DecidedList struct {
	School  posture.SchoolID    `json:"school"`
	Decided []admission.Decided `json:"decided"`
}

// mostDecided is about how many laptops is decided at once.
const mostDecided = 1000

// desk is who admits laptops. Where no collector runs it is opened for the one
// deed.
func (c *collector) enrolments(s *school) *enroll.Service {
	if c.desks != nil {
		return c.desks
	}
	return enroll.NewService([]enroll.Desk{{School: s.School, Roster: s.roster, Ledger: s, Assets: registered{c, s}}}, intakeName, c.clock, c.log)
}

// Pending implements api.PendingKeeper and web.PendingKeeper.
func (c *collector) Pending(_ context.Context, id posture.SchoolID) ([]admission.Pending, error) {
	s, err := c.school(string(id))
	if err != nil {
		return nil, err
	}
	return c.enrolments(s).Pending(s.ID), nil
}

// DecidePending implements api.PendingKeeper and web.PendingKeeper.
func (c *collector) DecidePending(ctx context.Context, id posture.SchoolID, d decision.Decision, what admission.What, codes []string) ([]admission.Decided, error) {
	s, err := c.school(string(id))
	if err != nil {
		return nil, err
	}
	if codes, err = readCodes(codes); err != nil {
		return nil, err
	}
	defer c.show(ctx, s)
	beside := func(change admission.Change) ([]proof.Section, error) {
		var salts [2][proof.SaltSize]byte
		for i := range salts {
			if _, err := rand.Read(salts[i][:]); err != nil {
				return nil, fmt.Errorf("salt a decision: %w", err)
			}
		}
		return decision.AdmissionSections(d, change, salts)
	}
	switch what {
	case admission.Approve:
		c.keeping.Lock() // nobody ties an asset by hand meanwhile
		defer c.keeping.Unlock()
		return c.enrolments(s).Approve(ctx, s.ID, codes, beside, tiedBy(d))
	case admission.Refuse:
		return c.enrolments(s).Refuse(ctx, s.ID, codes, d.Reason, beside)
	}
	return nil, fmt.Errorf("%.40q is nothing that is decided about a laptop that waits", string(what))
}

// readCodes reads codes as people write them.
func readCodes(texts []string) ([]string, error) {
	switch {
	case len(texts) == 0:
		return nil, &decision.RefusedError{Why: "say which laptops, by the codes that they show"}
	case len(texts) > mostDecided:
		return nil, &decision.RefusedError{Why: fmt.Sprintf("it is decided about up to %d laptops at once, not %d", mostDecided, len(texts))}
	}
	codes := make([]string, len(texts))
	var wrong error
	for i, text := range texts {
		code, err := identity.ParseCode(text)
		codes[i], wrong = code, errors.Join(wrong, err)
	}
	if wrong != nil {
		return nil, &decision.RefusedError{Why: wrong.Error()}
	}
	return codes, nil
}

func (c *collector) pending(ctx context.Context, a ListArguments) (PendingList, error) {
	s, err := c.school(a.School)
	if err != nil {
		return PendingList{}, err
	}
	list, err := c.Pending(ctx, s.ID)
	return PendingList{School: s.ID, Pending: list}, err
}

func (c *collector) approvePending(ctx context.Context, a PendingArguments) (DecidedList, error) {
	return c.decidePending(ctx, a, admission.Approve, "its code was compared")
}

func (c *collector) refusePending(ctx context.Context, a PendingArguments) (DecidedList, error) {
	return c.decidePending(ctx, a, admission.Refuse, "")
}

// decidePending decides as the operator.
func (c *collector) decidePending(ctx context.Context, a PendingArguments, what admission.What, otherwise string) (DecidedList, error) {
	s, err := c.school(a.School)
	if err != nil {
		return DecidedList{}, err
	}
	d, err := c.decides(decision.Admission, a.Reason, otherwise)
	if err != nil {
		return DecidedList{}, err
	}
	if a.Token != "" {
		if len(a.Codes) > 0 {
			return DecidedList{}, errors.New("give codes, or a token with which all asked that are meant, not both")
		}
		for _, p := range c.enrolments(s).Pending(s.ID) {
			if p.Token == a.Token && p.Refused.IsZero() && len(a.Codes) < mostDecided {
				a.Codes = append(a.Codes, p.Code)
			}
		}
		if len(a.Codes) == 0 {
			return DecidedList{}, fmt.Errorf("no laptop waits that asked with the token %.40s", a.Token)
		}
	}
	done, err := c.DecidePending(ctx, s.ID, d, what, a.Codes)
	return DecidedList{School: s.ID, Decided: done}, err
}
