package view

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Act is what one person did about something: who, when, why, and the entry of
// the ledger that says so.
type Act struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	Entry  uint64    `json:"entry"`
}

// Done reports whether it was done at all.
func (a Act) Done() bool { return a.By != "" }

// by reports whether it was done by a moment.
func (a Act) by(now time.Time) bool { return a.Done() && !now.Before(a.At) }

// ExemptionRow is what the view keeps of an exemption: who asked for what, and
// what came of it.
type ExemptionRow struct {
	ID       string       `json:"id"`
	Scope    breach.Scope `json:"scope"`
	Until    time.Time    `json:"until"` // the end that was asked for
	Asked    Act          `json:"asked"`
	Approved Act          `json:"approved,omitzero"`
	Refused  Act          `json:"refused,omitzero"`
	Ended    Act          `json:"ended,omitzero"` // taken back before its end
}

// Permission returns the exemption as breaches have it. One that nobody
// approved is none.
func (e ExemptionRow) Permission() breach.Exemption {
	return breach.Exemption{
		ID: e.ID, Scope: e.Scope, From: e.Approved.At, Until: e.Until, Ended: e.Ended.At,
		AskedBy: e.Asked.By, Approver: e.Approved.By, Reason: e.Asked.Reason,
	}
}

// ExemptionState is where an exemption stands at one moment. It is derived when
// somebody asks.
type ExemptionState string

// The states of an exemption.
const (
	ExemptionAsked    ExemptionState = "asked"    // nobody has approved or refused it
	ExemptionApproved ExemptionState = "approved" // it runs
	ExemptionRefused  ExemptionState = "refused"
	ExemptionEnded    ExemptionState = "ended" // its end came, before or after it was approved, or it was taken back
)

// ExemptionStates lists the states, in the order of its life.
func ExemptionStates() []ExemptionState {
	return []ExemptionState{ExemptionAsked, ExemptionApproved, ExemptionRefused, ExemptionEnded}
}

// Answered reports whether somebody has approved or refused it, whenever.
func (e ExemptionRow) Answered() bool { return e.Approved.Done() || e.Refused.Done() }

// State returns where the exemption stands at a moment: by the times, which a
// clock may set back. What counts in the order of the ledger asks Answered.
func (e ExemptionRow) State(now time.Time) ExemptionState {
	switch {
	case e.Refused.by(now):
		return ExemptionRefused
	case e.Ended.by(now) || !now.Before(e.Until):
		return ExemptionEnded
	case e.Approved.by(now):
		return ExemptionApproved
	}
	return ExemptionAsked
}

// Exemption is an exemption at the time of asking, with words for people.
type Exemption struct {
	ExemptionRow
	State    ExemptionState `json:"state"`
	Title    string         `json:"title"`              // of the rule
	Hostname string         `json:"hostname,omitempty"` // of the device, if it is for one
	AssetTag string         `json:"assetTag,omitempty"` // of the same
}

// ExemptionQuery asks for a page of a school's exemptions, the newest first.
// Empty fields select all.
type ExemptionQuery struct {
	States []ExemptionState
	Rule   string
	Device posture.DeviceID // whose breaches the scope names; of groups and the school none
	After  string           // Next of the page before; "" for the first
	Limit  int              // 0 for 50; at most 500
}

// ExemptionPage is a page of exemptions. It may hold fewer than were asked for
// and still have a next one.
type ExemptionPage struct {
	Exemptions []Exemption `json:"exemptions"`
	Next       string      `json:"next,omitempty"` // After for the next page; "" if this is the last
}

func exemptionKey(school posture.SchoolID, id string) []byte {
	return text(key(school, famExemption), id)
}

func askedKey(school posture.SchoolID, e ExemptionRow) []byte {
	return text(number(key(school, famAsked), ^e.Asked.Entry), e.ID)
}

// Exemption returns the exemption of an identifier.
func (tx *Tx) Exemption(id string) (e ExemptionRow, ok bool, err error) {
	ok, err = tx.getJSON(exemptionKey(tx.school, id), &e)
	return e, ok, err
}

// PutExemption records an exemption.
func (tx *Tx) PutExemption(e ExemptionRow) error {
	if err := tx.room(roomy); err != nil {
		return err
	}
	if err := tx.put(askedKey(tx.school, e), nil); err != nil {
		return err
	}
	return tx.putJSON(exemptionKey(tx.school, e.ID), e)
}

// Permissions returns the exemptions that were approved and not taken back,
// also those whose end has come.
func (tx *Tx) Permissions() ([]breach.Exemption, error) {
	var list []breach.Exemption
	it := tx.txn.NewIterator(badger.IteratorOptions{Prefix: key(tx.school, famExemption), PrefetchValues: true, PrefetchSize: 100})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		var e ExemptionRow
		if err := it.Item().Value(func(data []byte) error { return json.Unmarshal(data, &e) }); err != nil {
			return nil, fmt.Errorf("read row %q: %w", it.Item().Key(), err)
		}
		if e.Approved.Done() && !e.Ended.Done() {
			list = append(list, e.Permission())
		}
	}
	return list, nil
}

