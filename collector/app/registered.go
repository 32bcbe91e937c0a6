package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// registered is a school's register as the desk asks it at which laptops enrol.
type registered struct {
	c *collector
	s *school
}

// mostUnread is how long a laptop waits until all is shown that was decided
// before it asked. It asks again.
const mostUnread = 10 * time.Second

// WithSerial implements enroll.Assets.
func (r registered) WithSerial(ctx context.Context, fits func(serial string) bool) (a register.Asset, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, mostUnread)
	defer cancel()
	if err := r.s.follows(ctx, r.c.running); err != nil {
		return a, false, fmt.Errorf("wait until the register of %s is shown: %w", r.s.Name, err)
	}
	return r.c.view.Queries().WithSerial(ctx, r.s.ID, fits, r.c.clock.Now())
}

// Tied implements enroll.Assets: whoever made the token decided that the register
// admits.
func (r registered) Tied(tag string, device posture.DeviceID, token roster.Token) ([]proof.Section, error) {
	var salts [2][proof.SaltSize]byte
	for i := range salts {
		if _, err := rand.Read(salts[i][:]); err != nil {
			return nil, fmt.Errorf("salt a decision: %w", err)
		}
	}
	d := decision.Decision{
		Kind: decision.Register, By: token.By, At: r.c.clock.Now(),
		Reason: "admitted by its serial number, with the token " + token.ID + ", which admits what is in the register",
	}
	return decision.RegisterSections(d, register.Change{What: register.TieBySerial, Tag: tag, Device: device}, salts)
}
