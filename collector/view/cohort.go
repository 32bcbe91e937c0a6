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

// A cohort is the devices that stand alike on every rule and whose times fall
// into the same intervals, such as a trolley of laptops that were put away
// together. All of a cohort turn within one interval, so that outside of it a
// question about thousands of silent devices reads one row.

// cohortSpan is the length of an interval in milliseconds.
const cohortSpan = 10 * 60 * 1000

// interval returns the beginning of the interval that holds a time. The zero
// time is alone in its own.
func interval(t uint64) uint64 {
	if t == 0 {
		return 0
	}
	return t - (t-1)%cohortSpan
}

// cohort returns what the vector has in common with the others of its cohort:
// its rules, and its times as early as they may be.
func (v Vector) cohort() Vector {
	c := Vector{
		LastContact: interval(v.LastContact), HeldAt: interval(v.HeldAt), EncryptionAt: interval(v.EncryptionAt),
		LoanEnds: interval(v.LoanEnds), Leaves: interval(v.Leaves), Asset: v.Asset, Rules: v.Rules,
	}
	for i, t := range v.ReadAt {
		if t > 0 {
			c.ReadAt[i] = interval(max(t, v.HeldAt))
		}
	}
	return c
}

// latest returns a cohort's vector with its times as late as they may be.
func (v Vector) latest() Vector {
	late := func(t uint64) uint64 {
		if t == 0 {
			return 0
		}
		return t + cohortSpan - 1
	}
	l := Vector{
		LastContact: late(v.LastContact), HeldAt: late(v.HeldAt), EncryptionAt: late(v.EncryptionAt),
		LoanEnds: late(v.LoanEnds), Leaves: late(v.Leaves), Asset: v.Asset, Rules: v.Rules,
	}
	for i, t := range v.ReadAt {
		l.ReadAt[i] = late(t)
	}
	return l
}

// plain reports whether a lapse of a rule is a breach of its own, on which
// nothing that was followed before bears: there was nothing, or it was resolved
// so long before the lapse that it cannot be the same breach. slack is how much
// later than the vector says the last contact may have been. Of a device of which
// a day of leaving is noted no lapse is plain that depends on it: lists find
// lapses by other moments, and there are few.
func (v *Vector) plain(s RuleState, r *Rule, slack uint64) bool {
	if r.Leaves != nil && v.Leaves > 0 {
		return false
	}
	if s.Bits&cased == 0 {
		return true
	}
	return s.Bits&closed != 0 && v.lapsesAt(r) > v.LastContact+slack+millis(breach.FlapWindow)
}

