package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// IncidentQueries are the questions about a school's incidents.
type IncidentQueries interface {
	Incidents(ctx context.Context, school posture.SchoolID, query view.IncidentQuery, now time.Time) (view.IncidentPage, error)
	Incident(ctx context.Context, school posture.SchoolID, name string, now time.Time) (view.Incident, error)
}

// IncidentRecorder records changes of a school's incidents.
type IncidentRecorder interface {
	// RecordIncident records a change in a school's ledger. name is the number or the
	// identifier of the incident; none if it is opened.
	RecordIncident(ctx context.Context, school posture.SchoolID, name string, d decision.Decision, c incident.Change) (RecordedIncident, error)
}

// RecordedIncident is where a change of an incident was recorded.
type RecordedIncident struct {
	ID     string `json:"id"`
	Number string `json:"number"` // "" until it is shown, if that takes a while
	Entry  uint64 `json:"entry"`  // of the school's ledger
}

// NewIncident is what a caller records about an incident. Its change names no
// incident: the address does.
type NewIncident struct {
	Change incident.Change `json:"change"`
	Words  string          `json:"words"` // what happened, the note, the reason, the outcome
}

func incidentRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/schools/{school}/incidents", right: access.ReadIncidents, shows: viewing.Incidents,
			words: "A page of a school's incidents, the newest first.", gives: view.IncidentPage{}, serve: (*door).incidents,
			params: []param{
				{name: "state", words: "only incidents that are open, or closed", one: []string{string(view.IncidentOpen), string(view.IncidentClosed)}},
				afterParam, limitParam,
			},
		},
		{
			method: http.MethodGet, path: "/schools/{school}/incidents/{incident}", right: access.ReadIncidents, shows: viewing.Incident,
			words: "Everything that was recorded about one incident, by its number or identifier.", gives: view.Incident{}, serve: (*door).incident,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/incidents", right: access.RecordIncidents,
			words: "Opens an incident: `change.what` is open. The time to tell the regulator is counted from `change.aware`.",
			takes: NewIncident{}, gives: RecordedIncident{}, serve: (*door).openIncident,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/incidents/{incident}/notes", right: access.RecordIncidents,
			words: "Records a note, a lesson, a contact, a link, or that something was found again.",
			takes: NewIncident{}, gives: RecordedIncident{}, serve: (*door).noteIncident,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/incidents/{incident}/decisions", right: access.DecideIncidents,
			words: "Records whether the regulator or individuals are told, a correction, or that the incident is closed or opened again.",
			takes: NewIncident{}, gives: RecordedIncident{}, serve: (*door).decideIncident,
		},
	}
}

func (d *door) incidents(r *http.Request, v visit) (any, error) {
	return d.Queries.Incidents(r.Context(), v.school.ID, view.IncidentQuery{
		State: view.IncidentState(v.params.first("state")), After: v.params.first("after"), Limit: v.params.limit(),
	}, v.now)
}

func (d *door) incident(r *http.Request, v visit) (any, error) {
	return d.Queries.Incident(r.Context(), v.school.ID, r.PathValue("incident"), v.now)
}

func (d *door) openIncident(r *http.Request, v visit) (any, error) {
	return d.recordIncident(r, v, incident.Open)
}

func (d *door) noteIncident(r *http.Request, v visit) (any, error) {
	return d.recordIncident(r, v, incident.Note, incident.Lesson, incident.Spoke, incident.Add, incident.Found)
}

func (d *door) decideIncident(r *http.Request, v visit) (any, error) {
	return d.recordIncident(r, v, incident.Tell, incident.Correct, incident.Close, incident.Reopen)
}

// recordIncident records a change of one of some sorts under the account whose
// key asks.
func (d *door) recordIncident(r *http.Request, v visit, may ...incident.What) (any, error) {
	var asked NewIncident
	if err := readBody(r, &asked); err != nil {
		return nil, err
	}
	if err := checkIncident(asked.Change, may); err != nil {
		return nil, bad("%s", err.Error())
	}
	made := decision.Decision{Kind: decision.Incident, By: v.account.Name, At: v.now, Reason: asked.Words}
	if err := made.CheckNew(); err != nil {
		return nil, bad("%s", err.Error())
	}
	recorded, err := d.Incidents.RecordIncident(r.Context(), v.school.ID, r.PathValue("incident"), made, asked.Change)
	if refused, ok := errors.AsType[*decision.RefusedError](err); ok {
		return nil, &problem{Status: http.StatusConflict, Detail: refused.Error()}
	}
	return recorded, err
}

// checkIncident checks a change of which the collector says whose it is.
func checkIncident(c incident.Change, may []incident.What) error {
	for _, what := range may {
		if c.What != what {
			continue
		}
		if c.ID != "" || c.Number != "" {
			return errors.New("which incident it is the address says, and its number is given")
		}
		c.ID = "in-0"
		return c.Check()
	}
	return errors.New("what is recorded here is not " + string(c.What))
}
