package view

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Bounds of a page.
const (
	usualPage = 50
	mostPage  = 500
)

func pageSize(limit int) int {
	if limit <= 0 {
		return usualPage
	}
	return min(limit, mostPage)
}

// Places in a list travel as text.
func cursor(k []byte) string { return base64.RawURLEncoding.EncodeToString(k) }

func parseCursor(s string) ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	k, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(k) > 64<<10 {
		return nil, fmt.Errorf("%.40q is not a place in this list: %w", s, ErrNotFound)
	}
	return k, nil
}

func (q *Queries) devices(ctx context.Context, school posture.SchoolID, query DeviceQuery, now time.Time) (DevicePage, error) {
	after, err := parseCursor(query.After)
	if err != nil {
		return DevicePage{}, err
	}
	page := DevicePage{Devices: []Device{}}
	err = q.read(ctx, school, now, func(r *reader) error {
		page.Total = r.counts.Devices
		ids, next, err := r.search(strings.ToLower(strings.TrimSpace(query.Search)), after, pageSize(query.Limit))
		if err != nil {
			return err
		}
		page.Next = next
		for _, id := range ids {
			row, ok, err := r.row(id)
			if err != nil {
				return err
			}
			if !ok {
				return fmt.Errorf("the list of devices names %s, which has no row", id)
			}
			d, err := r.summary(row)
			if err != nil {
				return err
			}
			page.Devices = append(page.Devices, d)
		}
		return nil
	})
	return page, err
}

// search lists the devices whose hostname or asset tag holds some text, by
// hostname.
func (r *reader) search(want string, after []byte, limit int) (ids []posture.DeviceID, next string, err error) {
	var last string
	err = r.each(key(r.school.ID, famName), after, want != "", func(k []byte, item *badger.Item) (bool, error) {
		host, rest, ok := part(k)
		id, _, ok2 := part(rest)
		if !ok || !ok2 {
			return true, nil
		}
		if want != "" && !strings.Contains(host, want) {
			found := false
			if err := item.Value(func(tag []byte) error { found = strings.Contains(string(tag), want); return nil }); err != nil {
				return false, err
			}
			if !found {
				return true, nil
			}
		}
		if len(ids) == limit {
			next = last
			return false, nil
		}
		ids, last = append(ids, posture.DeviceID(id)), cursor(k)
		return true, nil
	})
	return ids, next, err
}

func (r *reader) row(id posture.DeviceID) (d DeviceRow, ok bool, err error) {
	ok, err = r.getJSON(text(key(r.school.ID, famDevice), string(id)), &d)
	return d, ok, err
}

// summary makes a device's line in lists from its row.
func (r *reader) summary(row DeviceRow) (Device, error) {
	d := Device{
		School: r.school.ID, ID: row.ID, Hostname: row.Hostname, AssetTag: row.AssetTag, Platform: row.Platform,
		OSName: row.OSName, Chassis: row.Chassis, Ownership: row.Ownership, AgentVersion: row.AgentVersion,
		EnrolledAt: row.EnrolledAt, RevokedAt: row.RevokedAt, LastContact: row.LastContact, LastReport: row.LastReport,
		ReportedAt: row.ReportedAt, Skew: row.Clock.Skew, Policy: row.Policy,
		Silent: row.Vector.silent(&r.policy, r.nowMs),
	}
	standings := r.standings(row.Vector)
	for i := range r.policy.Rules {
		switch standings[r.policy.Rules[i].ID] {
		case Met:
			d.Met++
		case NotMet:
			d.NotMet++
		case Exempt:
			d.Exempt++
		case NotFor:
		default: // not proven, or never judged by this rule
			d.NotProven++
		}
	}
	breaches, err := r.ofDevice(row)
	for _, b := range breaches {
		if b.Status(r.now).Stands() {
			d.Open++
		}
	}
	return d, err
}

// standings returns where a device stands on each rule of the policy by which
// it was judged.
func (r *reader) standings(v Vector) map[string]Standing {
	m := make(map[string]Standing, len(v.Rules))
	for _, s := range v.Rules {
		if rule := r.rule(s.Slot); rule != nil {
			m[rule.ID] = v.standing(&r.policy, rule, s, r.nowMs)
		}
	}
	return m
}

// ofDevice returns the breaches that are followed on a device, those by silence
// included.
func (r *reader) ofDevice(row DeviceRow) ([]breach.Breach, error) {
	lapses, err := r.lapses(row.ID, &row.Vector, false)
	if err != nil {
		return nil, err
	}
	list, err := r.rowsOf(text(key(r.school.ID, famCase), string(row.ID)))
	for _, l := range lapses {
		list = slices.DeleteFunc(list, func(b breach.Breach) bool { return b.Key == l.breach.Key && l.reopens() })
		list = append(list, l.breach)
	}
	return list, err
}

// rowsOf reads all rows of breaches under a prefix.
func (r *reader) rowsOf(prefix []byte) ([]breach.Breach, error) {
	var list []breach.Breach
	err := r.each(prefix, nil, true, func(k []byte, item *badger.Item) (bool, error) {
		var b breach.Breach
		if err := item.Value(func(data []byte) error { return unmarshal(data, &b) }); err != nil {
			return false, fmt.Errorf("read breach %q: %w", k, err)
		}
		list = append(list, b)
		return true, nil
	})
	return list, err
}
