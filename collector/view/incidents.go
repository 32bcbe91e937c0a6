package view

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// IncidentHead is what the view keeps of an incident beside its changes.
type IncidentHead struct {
	Number string `json:"number"` // in the school
}

// Lost says since when a device is lost, and by which incident.
type Lost struct {
	Since    incident.Moment `json:"since"`
	Incident string          `json:"incident"` // its number
}

func incidentKey(school posture.SchoolID, id string) []byte {
	return text(key(school, famIncident), id)
}

func incidentChanges(school posture.SchoolID, id string) []byte {
	return text(key(school, famChange), id)
}

func incidentNumberKey(school posture.SchoolID, year, n int) []byte {
	return number(number(key(school, famNumbered), ^uint64(year)), ^uint64(n))
}

func lostKey(school posture.SchoolID, id posture.DeviceID) []byte {
	return text(key(school, famLost), string(id))
}

// incidentRoom is more than the rows of one change take.
const incidentRoom = 256 << 10

// TakeIncident adds a change to an incident. One that was added already changes
// nothing. The first change of an incident gives it its number: the one that it
// names if that is free, and otherwise the next that is.
func (tx *Tx) TakeIncident(t incident.Taken) error {
	if err := tx.room(incidentRoom); err != nil {
		return err
	}
	head, err := tx.incidentHead(t)
	if err != nil {
		return err
	}
	t.Number = ""
	if t.What == incident.Open {
		t.Number = head.Number
	}
	if err := tx.putJSON(number(incidentChanges(tx.school, t.ID), t.Entry), t); err != nil {
		return err
	}
	switch t.What {
	case incident.Open, incident.Add, incident.Found, incident.Correct:
		return tx.lose(t.ID, head.Number)
	}
	return nil
}

// incidentHead returns the head of a change's incident, and makes it.
func (tx *Tx) incidentHead(t incident.Taken) (h IncidentHead, err error) {
	if ok, err := tx.getJSON(incidentKey(tx.school, t.ID), &h); ok || err != nil {
		return h, err
	}
	year, n := t.Recorded.Year(), 1
	if t.Number != "" {
		if year, n, err = incident.ParseNumber(t.Number); err != nil {
			return h, err
		}
	}
	for {
		taken, err := tx.get(incidentNumberKey(tx.school, year, n))
		if err != nil {
			return h, err
		}
		if taken == nil {
			break
		}
		n++
	}
	h.Number = incident.FormatNumber(year, n)
	if err := tx.put(incidentNumberKey(tx.school, year, n), []byte(t.ID)); err != nil {
		return h, err
	}
	return h, tx.putJSON(incidentKey(tx.school, t.ID), h)
}

