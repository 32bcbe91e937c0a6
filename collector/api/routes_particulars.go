package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/particulars"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// ParticularsQueries are the questions about who a school is for data protection.
type ParticularsQueries interface {
	Particulars(ctx context.Context, school posture.SchoolID, now time.Time) (view.Particulars, error)
}

// ParticularsSetter records who a school is for data protection.
type ParticularsSetter interface {
	// SetParticulars records them in place of those of an entry (0 if there are
	// none), and returns the entry. What cannot be recorded as things stand is a
	// decision.RefusedError.
	SetParticulars(ctx context.Context, school posture.SchoolID, d decision.Decision, was uint64) (entry uint64, err error)
}

func particularsRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/schools/{school}/particulars", right: access.ReadPrivacy,
			words: "Who a school is for data protection: its data-protection officer, whom to tell of a loss, its lawful basis, who else handles its data.",
			gives: view.Particulars{}, serve: (*door).particulars, shows: viewing.Nobody,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/particulars", right: access.SetParticulars,
			words: "Says who a school is for data protection, in place of all that it said before.",
			takes: NewParticulars{}, gives: Recorded{}, serve: (*door).setParticulars,
		},
	}
}

// NewParticulars is who a school is as a caller says it.
type NewParticulars struct {
	Said   particulars.Particulars `json:"said"`
	Was    uint64                  `json:"was"` // `entry` of what is replaced; 0 if nothing was said before
	Reason string                  `json:"reason"`
}

func (d *door) particulars(r *http.Request, v visit) (any, error) {
	return d.Queries.Particulars(r.Context(), v.school.ID, v.now)
}

func (d *door) setParticulars(r *http.Request, v visit) (any, error) {
	var asked NewParticulars
	if err := readBody(r, &asked); err != nil {
		return nil, err
	}
	made := decision.Decision{Kind: decision.SetParticulars, By: v.account.Name, At: v.now, Reason: asked.Reason, Particulars: &asked.Said}
	if err := made.CheckNew(); err != nil {
		return nil, bad("%s", err.Error())
	}
	entry, err := d.Particulars.SetParticulars(r.Context(), v.school.ID, made, asked.Was)
	if refused, ok := errors.AsType[*decision.RefusedError](err); ok {
		return nil, &problem{Status: http.StatusConflict, Detail: refused.Error()}
	}
	return Recorded{Entry: entry}, err
}
