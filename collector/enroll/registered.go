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
	// WithTag returns the asset of that tag, as WithSerial does.
	WithTag(ctx context.Context, tag string) (a register.Asset, ok bool, err error)
}

// tying makes the sections of the entry by which an asset is a device that somebody
// approved.
type tying = func(tag string, device posture.DeviceID) ([]proof.Section, error)

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
// register has it. Otherwise it notes why that has to wait; "" is that it was
// admitted, or that it has asked before. A laptop is held against the register once:
// whoever tries serial numbers needs room among those that wait for each. It is
// called in the queue.
func (s *Service) registered(ctx context.Context, d *desk, token roster.Token, key *ecdsa.PublicKey, asked *applicant, t told, now time.Time) error {
	a, err := d.find(ctx, token, t)
	if err != nil {
		s.log.Warn("the register cannot be asked about a laptop", "school", d.School.ID, "token", token.ID, "error", err)
		return errUnread
	}
	asked.recall(a, now)
	switch {
	case len(t.Serial) == 0:
		asked.Why = whyNoSerial
	case a.Tag == "":
		asked.Why = whyUnregistered
	default:
		asked.Why = a.WhyWaits(now)
	}
	if asked.Why != "" {
		return nil
	}
	t.Asset = a.Tag
	device, err := s.admit(ctx, d, token, key, t, now)
	if err == nil {
		s.log.Info("the register admitted a laptop by its serial number", "school", d.School.ID, "device", device.ID, "asset", t.Asset)
	}
	return err
}

// mostRecognising is how long a laptop that waits for approval is kept from
// waiting by a register that is not all read.
const mostRecognising = 3 * time.Second

// recognise notes which asset a laptop may be that is going to wait for approval.
// Nobody is admitted by that, so nobody queues: what is found shows only if the
// laptop gets a place. While the register cannot be read it waits without.
func (s *Service) recognise(ctx context.Context, d *desk, token roster.Token, asked *applicant, t told, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, mostRecognising)
	defer cancel()
	a, err := d.find(ctx, token, t)
	if err != nil {
		s.log.Warn("the register cannot be asked which asset a laptop is that waits", "school", d.School.ID, "code", asked.Code, "error", err)
		return
	}
	asked.recall(a, now)
}

// find returns the asset of which a laptop says the serial number; one without a
// tag is that there is none.
func (d *desk) find(ctx context.Context, token roster.Token, t told) (register.Asset, error) {
	if len(t.Serial) == 0 || d.Assets == nil {
		return register.Asset{}, nil
	}
	a, ok, err := d.Assets.WithSerial(ctx, func(serial string) bool {
		return identity.SameHash(proof.Digest(identity.HideSerial(token.Hash, serial)), proof.Digest(t.Serial))
	})
	if err != nil || !ok {
		return register.Asset{}, err
	}
	return a, nil
}

// recall keeps of an asset that is in use its tag: of its serial number nothing.
func (a *applicant) recall(found register.Asset, now time.Time) {
	if found.Tag != "" && !found.Out(now) {
		a.Asset, a.AssetEntry = found.Tag, found.Entry
	}
}

// known is which asset one is that is approved, or why it is none.
type known struct{ tag, untied string }

// whyUnread is why a laptop is approved and tied to nothing while the register
// cannot be read.
const whyUnread = "the register could not be read at this moment, so say yourself which asset it is"

// recalled asks the register again about those that are to be approved: which is
// its asset still, by their codes. An asset is given to the first that has it. It
// is called in the queue, and while no lock of those that wait is held.
func (s *Service) recalled(ctx context.Context, d *desk, codes []string, now time.Time) map[string]known {
	all, given := map[string]known{}, map[string]bool{}
	unread := false
	for _, code := range codes {
		a := d.pending.coded(code)
		if _, twice := all[code]; a == nil || a.Asset == "" || twice {
			continue
		}
		one := known{untied: whyUnread}
		if !unread && d.Assets != nil {
			asset, ok, err := d.Assets.WithTag(ctx, a.Asset)
			if err != nil {
				s.log.Warn("the register cannot be asked which asset a laptop is that is approved", "school", d.School.ID, "code", code, "error", err)
				unread = true
			} else {
				one.untied = whyUntied(a, asset, ok, given, now)
			}
		}
		if one.untied == "" {
			one.tag = a.Asset
			given[register.Key(a.Asset)] = true
		}
		all[code] = one
	}
	return all
}

func whyUntied(a *applicant, asset register.Asset, ok bool, given map[string]bool, now time.Time) string {
	switch {
	case !ok:
		return fmt.Sprintf("the register has no %s any more", a.Asset)
	case asset.SerialEntry > a.AssetEntry:
		return fmt.Sprintf("the register's %s was given another serial number since it asked", a.Asset)
	case given[register.Key(a.Asset)]:
		return fmt.Sprintf("another laptop that was approved with it said the serial number of the register's %s too", a.Asset)
	}
	return asset.WhyWaits(now)
}

// tied returns the entry by which an asset is the device that said its serial
// number; none for a device that is no asset.
func (s *Service) tied(d *desk, id posture.DeviceID, token roster.Token, t told, now time.Time) ([]ledger.Entry, error) {
	if t.Asset == "" {
		return nil, nil
	}
	tie := t.Tie
	if tie == nil {
		tie = func(tag string, id posture.DeviceID) ([]proof.Section, error) { return d.Assets.Tied(tag, id, token) }
	}
	sections, err := tie(t.Asset, id)
	if err != nil {
		return nil, fmt.Errorf("tie the asset %s: %w", t.Asset, err)
	}
	maker := roster.Maker{School: d.School.ID, Intake: s.intake}
	return []ledger.Entry{maker.Entry(proof.KindDecision, "", now, sections...)}, nil
}
