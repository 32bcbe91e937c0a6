package view

import (
	"cmp"
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
		s := search{r: r, query: query, want: strings.ToLower(strings.TrimSpace(query.Search)), limit: pageSize(query.Limit), look: q.view.look}
		if err := s.run(after); err != nil {
			return err
		}
		page.Next = s.next
		for _, id := range s.ids {
			d, err := r.listed(ctx, id, query, q.view.facts)
			if err != nil {
				return err
			}
			page.Devices = append(page.Devices, d)
		}
		return nil
	})
	return page, err
}

// listed makes a device's line in a list.
func (r *reader) listed(ctx context.Context, id posture.DeviceID, query DeviceQuery, facts FactSource) (Device, error) {
	row, ok, err := r.row(id)
	if err != nil {
		return Device{}, err
	}
	if !ok {
		return Device{}, fmt.Errorf("the list of devices names %s, which has no row", id)
	}
	d, err := r.summary(row)
	if err != nil || query.Rule == "" || query.Standing == "" || query.Standing == Met || query.Standing == NotFor {
		return d, err
	}
	all, err := r.found(ctx, row, query, facts)
	d.Found, d.FoundAll = all[:min(len(all), mostFound)], len(all)
	return d, err
}

// mostFound bounds the findings that a line in a list shows.
const mostFound = 40

// found returns the findings by which a device stands on a rule as it was asked
// for. Of the device's sections only the findings are read.
func (r *reader) found(ctx context.Context, row DeviceRow, query DeviceQuery, source FactSource) ([]Finding, error) {
	var reported []posture.Finding
	places := slices.DeleteFunc(slices.Clone(row.Places), func(p Place) bool { return p.Name != "findings" })
	if source != nil && len(places) > 0 {
		var err error
		if _, reported, err = source.Facts(ctx, r.school.ID, places); err != nil {
			return nil, fmt.Errorf("read the findings of device %s: %w", row.ID, err)
		}
	}
	followed, err := r.ofDevice(row)
	if err != nil {
		return nil, err
	}
	all, err := r.findings(row, reported, followed)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(f Finding) bool { return f.Rule != query.Rule || f.Standing != query.Standing }), nil
}

// standingOn returns where a device stands on a rule; if it was never judged by
// it, that is not proven.
func (r *reader) standingOn(v *Vector, rule *Rule) Standing {
	slot, ok := r.slotOf(rule)
	if !ok {
		return NotProven
	}
	i, judged := slices.BinarySearchFunc(v.Rules, slot, func(s RuleState, slot uint16) int { return cmp.Compare(s.Slot, slot) })
	if !judged {
		return NotProven
	}
	return v.standing(&r.policy, rule, v.Rules[i], r.nowMs)
}

func (r *reader) row(id posture.DeviceID) (d DeviceRow, ok bool, err error) {
	ok, err = r.getRow(text(key(r.school.ID, famDevice), string(id)), &d)
	return d, ok, err
}

// summary makes a device's line in lists from its row.
func (r *reader) summary(row DeviceRow) (Device, error) {
	d := Device{
		School: r.school.ID, ID: row.ID, Hostname: row.Hostname, AssetTag: row.AssetTag, Platform: row.Platform,
		OSName: row.OSName, Chassis: row.Chassis, Ownership: row.Ownership, AgentVersion: row.AgentVersion,
		EnrolledAt: row.EnrolledAt, RevokedAt: row.RevokedAt, LastContact: row.LastContact, LastReport: row.LastReport,
		ReportedAt: row.ReportedAt, Skew: row.Clock.Measured(), Policy: row.Policy,
		Silent: row.Vector.silent(&r.policy, r.nowMs),
	}
	if row.old(r.policy.Number) {
		d.PolicyDue = r.policy.Number
	}
	for i := range r.policy.Rules {
		switch r.standingOn(&row.Vector, &r.policy.Rules[i]) {
		case Met:
			d.Met++
		case NotMet:
			d.NotMet++
		case Exempt:
			d.Exempt++
		case NotFor:
		default:
			d.NotProven++
		}
	}
	var err error
	if d.Lost, err = r.lost(row.ID); err != nil {
		return d, err
	}
	if row.Twice != (Twice{}) {
		d.Twice = &row.Twice
	}
	breaches, err := r.ofDevice(row)
	for _, b := range breaches {
		if b.Status(r.now, r.terms).Stands() {
			d.Open++
		}
	}
	return d, err
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
		if err := item.Value(func(data []byte) error { return decode(data, breachRow{Breach: &b}) }); err != nil {
			return false, fmt.Errorf("read breach %q: %w", k, err)
		}
		list = append(list, b)
		return true, nil
	})
	return list, err
}
