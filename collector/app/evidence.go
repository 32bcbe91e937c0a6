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
	b, err := c.gather(ctx, s, d.ID, a, operator())
	if err != nil {
		return EvidenceAnswer{}, err
	}
	sealed, err := b.Seal(s.Key)
	return EvidenceAnswer{Device: d.ID, Hostname: d.Hostname, Bundle: sealed}, err
}

// gather gathers evidence for whoever asks.
func (c *collector) gather(ctx context.Context, s *school, id posture.DeviceID, a EvidenceArguments, by string) (*evidence.Bundle, error) {
	now := c.clock.Now()
	if a.At.IsZero() {
		a.At = now
	}
	if a.Zone != "" {
		if _, err := time.LoadLocation(a.Zone); err != nil {
			return nil, fmt.Errorf("read times in %.64q: %w", a.Zone, err)
		}
	}
	// The view says where things are. What it has not folded in yet is looked
	// for, and what it says wrongly is refused.
	h, err := c.view.Queries().History(ctx, s.ID, id)
	if err != nil {
		return nil, err
	}
	return evidence.Collect(ctx, s.source(), evidence.Question{
		Device: id, At: a.At, Aware: a.Aware, Zone: a.Zone, By: by, Now: now, Found: foundIn(h),
	})
}

// source is where evidence of a school comes from.
func (s *school) source() evidence.School {
	return evidence.School{ID: s.ID, Name: s.Name, Key: s.verifier, Ledger: s.ledger, Roster: s.roster}
}

func foundIn(h view.History) evidence.Found {
	f := evidence.Found{Revoked: h.Revoked, Asset: h.AssetTag, Recovery: h.Recovery, Folded: h.Folded}
	for _, d := range h.Days {
		f.Heard = append(f.Heard, evidence.Place{Entry: d.Entry, Section: d.Section})
	}
	for _, p := range h.Policies {
		f.Policies = append(f.Policies, evidence.Policy{Number: p.Number, Entry: p.Entry, Silence: p.Silence})
	}
	return f
}

// Prove implements api.Prover.
func (c *collector) Prove(ctx context.Context, id posture.SchoolID, q api.EvidenceQuestion) (api.Evidence, error) {
	s, err := c.readable(string(id))
	if err != nil {
		return api.Evidence{}, err
	}
	b, err := c.gather(ctx, s, q.Device, EvidenceArguments{At: q.At, Aware: q.Aware, Zone: q.Zone.String()}, q.By)
	switch {
	case errors.Is(err, evidence.ErrNotYet):
		return api.Evidence{}, api.ErrNotYet
	case errors.Is(err, evidence.ErrNoDevice):
		return api.Evidence{}, view.ErrNotFound
	case err != nil:
		return api.Evidence{}, err
	}
	sealed, err := b.Seal(s.Key)
	if err != nil {
		return api.Evidence{}, err
	}
	var page bytes.Buffer
	if err := evidence.Print(&page, b, q.Zone, time.Time{}); err != nil {
		return api.Evidence{}, err
	}
	heard := b.Sheet.HeldAt
	if n := len(b.Sheet.Spans); n > 0 && b.Sheet.Spans[n-1].To.After(heard) {
		heard = b.Sheet.Spans[n-1].To
	}
	return api.Evidence{
		Device: b.Device, Hostname: b.Sheet.Hostname, At: b.At, MadeAt: b.MadeAt, MadeBy: b.MadeBy,
		State: string(b.Sheet.State), Since: b.Sheet.Since, HeardAt: heard, Receipt: b.Sheet.Reported.Entry, TellBy: b.TellBy,
		Page: page.String(), Sealed: sealed, FileName: fmt.Sprintf("%s-%s.evidence", b.Device, b.At.Format("20060102T150405Z")),
	}, nil
}
