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

// Groups lists the groups of a school and their devices, without those that are
// known no more.
func (q *Queries) Groups(ctx context.Context, school posture.SchoolID, now time.Time) ([]Group, error) {
	found := map[string]*Group{}
	err := q.read(ctx, school, now, func(r *reader) error {
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
				if found[name] == nil {
					found[name] = &Group{Name: name}
				}
				found[name].Devices = append(found[name].Devices, GroupedDevice{
					ID: row.ID, Hostname: row.Hostname, AssetTag: row.AssetTag, Due: row.Assignment < a.Number,
				})
			}
			return true, nil
		})
	})
	list := []Group{}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		list = append(list, *found[name])
	}
	return list, err
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
