package app

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/evidence"
	"github.com/caretaker-school/caretaker/collector/web"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// SchoolOn implements api.Recorder.
func (c *collector) SchoolOn(ctx context.Context, id posture.SchoolID, q api.PositionQuestion) (api.SchoolEvidence, error) {
	b, sealed, err := c.SealSchool(ctx, id, evidence.PositionQuestion{At: q.At, Zone: q.Zone.String(), By: q.By})
	if errors.Is(err, evidence.ErrNotYet) {
		return api.SchoolEvidence{}, api.ErrNotYet
	}
	if err != nil {
		return api.SchoolEvidence{}, err
	}
	var page bytes.Buffer
	if err := evidence.Print(&page, b, q.Zone, time.Time{}); err != nil {
		return api.SchoolEvidence{}, err
	}
	return api.SchoolEvidence{
		School: id, Name: b.SchoolName, At: b.At, MadeAt: b.MadeAt, MadeBy: b.MadeBy, Page: page.String(), Sealed: sealed, FileName: b.FileName(),
	}, nil
}

// SignCheckpoint implements api.Recorder.
func (c *collector) SignCheckpoint(ctx context.Context, id posture.SchoolID) (api.Checkpoint, error) {
	a, err := c.checkpoint(ctx, LedgerArguments{School: string(id)})
	return api.Checkpoint(a), err
}

// RecordStatus implements api.Recorder.
func (c *collector) RecordStatus(ctx context.Context, id posture.SchoolID) (api.RecordStatus, error) {
	r, err := c.record(string(id))
	if err != nil {
		return api.RecordStatus{}, err
	}
	s, err := c.statusOf(ctx, r)
	a := api.RecordStatus{
		School: s.School, Name: s.Name, Well: s.Well(), Recording: s.Recording, Entries: s.Entries, Shown: s.Shown, Behind: s.Behind, Since: s.Since,
		Trouble: s.Trouble, Policy: s.Policy, Calendar: s.Calendar, Covered: s.Covered, ClockBack: s.ClockBack,
	}
	if s.Damage != nil {
		a.Damage = s.Damage.String()
	}
	return a, err
}

// Assess implements api.Recorder.
func (c *collector) Assess(ctx context.Context, id posture.SchoolID, device posture.DeviceID, by string) error {
	err := c.AssessNow(ctx, id, device, by)
	if errors.Is(err, web.ErrAway) {
		return api.ErrAway
	}
	return err
}

// Notices implements api.Recorder. What was told by a way of every school may
// name another.
func (c *collector) Notices(id posture.SchoolID) api.Notices {
	a := api.Notices{Ways: []api.NoticeWay{}, Log: []api.NoticeSent{}}
	if err := c.notices.Trouble(); err != nil {
		a.Trouble = plainly(err)
	}
	own := map[string]bool{}
	for _, s := range c.notices.Status() {
		if s.School != id && s.School != access.EverySchool {
			continue
		}
		own[s.ID] = s.School == id
		a.Ways = append(a.Ways, api.NoticeWay{
			ID: s.ID, Kind: string(s.Kind), Role: s.Role, To: s.To, Every: s.School == access.EverySchool, Delivered: s.Delivered,
			LastDelivery: s.LastDelivery, Attempts: s.Attempts, Failing: s.Failing, Next: s.Next, Why: s.Why,
		})
	}
	for _, l := range c.notices.Log() {
		if own[l.Channel] {
			a.Log = append(a.Log, api.NoticeSent{
				ID: l.ID, Way: l.Channel, Made: l.Made, Subject: l.Subject, Delivered: l.Delivered, GivenUp: l.GivenUp, Attempts: l.Attempts, Why: l.Why,
			})
		}
	}
	return a
}