// lose writes which devices are lost by an incident, and which are not.
func (tx *Tx) lose(id, of string) error {
	i, err := incidentOf(tx.txn, tx.school, id)
	if err != nil {
		return err
	}
	for _, l := range i.Links {
		if l.What != incident.Device {
			continue
		}
		k := text(lostKey(tx.school, l.Device), id)
		if since, lost := l.Lost(); lost {
			err = tx.putJSON(k, Lost{since, of})
		} else {
			err = tx.remove(k)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// incidentOf puts an incident together from the rows of its changes.
func incidentOf(txn *badger.Txn, school posture.SchoolID, id string) (incident.Incident, error) {
	var list []incident.Taken
	it := txn.NewIterator(badger.IteratorOptions{Prefix: incidentChanges(school, id), PrefetchValues: true, PrefetchSize: 50})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		var t incident.Taken
		if err := it.Item().Value(func(data []byte) error { return unmarshal(data, &t) }); err != nil {
			return incident.Incident{}, fmt.Errorf("read incident %s: %w", id, err)
		}
		list = append(list, t)
	}
	return incident.From(list), nil
}

// Incident is an incident at the time of asking, with words for people.
type Incident struct {
	incident.Incident
	Due   string         `json:"due"`             // until when the regulator is to be told, and how long that is from now
	Over  bool           `json:"over"`            // that time is over
	Names []IncidentName `json:"names,omitempty"` // what the devices that it is linked to are called
}

// IncidentName is what a device is called.
type IncidentName struct {
	Device   posture.DeviceID `json:"device"`
	Hostname string           `json:"hostname"`
	AssetTag string           `json:"assetTag,omitempty"`
}

// IncidentState is which incidents are asked for.
type IncidentState string

// The states of an incident.
const (
	IncidentOpen   IncidentState = "open"
	IncidentClosed IncidentState = "closed"
)

// IncidentQuery asks for a page of a school's incidents, the newest first.
type IncidentQuery struct {
	State IncidentState // "": all
	After string        // Next of the page before; "" for the first
	Limit int           // 0 for 50; at most 500
}

// IncidentPage is a page of incidents. It may hold fewer than were asked for
// and still have a next one.
type IncidentPage struct {
	Incidents []Incident `json:"incidents"`
	Next      string     `json:"next,omitempty"` // After for the next page; "" if this is the last
}

// mostIncidents bounds how many incidents one page looks at.
const mostIncidents = 2000

// Incidents returns a page of a school's incidents.
func (q *Queries) Incidents(ctx context.Context, school posture.SchoolID, query IncidentQuery, now time.Time) (IncidentPage, error) {
	page := IncidentPage{Incidents: []Incident{}}
	after, err := parseCursor(query.After)
	if err != nil {
		return page, err
	}
	err = q.read(ctx, school, now, func(r *reader) error {
		var last []byte
		examined := 0
		return r.each(key(school, famNumbered), after, true, func(k []byte, item *badger.Item) (bool, error) {
			if len(page.Incidents) == pageSize(query.Limit) || examined == mostIncidents {
				page.Next = cursor(last)
				return false, nil
			}
			examined++
			last = bytes.Clone(k)
			id, err := item.ValueCopy(nil)
			if err != nil {
				return false, fmt.Errorf("read the number of an incident: %w", err)
			}
			one, err := r.incident(string(id))
			if err == nil && (query.State == "" || one.Closed == (query.State == IncidentClosed)) {
				page.Incidents = append(page.Incidents, one)
			}
			return true, err
		})
	})
	return page, err
}

// Incident returns the incident of a number or an identifier, or ErrNotFound.
func (q *Queries) Incident(ctx context.Context, school posture.SchoolID, name string, now time.Time) (Incident, error) {
	var one Incident
	err := q.read(ctx, school, now, func(r *reader) error {
		id := name
		if year, n, err := incident.ParseNumber(name); err == nil {
			item, err := r.txn.Get(incidentNumberKey(school, year, n))
			switch {
			case err == nil:
				data, err := item.ValueCopy(nil)
				if err != nil {
					return fmt.Errorf("read the number of incident %.40s: %w", name, err)
				}
				id = string(data)
			case !errors.Is(err, badger.ErrKeyNotFound):
				return fmt.Errorf("read the number of incident %.40s: %w", name, err)
			}
		}
		var err error
		one, err = r.incident(id)
		return err
	})
	return one, err
}

// FreeIncident returns the next number that no incident of a year has.
func (q *Queries) FreeIncident(ctx context.Context, school posture.SchoolID, year int, now time.Time) (n int, err error) {
	err = q.read(ctx, school, now, func(r *reader) error {
		prefix := number(key(school, famNumbered), ^uint64(year))
		n = 1
		return r.each(prefix, nil, false, func(k []byte, _ *badger.Item) (bool, error) {
			if len(k) == 8 {
				n = int(^binary.BigEndian.Uint64(k)) + 1 // the highest comes first
			}
			return false, nil
		})
	})
	return n, err
}

// incident reads an incident and joins it with the devices that it is linked to.
func (r *reader) incident(id string) (Incident, error) {
	var head IncidentHead
	ok, err := r.getJSON(incidentKey(r.school.ID, id), &head)
	if err == nil && !ok {
		err = fmt.Errorf("incident %.40s of school %s: %w", id, r.school.ID, ErrNotFound)
	}
	if err != nil {
		return Incident{}, err
	}
	i, err := incidentOf(r.txn, r.school.ID, id)
	if err != nil {
		return Incident{}, err
	}
	i.Number = head.Number
	one := Incident{Incident: i}
	if by, known := i.TellBy(); known {
		one.Due, one.Over = incident.Due(by, r.now), r.now.After(by.At)
	}
	named := map[posture.DeviceID]bool{"": true}
	for _, l := range i.Links {
		if named[l.Device] {
			continue
		}
		named[l.Device] = true
		row, known, err := r.row(l.Device)
		if err != nil {
			return one, err
		}
		if known {
			one.Names = append(one.Names, IncidentName{row.ID, row.Hostname, row.AssetTag})
		}
	}
	return one, nil
}

// lost says since when a device is lost: of several times, the earliest. It is
// nil if the device is not lost.
func (r *reader) lost(id posture.DeviceID) (*Lost, error) {
	var first *Lost
	err := r.each(lostKey(r.school.ID, id), nil, true, func(_ []byte, item *badger.Item) (bool, error) {
		var l Lost
		if err := item.Value(func(data []byte) error { return unmarshal(data, &l) }); err != nil {
			return false, fmt.Errorf("read since when device %s is lost: %w", id, err)
		}
		if first == nil || l.Since.At.Before(first.Since.At) {
			first = &l
		}
		return true, nil
	})
	return first, err
}
