package view

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// mostExamined bounds how many breaches one page looks at.
const mostExamined = 20_000

func (q *Queries) breaches(ctx context.Context, school posture.SchoolID, query BreachQuery, now time.Time) (BreachPage, error) {
	after, err := parseCursor(query.After)
	if err != nil {
		return BreachPage{}, err
	}
	page := BreachPage{Breaches: []Breach{}}
	err = q.read(ctx, school, now, func(r *reader) error {
		p := pager{r: r, query: query, after: after, limit: pageSize(query.Limit), rows: map[posture.DeviceID]DeviceRow{}}
		if err := p.silence(); err != nil {
			return err
		}
		if err := p.merge(); err != nil {
			return err
		}
		page.Breaches, page.Next = append(page.Breaches, p.page...), p.next
		return nil
	})
	return page, err
}

// pager makes one page of breaches from three lists with one order: breaches
// that stand, breaches that are resolved, and breaches by silence.
type pager struct {
	r        *reader
	query    BreachQuery
	after    []byte
	limit    int
	silent   []placed
	reopened map[breach.Key]bool
	rows     map[posture.DeviceID]DeviceRow
	page     []Breach
	next     string
}

// placed is a breach with its place in the order: the key of a list row after
// the digit.
type placed struct {
	place  []byte
	breach breach.Breach
}

// selects reports whether the question is about a key.
func (p *pager) selects(k breach.Key) bool {
	return (p.query.Rule == "" || p.query.Rule == k.Rule) && (p.query.Device == "" || p.query.Device == k.Device)
}

// silence gathers the breaches by silence that come after the cursor.
func (p *pager) silence() error {
	p.reopened = map[breach.Key]bool{}
	err := p.r.eachOld(func(id posture.DeviceID, v *Vector) error {
		if p.query.Device != "" && p.query.Device != id {
			return nil
		}
		lapses, err := p.r.lapses(id, v, false)
		for _, l := range lapses {
			if l.reopens() {
				p.reopened[l.breach.Key] = true
			}
			place := listKey(p.r.school.ID, l.breach)[len(key(p.r.school.ID, famList))+1:]
			if p.selects(l.breach.Key) && bytes.Compare(place, p.after) > 0 {
				p.silent = append(p.silent, placed{place, l.breach})
			}
		}
		return err
	})
	slices.SortFunc(p.silent, func(a, b placed) int { return bytes.Compare(a.place, b.place) })
	return err
}

// lists returns the digits of the lists that can hold what is asked for.
func (p *pager) lists() string {
	switch {
	case len(p.query.Statuses) == 0:
		return "0"
	case !slices.Contains(p.query.Statuses, breach.Resolved):
		return "0"
	case len(p.query.Statuses) == 1:
		return "1"
	}
	return "01"
}

// merge walks the lists in their common order until the page is full.
func (p *pager) merge() error {
	var iterators []*badger.Iterator
	defer func() {
		for _, it := range iterators {
			it.Close()
		}
	}()
	base := len(key(p.r.school.ID, famList)) + 1
	for _, digit := range []byte(p.lists()) {
		prefix := append(key(p.r.school.ID, famList), digit)
		it := p.r.txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
		iterators = append(iterators, it)
		if p.after != nil {
			prefix = append(append(prefix, p.after...), 0)
		}
		it.Seek(prefix)
	}
	for examined := 0; ; examined++ {
		var first *badger.Iterator
		for _, it := range iterators {
			if it.Valid() && (first == nil || bytes.Compare(it.Item().Key()[base:], first.Item().Key()[base:]) < 0) {
				first = it
			}
		}
		var place []byte
		silent := len(p.silent) > 0 && (first == nil || bytes.Compare(p.silent[0].place, first.Item().Key()[base:]) < 0)
		switch {
		case silent:
			place = p.silent[0].place
		case first != nil:
			place = bytes.Clone(first.Item().Key()[base:])
		default:
			return nil
		}
		if len(p.page) == p.limit || examined == mostExamined {
			p.next = cursor(p.after)
			return nil
		}
		p.after = place
		if err := p.take(place, silent); err != nil {
			return err
		}
		if silent {
			p.silent = p.silent[1:]
		} else {
			first.Next()
		}
		if examined%1024 == 0 && p.r.ctx.Err() != nil {
			return p.r.ctx.Err()
		}
	}
}

// take puts the breach at a place on the page if it is what was asked for.
func (p *pager) take(place []byte, silent bool) error {
	if silent {
		return p.show(p.silent[0].breach)
	}
	l, ok := parseList(place)
	if !ok || !p.selects(l.key) {
		return nil
	}
	var b breach.Breach
	found, err := p.r.getJSON(caseKey(p.r.school.ID, l.key), &b)
	if err != nil {
		return err
	}
	if !found || uint64(b.Number) != l.number {
		b = breach.Breach{Key: l.key, Number: int(l.number)}
		if found, err = p.r.getJSON(pastKey(p.r.school.ID, b), &b); err != nil {
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

func (p *pager) show(b breach.Breach) error {
	status, severity := b.Status(p.r.now), b.Severity(p.r.now)
	switch {
	case status == breach.NotYet:
		return nil
	case len(p.query.Statuses) == 0 && status == breach.Resolved:
		return nil
	case len(p.query.Statuses) > 0 && !slices.Contains(p.query.Statuses, status):
		return nil
	case len(p.query.Severities) > 0 && !slices.Contains(p.query.Severities, severity):
		return nil
	}
	row, ok := p.rows[b.Device]
	if !ok {
		var err error
		if row, _, err = p.r.row(b.Device); err != nil {
			return err
		}
		p.rows[b.Device] = row
	}
	p.page = append(p.page, p.r.words(b, row))
	return nil
}

// words gives a breach its rule's words and its status at the time of asking.
func (r *reader) words(b breach.Breach, row DeviceRow) Breach {
	rule, ok := r.policy.Rule(b.Rule)
	if !ok {
		rule = Rule{ID: b.Rule, Title: b.Rule}
	}
	out := Breach{
		Device: b.Device, Hostname: row.Hostname, Rule: b.Rule, Title: rule.Title, Remediation: rule.Remedy(row.Platform),
		Subject:  posture.Subject{Kind: b.Kind, Key: b.ID, Label: b.Terms.Label},
		Severity: b.Severity(r.now), Status: b.Status(r.now),
		FirstFailed: b.FirstFailed, LastFailed: b.LastFailed, GraceEnds: b.GraceEnds(), ResolvedAt: b.ResolvedAt,
		Message:    strings.ReplaceAll(b.Terms.Message, "{subject}", cmp.Or(b.Terms.Label, "this device")),
		ReceivedAt: b.ReceivedAt, Reopened: b.Reopened, Resolution: b.Resolution,
		AcknowledgedAt: b.AcknowledgedAt, AcknowledgedBy: b.AcknowledgedBy,
	}
	if out.Status == breach.Exempt {
		out.ExemptUntil = b.Exemption.Ends()
	}
	if still := b.ResolvedAt.IsZero() && row.HeldAt.After(out.LastFailed); still && !b.LastFailed.Before(row.ObservedAt) {
		// The device has said since that nothing changed.
		out.LastFailed = row.HeldAt
	}
	return out
}
