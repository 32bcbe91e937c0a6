package view

import (
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
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
	tx.count(old, -1)
	if closed != nil {
		if err := tx.close(h, *closed); err != nil {
			return err
		}
	}
	tx.count(b, 1)
	h.b, h.ok, h.changed = b, true, true
	return nil
}

// caseWeight is about what the rows of a breach take.
const caseWeight = 2048

// close keeps a breach apart that another one follows under its key. Its place
// in the list stays its own.
func (tx *Tx) close(h *heldCase, closed breach.Breach) error {
	tx.count(closed, 1)
	h.b = closed
	if err := tx.writeCase(h); err != nil {
		return err
	}
	h.stored = breach.Breach{Key: closed.Key}
	return tx.put(pastKey(tx.school, closed), encode(breachRow{&closed}))
}

func (tx *Tx) turnKey(t time.Time, k breach.Key) []byte {
	return breachParts(number(key(tx.school, famTurn), ms(t)), k)
}

// count adds a breach to the totals, or takes it away.
func (tx *Tx) count(b breach.Breach, by int) {
	if b.Number > 0 {
		now := at(tx.asOf)
		tx.counts.breach(b.Status(now), b.Severity(now), by)
	}
}

type timedTurn struct {
	at   time.Time
	turn turn
}

// turns returns the changes of a breach by the passing of time after a moment,
// in whole milliseconds: turns within one are one.
func turns(b breach.Breach, after time.Time) []timedTurn {
	var list []timedTurn
	last := after
	for _, t := range b.Turns(after) {
		up := t.Truncate(time.Millisecond)
		if up.Before(t) {
			up = up.Add(time.Millisecond)
		}
		if !up.After(last) {
			continue
		}
		list = append(list, timedTurn{at: up, turn: turn{
			byte(b.Status(last)), byte(b.Severity(last)), byte(b.Status(up)), byte(b.Severity(up)),
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
