package view

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// list is one of the lists from which a page of breaches is made. They have
// one order: by when the breach first failed, newest first, then by device,
// rule and subject, which is what the key of a list row says after its digit.
type list interface {
	place() []byte // of what comes next; nil at the end. Valid until forward is called.
	take(place []byte) error
	forward() error
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
		l, ok, err := p.lapseList(rule)
		if ok {
			lists = append(lists, l)
		}
		if err != nil {
			return lists, err
		}
	}
	return lists, nil
}

// rowList is the list of the rows with one digit.
type rowList struct {
	p        *pager
	it       *badger.Iterator
	base     int
	resolved bool
}

func (p *pager) rowList(digit byte) *rowList {
	prefix := append(key(p.r.school.ID, famList), digit)
	l := &rowList{p: p, base: len(prefix), resolved: digit == '1', it: p.r.txn.NewIterator(badger.IteratorOptions{Prefix: prefix})}
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

func (l *rowList) take(place []byte) error {
	meant := true
	err := l.it.Item().Value(func(data []byte) error {
		g, ok := parseGist(data)
		if !ok {
			return fmt.Errorf("the list of breaches does not say what it has at %q", place)
		}
		meant = l.p.mayBeMeant(g, l.resolved)
		return nil
	})
	if err != nil || !meant {
		l.p.passed++
		return err
	}
	return l.p.row(place)
}

func (l *rowList) forward() error { l.it.Next(); return nil }
func (l *rowList) close()         { l.it.Close() }

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
func (l *oddList) forward() error    { l.placed = l.placed[1:]; return nil }
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
// encrypted, or were to be handed back. Devices that lapsed together, such as
// all that fell silent in one holiday, are gathered and come by their names.
type lapseList struct {
	p        *pager
	it       *badger.Iterator
	base     int // length of the family's prefix
	rule     *Rule
	least    uint64 // lapses before this are not wanted
	slot     uint16
	together []lapsedVector
}

// lapsedVector is a device on which a rule has lapsed, with its place.
type lapsedVector struct {
	place  []byte
	device posture.DeviceID
	vector []byte
}

// lapseList returns the list of a rule; ok is false if nothing on it can be
// wanted.
func (p *pager) lapseList(rule *Rule) (l *lapseList, ok bool, err error) {
	family := map[From]string{FromContact: famHeard, FromSilence: famHeard, FromEncryption: famProven, FromLoan: famLoan}[rule.Lapses.From]
	slot, known := p.r.slotOf(rule)
	if family == "" || !known || !p.selects(breach.Key{Rule: rule.ID, Device: p.query.Device}) || !p.mayBe(rule) {
		return nil, false, nil
	}
	l = &lapseList{p: p, rule: rule, slot: slot}
	latest := p.r.nowMs
	switch grace := min(millis(rule.Grace), latest); {
	case rule.Pauses:
		// How long ago the last of those in grace lapsed, the calendar knows.
	case !p.wants(breach.Pending):
		latest -= grace
	case !p.wants(breach.Open):
		l.least = latest - grace
	}
	if cursor, ok := parseList(p.after); ok && cursor.first <= latest {
		latest = cursor.first
	}
	since, ok := rule.Lapses.since(latest, rule.days)
	if !ok || !p.wants(breach.Pending) && !p.wants(breach.Open) {
		return nil, false, nil
	}
	prefix := key(p.r.school.ID, family)
	l.base = len(prefix)
	l.it = p.r.txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	l.it.Seek(number(bytes.Clone(prefix), ^since))
	return l, true, l.gather()
}

// since returns the latest moment from which time to a lapse counts that lapses
// at or before another; ok is false if none does.
func (l Lapse) since(latest uint64, days *calendar.Calendar) (since uint64, ok bool) {
	after := millis(l.After)
	if l.From != FromSilence {
		return latest - min(after, latest), latest >= after
	}
	n := sort.Search(int(latest)+1, func(n int) bool { return l.silent(uint64(n), days) > latest })
	return uint64(max(n-1, 0)), n > 0
}

// mayBe reports whether a lapse of a rule can be of a severity that was asked
// for.
func (p *pager) mayBe(rule *Rule) bool {
	return len(p.query.Severities) == 0 || slices.Contains(p.query.Severities, rule.Severity) ||
		rule.Escalate.After > 0 && slices.Contains(p.query.Severities, rule.Escalate.Severity)
}

// gather finds those that lapsed together next, past the cursor.
func (l *lapseList) gather() error {
	l.together = nil
	var last uint64
	for ; l.it.Valid(); l.it.Next() {
		k := l.it.Item().Key()[l.base:]
		if len(k) < 8 {
			continue
		}
		since := ^binary.BigEndian.Uint64(k)
		lapsed := l.lapsed(since)
		if lapsed < l.least || since == 0 || len(l.together) > 0 && lapsed != last {
			break // the zero time, of which nothing lapses, comes last
		}
		id, _, ok := part(k[8:])
		if !ok {
			continue
		}
		b := breach.Key{Device: posture.DeviceID(id), Rule: l.rule.ID, Kind: "device"}
		place := number(breachParts(number(nil, ^lapsed), b), 0)
		if bytes.Compare(place, l.p.after) <= 0 {
			continue
		}
		vector, err := l.it.Item().ValueCopy(nil)
		if err != nil {
			return fmt.Errorf("read the standing of device %s: %w", id, err)
		}
		last = lapsed
		l.together = append(l.together, lapsedVector{place: place, device: b.Device, vector: vector})
	}
	slices.SortFunc(l.together, func(a, b lapsedVector) int { return bytes.Compare(a.place, b.place) })
	return nil
}

func (l *lapseList) lapsed(since uint64) uint64 {
	if l.rule.Lapses.From == FromSilence {
		return l.rule.Lapses.silent(since, l.rule.days)
	}
	return since + millis(l.rule.Lapses.After)
}

func (l *lapseList) place() []byte {
	if len(l.together) == 0 {
		return nil
	}
	return l.together[0].place
}

func (l *lapseList) close() { l.it.Close() }

func (l *lapseList) forward() error {
	if l.together = l.together[1:]; len(l.together) > 0 {
		return nil
	}
	return l.gather()
}

func (l *lapseList) take([]byte) error {
	first := l.together[0]
	var v Vector
	if err := v.decode(first.vector); err != nil {
		return fmt.Errorf("read the standing of device %s: %w", first.device, err)
	}
	for _, s := range v.Rules {
		if s.Slot != l.slot || !v.lapsed(s, l.rule, l.p.r.nowMs) || !v.plain(s, l.rule, 0) {
			continue
		}
		lapse, ok, err := l.p.r.lapse(first.device, &v, s, l.rule)
		if err != nil || !ok {
			return err
		}
		return l.p.show(lapse.breach)
	}
	return nil
}
