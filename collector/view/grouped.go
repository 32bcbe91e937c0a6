package view

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	badger "github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Group is a group of devices, by which rules and exemptions are chosen.
type Group struct {
	Name    string          `json:"name"`
	Devices []GroupedDevice `json:"devices"`
}

// GroupedDevice is a device of a group.
type GroupedDevice struct {
	ID       posture.DeviceID `json:"id"`
	Hostname string           `json:"hostname"`
	AssetTag string           `json:"assetTag,omitempty"`
	// Due says that the device has not said yet that it knows of it: the rules on
	// the device go by what it was told before.
	Due bool `json:"due,omitempty"`
}

// GroupSize says how many devices a group has.
type GroupSize struct {
	Name    string
	Devices int
}

// Groups lists the groups of a school and their devices, without those that are
// known no more.
func (q *Queries) Groups(ctx context.Context, school posture.SchoolID, now time.Time) ([]Group, error) {
	found := map[string]*Group{}
	err := q.eachGrouped(ctx, school, now, func(name string, d GroupedDevice) {
		if found[name] == nil {
			found[name] = &Group{Name: name}
		}
		found[name].Devices = append(found[name].Devices, d)
	})
	list := []Group{}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		list = append(list, *found[name])
	}
	return list, err
}

// GroupSizes lists the groups of a school as Groups does, and keeps no device in
// memory while it counts.
func (q *Queries) GroupSizes(ctx context.Context, school posture.SchoolID, now time.Time) ([]GroupSize, error) {
	found := map[string]int{}
	err := q.eachGrouped(ctx, school, now, func(name string, _ GroupedDevice) { found[name]++ })
	list := []GroupSize{}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		list = append(list, GroupSize{name, found[name]})
	}
	return list, err
}

// eachGrouped calls visit with each group of each device that is still known.
func (q *Queries) eachGrouped(ctx context.Context, school posture.SchoolID, now time.Time, visit func(group string, d GroupedDevice)) error {
	return q.read(ctx, school, now, func(r *reader) error {
		return r.each(key(school, famDevice), nil, true, func(k []byte, item *badger.Item) (bool, error) {
			id, _, ok := part(k)
			if !ok {
				return true, nil
			}
			row, ok, err := r.row(posture.DeviceID(id))
			if err != nil || !ok || !row.RevokedAt.IsZero() {
				return true, err
			}
			a, err := r.assigned(row.ID)
			if err != nil {
				return false, err
			}
			for _, name := range a.Groups {
				visit(name, GroupedDevice{ID: row.ID, Hostname: row.Hostname, AssetTag: row.AssetTag, Due: row.Assignment < a.Number})
			}
			return true, nil
		})
	})
}

// assigned returns what the school last told a device, whether the device knows of
// it or not.
func (r *reader) assigned(id posture.DeviceID) (a policy.Assignment, err error) {
	err = r.each(text(key(r.school.ID, famAssignment), string(id)), nil, true, func(k []byte, item *badger.Item) (bool, error) {
		var next policy.Assignment
		if err := item.Value(func(data []byte) error { return unmarshal(data, &next) }); err != nil {
			return false, fmt.Errorf("read assignment %q: %w", k, err)
		}
		a = next
		return true, nil
	})
	return a, err
}
