package enroll

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// beside makes the sections of the entry that records a decision.
type beside = func(admission.Change) ([]proof.Section, error)

// mostTogether is how many devices are recorded by one append.
const mostTogether = 64

// Pending returns the devices of a school that wait to be admitted, and those
// that were refused of late: who asked first first.
func (s *Service) Pending(school posture.SchoolID) []admission.Pending {
	d := s.open(school)
	if d == nil {
		return nil
	}
	d.pending.changing.Lock()
	d.sweep(s.clock.Now())
	d.pending.changing.Unlock()
	return d.pending.list()
}

// open returns a school's desk, or nil if it has none that is open.
func (s *Service) open(school posture.SchoolID) *desk {
	d, err := s.desk(school, errToken)
	if err != nil {
		return nil
	}
	return d
}

var errShut = errors.New("the school's record cannot be written at present")

// sweep is called with pending.changing held.
func (d *desk) sweep(now time.Time) {
	d.pending.sweep(now, func(key *ecdsa.PublicKey) bool { _, known := d.Roster.Holder(key); return known })
}

// Approve admits devices that wait, or were refused and are admitted after all.
// Each is recorded with who decided that before anybody is told; it gets its
// certificate when it asks next. What cannot be approved is said, and stops no
// other. A use of its token is counted now, even if the token has ended or was
// used up since: who approved has seen the device, which a token has not. One whose
// serial number the register had is that asset from then on, by whoever approved
// it, if the register still says so; if not, what became of it says why.
func (s *Service) Approve(ctx context.Context, school posture.SchoolID, codes []string, by beside, tie tying) ([]admission.Decided, error) {
	d := s.open(school)
	if d == nil {
		return nil, errShut
	}
	leave, err := d.queue(ctx) // so none is admitted by the register meanwhile
	if err != nil {
		return nil, err
	}
	defer leave()
	assets := s.recalled(ctx, d, codes, s.clock.Now())
	return s.decide(ctx, school, codes, func(d *desk, a *applicant, now time.Time, out *admission.Decided) ([]ledger.Entry, error) {
		return s.approval(d, a, now, by, approving{assets[a.Code], tie}, out)
	}, func(d *desk, a *applicant, _ time.Time) error { d.pending.drop(a); return nil })
}

// Refuse has devices that wait told that they are not admitted, and why.
func (s *Service) Refuse(ctx context.Context, school posture.SchoolID, codes []string, reason string, by beside) ([]admission.Decided, error) {
	return s.decide(ctx, school, codes, func(d *desk, a *applicant, now time.Time, out *admission.Decided) ([]ledger.Entry, error) {
		if !a.Refused.IsZero() {
			out.Why = "it was refused already"
			return nil, nil
		}
		sections, err := by(admission.Change{What: admission.Refuse, Token: a.Token, Code: a.Code})
		maker := roster.Maker{School: d.School.ID, Intake: s.intake}
		return []ledger.Entry{maker.Entry(proof.KindDecision, "", now, sections...)}, err
	}, func(d *desk, a *applicant, now time.Time) error {
		refused := d.pending.copy(a)
		refused.Refused, refused.RefusedFor, refused.Ends = now.UTC(), reason, now.Add(PendingLasts).UTC()
		d.pending.makeRoom()
		return d.pending.store(refused)
	})
}

// approving is as which asset a device is approved, and who ties it.
type approving struct {
	known
	tie tying
}

// approval returns the entries that admit a device, the decision first: nobody is
// admitted without one.
func (s *Service) approval(d *desk, a *applicant, now time.Time, by beside, as approving, out *admission.Decided) ([]ledger.Entry, error) {
	token, _, ok := d.Roster.Token(a.Token)
	if !ok {
		out.Why = "the token with which it asked is not known any more"
		return nil, nil
	}
	key, err := a.key()
	if err != nil {
		return nil, err
	}
	out.Device = newDevice()
	sections, err := by(admission.Change{What: admission.Approve, Device: out.Device, Token: a.Token, Code: a.Code})
	if err != nil {
		return nil, err
	}
	made, err := s.entries(d, out.Device, token, key, told{
		Platform: a.Platform, Hostname: a.Hostname, Manufacturer: a.Manufacturer, Model: a.Model, Version: a.AgentVersion, Claim: a.Claim, Code: a.Code,
		Asset: as.tag, Tie: as.tie,
	}, now)
	if err != nil {
		return nil, err
	}
	out.Asset, out.Untied = as.tag, as.untied
	maker := roster.Maker{School: d.School.ID, Intake: s.intake}
	return append([]ledger.Entry{maker.Entry(proof.KindDecision, string(out.Device), now, sections...)}, made...), nil
}

