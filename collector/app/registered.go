package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/view"
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
	if err := r.read(ctx); err != nil {
		return a, false, err
	}
	return r.c.view.Queries().WithSerial(ctx, r.s.ID, fits, r.c.clock.Now())
}

// WithTag implements enroll.Assets.
func (r registered) WithTag(ctx context.Context, tag string) (a register.Asset, ok bool, err error) {
	if err := r.read(ctx); err != nil {
		return a, false, err
	}
	one, err := r.c.view.Queries().Asset(ctx, r.s.ID, tag, r.c.clock.Now())
	if errors.Is(err, view.ErrNotFound) {
		return a, false, nil
	}
	return one.Asset, err == nil, err
}

// read waits until the register is shown as far as was decided.
func (r registered) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, mostUnread)
	defer cancel()
	if err := r.s.follows(ctx, r.c.running); err != nil {
		return fmt.Errorf("wait until the register of %s is shown: %w", r.s.Name, err)
	}
	return nil
}

// Tied implements enroll.Assets: whoever made the token decided that the register
// admits.
func (r registered) Tied(tag string, device posture.DeviceID, token roster.Token) ([]proof.Section, error) {
	return ties(decision.Decision{
		Kind: decision.Register, By: token.By, At: r.c.clock.Now(),
		Reason: "admitted by its serial number, with the token " + token.ID + ", which admits what is in the register",
	}, register.Change{What: register.TieBySerial, Tag: tag, Device: device})
}

// tiedBy ties a device that somebody approved to the asset that has its serial
// number, as they decided.
func tiedBy(d decision.Decision) func(tag string, device posture.DeviceID) ([]proof.Section, error) {
	return func(tag string, device posture.DeviceID) ([]proof.Section, error) {
		return ties(decision.Decision{
			Kind: decision.Register, By: d.By, At: d.At, Reason: "approved while it waited, and the register has its serial number",
		}, register.Change{What: register.TieBySerial, Tag: tag, Device: device, On: true})
	}
}

func ties(d decision.Decision, change register.Change) ([]proof.Section, error) {
	var salts [2][proof.SaltSize]byte
	for i := range salts {
		if _, err := rand.Read(salts[i][:]); err != nil {
			return nil, fmt.Errorf("salt a decision: %w", err)
		}
	}
	return decision.RegisterSections(d, change, salts)
}
