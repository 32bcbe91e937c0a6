package view

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// mostExamined bounds how many breaches one page looks at.
const mostExamined = 20_000

func (q *Queries) breaches(ctx context.Context, school posture.SchoolID, query BreachQuery, now time.Time) (BreachPage, error) {
	page := BreachPage{Breaches: []Breach{}}
	err := q.page(ctx, school, query, now, false, func(p *pager) {
		for _, g := range p.page {
			page.Breaches = append(page.Breaches, g.Breach)
		}
		page.Next = p.next
	})
	return page, err
}

func (q *Queries) breachGroups(ctx context.Context, school posture.SchoolID, query BreachQuery, now time.Time) (GroupPage, error) {
	page := GroupPage{Groups: []BreachGroup{}}
	err := q.page(ctx, school, query, now, true, func(p *pager) {
		page.Groups, page.Next = append(page.Groups, p.page...), p.next
	})
	return page, err
}

// page makes a page of breaches and hands over what it made.
func (q *Queries) page(ctx context.Context, school posture.SchoolID, query BreachQuery, now time.Time, grouped bool, done func(*pager)) error {
	after, err := parseCursor(query.After)
	if err != nil {
		return err
	}
	return q.read(ctx, school, now, func(r *reader) error {
		p := &pager{
			r: r, query: query, after: after, limit: pageSize(query.Limit), grouped: grouped,
			rows: map[posture.DeviceID]DeviceRow{}, groups: map[breach.Key]*group{},
		}
		if err := p.fill(); err != nil {
			return err
		}
		done(p)
		return nil
	})
}

// pager makes one page of breaches from several lists with one order: breaches
// that stand, breaches that are resolved, and, for each rule that lapses, the
// devices of which nothing was heard for too long.
type pager struct {
	r        *reader
	query    BreachQuery
	after    []byte
	limit    int
	grouped  bool
	reopened map[breach.Key]bool // what was resolved and has lapsed again as the same breach
	rows     map[posture.DeviceID]DeviceRow
	groups   map[breach.Key]*group
	page     []BreachGroup
	next     string
	passed   int // rows that were passed over without reading what they are about
}

// selects reports whether the question is about a key.
func (p *pager) selects(k breach.Key) bool {
	return (p.query.Rule == "" || p.query.Rule == k.Rule) && (p.query.Device == "" || p.query.Device == k.Device)
}

// wants reports whether the question is about breaches of a status.
func (p *pager) wants(s breach.Status) bool {
	if len(p.query.Statuses) == 0 {
		return s != breach.Resolved
	}
	return slices.Contains(p.query.Statuses, s)
}

// wanted reports whether a breach is what was asked for.
func (p *pager) wanted(b breach.Breach) bool {
	status := b.Status(p.r.now, p.r.terms)
	return status != breach.NotYet && p.wants(status) &&
		(len(p.query.Severities) == 0 || slices.Contains(p.query.Severities, b.Severity(p.r.now)))
}

// passedFor is how many rows can be passed over in less than the time in which one
// is read.
const passedFor = 5

// fill walks the lists in their common order until the page is full.
func (p *pager) fill() error {
	lists, err := p.lists()
	defer func() {
		for _, l := range lists {
			l.close()
		}
	}()
	if err != nil {
		return err
	}
	for examined := 0; ; examined++ {
		var first list
		var place []byte
		for _, l := range lists {
			if at := l.place(); at != nil && (place == nil || bytes.Compare(at, place) < 0) {
				first, place = l, at
			}
		}
		if first == nil {
			return nil
		}
		if len(p.page) == p.limit || examined-p.passed+p.passed/passedFor >= mostExamined {
			p.next = cursor(p.after)
			return nil
		}
		p.after = bytes.Clone(place)
		if err := first.take(p.after); err != nil {
			return err
		}
		if err := first.forward(); err != nil {
			return err
		}
		if examined%1024 == 0 && p.r.ctx.Err() != nil {
			return p.r.ctx.Err()
		}
	}
}

