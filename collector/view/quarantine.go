package view

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Apart says whether what a device says counts.
type Apart uint8

// Where what a device says goes.
const (
	Counts   Apart = iota // it counts
	IsApart               // the device is lost: it goes to the quarantined timeline, and changes nothing else
	WasApart              // it was found: its next report counts, and tells what it relies on of those kept apart
)

// Quarantine is what is kept of a device that was ever lost.
type Quarantine struct {
	Spans       []QuarantineSpan `json:"spans"`             // oldest first
	Reports     int              `json:"reports"`           // that came while it was lost
	Contacts    int              `json:"contacts"`          //
	LastContact time.Time        `json:"lastContact"`       // the last time that anything came, by the collector's clock; zero: nothing did
	LastReport  uint64           `json:"lastReport"`        // sequence
	Places      []Place          `json:"places,omitempty"`  // of the last report's sections
	Through     uint64           `json:"through,omitempty"` // place of the last statement among the events of the ledger
}

// QuarantineSpan is a time in which a device was marked lost, from the entry of
// the ledger by which it was to the one by which it was found: both count from
// 1. What came in between is apart for good.
type QuarantineSpan struct {
	From  uint64    `json:"from"`
	To    uint64    `json:"to,omitempty"` // 0: it is lost still
	Since time.Time `json:"since"`        // when that was recorded
	Until time.Time `json:"until"`        // zero: it is lost still
}

// Quarantined is a report that came while the device was lost. It changed no
// status, closed no breach and appears in no count.
type Quarantined struct {
	Entry      uint64    `json:"entry"`
	Sequence   uint64    `json:"sequence"`
	MadeAt     time.Time `json:"madeAt"`     // by the device's own clock
	ReceivedAt time.Time `json:"receivedAt"` // by the collector's
	NotMet     []string  `json:"notMet"`     // rules that it says it does not meet; bounded
	Unread     bool      `json:"unread,omitempty"`
}

// QuarantineDetail is a device's quarantined timeline.
type QuarantineDetail struct {
	Spans       []QuarantineSpan `json:"spans"`
	Reports     int              `json:"reports"`
	Contacts    int              `json:"contacts"`
	LastContact time.Time        `json:"lastContact"`
	Timeline    []Quarantined    `json:"timeline"` // its reports, newest first, bounded
}

// mostSpans bounds how often a device can be lost and found again.
const mostSpans = 1000

func quarantineKey(school posture.SchoolID, id posture.DeviceID) []byte {
	return text(key(school, famQuarantine), string(id))
}

func quarantinedKey(school posture.SchoolID, id posture.DeviceID) []byte {
	return text(key(school, famQuarantined), string(id))
}

// Quarantine returns what is kept of a device that was ever lost.
func (tx *Tx) Quarantine(id posture.DeviceID) (q Quarantine, err error) {
	_, err = tx.getJSON(quarantineKey(tx.school, id), &q)
	return q, err
}

// PutQuarantine records it, with a report that came.
func (tx *Tx) PutQuarantine(id posture.DeviceID, q Quarantine, reports ...Quarantined) error {
	if err := tx.room(roomy); err != nil {
		return err
	}
	if n := len(q.Spans); n > mostSpans {
		q.Spans = q.Spans[n-mostSpans:]
	}
	for _, r := range reports {
		if err := tx.putJSON(number(quarantinedKey(tx.school, id), r.Entry), r); err != nil {
			return err
		}
	}
	return tx.putJSON(quarantineKey(tx.school, id), q)
}

// Lost reports whether any incident says that a device is lost.
func (tx *Tx) Lost(id posture.DeviceID) bool {
	it := tx.txn.NewIterator(badger.IteratorOptions{Prefix: lostKey(tx.school, id)})
	defer it.Close()
	it.Rewind()
	return it.Valid()
}

// quarantine reads a device's quarantined timeline; nil if it never was lost.
func (r *reader) quarantine(id posture.DeviceID) (*QuarantineDetail, error) {
	var q Quarantine
	if ok, err := r.getJSON(quarantineKey(r.school.ID, id), &q); err != nil || !ok {
		return nil, err
	}
	d := &QuarantineDetail{Spans: q.Spans, Reports: q.Reports, Contacts: q.Contacts, LastContact: q.LastContact, Timeline: []Quarantined{}}
	err := r.newest(quarantinedKey(r.school.ID, id), func(data []byte) error {
		var one Quarantined
		err := json.Unmarshal(data, &one)
		d.Timeline = append(d.Timeline, one)
		return err
	})
	return d, err
}

// Quarantines returns when devices were marked lost, of those that ever were.
func (q *Queries) Quarantines(ctx context.Context, school posture.SchoolID) (map[posture.DeviceID][]QuarantineSpan, error) {
	all := map[posture.DeviceID][]QuarantineSpan{}
	err := q.read(ctx, school, time.Time{}, func(r *reader) error {
		return r.each(key(school, famQuarantine), nil, true, func(k []byte, item *badger.Item) (bool, error) {
			id, _, _ := part(k)
			var row Quarantine
			err := item.Value(func(data []byte) error { return json.Unmarshal(data, &row) })
			if err != nil {
				return false, fmt.Errorf("read when device %s was lost: %w", id, err)
			}
			all[posture.DeviceID(id)] = row.Spans
			return true, nil
		})
	})
	return all, err
}

// Holds reports whether an entry of the ledger, counted from 0, lies in a span.
func (s QuarantineSpan) Holds(entry uint64) bool {
	return entry+1 > s.From && (s.To == 0 || entry+1 < s.To)
}
