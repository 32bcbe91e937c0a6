package view

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// list is one of the lists from which a page of breaches is made. They have
// one order: by when the breach first failed, newest first, then by device,
// rule and subject, which is what the key of a list row says after its digit.
type list interface {
	place() []byte // of what comes next; nil at the end. Valid until forward is called.
	take(place []byte) error
	forward()
	close()
}

// lists returns the lists that can hold what is asked for, each at its first
// place after the cursor.
func (p *pager) lists() ([]list, error) {
	odd, err := p.oddLapses()
	if err != nil {
		return nil, err
	}
	lists := []list{odd}
	for digit, resolved := range []bool{false, true} {
		if resolved && !p.wants(breach.Resolved) || !resolved && len(p.query.Statuses) == 1 && p.wants(breach.Resolved) {
			continue
		}
		lists = append(lists, p.rowList(byte('0'+digit)))
	}
	if p.query.Device != "" {
		return lists, nil // its lapses are among the odd ones
	}
	for i := range p.r.policy.Rules {
		rule := &p.r.policy.Rules[i]
		if l, ok := p.lapseList(rule); ok {
			lists = append(lists, l)
		}
	}
	return lists, nil
}

// rowList is the list of the rows with one digit.
type rowList struct {
	p    *pager
	it   *badger.Iterator
	base int
}

func (p *pager) rowList(digit byte) *rowList {
	prefix := append(key(p.r.school.ID, famList), digit)
	l := &rowList{p: p, base: len(prefix), it: p.r.txn.NewIterator(badger.IteratorOptions{Prefix: prefix})}
	if p.after != nil {
		prefix = append(append(prefix, p.after...), 0)
	}
	l.it.Seek(prefix)
	return l
}

func (l *rowList) place() []byte {
	if !l.it.Valid() {
		return nil
	}
	return l.it.Item().Key()[l.base:]
}

func (l *rowList) take(place []byte) error { return l.p.row(place) }
func (l *rowList) forward()                { l.it.Next() }
func (l *rowList) close()                  { l.it.Close() }

// oddList holds lapses on which what was followed before may bear. There are
// few, or they are of one device.
type oddList struct {
	p      *pager
	placed []placed
}

// placed is a breach with its place in the order.
type placed struct {
	place  []byte
	breach breach.Breach
}

func (l *oddList) place() []byte {
	if len(l.placed) == 0 {
		return nil
	}
	return l.placed[0].place
}

func (l *oddList) take([]byte) error { return l.p.show(l.placed[0].breach) }
func (l *oddList) forward()          { l.placed = l.placed[1:] }
func (l *oddList) close()            {}

// oddLapses gathers the lapses on which what was followed before may bear; of
// a single device all of its lapses.
func (p *pager) oddLapses() (*oddList, error) {
	p.reopened = map[breach.Key]bool{}
	odd := &oddList{p: p}
	gather := func(one bool) func(id posture.DeviceID, v *Vector) error {
		return func(id posture.DeviceID, v *Vector) error {
			lapses, err := p.r.lapses(id, v, !one)
			for _, l := range lapses {
				if l.reopens() {
					p.reopened[l.breach.Key] = true
				}
				place := listKey(p.r.school.ID, l.breach)[len(key(p.r.school.ID, famList))+1:]
				if p.selects(l.breach.Key) && bytes.Compare(place, p.after) > 0 {
					odd.placed = append(odd.placed, placed{place, l.breach})
				}
			}
			return err
		}
	}
	if p.query.Device != "" {
		row, err := p.device(p.query.Device)
		if err != nil || row.ID == "" {
			return odd, err
		}
		err = gather(true)(row.ID, &row.Vector)
		odd.sort()
		return odd, err
	}
	err := p.r.eachCohort(func(early *Vector, _ int) bool {
		for _, s := range early.Rules {
			rule := p.r.rule(s.Slot)
			if rule != nil && early.lapsed(s, rule, p.r.nowMs) && !early.plain(s, rule, cohortSpan) {
				return false
			}
		}
		return true
	}, gather(false))
	if err == nil {
		err = p.r.eachEnded(gather(false))
	}
	odd.sort()
	return odd, err
}

