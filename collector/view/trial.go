package view

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Try runs f on the rows of a school as they are at one moment and throws away
// what it did: it answers what would come of something, and writes nothing. It
// may run beside whatever changes the view. Rows of devices, states and breaches
// that f changes are as f left them while it runs; of others it sees what is
// stored. f must not look at more than some hundred devices: what it reads is
// held until it ends.
func (v *View) Try(school posture.SchoolID, f func(*Tx) error) error {
	tx := &Tx{view: v, school: school, txn: v.db.NewTransaction(false), trial: true, held: newHeld(), cohorts: map[string]int{}, gauges: map[string]int{}, covers: map[string]int{}}
	defer tx.txn.Discard()
	if err := tx.load(); err != nil {
		return err
	}
	return f(tx)
}

// Devices lists devices in the order of their identifiers: those after one, "" for
// the first, and most of them at most.
func (tx *Tx) Devices(after posture.DeviceID, most int) []posture.DeviceID {
	prefix := key(tx.school, famDevice)
	it := tx.txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	var list []posture.DeviceID
	for it.Seek(text(key(tx.school, famDevice), string(after))); it.Valid() && len(list) < most; it.Next() {
		if id, _, ok := part(it.Item().Key()[len(prefix):]); ok && posture.DeviceID(id) > after {
			list = append(list, posture.DeviceID(id))
		}
	}
	return list
}

// DeviceCount returns how many devices there are.
func (tx *Tx) DeviceCount() int { return tx.counts.Devices }

// Ready makes a policy ready for Standing, by what is known of the school's days.
func (p *Policy) Ready(days *calendar.Calendar) { p.prepare(days) }

// Standing returns where a device stands on a rule of a policy that is ready, at
// a moment. A device that was never judged by a rule is not proven to meet it.
func (tx *Tx) Standing(v Vector, p *Policy, r *Rule, now time.Time) Standing {
	s, ok := tx.State(v, r.ID)
	if !ok {
		return NotProven
	}
	return v.standing(p, r, s, ms(now))
}

// Cases returns the breaches that are followed on a device, as this transaction
// has them, in the order of their keys.
func (tx *Tx) Cases(device posture.DeviceID) ([]breach.Breach, error) {
	found := map[breach.Key]bool{}
	prefix := text(key(tx.school, famCase), string(device))
	it := tx.txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	for it.Rewind(); it.Valid(); it.Next() {
		var k breach.Key
		if _, ok := parseBreach(it.Item().Key()[len(key(tx.school, famCase)):], &k); ok {
			found[k] = true
		}
	}
	it.Close()
	for k := range tx.held.cases {
		if k.Device == device {
			found[k] = true
		}
	}
	var list []breach.Breach
	for k := range found {
		h, err := tx.caseOf(k)
		if err != nil {
			return nil, err
		}
		if h.ok {
			list = append(list, h.b)
		}
	}
	slices.SortFunc(list, func(a, b breach.Breach) int {
		return cmp.Or(strings.Compare(a.Rule, b.Rule), strings.Compare(a.Kind, b.Kind), strings.Compare(a.ID, b.ID))
	})
	return list, nil
}
