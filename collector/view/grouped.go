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
	Due     int // of these, how many have not said yet that they know of it
}

// Groups lists the groups of a school and their devices, without those that are
// known no more.
func (q *Queries) Groups(ctx context.Context, school posture.SchoolID, now time.Time) ([]Group, error) {
	found := map[string]*Group{}
	err := q.eachGrouped(ctx, school, "", now, func(names []string, d GroupedDevice) bool {
		for _, name := range names {
			if found[name] == nil {
				found[name] = &Group{Name: name}
			}
			found[name].Devices = append(found[name].Devices, d)
		}
		return true
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
	found := map[string]GroupSize{}
	err := q.eachGrouped(ctx, school, "", now, func(names []string, d GroupedDevice) bool {
		for _, name := range names {
			size := found[name]
			size.Name = name
			size.Devices++
			if d.Due {
				size.Due++
			}
			found[name] = size
		}
		return true
	})
	list := []GroupSize{}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		list = append(list, found[name])
	}
	return list, err
}

// GroupDevices lists at most limit devices of a group of a school, by their ids
// after one, and whether there are more.
func (q *Queries) GroupDevices(ctx context.Context, school posture.SchoolID, group string, after posture.DeviceID, limit int, now time.Time) (list []GroupedDevice, more bool, err error) {
	err = q.eachGrouped(ctx, school, after, now, func(names []string, d GroupedDevice) bool {
		if !slices.Contains(names, group) {
			return true
		}
		if len(list) == limit {
			more = true
			return false
		}
		list = append(list, d)
		return true
	})
	return list, more, err
}

// eachGrouped calls visit with each device after one that is still known, and its
// groups, until visit returns false.
func (q *Queries) eachGrouped(ctx context.Context, school posture.SchoolID, after posture.DeviceID, now time.Time, visit func(groups []string, d GroupedDevice) bool) error {
	return q.read(ctx, school, now, func(r *reader) error {
		var from []byte
		if after != "" {
			from = text(nil, string(after))
		}
		return r.each(key(school, famDevice), from, true, func(k []byte, item *badger.Item) (bool, error) {
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
			return visit(a.Groups, GroupedDevice{ID: row.ID, Hostname: row.Hostname, AssetTag: row.AssetTag, Due: row.Assignment < a.Number}), nil
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
