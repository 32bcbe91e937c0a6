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

// GroupQueries are the questions about groups of devices.
type GroupQueries interface {
	Groups(ctx context.Context, school posture.SchoolID, now time.Time) ([]view.Group, error)
}

// Grouper says of which class and groups devices are.
type Grouper interface {
	Group(ctx context.Context, school posture.SchoolID, device posture.DeviceID, d decision.Decision, g decision.Grouping) (entry uint64, err error)
}

// Groups are the groups of a school.
type Groups struct {
	Groups []view.Group `json:"groups"`
}

// NewGrouping is of which class and groups a device is to be. What is left out
// stays as it is.
type NewGrouping struct {
	Class  posture.Ownership `json:"class,omitempty"`
	Add    []string          `json:"add,omitempty"`
	Remove []string          `json:"remove,omitempty"`
	Reason string            `json:"reason"`
}

func groupRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/schools/{school}/groups", right: access.ReadDevices, shows: viewing.Devices,
			words: "The groups of a school's devices, by which rules and exemptions are chosen.", gives: Groups{}, serve: (*door).groups,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/devices/{device}/groups", right: access.GroupDevices,
			words: "Says of which class and groups a device is.", takes: NewGrouping{}, gives: Recorded{}, serve: (*door).group,
		},
	}
}

func (d *door) groups(r *http.Request, v visit) (any, error) {
	list, err := d.Queries.Groups(r.Context(), v.school.ID, v.now)
	return Groups{Groups: list}, err
}

func (d *door) group(r *http.Request, v visit) (any, error) {
	var asked NewGrouping
	if err := readBody(r, &asked); err != nil {
		return nil, err
	}
	g := decision.Grouping{Class: asked.Class, Add: asked.Add, Remove: asked.Remove}
	made := decision.Decision{Kind: decision.Assign, By: v.account.Name, At: v.now, Reason: asked.Reason}
	if err := errors.Join(g.Check(), made.CheckNew()); err != nil {
		return nil, bad("%s", err.Error())
	}
	entry, err := d.Grouper.Group(r.Context(), v.school.ID, posture.DeviceID(r.PathValue("device")), made, g)
	return recorded(entry, err)
}
