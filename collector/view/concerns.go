package view

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/concern"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Concern is what somebody reported without signing in, and what the school did
// about it. Until that is forgotten it has what they told.
type Concern struct {
	ID   string       `json:"id"` // the reference that they were given
	Kind concern.Kind `json:"kind"`
	concern.Told
	Words     string    `json:"words,omitempty"` // what happened
	By        string    `json:"by,omitempty"`    // the account, if they had signed in
	Forgotten bool      `json:"forgotten,omitempty"`
	Raised    time.Time `json:"raised"`
	Entry     uint64    `json:"entry"` // of the ledger, counted from 1

	Aside    Act    `json:"aside,omitzero"`     // somebody looked, and nothing follows
	Case     string `json:"case,omitempty"`     // identifier of the incident that was opened because of it
	Incident string `json:"incident,omitempty"` // its number; joined when asked for
}

// Waiting reports whether nobody has looked at it yet.
func (c Concern) Waiting() bool { return c.Case == "" && c.Aside.Entry == 0 }

// ConcernAddress is where people of a school report without signing in.
type ConcernAddress struct {
	Address string    `json:"address"` // its last part
	Since   time.Time `json:"since"`
	By      string    `json:"by,omitempty"` // who made it, until that is forgotten
}

// ConcernQuery asks for a page of what was reported at a school.
type ConcernQuery struct {
	Waiting bool   // only what nobody has looked at yet, the oldest first; otherwise all, the newest first
	After   string // Next of the page before; "" for the first
	Limit   int    // 0 for 50; at most 500
}

// ConcernPage is a page of what was reported.
type ConcernPage struct {
	Concerns []Concern `json:"concerns"`
	Next     string    `json:"next,omitempty"` // After for the next page; "" if this is the last
}

func concernKey(school posture.SchoolID, id string) []byte {
	return text(key(school, famConcern), id)
}

func waitingKey(school posture.SchoolID, c Concern) []byte {
	return number(key(school, famWaiting), c.Entry)
}

// TakeConcern adds what somebody reported. A reference that is there already is
// not given twice.
func (tx *Tx) TakeConcern(c Concern) error {
	if err := tx.room(roomy); err != nil {
		return err
	}
	var was Concern
	if known, err := tx.getJSON(concernKey(tx.school, c.ID), &was); known || err != nil {
		return err
	}
	if err := tx.put(number(key(tx.school, famRaised), ^c.Entry), []byte(c.ID)); err != nil {
		return err
	}
	if err := tx.put(waitingKey(tx.school, c), []byte(c.ID)); err != nil {
		return err
	}
	return tx.putJSON(concernKey(tx.school, c.ID), c)
}

// SetConcernAside notes that somebody looked at a report. The first who did
// counts, and nobody does once there is an incident.
func (tx *Tx) SetConcernAside(id string, a Act) error {
	return tx.lookedAt(id, func(c *Concern) { c.Aside = a }, Concern.Waiting)
}

// OpenConcern notes that an incident was opened because of a report. The first
// one counts.
func (tx *Tx) OpenConcern(id, incident string) error {
	return tx.lookedAt(id, func(c *Concern) { c.Case = incident }, func(c Concern) bool { return c.Case == "" })
}

func (tx *Tx) lookedAt(id string, note func(*Concern), still func(Concern) bool) error {
	if err := tx.room(roomy); err != nil {
		return err
	}
	var c Concern
	if known, err := tx.getJSON(concernKey(tx.school, id), &c); !known || err != nil || !still(c) {
		return err
	}
	note(&c)
	if err := tx.remove(waitingKey(tx.school, c)); err != nil {
		return err
	}
	return tx.putJSON(concernKey(tx.school, id), c)
}

// PutConcernAddress notes where people report from now on.
func (tx *Tx) PutConcernAddress(a ConcernAddress) error {
	if err := tx.room(roomy); err != nil {
		return err
	}
	return tx.putJSON(key(tx.school, famAddress), a)
}

// ConcernAddress returns where people of a school report, or ErrNotFound.
func (q *Queries) ConcernAddress(ctx context.Context, school posture.SchoolID, now time.Time) (a ConcernAddress, err error) {
	err = q.read(ctx, school, now, func(r *reader) error {
		known, err := r.getJSON(key(school, famAddress), &a)
		if err == nil && !known {
			err = fmt.Errorf("the address for reports of school %s: %w", school, ErrNotFound)
		}
		return err
	})
	return a, err
}

// Concern returns what was reported under a reference, or ErrNotFound.
func (q *Queries) Concern(ctx context.Context, school posture.SchoolID, id string, now time.Time) (c Concern, err error) {
	err = q.read(ctx, school, now, func(r *reader) (err error) {
		c, err = r.concern(id)
		return err
	})
	return c, err
}

func (r *reader) concern(id string) (c Concern, err error) {
	known, err := r.getJSON(concernKey(r.school.ID, id), &c)
	if err == nil && !known {
		err = fmt.Errorf("report %.40s of school %s: %w", id, r.school.ID, ErrNotFound)
	}
	if err != nil || c.Case == "" {
		return c, err
	}
	var head IncidentHead
	_, err = r.getJSON(incidentKey(r.school.ID, c.Case), &head)
	c.Incident = head.Number
	return c, err
}

// Concerns returns a page of what was reported at a school.
func (q *Queries) Concerns(ctx context.Context, school posture.SchoolID, query ConcernQuery, now time.Time) (ConcernPage, error) {
	page := ConcernPage{Concerns: []Concern{}}
	after, err := parseCursor(query.After)
	if err != nil {
		return page, err
	}
	family := famRaised
	if query.Waiting {
		family = famWaiting
	}
	err = q.read(ctx, school, now, func(r *reader) error {
		var last []byte
		return r.each(key(school, family), after, true, func(k []byte, item *badger.Item) (bool, error) {
			if len(page.Concerns) == pageSize(query.Limit) {
				page.Next = cursor(last)
				return false, nil
			}
			last = append(last[:0], k...)
			id, err := item.ValueCopy(nil)
			if err != nil {
				return false, fmt.Errorf("read the reference of a report: %w", err)
			}
			c, err := r.concern(string(id))
			page.Concerns = append(page.Concerns, c)
			return true, err
		})
	})
	return page, err
}

// WaitingConcerns counts what nobody has looked at yet, and says since when the
// first of it waits.
func (q *Queries) WaitingConcerns(ctx context.Context, school posture.SchoolID, now time.Time) (n int, since time.Time, err error) {
	err = q.read(ctx, school, now, func(r *reader) error {
		var first uint64
		if err := r.each(key(school, famWaiting), nil, false, func(k []byte, _ *badger.Item) (bool, error) {
			if n++; n == 1 && len(k) == 8 {
				first = binary.BigEndian.Uint64(k)
			}
			return true, nil
		}); err != nil || n == 0 {
			return err
		}
		item, err := r.txn.Get(number(key(school, famWaiting), first))
		if err != nil {
			return fmt.Errorf("read the report that waits longest: %w", err)
		}
		id, err := item.ValueCopy(nil)
		if err != nil {
			return fmt.Errorf("read the report that waits longest: %w", err)
		}
		c, err := r.concern(string(id))
		since = c.Raised
		return err
	})
	return n, since, err
}
