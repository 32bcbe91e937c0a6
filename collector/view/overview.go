package view

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/posture"
)

func (q *Queries) schools(ctx context.Context) ([]School, error) {
	var list []School
	err := q.view.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{})
		defer it.Close()
		for it.Seek([]byte{1}); it.Valid(); {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			id, _, ok := part(it.Item().Key())
			if !ok {
				it.Next()
				continue
			}
			r := &reader{ctx: ctx, txn: txn, school: School{ID: posture.SchoolID(id)}}
			known, err := r.getJSON(key(r.school.ID, famSchool), &r.school)
			if err != nil {
				return err
			}
			if known {
				list = append(list, r.school)
			}
			// Past every key of this school: its name ends with a zero byte.
			it.Seek(append([]byte(id), separator+1))
		}
		return nil
	})
	return list, err
}

func (q *Queries) overview(ctx context.Context, school posture.SchoolID, now time.Time) (Overview, error) {
	var o Overview
	err := q.read(ctx, school, now, func(r *reader) (err error) {
		o, err = r.overview()
		return err
	})
	return o, err
}

func (r *reader) overview() (Overview, error) {
	o := Overview{
		School: r.school.ID, SchoolName: r.school.Name, At: r.now,
		Policy: r.policy.Number, PolicyName: r.policy.Title, Devices: r.counts.Devices,
		CalendarWarning: r.terms.Warning(r.now),
	}
	if err := r.turn(); err != nil {
		return o, err
	}
	t := &totals{reader: r, bySlot: make([]ruleCount, len(r.slots))}
	copy(t.bySlot, r.counts.Rules)
	if err := r.eachEnded(t.device); err != nil {
		return o, err
	}
	if err := r.eachCohort(t.cohort, t.device); err != nil {
		return o, err
	}
	o.Silent = t.silent
	o.Rules = r.ruleCounts(t.bySlot)
	for _, status := range breach.Statuses() {
		for severity := posture.Critical; ; severity-- {
			if n := r.counts.Breaches[status][severity]; n != 0 {
				o.Breaches = append(o.Breaches, BreachCount{Status: status, Severity: severity, Count: n})
			}
			if severity == posture.Info {
				break
			}
		}
	}
	return o, nil
}

// turn brings the totals of breaches from the time of the last entry to now.
func (r *reader) turn() error {
	return r.each(key(r.school.ID, famTurn), nil, true, func(k []byte, item *badger.Item) (bool, error) {
		if len(k) < 8 || binary.BigEndian.Uint64(k) > r.nowMs {
			return false, nil
		}
		var t turn
		err := item.Value(func(b []byte) error { copy(t[:], b); return nil })
		r.counts.turn(t)
		return true, err
	})
}

// ruleCounts gives every rule of the policy its numbers. A device that was
// never judged by a rule is not proven to meet it.
func (r *reader) ruleCounts(bySlot []ruleCount) []RuleCount {
	list := make([]RuleCount, 0, len(r.policy.Rules))
	for i := range r.policy.Rules {
		rule := &r.policy.Rules[i]
		var n ruleCount
		for slot, other := range r.rules {
			if other == rule {
				n = bySlot[slot]
			}
		}
		judged := n[0] + n[1] + n[2] + n[3] + n[4]
		list = append(list, RuleCount{
			Rule: rule.ID, Title: rule.Title, Severity: rule.Severity, Remediation: rule.Remediation, Clauses: rule.Clauses,
			Met: n[0], NotMet: n[1], NotProven: n[2] + r.counts.Devices - judged, Exempt: n[3], NotFor: n[4],
		})
	}
	return list
}
