package view

import (
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Case returns the breach that is followed under a key, and whether there is
// one.
func (tx *Tx) Case(k breach.Key) (b breach.Breach, ok bool, err error) {
	h, err := tx.caseOf(k)
	if err != nil {
		return b, false, err
	}
	return h.b, h.ok, nil
}

// PutCase replaces the breach that is followed under a key. old is the one
// before it; one without a number was never counted. closed is the breach of
// that key that it follows, if there was one: it is kept apart.
func (tx *Tx) PutCase(old, b breach.Breach, closed *breach.Breach) error {
	if err := tx.room(roomy); err != nil {
		return err
	}
	h, err := tx.caseOf(b.Key)
	if err != nil {
		return err
	}
	if !h.changed {
		tx.bytes += caseWeight
	}
	if err := tx.count(old, h.by, -1); err != nil {
		return err
	}
	if closed != nil {
		if err := tx.close(h, *closed); err != nil {
			return err
		}
	}
	h.b, h.by, h.ok, h.changed = b, tx.turnsBy(b), true, true
	return tx.count(b, h.by, 1)
}

// caseWeight is about what the rows of a breach take.
const caseWeight = 2048

// close keeps a breach apart that another one follows under its key. Its place
// in the list stays its own.
func (tx *Tx) close(h *heldCase, closed breach.Breach) error {
	if err := tx.count(closed, 0, 1); err != nil {
		return err
	}
	h.b, h.by = closed, 0
	if err := tx.writeCase(h); err != nil {
		return err
	}
	h.stored, h.storedBy = breach.Breach{Key: closed.Key}, 0
	return tx.put(pastKey(tx.school, closed), encode(breachRow{Breach: &closed}))
}

func (tx *Tx) turnKey(t time.Time, k breach.Key) []byte {
	return breachParts(number(key(tx.school, famTurn), ms(t)), k)
}

// count adds a breach that turns by a calendar to the totals, or takes it away.
func (tx *Tx) count(b breach.Breach, by uint64, n int) error {
	if b.Number == 0 {
		return nil
	}
	days, err := tx.daysOf(by)
	if err != nil {
		return err
	}
	now := at(tx.asOf)
	tx.counts.breach(b.Status(now, days), b.Severity(now), n)
	return nil
}

type timedTurn struct {
	at   time.Time
	turn turn
}

// turns returns the changes of a breach by the passing of time after a moment,
// in whole milliseconds: turns within one are one.
func turns(b breach.Breach, after time.Time, days *calendar.Calendar) []timedTurn {
	var list []timedTurn
	last := after
	for _, t := range b.Turns(after, days) {
		up := t.Truncate(time.Millisecond)
		if up.Before(t) {
			up = up.Add(time.Millisecond)
		}
		if !up.After(last) {
			continue
		}
		list = append(list, timedTurn{at: up, turn: turn{
			byte(b.Status(last, days)), byte(b.Severity(last)), byte(b.Status(up, days)), byte(b.Severity(up)),
		}})
		last = up
	}
	return list
}

// States returns the results of a rule on a device's subjects. They must not be
// changed.
func (tx *Tx) States(device posture.DeviceID, rule string) ([]State, error) {
	h, err := tx.statesOf(device)
	if err != nil {
		return nil, err
	}
	return h.rules[rule], nil
}

// PutStates replaces them; none removes them.
func (tx *Tx) PutStates(device posture.DeviceID, rule string, states []State) error {
	weight := 0
	for _, s := range states {
		weight += len(s.Kind) + len(s.Key) + 16
	}
	if err := tx.room(weight + roomy); err != nil {
		return err
	}
	h, err := tx.statesOf(device)
	if err != nil {
		return err
	}
	if !h.changed {
		tx.bytes += rowOverhead
		for _, others := range h.rules {
			weight += 32 * len(others)
		}
	}
	tx.bytes += weight
	h.changed = true
	if len(states) == 0 {
		delete(h.rules, rule)
		return nil
	}
	h.rules[rule] = states
	return nil
}
