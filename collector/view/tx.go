package view

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// txBytes is how much one transaction may write before it is committed: rows,
// running totals and cursor together. A fold that writes more is committed in
// parts; because the cursor still names its entry, and folding an entry again
// changes nothing that is there, a crash between the parts does no harm.
const txBytes = memTable / 16

// Tx changes the rows of one school. It is not safe for concurrent use.
type Tx struct {
	view   *View
	school posture.SchoolID
	txn    *badger.Txn
	bytes  int
	trial  bool // nothing is written: see Try

	reached
	counts counts
	slots  []string

	held    held
	terms   []edition      // calendars, oldest first
	cohorts map[string]int // by key: devices more, or less, than when the transaction began
	gauges  map[string]int // the same
	covers  map[string]int // the same, of the register
}

// Update runs f on the rows of a school and commits what it did, cursor and
// all, or nothing.
func (v *View) Update(school posture.SchoolID, f func(*Tx) error) error {
	tx := &Tx{view: v, school: school, txn: v.db.NewTransaction(true), held: newHeld(), cohorts: map[string]int{}, gauges: map[string]int{}, covers: map[string]int{}}
	defer func() { tx.txn.Discard() }()
	if err := tx.load(); err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return err
	}
	return tx.commit()
}

func (tx *Tx) load() error {
	data, err := tx.get(key(tx.school, famNext))
	if err != nil {
		return err
	}
	tx.reached = decodeReached(data)
	if data, err = tx.get(key(tx.school, famCounts)); err != nil {
		return err
	}
	if data != nil {
		if tx.counts, err = decodeCounts(data); err != nil {
			return fmt.Errorf("read the totals of school %s: %w", tx.school, err)
		}
	}
	if tx.terms, err = tx.view.editions(tx.txn, tx.school); err != nil {
		return err
	}
	_, err = tx.getJSON(key(tx.school, famSlots), &tx.slots)
	return err
}

func (tx *Tx) commit() error {
	err := tx.flush()
	if err == nil {
		err = errors.Join(tx.countRows(tx.cohorts, "a cohort"), tx.countRows(tx.gauges, "a gauge"), tx.countRows(tx.covers, "the register"))
	}
	if err == nil {
		err = tx.putJSON(key(tx.school, famCounts), tx.counts)
	}
	if err == nil {
		err = tx.putJSON(key(tx.school, famSlots), tx.slots)
	}
	if err == nil {
		err = tx.txn.Set(key(tx.school, famNext), tx.reached.bytes())
	}
	if err == nil {
		err = tx.txn.Commit()
	}
	if err != nil {
		return fmt.Errorf("commit to the view of school %s: %w", tx.school, err)
	}
	return nil
}

// get returns the value of a key, or nil if there is none.
func (tx *Tx) get(k []byte) ([]byte, error) {
	item, err := tx.txn.Get(k)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read row %q: %w", k, err)
	}
	return item.ValueCopy(nil)
}

func (tx *Tx) getJSON(k []byte, into any) (bool, error) {
	data, err := tx.get(k)
	if err != nil || data == nil {
		return false, err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return false, fmt.Errorf("read row %q: %w", k, err)
	}
	return true, nil
}

func (tx *Tx) put(k, value []byte) error {
	tx.bytes += len(k) + len(value) + rowOverhead
	return tx.set(k, value)
}

// set writes a row for which room was reckoned before.
func (tx *Tx) set(k, value []byte) error {
	if tx.trial {
		return nil
	}
	if err := tx.txn.Set(k, value); err != nil {
		return fmt.Errorf("write row %q: %w", k, err)
	}
	return nil
}

func (tx *Tx) putJSON(k []byte, row any) error {
	data, err := json.Marshal(row)
	if err != nil {
		return fmt.Errorf("write row %q: %w", k, err)
	}
	return tx.put(k, data)
}

func (tx *Tx) remove(k []byte) error {
	tx.bytes += len(k) + rowOverhead
	return tx.unset(k)
}

// unset removes a row for which room was reckoned before.
func (tx *Tx) unset(k []byte) error {
	if tx.trial {
		return nil
	}
	if err := tx.txn.Delete(k); err != nil {
		return fmt.Errorf("remove row %q: %w", k, err)
	}
	return nil
}

// roomy is more than the few rows of one change need.
const roomy = 64 << 10

// rowOverhead is what a transaction needs for a row beside key and value.
const rowOverhead = 64

// room commits a full transaction and begins another. It is called before a
// change of several rows that belong together, never within one.
func (tx *Tx) room(size int) error {
	if tx.trial || tx.bytes+size <= txBytes {
		return nil
	}
	if err := tx.commit(); err != nil {
		return err
	}
	tx.bytes, tx.held = 0, newHeld() // what is written need not be held on to
	tx.txn = tx.view.db.NewTransaction(true)
	return nil
}