// eachCohort calls f with every cohort of which a device may stand differently
// from what the totals say because of its age, and with how many devices it
// has. Of a cohort for which f returns false, device is called with each.
func (r *reader) eachCohort(f func(v *Vector, n int) bool, device func(posture.DeviceID, *Vector) error) error {
	limit, ok := r.old()
	if !ok {
		return nil
	}
	var v Vector
	apart := map[uint64]map[string]bool{} // by interval of the last contact: cohorts to be looked into
	err := r.each(key(r.school.ID, famCohort), nil, true, func(k []byte, item *badger.Item) (bool, error) {
		if len(k) < 8 || binary.BigEndian.Uint64(k) > limit {
			return false, nil
		}
		if err := v.decode(k[8:]); err != nil {
			return false, fmt.Errorf("read a cohort: %w", err)
		}
		n := uint64(0)
		if err := item.Value(func(data []byte) error { n, _ = binary.Uvarint(data); return nil }); err != nil {
			return false, fmt.Errorf("read a cohort: %w", err)
		}
		if !f(&v, int(n)) {
			if apart[v.LastContact] == nil {
				apart[v.LastContact] = map[string]bool{}
			}
			apart[v.LastContact][string(k[8:])] = true
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	for contact, cohorts := range apart {
		if err := r.eachOf(contact, cohorts, device); err != nil {
			return err
		}
	}
	return nil
}

// eachOf calls f with the devices of some cohorts, which were all last heard
// from in one interval.
func (r *reader) eachOf(contact uint64, cohorts map[string]bool, f func(posture.DeviceID, *Vector) error) error {
	prefix := key(r.school.ID, famHeard)
	last := contact
	if contact > 0 {
		last += cohortSpan - 1
	}
	it := r.txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: 256})
	defer it.Close()
	var v Vector
	n := 0
	for it.Seek(number(bytes.Clone(prefix), ^last)); it.Valid(); it.Next() {
		if n++; n%1024 == 0 && r.ctx.Err() != nil {
			return r.ctx.Err()
		}
		k := it.Item().Key()[len(prefix):]
		if len(k) < 8 || ^binary.BigEndian.Uint64(k) < contact {
			return nil
		}
		id, _, ok := part(k[8:])
		if !ok {
			continue
		}
		if err := it.Item().Value(v.decode); err != nil {
			return fmt.Errorf("read the standing of device %s: %w", id, err)
		}
		if !cohorts[string(v.cohort().bytes())] {
			continue
		}
		if err := f(posture.DeviceID(id), &v); err != nil {
			return err
		}
	}
	return nil
}

// old returns the time at or before which the oldest of what a vector rests on
// must lie for its age to matter.
func (r *reader) old() (limit uint64, ok bool) {
	least := millis(r.policy.leastAge())
	return r.nowMs - min(least, r.nowMs), r.nowMs >= least
}

// eachEnded calls f with every device with an exemption or a loan that has ended
// without a word about it, unless its cohort is old.
func (r *reader) eachEnded(f func(posture.DeviceID, *Vector) error) error {
	limit, old := r.old()
	seen := map[string]bool{}
	var v Vector
	return r.each(key(r.school.ID, famUntil), nil, true, func(k []byte, item *badger.Item) (bool, error) {
		if len(k) < 8 || binary.BigEndian.Uint64(k) > r.nowMs {
			return false, nil
		}
		id, _, ok := part(k[8:])
		if !ok || seen[id] {
			return true, nil
		}
		seen[id] = true
		if err := item.Value(v.decode); err != nil {
			return false, fmt.Errorf("read the standing of device %s: %w", id, err)
		}
		if c := v.cohort(); old && c.oldest() <= limit {
			return true, nil
		}
		return true, f(posture.DeviceID(id), &v)
	})
}

// totals corrects what the counters hold for the time of asking.
type totals struct {
	*reader
	bySlot []ruleCount
	silent int
}

// cohort counts the devices of a cohort, if all of them stand alike now.
func (t *totals) cohort(early *Vector, n int) bool {
	late := early.latest()
	silent := early.silent(&t.policy, t.nowMs)
	if silent != late.silent(&t.policy, t.nowMs) {
		return false
	}
	var lapsed []BreachCount
	for _, s := range early.Rules {
		rule := t.rule(s.Slot)
		if rule == nil {
			continue
		}
		if early.standing(&t.policy, rule, s, t.nowMs) != late.standing(&t.policy, rule, s, t.nowMs) {
			return false
		}
		gone := early.lapsed(s, rule, t.nowMs)
		if gone != late.lapsed(s, rule, t.nowMs) {
			return false
		}
		if !gone {
			continue
		}
		b := t.lapseOf(early, rule)
		if b != t.lapseOf(&late, rule) || !early.plain(s, rule, cohortSpan) {
			return false
		}
		lapsed = append(lapsed, b)
	}
	if silent {
		t.silent += n
	}
	for _, b := range lapsed {
		t.counts.breach(b.Status, b.Severity, n)
	}
	t.move(early, n)
	return true
}

// lapseOf returns how a plain lapse of a rule counts.
func (t *totals) lapseOf(v *Vector, rule *Rule) BreachCount {
	b := breach.Breach{FirstFailed: at(v.lapsesAt(rule)), Terms: v.terms(rule, v.lapsesAt(rule))}
	return BreachCount{Status: b.Status(t.now, t.terms), Severity: b.Severity(t.now)}
}

// move counts n devices where they stand now instead of where they stand while
// nothing has gone stale.
func (t *totals) move(v *Vector, n int) {
	for _, s := range v.Rules {
		if rule := t.rule(s.Slot); rule != nil {
			if from, to := s.settled(), v.standing(&t.policy, rule, s, t.nowMs); from != to {
				t.bySlot[s.Slot].move(from, to, n)
			}
		}
	}
}

// device counts one device.
func (t *totals) device(id posture.DeviceID, v *Vector) error {
	if v.silent(&t.policy, t.nowMs) {
		t.silent++
	}
	t.move(v, 1)
	odd := false
	for _, s := range v.Rules {
		rule := t.rule(s.Slot)
		if rule == nil || !v.lapsed(s, rule, t.nowMs) {
			continue
		}
		if !v.plain(s, rule, 0) {
			odd = true
			continue
		}
		b := t.lapseOf(v, rule)
		t.counts.breach(b.Status, b.Severity, 1)
	}
	if !odd {
		return nil
	}
	lapses, err := t.lapses(id, v, true)
	for _, l := range lapses {
		if l.reopens() {
			t.counts.breach(l.was.Status(t.now, t.terms), l.was.Severity(t.now), -1)
		}
		t.counts.breach(l.breach.Status(t.now, t.terms), l.breach.Severity(t.now), 1)
	}
	return err
}

// slotOf returns the place of a rule in vectors.
func (r *reader) slotOf(rule *Rule) (uint16, bool) {
	i := slices.Index(r.rules, rule)
	return uint16(max(i, 0)), i >= 0
}
