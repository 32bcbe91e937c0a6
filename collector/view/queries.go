package view

import (
	"context"
	"errors"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// ErrNotFound says that a school has no such device, or that there is no such
// school.
var ErrNotFound = errors.New("not found")

// School is a school that the view knows.
type School struct {
	ID   posture.SchoolID `json:"id"`
	Name string           `json:"name"`
}

// DeviceQuery asks for a page of a school's devices, by hostname. Empty fields
// select all.
type DeviceQuery struct {
	Search   string   // part of a hostname or asset tag, in any case
	Rule     string   // with Standing: how the device stands on this rule; "" for any rule of the policy
	Standing Standing // how it stands; without it Rule selects nothing
	Silent   bool     // only devices not heard from for longer than the policy allows
	Older    bool     // only devices that judged themselves by a policy before the one in force
	After    string   // Next of the page before; "" for the first
	Limit    int      // 0 for 50; at most 500
}

// DevicePage is a page of devices. Like a page of breaches it may hold fewer
// than were asked for and still have a next one.
type DevicePage struct {
	Devices []Device `json:"devices"`
	Total   int      `json:"total"`          // devices of the school, whatever was searched for
	Next    string   `json:"next,omitempty"` // After for the next page; "" if this is the last
}

// BreachQuery asks for a page of a school's breaches, newest first. Empty
// fields select all.
type BreachQuery struct {
	Statuses   []breach.Status // none: all that are not resolved
	Severities []posture.Severity
	Rule       string
	Device     posture.DeviceID
	After      string // Next of the page before; "" for the first
	Limit      int    // 0 for 50; at most 500
}

// BreachPage is a page of breaches. A page may hold fewer than were asked for,
// even none, and still have a next one: no question reads without bound.
type BreachPage struct {
	Breaches []Breach `json:"breaches"`
	Next     string   `json:"next,omitempty"` // After for the next page; "" if this is the last
}

// GroupPage is a page of breaches, those of one rule on one device together.
type GroupPage struct {
	Groups []BreachGroup `json:"groups"`
	Next   string        `json:"next,omitempty"` // After for the next page; "" if this is the last
}

// Queries answers questions from the view. Every question names a school and
// is answered from that school's rows alone, as things stand at now.
type Queries struct {
	view *View
}

// Schools lists the schools, by identifier.
func (q *Queries) Schools(ctx context.Context) ([]School, error) { return q.schools(ctx) }

// Overview returns where a school stands.
func (q *Queries) Overview(ctx context.Context, school posture.SchoolID, now time.Time) (Overview, error) {
	return q.overview(ctx, school, now)
}

// Devices returns a page of a school's devices.
func (q *Queries) Devices(ctx context.Context, school posture.SchoolID, query DeviceQuery, now time.Time) (DevicePage, error) {
	return q.devices(ctx, school, query, now)
}

// Device returns everything known about one device.
func (q *Queries) Device(ctx context.Context, school posture.SchoolID, id posture.DeviceID, now time.Time) (DeviceDetail, error) {
	return q.device(ctx, school, id, now)
}

// Breaches returns a page of a school's breaches.
func (q *Queries) Breaches(ctx context.Context, school posture.SchoolID, query BreachQuery, now time.Time) (BreachPage, error) {
	return q.breaches(ctx, school, query, now)
}

// BreachGroups returns a page of a school's breaches, those of one rule on one
// device together, by the newest of each.
func (q *Queries) BreachGroups(ctx context.Context, school posture.SchoolID, query BreachQuery, now time.Time) (GroupPage, error) {
	return q.breachGroups(ctx, school, query, now)
}