// Full reports whether the transaction is due to be committed.
func (tx *Tx) Full() bool { return tx.bytes > txBytes/2 }

// Next returns the first index of the ledger that is not folded in.
func (tx *Tx) Next() uint64 { return tx.next }

// SetNext says that all entries before an index are folded in.
func (tx *Tx) SetNext(index uint64) { tx.next = index }

// Advance counts the turns up to a time. It must come before any row is
// changed, and never goes back.
func (tx *Tx) Advance(now time.Time) error {
	to := ms(now)
	if to <= tx.asOf {
		return nil
	}
	var due [][]byte
	prefix := key(tx.school, famTurn)
	it := tx.txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: 100})
	for it.Rewind(); it.Valid(); it.Next() {
		k := it.Item().KeyCopy(nil)
		if binary.BigEndian.Uint64(k[len(prefix):]) > to {
			break
		}
		var t turn
		if err := it.Item().Value(func(b []byte) error { copy(t[:], b); return nil }); err != nil {
			it.Close()
			return fmt.Errorf("read a turn: %w", err)
		}
		tx.counts.turn(t)
		due = append(due, k)
	}
	it.Close()
	tx.asOf = to
	for _, k := range due {
		// Straight to the transaction: a commit in between would count the
		// rest twice.
		if err := tx.txn.Delete(k); err != nil {
			return fmt.Errorf("remove a turn: %w", err)
		}
	}
	return nil
}

// PutSchool records the school's name.
func (tx *Tx) PutSchool(name string) error {
	return tx.putJSON(key(tx.school, famSchool), School{ID: tx.school, Name: name})
}

// PutPolicy records a policy.
func (tx *Tx) PutPolicy(p Policy) error {
	for _, r := range p.Rules {
		tx.slot(r.ID)
	}
	tx.policy = max(tx.policy, p.Number)
	return tx.putJSON(number(key(tx.school, famPolicy), p.Number), p)
}

// CurrentPolicy returns the highest number of a published policy; 0 is the
// baseline.
func (tx *Tx) CurrentPolicy() uint64 { return tx.policy }

// Policy returns the policy of a number.
func (tx *Tx) Policy(n uint64) (p Policy, ok bool, err error) {
	ok, err = tx.getJSON(number(key(tx.school, famPolicy), n), &p)
	return p, ok, err
}

// Assignment returns a device's assignment of a number.
func (tx *Tx) Assignment(device posture.DeviceID, n uint64) (a policy.Assignment, ok bool, err error) {
	ok, err = tx.getJSON(number(text(key(tx.school, famAssignment), string(device)), n), &a)
	return a, ok, err
}

// slot returns the place of a rule in vectors, and gives it one if it has none.
func (tx *Tx) slot(rule string) uint16 {
	i := slices.Index(tx.slots, rule)
	if i < 0 {
		i = len(tx.slots)
		tx.slots = append(tx.slots, rule)
	}
	return uint16(i)
}

// Vector puts the tallies of a device's rules into a vector that already has
// its times. Rules of the vector that are not tallied stay as they are.
func (tx *Tx) Vector(v Vector, tallies map[string]*Tally) Vector {
	rules := make([]RuleState, len(v.Rules), len(v.Rules)+len(tallies))
	copy(rules, v.Rules)
	left := len(tallies)
	for i := range rules {
		if t, ok := tallies[tx.slots[rules[i].Slot]]; ok {
			t.state.Slot = rules[i].Slot
			rules[i] = t.state
			left--
		}
	}
	v.Rules = rules
	if left == 0 {
		return v
	}
	for _, rule := range slices.Sorted(maps.Keys(tallies)) { // slots are given in an order that does not vary
		slot := tx.slot(rule)
		if slices.ContainsFunc(rules, func(s RuleState) bool { return s.Slot == slot }) {
			continue
		}
		tallies[rule].state.Slot = slot
		v.Rules = append(v.Rules, tallies[rule].state)
	}
	slices.SortFunc(v.Rules, func(a, b RuleState) int { return cmp.Compare(a.Slot, b.Slot) })
	return v
}

// Rules returns the rules by which a vector judges, by identifier.
func (tx *Tx) Rules(v Vector) []string {
	var list []string
	for _, s := range v.Rules {
		list = append(list, tx.slots[s.Slot])
	}
	return list
}

// State returns where a vector stands on a rule.
func (tx *Tx) State(v Vector, rule string) (RuleState, bool) {
	for _, s := range v.Rules {
		if tx.slots[s.Slot] == rule {
			return s, true
		}
	}
	return RuleState{}, false
}

// Forget removes rules from a vector.
func (tx *Tx) Forget(v Vector, rules []string) Vector {
	v.Rules = slices.DeleteFunc(slices.Clone(v.Rules), func(s RuleState) bool { return slices.Contains(rules, tx.slots[s.Slot]) })
	return v
}