// row puts the breach at a place of the lists of rows on the page if it is what
// was asked for.
func (p *pager) row(place []byte) error {
	l, ok := parseList(place)
	if !ok || !p.selects(l.key) {
		p.passed++
		return nil
	}
	if p.grouped {
		return p.group(l, place)
	}
	var b breach.Breach
	found, err := p.r.getRow(caseKey(p.r.school.ID, l.key), breachRow{Breach: &b})
	if err != nil {
		return err
	}
	if !found || uint64(b.Number) != l.number {
		b = breach.Breach{Key: l.key, Number: int(l.number)}
		if found, err = p.r.getRow(pastKey(p.r.school.ID, b), breachRow{Breach: &b}); err != nil {
			return err
		}
	} else if p.reopened[l.key] {
		return nil
	}
	if !found {
		return fmt.Errorf("the list of breaches names %v, which has no row", l.key)
	}
	return p.show(b)
}

// show puts a breach on the page if it is what was asked for.
func (p *pager) show(b breach.Breach) error {
	if !p.wanted(b) {
		return nil
	}
	row, err := p.device(b.Device)
	if err != nil {
		return err
	}
	shown := p.r.words(b, row)
	p.page = append(p.page, BreachGroup{
		Breach: shown, Count: 1, Statuses: []StatusCount{{shown.Status, 1}}, Things: []Breach{shown},
	})
	return nil
}

// device returns a device's row, which is read once for a page.
func (p *pager) device(id posture.DeviceID) (DeviceRow, error) {
	row, ok := p.rows[id]
	if !ok {
		var err error
		if row, _, err = p.r.row(id); err != nil {
			return row, err
		}
		p.rows[id] = row
	}
	return row, nil
}

// reportedLate is how long after it began a breach may be heard of before it
// counts as reported late.
const reportedLate = 6 * time.Hour

// words gives a breach its rule's words and its status at the time of asking.
func (r *reader) words(b breach.Breach, row DeviceRow) Breach {
	rule, ok := r.policy.Rule(b.Rule)
	if !ok {
		rule = Rule{ID: b.Rule, Title: b.Rule}
	}
	out := Breach{
		Device: b.Device, Hostname: row.Hostname, AssetTag: row.AssetTag, Rule: b.Rule, Title: rule.Title, Remediation: rule.Remedy(row.Platform),
		Subject:  posture.Subject{Kind: b.Kind, Key: b.ID, Label: b.Terms.Label},
		Number:   b.Number,
		Severity: b.Severity(r.now), Status: b.Status(r.now, r.terms),
		FirstFailed: b.FirstFailed, LastFailed: b.LastFailed, GraceEnds: b.GraceEnds(r.terms), ResolvedAt: b.ResolvedAt,
		Message:    strings.ReplaceAll(b.Terms.Message, "{subject}", cmp.Or(b.Terms.Label, "this device")),
		ReceivedAt: b.ReceivedAt, ReportedLate: b.ReceivedAt.Sub(b.FirstFailed) >= reportedLate, Reopened: b.Reopened, Resolution: b.Resolution,
		AcknowledgedAt: b.AcknowledgedAt, AcknowledgedBy: b.AcknowledgedBy, GraceLeft: graceLeft(b, row, r.now),
	}
	if out.Status == breach.Exempt {
		out.ExemptUntil = b.Exemption.Ends()
	}
	if e := b.Exemption; e.ID != "" && e.Ends().After(b.FirstFailed) && (b.ResolvedAt.IsZero() || e.From.Before(b.ResolvedAt)) {
		out.Exemption = &e
	}
	if lapses := row.Vector.lapsesAt(&rule); b.Kind == "device" && b.ResolvedAt.IsZero() {
		out.Silent = lapses > 0 && lapses <= r.nowMs
		out.Over = out.Silent && (rule.Lapses.From == FromLoan || lapses == row.Vector.Leaves)
	}
	if still := b.ResolvedAt.IsZero() && row.HeldAt.After(out.LastFailed); still && !b.LastFailed.Before(row.ObservedAt) {
		// The device has said since that nothing changed.
		out.LastFailed = row.HeldAt
	}
	return out
}
