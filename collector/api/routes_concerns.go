package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/concern"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// ConcernQueries are the questions about what people reported without signing
// in.
type ConcernQueries interface {
	Concerns(ctx context.Context, school posture.SchoolID, query view.ConcernQuery, now time.Time) (view.ConcernPage, error)
	Concern(ctx context.Context, school posture.SchoolID, id string, now time.Time) (view.Concern, error)
	ConcernAddress(ctx context.Context, school posture.SchoolID, now time.Time) (view.ConcernAddress, error)
}

// ConcernKeeper records what a school does about what was reported. What cannot
// be done as things stand is a decision.RefusedError.
type ConcernKeeper interface {
	// SetConcernsAside records that somebody looked at reports, by their
	// references, and that nothing follows.
	SetConcernsAside(ctx context.Context, school posture.SchoolID, d decision.Decision, references []string) (entry uint64, err error)
	// RenewConcernAddress gives the school another address for reports.
	RenewConcernAddress(ctx context.Context, school posture.SchoolID, d decision.Decision) (entry uint64, err error)
}

// NewAside is which reports are set aside, and why.
type NewAside struct {
	References []string `json:"references"`
	Reason     string   `json:"reason"`
}

// NewAddress is why a school gets another address for reports.
type NewAddress struct {
	Reason string `json:"reason"`
}

func concernRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/schools/{school}/concerns", right: access.ReadIncidents, shows: viewing.Incidents,
			words: "A page of what people reported without signing in, the newest first; or only what nobody has looked at yet, what waits longest first. An incident is opened because of one with `change.concern`.",
			gives: view.ConcernPage{}, serve: (*door).concerns,
			params: []param{{name: "waiting", words: "only what nobody has looked at yet", one: []string{"true"}}, afterParam, limitParam},
		},
		{
			method: http.MethodGet, path: "/schools/{school}/concerns/{reference}", right: access.ReadIncidents, shows: viewing.Incidents,
			words: "What was reported under a reference, and what became of it.", gives: view.Concern{}, serve: (*door).concern,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/concerns/aside", right: access.RecordIncidents,
			words: "Records that somebody looked at reports, and why nothing follows.", takes: NewAside{}, gives: Recorded{}, serve: (*door).setAside,
		},
		{
			method: http.MethodGet, path: "/schools/{school}/concern-address", right: access.ReadIncidents, shows: viewing.Nobody,
			words: "Where people of the school report without signing in: on the pages, below /report.", gives: view.ConcernAddress{}, serve: (*door).concernAddress,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/concern-address", right: access.RenewAddress,
			words: "Gives the school another address for reports. The one before leads nowhere from then on.", takes: NewAddress{}, gives: Recorded{}, serve: (*door).renewAddress,
		},
	}
}

func (d *door) concerns(r *http.Request, v visit) (any, error) {
	return d.Queries.Concerns(r.Context(), v.school.ID, view.ConcernQuery{
		Waiting: v.params.first("waiting") != "", After: v.params.first("after"), Limit: v.params.limit(),
	}, v.now)
}

func (d *door) concern(r *http.Request, v visit) (any, error) {
	reference, err := concern.ParseReference(r.PathValue("reference"))
	if err != nil {
		return nil, view.ErrNotFound
	}
	return d.Queries.Concern(r.Context(), v.school.ID, reference, v.now)
}

func (d *door) concernAddress(r *http.Request, v visit) (any, error) {
	return d.Queries.ConcernAddress(r.Context(), v.school.ID, v.now)
}

func (d *door) setAside(r *http.Request, v visit) (any, error) {
	var asked NewAside
	if err := readBody(r, &asked); err != nil {
		return nil, err
	}
	var ids []string
	for _, typed := range asked.References {
		id, err := concern.ParseReference(typed)
		if err != nil {
			return nil, bad("%s", err.Error())
		}
		ids = append(ids, id)
	}
	if err := (concern.Change{What: concern.SetAside, IDs: ids}).Check(); err != nil {
		return nil, bad("%s", err.Error())
	}
	return d.aboutConcerns(v, asked.Reason, func(made decision.Decision) (uint64, error) {
		return d.Concerns.SetConcernsAside(r.Context(), v.school.ID, made, ids)
	})
}

func (d *door) renewAddress(r *http.Request, v visit) (any, error) {
	var asked NewAddress
	if err := readBody(r, &asked); err != nil {
		return nil, err
	}
	return d.aboutConcerns(v, asked.Reason, func(made decision.Decision) (uint64, error) {
		return d.Concerns.RenewConcernAddress(r.Context(), v.school.ID, made)
	})
}

// aboutConcerns records a decision about reports under the account whose key
// asks.
func (d *door) aboutConcerns(v visit, reason string, record func(decision.Decision) (uint64, error)) (any, error) {
	made := decision.Decision{Kind: decision.Concern, By: v.account.Name, At: v.now, Reason: reason}
	if err := made.CheckNew(); err != nil {
		return nil, bad("%s", err.Error())
	}
	entry, err := record(made)
	if refused, ok := errors.AsType[*decision.RefusedError](err); ok {
		return nil, &problem{Status: http.StatusConflict, Detail: refused.Error()}
	}
	return Recorded{Entry: entry}, err
}