// decide goes through devices, records what is decided of them some at a time,
// and then lets what is kept of them follow.
func (s *Service) decide(ctx context.Context, school posture.SchoolID, codes []string,
	entries func(*desk, *applicant, time.Time, *admission.Decided) ([]ledger.Entry, error), follow func(*desk, *applicant, time.Time) error,
) ([]admission.Decided, error) {
	d := s.open(school)
	if d == nil {
		return nil, errShut
	}
	now := s.clock.Now()
	d.pending.changing.Lock()
	defer d.pending.changing.Unlock()
	if err := d.Roster.CatchUp(ctx); err != nil {
		return nil, err
	}
	d.sweep(now)
	all := make([]admission.Decided, 0, len(codes))
	for len(codes) > 0 {
		some := codes[:min(len(codes), mostTogether)]
		codes = codes[len(some):]
		done, err := s.decideSome(ctx, d, some, now, entries, follow)
		if all = append(all, done...); err != nil {
			return all, err
		}
	}
	return all, nil
}

func (s *Service) decideSome(ctx context.Context, d *desk, codes []string, now time.Time,
	entries func(*desk, *applicant, time.Time, *admission.Decided) ([]ledger.Entry, error), follow func(*desk, *applicant, time.Time) error,
) ([]admission.Decided, error) {
	decided := make([]admission.Decided, len(codes))
	places := map[int]int{} // of the entry that decides, by that of the device
	var all []ledger.Entry
	taken := map[string]*applicant{}
	for i, code := range codes {
		decided[i].Code = code
		if slices.Contains(codes[:i], code) {
			decided[i].Why = "it is named twice"
			continue
		}
		a, release := d.hold(code, &decided[i])
		if a == nil {
			continue
		}
		defer release()
		made, err := entries(d, a, now, &decided[i])
		if err != nil {
			return nil, fmt.Errorf("decide about the laptop %s: %w", code, err)
		}
		if decided[i].Why != "" {
			continue
		}
		places[i], taken[code] = len(all), a
		all = append(all, made...)
	}
	if len(all) == 0 {
		return decided, nil
	}
	at, err := d.Ledger.Append(context.WithoutCancel(ctx), all...)
	if err != nil {
		return nil, fmt.Errorf("record what was decided about who waits to be admitted: %w", err)
	}
	if err := d.Roster.CatchUp(context.WithoutCancel(ctx)); err != nil {
		return nil, err
	}
	for i, place := range places {
		decided[i].Entry = uint64(at[place])
		if err := follow(d, taken[decided[i].Code], now); err != nil {
			return decided, err
		}
		s.log.Info("decided about a laptop that waited to be admitted", "school", d.School.ID, "code", decided[i].Code, "device", decided[i].Device)
	}
	return decided, nil
}

// hold finds one that waits, and has nobody with its key be admitted by another
// way meanwhile. It returns nil if there is nothing to decide, and says why.
func (d *desk) hold(code string, out *admission.Decided) (*applicant, func()) {
	a := d.pending.coded(code)
	if a == nil {
		out.Why = "no laptop with this code waits: it was admitted, it waited for 14 days, or the code is mistyped"
		return nil, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	name := string(a.Key)
	if _, under := d.admitting[name]; under {
		out.Why = "it is being admitted at this moment"
		return nil, nil
	}
	mine := &entering{done: make(chan struct{})}
	d.admitting[name] = mine
	return a, func() { d.release(name, mine) }
}