// Followed lists the devices on which an exemption from a rule can change
// something: where it fails or may lapse, or where a breach of it is followed.
func (tx *Tx) Followed(rule string) ([]posture.DeviceID, error) {
	slot := slices.Index(tx.slots, rule)
	if slot < 0 {
		return nil, nil
	}
	if err := tx.flush(); err != nil {
		return nil, err
	}
	var list []posture.DeviceID
	prefix := key(tx.school, famHeard)
	it := tx.txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: 256})
	defer it.Close()
	var v Vector
	for it.Rewind(); it.Valid(); it.Next() {
		k := it.Item().Key()[len(prefix):]
		id, _, ok := part(k[min(8, len(k)):])
		if err := it.Item().Value(v.decode); err != nil || !ok {
			return nil, fmt.Errorf("read row %q: %w", it.Item().Key(), cmp.Or(err, errRow))
		}
		for _, s := range v.Rules {
			if int(s.Slot) == slot && s.Bits&(failing|excused|lapsing|cased) != 0 {
				list = append(list, posture.DeviceID(id))
			}
		}
	}
	slices.Sort(list)
	return list, nil
}

// LatestAssignment returns the last assignment that the school made for a
// device, whether the device has taken it or not.
func (tx *Tx) LatestAssignment(device posture.DeviceID) (a policy.Assignment, ok bool, err error) {
	prefix := text(key(tx.school, famAssignment), string(device))
	it := tx.txn.NewIterator(badger.IteratorOptions{Prefix: prefix, Reverse: true, PrefetchValues: true, PrefetchSize: 1})
	defer it.Close()
	it.Seek(number(bytes.Clone(prefix), ^uint64(0)))
	if !it.Valid() {
		return a, false, nil
	}
	if err := it.Item().Value(func(data []byte) error { return json.Unmarshal(data, &a) }); err != nil {
		return a, false, fmt.Errorf("read row %q: %w", it.Item().Key(), err)
	}
	return a, true, nil
}

// Unproven reports whether the result of a subject proves nothing.
func (s RuleState) Unproven() bool { return s.Bits&unproven != 0 }

// Exemption returns the exemption of an identifier, or ErrNotFound.
func (q *Queries) Exemption(ctx context.Context, school posture.SchoolID, id string, now time.Time) (Exemption, error) {
	var e Exemption
	err := q.read(ctx, school, now, func(r *reader) error {
		ok, err := r.getJSON(exemptionKey(school, id), &e.ExemptionRow)
		if err == nil && !ok {
			err = fmt.Errorf("exemption %.40q of school %s: %w", id, school, ErrNotFound)
		}
		if err == nil {
			e, err = r.exemption(e.ExemptionRow)
		}
		return err
	})
	return e, err
}

// Exemptions returns a page of a school's exemptions.
func (q *Queries) Exemptions(ctx context.Context, school posture.SchoolID, query ExemptionQuery, now time.Time) (ExemptionPage, error) {
	page := ExemptionPage{Exemptions: []Exemption{}}
	after, err := parseCursor(query.After)
	if err != nil {
		return page, err
	}
	limit := pageSize(query.Limit)
	err = q.read(ctx, school, now, func(r *reader) error {
		examined := 0
		var last []byte
		return r.each(key(school, famAsked), after, false, func(k []byte, _ *badger.Item) (bool, error) {
			if len(page.Exemptions) == limit || examined == mostExamined {
				page.Next = cursor(last)
				return false, nil
			}
			examined++
			last = bytes.Clone(k)
			e, err := r.asked(k)
			if err == nil && query.selects(e, now) {
				var shown Exemption
				shown, err = r.exemption(e)
				page.Exemptions = append(page.Exemptions, shown)
			}
			return true, err
		})
	})
	return page, err
}

func (q ExemptionQuery) selects(e ExemptionRow, now time.Time) bool {
	return (len(q.States) == 0 || slices.Contains(q.States, e.State(now))) &&
		(q.Rule == "" || q.Rule == e.Scope.Rule) && (q.Device == "" || q.Device == e.Scope.Device)
}

// asked reads the exemption that a place in the list names.
func (r *reader) asked(place []byte) (e ExemptionRow, err error) {
	id, _, ok := part(place[min(8, len(place)):])
	if ok {
		ok, err = r.getJSON(exemptionKey(r.school.ID, id), &e)
	}
	if err == nil && (!ok || e.Asked.Entry != ^binary.BigEndian.Uint64(place)) {
		err = fmt.Errorf("the list of exemptions names %.40q, which has no row", id)
	}
	return e, err
}

func (r *reader) exemption(e ExemptionRow) (Exemption, error) {
	out := Exemption{ExemptionRow: e, State: e.State(r.now), Title: e.Scope.Rule}
	if rule, ok := r.policy.Rule(e.Scope.Rule); ok {
		out.Title = rule.Title
	}
	if e.Scope.Device == "" {
		return out, nil
	}
	row, _, err := r.row(e.Scope.Device)
	out.Hostname, out.AssetTag = row.Hostname, row.AssetTag
	return out, err
}
