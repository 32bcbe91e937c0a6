package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// AssignmentQueries are the questions about what devices are told.
type AssignmentQueries interface {
	Assignments(ctx context.Context, school posture.SchoolID, device posture.DeviceID, now time.Time) ([]view.Assigned, error)
}

// Assigner changes what devices are told about their use.
type Assigner interface {
	// Assign records what a device is to be told, with who decided that, and
	// returns the entry that holds it.
	Assign(ctx context.Context, school posture.SchoolID, device posture.DeviceID, d decision.Decision, t decision.Telling) (entry uint64, err error)
}

// NewAssignment is what a caller wants a device to be told.
type NewAssignment struct {
	decision.Telling
	Reason string `json:"reason"`
}

// Assignments are what a device was told about its use.
type Assignments struct {
	Assignments []view.Assigned `json:"assignments"` // newest first
}

func assignmentRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/schools/{school}/devices/{device}/assignments", right: access.ReadDevices, shows: viewing.Device,
			words: "What a device was told about its use, the newest first: and so who asked it for names that it withholds.",
			gives: Assignments{}, serve: (*door).assignments,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/devices/{device}/assignments", right: access.RevealNames,
			words: "Tells a device whether it is its user's own too, or asks it for the name of one program that it withholds.",
			takes: NewAssignment{}, gives: Recorded{}, serve: (*door).assign,
		},
	}
}

func (d *door) assignments(r *http.Request, v visit) (any, error) {
	list, err := d.Queries.Assignments(r.Context(), v.school.ID, posture.DeviceID(r.PathValue("device")), v.now)
	return Assignments{Assignments: list}, err
}

func (d *door) assign(r *http.Request, v visit) (any, error) {
	var asked NewAssignment
	if err := readBody(r, &asked); err != nil {
		return nil, err
	}
	made := decision.Decision{Kind: decision.Assign, By: v.account.Name, At: v.now, Reason: asked.Reason}
	if err := errors.Join(asked.Check(), made.CheckNew()); err != nil {
		return nil, bad("%s", err.Error())
	}
	entry, err := d.Assigner.Assign(r.Context(), v.school.ID, posture.DeviceID(r.PathValue("device")), made, asked.Telling)
	return recorded(entry, err)
}
