package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/evidence"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// evidence gathers and seals what is proven of a device at a moment.
func (c *collector) evidence(ctx context.Context, a EvidenceArguments) (EvidenceAnswer, error) {
	s, err := c.readable(a.School)
	if err != nil {
		return EvidenceAnswer{}, err
	}
	d, err := c.device(ctx, ListArguments{School: a.School, Device: a.Device})
	if err != nil {
		return EvidenceAnswer{}, err
	}
	_, sealed, err := c.SealDevice(ctx, s.ID, evidence.Question{Device: d.ID, At: a.At, Aware: a.Aware, Zone: a.Zone, By: operator()})
	return EvidenceAnswer{Device: d.ID, Hostname: d.Hostname, Bundle: sealed}, err
}

// gather gathers evidence for whoever asks.
func (c *collector) gather(ctx context.Context, s *school, q evidence.Question) (*evidence.Bundle, error) {
	q.Now = c.clock.Now()
	if q.At.IsZero() {
		q.At = q.Now
	}
	if q.Zone != "" {
		if _, err := time.LoadLocation(q.Zone); err != nil {
			return nil, fmt.Errorf("read times in %.64q: %w", q.Zone, err)
		}
	}
	// The view says where things are. What it has not folded in yet is looked
	// for, and what it says wrongly is refused.
	h, err := c.view.Queries().History(ctx, s.ID, q.Device)
	if err != nil {
		return nil, err
	}
	q.Found = foundIn(h)
	return evidence.Collect(ctx, s.source(), q)
}

// source is where evidence of a school comes from.
func (s *school) source() evidence.School {
	return evidence.School{ID: s.ID, Name: s.Name, Key: s.verifier, Ledger: s.ledger, Roster: s.roster}
}

func foundIn(h view.History) evidence.Found {
	f := evidence.Found{Revoked: h.Revoked, Asset: h.AssetTag, Recovery: h.Recovery, Folded: h.Folded, Disputed: h.Disputed}
	for _, s := range h.Quarantine {
		f.Apart = append(f.Apart, evidence.Apart{From: s.From, To: s.To})
	}
	for _, s := range h.Twice {
		f.Twice = append(f.Twice, evidence.Apart{From: s.From, To: s.To})
	}
	for _, d := range h.Days {
		f.Heard = append(f.Heard, evidence.Place{Entry: d.Entry, Section: d.Section})
	}
	for _, p := range h.Policies {
		f.Policies = append(f.Policies, evidence.Policy{Number: p.Number, Entry: p.Entry, Silence: p.Silence})
	}
	return f
}

// SealDevice gathers and seals what is proven of a device at a moment. It
// implements web.Prover.
func (c *collector) SealDevice(ctx context.Context, id posture.SchoolID, q evidence.Question) (b *evidence.Bundle, sealed []byte, err error) {
	s, err := c.readable(string(id))
	if err != nil {
		return nil, nil, err
	}
	if b, err = c.gather(ctx, s, q); err != nil {
		return nil, nil, err
	}
	sealed, err = b.Seal(s.Key)
	return b, sealed, err
}

// Prove implements api.Prover.
func (c *collector) Prove(ctx context.Context, id posture.SchoolID, q api.EvidenceQuestion) (api.Evidence, error) {
	b, sealed, err := c.SealDevice(ctx, id, evidence.Question{Device: q.Device, At: q.At, Aware: q.Aware, Zone: q.Zone.String(), By: q.By})
	switch {
	case errors.Is(err, evidence.ErrNotYet):
		return api.Evidence{}, api.ErrNotYet
	case errors.Is(err, evidence.ErrNoDevice):
		return api.Evidence{}, view.ErrNotFound
	case err != nil:
		return api.Evidence{}, err
	}
	var page bytes.Buffer
	if err := evidence.Print(&page, b, q.Zone, time.Time{}); err != nil {
		return api.Evidence{}, err
	}
	return api.Evidence{
		Device: b.Device, Hostname: b.Sheet.Hostname, At: b.At, MadeAt: b.MadeAt, MadeBy: b.MadeBy,
		State: string(b.Sheet.State), Since: b.Sheet.Since, HeardAt: b.Sheet.LastSign(), Receipt: b.Sheet.Reported.Entry, TellBy: b.TellBy,
		Page: page.String(), Sealed: sealed, FileName: b.FileName(),
	}, nil
}
