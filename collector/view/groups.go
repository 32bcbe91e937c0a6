package view

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// mostThings bounds how many breaches of a group are listed.
const mostThings = 200

// group is what is known of the breaches of one rule on one device while a page
// is made: where the newest of those that are wanted stands in the list.
type group struct {
	first []byte // nil if none is wanted
}

// group puts the breaches of a rule on a device on the page at the place of the
// newest of them; the others were or will be met at places after it.
func (p *pager) group(l listed, place []byte) error {
	k := breach.Key{Device: l.key.Device, Rule: l.key.Rule}
	g, known := p.groups[k]
	if known && !bytes.Equal(g.first, place) {
		return nil
	}
	all, err := p.together(k)
	if err != nil {
		return err
	}
	if !known {
		g = &group{}
		if len(all) > 0 {
			g.first = all[0].place
		}
		p.groups[k] = g
	}
	if !bytes.Equal(g.first, place) {
		return nil
	}
	row, err := p.device(k.Device)
	if err != nil {
		return err
	}
	p.page = append(p.page, p.r.grouped(all, row))
	return nil
}

// together reads the wanted breaches of a rule on a device, newest first.
func (p *pager) together(k breach.Key) ([]placed, error) {
	var all []placed
	base := len(key(p.r.school.ID, famList)) + 1
	add := func(current bool) func(_ []byte, item *badger.Item) (bool, error) {
		return func(_ []byte, item *badger.Item) (bool, error) {
			var b breach.Breach
			if err := item.Value(func(data []byte) error { return decode(data, breachRow{Breach: &b}) }); err != nil {
				return false, fmt.Errorf("read a breach of %v: %w", k, err)
			}
			if b.Number > 0 && p.wanted(b) && (!current || !p.reopened[b.Key]) {
				all = append(all, placed{listKey(p.r.school.ID, b)[base:], b})
			}
			return true, nil
		}
	}
	prefix := func(family string) []byte {
		return text(text(key(p.r.school.ID, family), string(k.Device)), k.Rule)
	}
	if err := p.r.each(prefix(famCase), nil, true, add(true)); err != nil {
		return nil, err
	}
	if p.wants(breach.Resolved) {
		if err := p.r.each(prefix(famPast), nil, true, add(false)); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b placed) int { return bytes.Compare(a.place, b.place) })
	return all, nil
}

// gravest is the order of statuses from the one that needs somebody most.
var gravest = []breach.Status{breach.Open, breach.Acknowledged, breach.Pending, breach.Exempt, breach.Resolved, breach.NotYet}

// grouped makes one entry of breaches of one rule on one device, newest first.
func (r *reader) grouped(all []placed, row DeviceRow) BreachGroup {
	g := BreachGroup{Breach: r.words(all[0].breach, row), Count: len(all)}
	counts := map[breach.Status]int{}
	var severity posture.Severity
	for i, b := range all {
		status := b.breach.Status(r.now, r.terms)
		counts[status]++
		if status != breach.Resolved || counts[breach.Resolved] == len(all) {
			severity = max(severity, b.breach.Severity(r.now))
		}
		if i < mostThings {
			g.Things = append(g.Things, r.words(b.breach, row))
		}
	}
	for _, status := range gravest {
		if counts[status] > 0 {
			g.Statuses = append(g.Statuses, StatusCount{status, counts[status]})
		}
	}
	g.Status, g.Severity = g.Statuses[0].Status, severity
	return g
}