// Device returns a device's row.
func (tx *Tx) Device(id posture.DeviceID) (d DeviceRow, ok bool, err error) {
	h, err := tx.device(id)
	if err != nil {
		return DeviceRow{}, false, err
	}
	return h.row, h.row.ID != "", nil
}

// PutDevice replaces a device's row and everything that is found by it. old is
// the row as it was; one without an ID was not there.
func (tx *Tx) PutDevice(old, row DeviceRow) error {
	if err := tx.room(roomy); err != nil {
		return err
	}
	h, err := tx.device(row.ID)
	if err != nil {
		return err
	}
	h.registered(&row)
	if row.Twice != (Twice{}) {
		row.doubt()
	}
	return tx.putDevice(h, old, row)
}

func (tx *Tx) putDevice(h *heldDevice, old, row DeviceRow) error {
	old.Vector.Asset = h.row.Vector.Asset // which is kept here alone
	if err := tx.coverDevice(&old, &row); err != nil {
		return err
	}
	if old.ID != "" && old.ReplacedBy == "" {
		tx.counts.Devices--
		tx.counts.vector(old.Vector, -1)
		tx.cohort(old.Vector, -1)
		tx.gauge(&old, -1)
	}
	if row.ReplacedBy == "" {
		tx.counts.Devices++
		tx.counts.vector(row.Vector, 1)
		tx.cohort(row.Vector, 1)
		tx.gauge(&row, 1)
	}
	if !h.changed {
		tx.bytes += row.weight()
	}
	if _, changed := reindexes(&h.stored, &row); changed && !h.indexed {
		tx.bytes += tx.indexWeight()
		h.indexed = true
	}
	h.row, h.changed = row, true
	return nil
}

// cohort notes that a cohort has more devices, or less. The rows are written
// once for a transaction, which moves many devices between a few cohorts.
func (tx *Tx) cohort(v Vector, by int) {
	k := string(tx.cohortKey(v))
	if _, known := tx.cohorts[k]; !known {
		tx.bytes += len(k) + rowOverhead
	}
	tx.cohorts[k] += by
}

// dropDevice removes the keys by which the old row was found and the new one
// is not.
func (tx *Tx) dropDevice(old, row DeviceRow) error {
	kept, had := tx.foundBy(&row), tx.foundBy(&old)
	for _, k := range had {
		if slices.ContainsFunc(kept, func(other []byte) bool { return slices.Equal(k, other) }) {
			continue
		}
		if err := tx.unset(k); err != nil {
			return err
		}
	}
	return nil
}

// foundBy are the keys by which a device is found in lists: one that was
// replaced is in none.
func (tx *Tx) foundBy(d *DeviceRow) [][]byte {
	if d.ReplacedBy != "" {
		return nil
	}
	return append(tx.vectorKeys(d), tx.nameKey(d))
}

func (tx *Tx) nameKey(d *DeviceRow) []byte {
	return text(text(key(tx.school, famName), strings.ToLower(d.Hostname)), string(d.ID))
}

// vectorKeys are the keys by whose times a device's vector is found.
func (tx *Tx) vectorKeys(d *DeviceRow) [][]byte {
	at := func(family string, time uint64) []byte {
		return text(number(key(tx.school, family), time), string(d.ID))
	}
	keys := [][]byte{at(famHeard, ^d.Vector.LastContact)}
	if d.Vector.EncryptionAt > 0 {
		keys = append(keys, at(famProven, ^d.Vector.EncryptionAt))
	}
	if d.Vector.LoanEnds > 0 {
		keys = append(keys, at(famLoan, ^d.Vector.LoanEnds))
	}
	for _, end := range d.Vector.untils() {
		keys = append(keys, at(famUntil, end))
	}
	return keys
}

func (tx *Tx) cohortKey(v Vector) []byte {
	c := v.cohort()
	return append(number(key(tx.school, famCohort), c.oldest()), c.bytes()...)
}

// PutEvent records the nth medium event of a device and drops the one that is
// older than what is kept.
func (tx *Tx) PutEvent(device posture.DeviceID, n uint64, e MediumEvent) error {
	const kept = 1000
	if err := tx.room(roomy); err != nil {
		return err
	}
	prefix := text(key(tx.school, famEvent), string(device))
	if n > kept {
		if err := tx.remove(number(slices.Clone(prefix), n-kept)); err != nil {
			return err
		}
	}
	return tx.putJSON(number(prefix, n), e)
}

// PutGap records a stretch of missing reports.
// The first word about a stretch stays.
func (tx *Tx) PutGap(device posture.DeviceID, g Gap) error {
	k := number(text(key(tx.school, famGap), string(device)), g.From)
	if data, err := tx.get(k); err != nil || data != nil {
		return err
	}
	return tx.putJSON(k, g)
}