func (l *oddList) sort() {
	slices.SortFunc(l.placed, func(a, b placed) int { return bytes.Compare(a.place, b.place) })
}

// lapseList holds the devices on which a rule has lapsed, in the order in which
// it did: the order in which they were last heard from, last proved to be
// encrypted, or were to be handed back.
type lapseList struct {
	p     *pager
	it    *badger.Iterator
	base  int // length of the family's prefix
	rule  *Rule
	after uint64 // milliseconds from the time in the key to the lapse
	least uint64 // lapses before this are not wanted
	slot  uint16
	at    []byte // the place
}

// lapseList returns the list of a rule; ok is false if nothing on it can be
// wanted.
func (p *pager) lapseList(rule *Rule) (l *lapseList, ok bool) {
	family := map[From]string{FromContact: famHeard, FromEncryption: famProven, FromLoan: famLoan}[rule.Lapses.From]
	slot, known := p.r.slotOf(rule)
	if family == "" || !known || !p.selects(breach.Key{Rule: rule.ID, Device: p.query.Device}) || !p.mayBe(rule) {
		return nil, false
	}
	l = &lapseList{p: p, rule: rule, after: millis(rule.Lapses.After), slot: slot}
	latest := p.r.nowMs
	switch grace := min(millis(rule.Grace), latest); {
	case rule.Pauses:
		// How long ago the last of those in grace lapsed, the calendar knows.
	case !p.wants(breach.Pending):
		latest -= grace
	case !p.wants(breach.Open):
		l.least = latest - grace
	}
	var from []byte
	if cursor, ok := parseList(p.after); ok && cursor.first <= latest {
		latest = cursor.first
		from = text(nil, string(cursor.key.Device))
	}
	if latest < l.after || !p.wants(breach.Pending) && !p.wants(breach.Open) {
		return nil, false
	}
	prefix := key(p.r.school.ID, family)
	l.base = len(prefix)
	l.it = p.r.txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	l.it.Seek(append(number(bytes.Clone(prefix), ^(latest-l.after)), from...))
	l.settle()
	return l, true
}

// mayBe reports whether a lapse of a rule can be of a severity that was asked
// for.
func (p *pager) mayBe(rule *Rule) bool {
	return len(p.query.Severities) == 0 || slices.Contains(p.query.Severities, rule.Severity) ||
		rule.Escalate.After > 0 && slices.Contains(p.query.Severities, rule.Escalate.Severity)
}

// settle finds the place of where the iterator is, past the cursor.
func (l *lapseList) settle() {
	for l.at = nil; l.it.Valid(); l.it.Next() {
		k := l.it.Item().Key()[l.base:]
		if len(k) < 8 {
			continue
		}
		lapsed := ^binary.BigEndian.Uint64(k) + l.after
		if lapsed < l.least || lapsed == l.after {
			return // the zero time, of which nothing lapses, comes last
		}
		id, _, ok := part(k[8:])
		if !ok {
			continue
		}
		b := breach.Key{Device: posture.DeviceID(id), Rule: l.rule.ID, Kind: "device"}
		l.at = number(breachParts(number(nil, ^lapsed), b), 0)
		if bytes.Compare(l.at, l.p.after) > 0 {
			return
		}
		l.at = nil
	}
}

func (l *lapseList) place() []byte { return l.at }
func (l *lapseList) close()        { l.it.Close() }

func (l *lapseList) forward() {
	l.it.Next()
	l.settle()
}

func (l *lapseList) take([]byte) error {
	id, _, _ := part(l.it.Item().Key()[l.base+8:])
	var v Vector
	if err := l.it.Item().Value(v.decode); err != nil {
		return fmt.Errorf("read the standing of device %s: %w", id, err)
	}
	for _, s := range v.Rules {
		if s.Slot != l.slot || !v.lapsed(s, l.rule, l.p.r.nowMs) || !v.plain(s, l.rule, 0) {
			continue
		}
		lapse, ok, err := l.p.r.lapse(posture.DeviceID(id), &v, s, l.rule)
		if err != nil || !ok {
			return err
		}
		return l.p.show(lapse.breach)
	}
	return nil
}
