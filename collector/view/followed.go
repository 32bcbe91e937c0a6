package view

import (
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Case returns the breach that is followed under a key, and whether there is
// one.
func (tx *Tx) Case(k breach.Key) (b breach.Breach, ok bool, err error) {
	ok, err = tx.getJSON(caseKey(tx.school, k), &b)
	if !ok {
		b = breach.Breach{Key: k}
	}
	return b, ok, err
}

// PutCase replaces the breach that is followed under a key. old is the one
// before it; one without a number was never counted. closed is the breach of
// that key that it follows, if there was one: it is kept apart.
func (tx *Tx) PutCase(old, b breach.Breach, closed *breach.Breach) error {
	if err := tx.room(roomy); err != nil {
		return err
	}
	if err := tx.uncount(old); err != nil {
		return err
	}
	if err := tx.putJSON(caseKey(tx.school, b.Key), b); err != nil {
		return err
	}
	if closed != nil {
		if err := tx.putJSON(pastKey(tx.school, *closed), *closed); err != nil {
			return err
		}
		if err := tx.count(*closed); err != nil {
			return err
		}
	}
	return tx.count(b)
}

func (tx *Tx) turnKey(t time.Time, k breach.Key) []byte {
	return breachParts(number(key(tx.school, famTurn), ms(t)), k)
}

// count adds a breach to the totals, the list and the turns.
func (tx *Tx) count(b breach.Breach) error {
	if b.Number == 0 {
		return nil
	}
	now := at(tx.asOf)
	tx.counts.breach(b.Status(now), b.Severity(now), 1)
	if err := tx.put(listKey(tx.school, b), nil); err != nil {
		return err
	}
	for _, t := range turns(b, now) {
		if err := tx.put(tx.turnKey(t.at, b.Key), t.turn[:]); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) uncount(b breach.Breach) error {
	if b.Number == 0 {
		return nil
	}
	now := at(tx.asOf)
	tx.counts.breach(b.Status(now), b.Severity(now), -1)
	if err := tx.remove(listKey(tx.school, b)); err != nil {
		return err
	}
	for _, t := range turns(b, now) {
		if err := tx.remove(tx.turnKey(t.at, b.Key)); err != nil {
			return err
		}
	}
	return nil
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

// States returns the results of a rule on a device's subjects.
func (tx *Tx) States(device posture.DeviceID, rule string) ([]State, error) {
	data, err := tx.get(text(text(key(tx.school, famState), string(device)), rule))
	if err != nil || data == nil {
		return nil, err
	}
	return decodeStates(data)
}

// PutStates replaces them; none removes the row.
func (tx *Tx) PutStates(device posture.DeviceID, rule string, states []State) error {
	k := text(text(key(tx.school, famState), string(device)), rule)
	if len(states) == 0 {
		return tx.remove(k)
	}
	data := encodeStates(states)
	if err := tx.room(len(data) + roomy); err != nil {
		return err
	}
	return tx.put(k, data)
}
