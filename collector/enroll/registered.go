package enroll

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Assets is the part of a school's register that its desk asks.
type Assets interface {
	// WithSerial returns the asset whose serial number, normalised, fits; ok is false
	// if none does. It knows of everything that was decided before, enrolments too,
	// or fails.
	WithSerial(ctx context.Context, fits func(serial string) bool) (a register.Asset, ok bool, err error)
	// Tied returns the sections of the entry by which an asset is a device that said
	// its serial number, as was decided by whoever made the token.
	Tied(tag string, device posture.DeviceID, token roster.Token) ([]proof.Section, error)
}

// Why a laptop waits that the register could have admitted.
const (
	whyNoSerial     = "it says no serial number"
	whyUnregistered = "its serial number is not in the register"
)

// errUnread is what a laptop is told while it is not known what the register says.
// It asks again: not knowing admits nobody, and has nobody wait for good.
var errUnread = status.Error(codes.Unavailable, "the school's register is not all read at this moment: try again later")

// serialSize is how much a laptop says of its serial number, hidden.
const serialSize = 32

// queue has laptops asked about one at a time that the register may admit: so an
// asset admits one, and a guess is counted before the next. leave is called after.
func (d *desk) queue(ctx context.Context) (leave func(), err error) {
	select {
	case d.registering <- struct{}{}:
		return func() { <-d.registering }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// registered admits a laptop that is asked about for the first time, if the
// register has it. Otherwise it says why that has to wait; "" is that it was
// admitted, or that it has asked before. A laptop is held against the register once:
// whoever tries serial numbers needs room among those that wait for each. It is
// called in the queue.
func (s *Service) registered(ctx context.Context, d *desk, token roster.Token, key *ecdsa.PublicKey, t told, now time.Time) (why string, err error) {
	why, err = d.unregistered(ctx, token, &t, now)
	if err != nil {
		s.log.Warn("the register cannot be asked about a laptop", "school", d.School.ID, "token", token.ID, "error", err)
		return "", errUnread
	}
	if why != "" {
		return why, nil
	}
	device, err := s.admit(ctx, d, token, key, t, now)
	if err == nil {
		s.log.Info("the register admitted a laptop by its serial number", "school", d.School.ID, "device", device.ID, "asset", t.Asset)
	}
	return "", err
}

// unregistered says why the register does not admit a laptop, or notes as which
// asset it does.
func (d *desk) unregistered(ctx context.Context, token roster.Token, t *told, now time.Time) (why string, err error) {
	switch {
	case len(t.Serial) == 0:
		return whyNoSerial, nil
	case d.Assets == nil:
		return whyUnregistered, nil
	}
	a, ok, err := d.Assets.WithSerial(ctx, func(serial string) bool {
		return identity.SameHash(proof.Digest(identity.HideSerial(token.Hash, serial)), proof.Digest(t.Serial))
	})
	if err != nil {
		return "", err
	}
	if !ok {
		return whyUnregistered, nil
	}
	if why := a.WhyWaits(now); why != "" {
		return why, nil
	}
	t.Asset = a.Tag
	return "", nil
}

// tied returns the entry by which an asset is the device that its serial number
// admitted; none for any other.
func (s *Service) tied(d *desk, id posture.DeviceID, token roster.Token, t told, now time.Time) ([]ledger.Entry, error) {
	if t.Asset == "" {
		return nil, nil
	}
	sections, err := d.Assets.Tied(t.Asset, id, token)
	if err != nil {
		return nil, fmt.Errorf("tie the asset %s: %w", t.Asset, err)
	}
	maker := roster.Maker{School: d.School.ID, Intake: s.intake}
	return []ledger.Entry{maker.Entry(proof.KindDecision, "", now, sections...)}, nil
}
