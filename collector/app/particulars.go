package app

import (
	"cmp"
	"context"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/particulars"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// ParticularsArguments ask who a school is for data protection, or say it.
type ParticularsArguments struct {
	School string                  `json:"school"`
	Said   particulars.Particulars `json:"said,omitzero"`
	Was    uint64                  `json:"was,omitempty"` // entry of what the caller saw and changed; 0: there was none
	Reason string                  `json:"reason,omitempty"`
	Key    string                  `json:"key,omitempty"` // access key of the account that says it; "": the operator
}

// usualParticularsReason stands where nobody gave another.
const usualParticularsReason = "who the school is for data protection"

// SetParticulars implements api.ParticularsSetter and web.ParticularsSetter.
func (c *collector) SetParticulars(ctx context.Context, id posture.SchoolID, d decision.Decision, was uint64) (entry uint64, err error) {
	s, err := c.deciding(ctx, string(id))
	if err != nil {
		return 0, err
	}
	last, err := c.view.Queries().Particulars(ctx, id, c.clock.Now())
	switch {
	case err != nil:
		return 0, err
	case last.Entry != was:
		return 0, &decision.RefusedError{Why: "somebody else has changed the particulars meanwhile: look at them, and change them again"}
	case d.Particulars.Equal(last.Particulars):
		return 0, &decision.RefusedError{Why: "this is what the school says already"}
	}
	defer c.show(ctx, s)
	at, err := s.decide(ctx, d, c.clock.Now())
	return at + 1, err
}

// setParticulars says who a school is at the command line.
func (c *collector) setParticulars(ctx context.Context, a ParticularsArguments) (view.Particulars, error) {
	s, err := c.school(a.School)
	if err != nil {
		return view.Particulars{}, err
	}
	by, err := c.decider(a.Key, s.ID, access.SetParticulars)
	if err != nil {
		return view.Particulars{}, err
	}
	d := decision.Decision{
		Kind: decision.SetParticulars, By: by, At: c.clock.Now(), Reason: cmp.Or(a.Reason, usualParticularsReason), Particulars: &a.Said,
	}
	if err := d.CheckNew(); err != nil {
		return view.Particulars{}, err
	}
	if _, err := c.SetParticulars(ctx, s.ID, d, a.Was); err != nil {
		return view.Particulars{}, err
	}
	return c.view.Queries().Particulars(ctx, s.ID, c.clock.Now())
}

// particulars says who a school is for data protection.
func (c *collector) particulars(ctx context.Context, a ParticularsArguments) (view.Particulars, error) {
	r, err := c.record(a.School)
	if err != nil {
		return view.Particulars{}, err
	}
	return c.view.Queries().Particulars(ctx, r.id, c.clock.Now())
}
