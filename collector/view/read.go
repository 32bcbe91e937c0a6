package view

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// reader is one question's sight of one school: a snapshot of its rows, and
// the moment for which it is asked.
type reader struct {
	ctx    context.Context //nolint:containedctx // of the question; a reader does not outlive it
	txn    *badger.Txn
	school School
	now    time.Time
	nowMs  uint64
	counts counts
	policy Policy
	slots  []string
	rules  []*Rule // by slot; nil if the policy has no such rule
	terms  *calendar.Calendar
	lists  time.Duration // for which lists of devices count; 0 until it was asked
}

// read runs f with a reader of a school. It fails with ErrNotFound if the view
// does not know the school.
func (q *Queries) read(ctx context.Context, school posture.SchoolID, now time.Time, f func(*reader) error) error {
	return q.view.db.View(func(txn *badger.Txn) error {
		r := &reader{ctx: ctx, txn: txn, school: School{ID: school}, now: now, nowMs: ms(now)}
		var err error
		if r.terms, err = q.view.calendar(txn, school); err == nil {
			err = r.load()
		}
		if err != nil {
			return fmt.Errorf("read the view of school %s: %w", school, err)
		}
		return f(r)
	})
}

func (r *reader) load() error {
	ok, err := r.getJSON(key(r.school.ID, famSchool), &r.school)
	if err != nil {
		return err
	}
	if !ok {
		return ErrNotFound
	}
	if _, err := r.getJSON(key(r.school.ID, famCounts), &r.counts); err != nil {
		return err
	}
	if _, err := r.getJSON(key(r.school.ID, famSlots), &r.slots); err != nil {
		return err
	}
	if err := r.loadPolicy(); err != nil {
		return err
	}
	r.rules = make([]*Rule, len(r.slots))
	for i, id := range r.slots {
		for j := range r.policy.Rules {
			if r.policy.Rules[j].ID == id {
				r.rules[i] = &r.policy.Rules[j]
			}
		}
	}
	return nil
}

// loadPolicy finds the school's policy: the one with the highest number.
func (r *reader) loadPolicy() error {
	var last []byte
	err := r.each(key(r.school.ID, famPolicy), nil, false, func(k []byte, _ *badger.Item) (bool, error) {
		last = bytes.Clone(k)
		return true, nil
	})
	if err != nil || last == nil {
		return err
	}
	_, err = r.getJSON(append(key(r.school.ID, famPolicy), last...), &r.policy)
	r.policy.prepare(r.terms)
	return err
}

func (r *reader) getJSON(k []byte, into any) (bool, error) {
	return r.get(k, func(data []byte) error { return json.Unmarshal(data, into) })
}

func (r *reader) getRow(k []byte, row interface{ code(*coder) }) (bool, error) {
	return r.get(k, func(data []byte) error { return decode(data, row) })
}

func (r *reader) get(k []byte, read func(data []byte) error) (bool, error) {
	item, err := r.txn.Get(k)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return false, nil
	}
	if err == nil {
		err = item.Value(read)
	}
	if err != nil {
		return false, fmt.Errorf("read row %q: %w", k, err)
	}
	return true, nil
}

// looked is after how many rows it is looked whether the answer is still wanted: as
// many as are fetched at once.
const looked = 256

// each calls f with what follows the prefix in each key, from after on, until f
// returns false. The key is valid only during the call.
func (r *reader) each(prefix, after []byte, values bool, f func(k []byte, item *badger.Item) (bool, error)) error {
	from := prefix
	if after != nil {
		from = append(append(bytes.Clone(prefix), after...), 0)
	}
	return r.eachFrom(prefix, from, values, f)
}

// eachFrom is each from a key on, whether there is one like it or not.
func (r *reader) eachFrom(prefix, from []byte, values bool, f func(k []byte, item *badger.Item) (bool, error)) error {
	it := r.txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: values, PrefetchSize: looked})
	defer it.Close()
	n := 0
	for it.Seek(from); it.Valid(); it.Next() {
		if n++; n%looked == 0 && r.ctx.Err() != nil {
			return r.ctx.Err()
		}
		more, err := f(it.Item().Key()[len(prefix):], it.Item())
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// rule returns the rule of a slot, or nil if the policy does not have it.
func (r *reader) rule(slot uint16) *Rule {
	if int(slot) < len(r.rules) {
		return r.rules[slot]
	}
	return nil
}

// lapses returns the breaches of a device that exist only because nothing was
// heard from it. The ledger has no entry about them, so no row does either.
// With odd, only those on which what was followed before may bear.
func (r *reader) lapses(id posture.DeviceID, v *Vector, odd bool) ([]lapse, error) {
	var list []lapse
	for _, s := range v.Rules {
		rule := r.rule(s.Slot)
		if rule == nil || !v.lapsed(s, rule, r.nowMs) || odd && v.plain(s, rule, 0) {
			continue
		}
		l, ok, err := r.lapse(id, v, s, rule)
		if err != nil {
			return nil, err
		}
		if ok {
			list = append(list, l)
		}
	}
	return list, nil
}

// lapse returns the breach of a rule that has lapsed; ok is false if there is
// a row about it, which says more.
func (r *reader) lapse(id posture.DeviceID, v *Vector, s RuleState, rule *Rule) (l lapse, ok bool, err error) {
	was := breach.Breach{Key: breach.Key{Device: id, Rule: rule.ID, Kind: "device"}}
	if s.Bits&cased != 0 {
		if _, err := r.getRow(caseKey(r.school.ID, was.Key), breachRow{Breach: &was}); err != nil {
			return l, false, err
		}
	}
	if was.Number > 0 && was.ResolvedAt.IsZero() {
		return l, false, nil
	}
	return lapse{was: was, breach: was.After(v.Lapsed(rule, at(v.lapsesAt(rule))))}, true, nil
}

// lapse is a breach by silence and what was known under its key before.
type lapse struct{ was, breach breach.Breach }

// reopens reports whether the row of the resolved breach speaks of the same
// breach, so that it must not be shown beside it.
func (l lapse) reopens() bool { return l.was.Number > 0 && l.was.Number == l.breach.Number }

// Lapsed is the event of a rule that failed by the passing of time, at the moment
// that LapsesAt says.
func (v *Vector) Lapsed(r *Rule, when time.Time) breach.Event {
	return breach.Event{What: breach.Failed, At: when, Received: when, Order: ^uint64(0), Terms: v.terms(r, ms(when))}
}

// terms returns what a rule says about a failure of the whole device that began
// at a moment by the passing of time.
func (v *Vector) terms(r *Rule, when uint64) breach.Terms {
	t := breach.Terms{
		Severity: r.Severity, Grace: r.Grace, Pauses: r.Pauses, Escalate: r.Escalate,
		Label: "this device", Message: r.NotMet,
	}
	if r.Leaves != nil && v.Leaves == when {
		t.Severity, t.Grace = r.Leaves.Severity, r.Leaves.Grace
	}
	return t
}
