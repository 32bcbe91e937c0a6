package view

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/dispute"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Dispute is that somebody says of a recorded fact that it is wrong, and what the
// school answered.
type Dispute struct {
	ID     string           `json:"id"`
	About  dispute.About    `json:"about"`
	Rule   string           `json:"rule,omitempty"`
	Device posture.DeviceID `json:"device,omitempty"`
	Asset  string           `json:"asset,omitempty"` // tag
	Fact   uint64           `json:"fact,omitempty"`  // entry of the ledger that held the fact then, counted from 0 as evidence does; 0: none is known
	On     string           `json:"on"`              // the day on which it was said
	Due    string           `json:"due"`             // the last day on which it is answered
	dispute.Told
	Words     string    `json:"words,omitempty"`
	By        string    `json:"by,omitempty"` // who recorded it
	Forgotten bool      `json:"forgotten,omitempty"`
	Raised    time.Time `json:"raised"`
	Entry     uint64    `json:"entry"` // of the ledger, counted from 1

	Outcome  dispute.Outcome `json:"outcome,omitempty"` // "" until it is answered
	Answered Act             `json:"answered,omitzero"`

	Hostname string `json:"hostname,omitempty"` // of the device; joined when asked for
}

// Open reports whether nobody has answered yet.
func (d Dispute) Open() bool { return d.Outcome == "" }

// DisputeQuery asks for a page of what was disputed at a school: what is not
// answered first, by when it is due, then what is, the newest first.
type DisputeQuery struct {
	Device posture.DeviceID // only what is about it, the newest first; "" for all
	Open   bool             // only what is not answered
	After  string           // Next of the page before; "" for the first
	Limit  int              // 0 for 50; at most 500
}

// DisputePage is a page of what was disputed.
type DisputePage struct {
	Disputes []Dispute `json:"disputes"`
	Next     string    `json:"next,omitempty"` // After for the next page; "" if this is the last
}

func disputeKey(school posture.SchoolID, id string) []byte {
	return text(key(school, famDispute), id)
}

func disputedKey(school posture.SchoolID, d Dispute) []byte {
	if d.Open() {
		return number(append(key(school, famDisputed), '0'), d.Entry)
	}
	return number(append(key(school, famDisputed), '1'), ^d.Entry)
}

func disputesOf(school posture.SchoolID, id posture.DeviceID) []byte {
	return text(key(school, famDisputeOf), string(id))
}

// TakeDispute adds that a fact is disputed. An identifier that is there already is
// not given twice.
func (tx *Tx) TakeDispute(d Dispute) error {
	if err := tx.room(roomy); err != nil {
		return err
	}
	var was Dispute
	if known, err := tx.getJSON(disputeKey(tx.school, d.ID), &was); known || err != nil {
		return err
	}
	if d.Device != "" {
		if err := tx.put(number(disputesOf(tx.school, d.Device), ^d.Entry), []byte(d.ID)); err != nil {
			return err
		}
	}
	if err := tx.put(disputedKey(tx.school, d), []byte(d.ID)); err != nil {
		return err
	}
	return tx.putJSON(disputeKey(tx.school, d.ID), d)
}

// AnswerDispute notes what the school answered. The first answer counts.
func (tx *Tx) AnswerDispute(id string, o dispute.Outcome, a Act) error {
	if err := tx.room(roomy); err != nil {
		return err
	}
	var d Dispute
	if known, err := tx.getJSON(disputeKey(tx.school, id), &d); !known || err != nil || !d.Open() {
		return err
	}
	if err := tx.remove(disputedKey(tx.school, d)); err != nil {
		return err
	}
	d.Outcome, d.Answered = o, a
	if err := tx.put(disputedKey(tx.school, d), []byte(d.ID)); err != nil {
		return err
	}
	return tx.putJSON(disputeKey(tx.school, id), d)
}

// Dispute returns a dispute, or ErrNotFound.
func (q *Queries) Dispute(ctx context.Context, school posture.SchoolID, id string, now time.Time) (d Dispute, err error) {
	err = q.read(ctx, school, now, func(r *reader) (err error) {
		d, err = r.dispute(id)
		return err
	})
	return d, err
}

func (r *reader) dispute(id string) (d Dispute, err error) {
	known, err := r.getJSON(disputeKey(r.school.ID, id), &d)
	if err == nil && !known {
		err = fmt.Errorf("dispute %.40s of school %s: %w", id, r.school.ID, ErrNotFound)
	}
	if err != nil || d.Device == "" {
		return d, err
	}
	row, _, err := r.row(d.Device)
	d.Hostname = row.Hostname
	return d, err
}

// Disputes returns a page of what was disputed at a school.
func (q *Queries) Disputes(ctx context.Context, school posture.SchoolID, query DisputeQuery, now time.Time) (DisputePage, error) {
	page := DisputePage{Disputes: []Dispute{}}
	after, err := parseCursor(query.After)
	if err != nil {
		return page, err
	}
	prefix := key(school, famDisputed)
	switch {
	case query.Device != "":
		prefix = disputesOf(school, query.Device)
	case query.Open:
		prefix = append(prefix, '0')
	}
	err = q.read(ctx, school, now, func(r *reader) error {
		var last []byte
		return r.each(prefix, after, true, func(k []byte, item *badger.Item) (bool, error) {
			if len(page.Disputes) == pageSize(query.Limit) {
				page.Next = cursor(last)
				return false, nil
			}
			last = append(last[:0], k...)
			id, err := item.ValueCopy(nil)
			if err != nil {
				return false, fmt.Errorf("read the identifier of a dispute: %w", err)
			}
			d, err := r.dispute(string(id))
			if err == nil && (!query.Open || d.Open()) {
				page.Disputes = append(page.Disputes, d)
			}
			return true, err
		})
	})
	return page, err
}

// OpenDisputes counts what is not answered yet, and says by which day the first of
// it is to be.
func (q *Queries) OpenDisputes(ctx context.Context, school posture.SchoolID, now time.Time) (n int, due string, err error) {
	err = q.read(ctx, school, now, func(r *reader) error {
		prefix, first := append(key(school, famDisputed), '0'), uint64(0)
		if err := r.each(prefix, nil, false, func(k []byte, _ *badger.Item) (bool, error) {
			if n++; n == 1 && len(k) == 8 {
				first = binary.BigEndian.Uint64(k)
			}
			return true, nil
		}); err != nil || n == 0 {
			return err
		}
		var id string
		if _, err := r.get(number(prefix, first), func(data []byte) error { id = string(data); return nil }); err != nil {
			return err
		}
		d, err := r.dispute(id)
		due = d.Due
		return err
	})
	return n, due, err
}

// disputed lists the entries that say that a fact about a device is wrong, or
// answer that: a dispute's own before its answer.
func (r *reader) disputed(id posture.DeviceID) (entries []uint64, err error) {
	err = r.each(disputesOf(r.school.ID, id), nil, true, func(_ []byte, item *badger.Item) (bool, error) {
		name, err := item.ValueCopy(nil)
		if err != nil {
			return false, fmt.Errorf("read the identifier of a dispute: %w", err)
		}
		d, err := r.dispute(string(name))
		if entries = append(entries, d.Entry-1); d.Answered.Entry > 0 {
			entries = append(entries, d.Answered.Entry-1)
		}
		return true, err
	})
	return entries, err
}
