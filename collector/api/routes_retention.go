package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Retainer says how long a school keeps what, and changes it.
type Retainer interface {
	Retention(ctx context.Context, school posture.SchoolID) (Retention, error)
	// SetRetention records a change of the times and returns the entry that holds
	// it.
	SetRetention(ctx context.Context, school posture.SchoolID, d decision.Decision, times map[string]string) (entry uint64, err error)
	// PreviewRetention counts what would be forgotten at a moment.
	PreviewRetention(ctx context.Context, school posture.SchoolID, on time.Time) (Purges, error)
}

// Retention is how long a school keeps what, and what was forgotten lately.
type Retention struct {
	School posture.SchoolID `json:"school"`
	Items  []Kept           `json:"items"`
	Purges []Purge          `json:"purges"` // the last ones, newest last
}

// Kept is how long one thing is kept.
type Kept struct {
	Item   string  `json:"item"`
	What   string  `json:"what"`
	From   string  `json:"from"` // the moment from which the time counts
	Time   string  `json:"time"` // such as "90 days"
	Usual  string  `json:"usual"`
	Least  string  `json:"least"`
	Most   string  `json:"most"`
	Chosen *Chosen `json:"chosen,omitempty"` // by whom and why; nobody, if it is as usual
}

// Chosen is who said how long something is kept, until that is forgotten.
type Chosen struct {
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
	Entry  uint64    `json:"entry"` // of the ledger
}

// Purges is what was forgotten at a moment, or would be.
type Purges struct {
	School posture.SchoolID `json:"school"`
	At     time.Time        `json:"at"`
	DryRun bool             `json:"dryRun"`
	Purges []Purge          `json:"purges"`
}

// Purge is a class and month of which something was forgotten, in counts only.
type Purge struct {
	At        time.Time `json:"at"`
	Item      string    `json:"item,omitempty"` // the time of which was over; "" if somebody asked for it
	Class     string    `json:"class"`
	Month     string    `json:"month"` // such as "2026-10"
	Forgotten uint64    `json:"forgotten"`
	Kept      uint64    `json:"kept,omitempty"`
	Events    uint64    `json:"events,omitempty"` // media that came, in what was forgotten
	By        string    `json:"by,omitempty"`
	Reason    string    `json:"reason"`
}

// NewRetention is a change of how long things are kept as a caller gives it.
type NewRetention struct {
	Times  map[string]string `json:"times"` // by item, such as "media": "60 days"
	Reason string            `json:"reason"`
}

func retentionRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/schools/{school}/retention", right: access.ReadDevices, shows: viewing.Nobody,
			words: "How long a school keeps what, who said so, and what was forgotten lately.", gives: Retention{}, serve: (*door).retention,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/retention", right: access.SetRetention,
			words: "Changes how long a school keeps some things.", takes: NewRetention{}, gives: Recorded{}, serve: (*door).setRetention,
		},
		{
			method: http.MethodGet, path: "/schools/{school}/retention/preview", right: access.ReadDevices, shows: viewing.Nobody,
			words: "What would be forgotten at a moment, in counts. Nothing is.", gives: Purges{}, serve: (*door).previewRetention,
			params: []param{{name: "on", words: "the moment, as RFC 3339 has it; now if not given"}},
		},
	}
}

func (d *door) retention(r *http.Request, v visit) (any, error) {
	return d.Retainer.Retention(r.Context(), v.school.ID)
}

func (d *door) previewRetention(r *http.Request, v visit) (any, error) {
	on := v.now
	if text := v.params.first("on"); text != "" {
		var err error
		if on, err = time.Parse(time.RFC3339, text); err != nil {
			return nil, bad("on is no moment: write it as 2026-11-27T16:00:00Z")
		}
	}
	return d.Retainer.PreviewRetention(r.Context(), v.school.ID, on)
}

func (d *door) setRetention(r *http.Request, v visit) (any, error) {
	var asked NewRetention
	if err := readBody(r, &asked); err != nil {
		return nil, err
	}
	made := decision.Decision{Kind: decision.Retention, By: v.account.Name, At: v.now, Reason: asked.Reason}
	if err := made.CheckNew(); err != nil {
		return nil, bad("%s", err.Error())
	}
	entry, err := d.Retainer.SetRetention(r.Context(), v.school.ID, made, asked.Times)
	if refused, ok := errors.AsType[*decision.RefusedError](err); ok {
		return nil, &problem{Status: http.StatusConflict, Detail: refused.Error()}
	}
	return Recorded{Entry: entry}, err
}
