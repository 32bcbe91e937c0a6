package view

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Match says what is known of a medium that was found.
type Match string

// What can be known of a medium.
const (
	IsRegistered  Match = "registered"
	WasWithdrawn  Match = "withdrawn"    // it was registered, and is not in use any more
	Unregistered  Match = "unregistered" // it is not registered, and was seen on devices of the school
	NeverSeen     Match = "never-seen"
	CannotBeKnown Match = "no-serial" // it tells no serial number, so nothing can be known of it
)

// FoundMedium is a medium that was plugged into a machine for investigations,
// and what is known of it. Of its files nothing is: that machine lists none.
type FoundMedium struct {
	Serial string    `json:"serial,omitempty"`
	At     time.Time `json:"at,omitzero"`    // when it was plugged in last
	On     string    `json:"on,omitempty"`   // asset tag of the machine
	What   string    `json:"what,omitempty"` // as it names itself
	Match  Match     `json:"match"`
	Number string    `json:"number,omitempty"` // of the register
	Role   string    `json:"role,omitempty"`   // to which it was issued
	Seen   []Seen    `json:"seen"`             // in use on devices of the school, newest first
	// Encryption is as it was last seen anywhere, the machine included.
	Encryption   posture.EncryptionState `json:"encryption,omitempty"`
	EncryptionAt time.Time               `json:"encryptionAt,omitzero"`
	// Offer is the incident that it may be; nil if nobody found it.
	Offer *IncidentOffer `json:"offer,omitempty"`
}

// FoundMedia are media that were found, newest first.
type FoundMedia struct {
	// Machines are the asset tags of the machines for investigations. Without
	// one a medium that was found is not to be plugged in anywhere.
	Machines []string `json:"machines"`
	// Waiting are those of them that have not said yet that they know it: they
	// would open what is on a medium.
	Waiting []string `json:"waiting,omitempty"`
	// Advice says what to do with what was found, in a sentence.
	Advice string        `json:"advice"`
	Found  []FoundMedium `json:"found"`
}

// FoundQuery asks what is known of media that were found. Empty fields ask of
// whatever was plugged into the machines that are set aside for it.
type FoundQuery struct {
	Serial string // hash of the serial number of the only one
	Number string // of the register, of the only one
	// Found is when it was found: nothing that was plugged in before is it. The
	// school became aware of it then.
	Found *incident.Moment
	Zone  string // in which times are offered; "" for that of Found, or else UTC
}

// Check reports what is wrong with a question that somebody asks now.
func (q FoundQuery) Check(now time.Time) error {
	if q.Serial != "" && q.Number != "" {
		return errors.New("a medium is asked for by the hash of its serial number, or by its number in the register")
	}
	if q.Serial != "" {
		if err := register.CheckSerial(q.Serial); err != nil {
			return err
		}
	}
	zones := []string{q.Zone}
	if q.Found != nil {
		if q.Found.At.After(now) {
			return errors.New("a medium cannot have been found at a time that lies ahead")
		}
		zones = append(zones, q.Found.Zone)
	}
	for _, zone := range zones {
		if zone == "" {
			continue
		}
		if err := incident.CheckZone(zone); err != nil {
			return err
		}
	}
	return nil
}

// FindMedia looks up the media that were plugged into machines for
// investigations, or the one with a serial number or a number of the register.
func (q *Queries) FindMedia(ctx context.Context, school posture.SchoolID, query FoundQuery, now time.Time) (FoundMedia, error) {
	found := FoundMedia{Machines: []string{}, Found: []FoundMedium{}}
	err := q.read(ctx, school, now, func(r *reader) error {
		machines, err := r.aside(&found)
		if err != nil {
			return err
		}
		switch {
		case query.Number != "":
			err = r.findNumber(query.Number, &found)
		case query.Serial != "":
			var one FoundMedium
			one, err = r.find(FoundMedium{Serial: query.Serial})
			found.Found = append(found.Found, one)
		default:
			found.Found, err = r.plugged(machines, query.Found)
		}
		for i := range found.Found {
			r.offer(&found.Found[i], query, machines)
		}
		found.Advice = found.advice()
		return err
	})
	return found, err
}

// aside lists the machines that are set aside for found media.
func (r *reader) aside(found *FoundMedia) ([]register.Asset, error) {
	var machines []register.Asset
	err := r.eachAsset(nil, func(_ []byte, a register.Asset) (bool, error) {
		if !a.Investigation || a.Out(r.now) {
			return true, nil
		}
		found.Machines = append(found.Machines, a.Tag)
		row, known, err := r.row(a.Device)
		if err != nil {
			return false, err
		}
		told := false
		if known && row.RevokedAt.IsZero() {
			machines = append(machines, a)
			if told, err = r.told(row); err != nil {
				return false, err
			}
		}
		if !told {
			found.Waiting = append(found.Waiting, a.Tag)
		}
		return true, nil
	})
	return machines, err
}

// advice says what to do with what was found.
func (f FoundMedia) advice() string {
	ready := slices.DeleteFunc(slices.Clone(f.Machines), func(tag string) bool { return slices.Contains(f.Waiting, tag) })
	plugged := slices.ContainsFunc(f.Found, func(m FoundMedium) bool { return m.On != "" })
	switch {
	case len(f.Machines) == 0:
		return "Do not plug it in. No machine is set aside for it."
	case plugged:
		return "Do not plug it in anywhere else, and open none of its files."
	case len(ready) == 0:
		return "Do not plug it in. " + strings.Join(f.Machines, ", ") + " is set aside for it and has not said yet that it knows."
	}
	return "Do not plug it in anywhere but into " + strings.Join(ready, " or ") + ", which is set aside for it."
}

// findNumber looks up a medium of the register.
func (r *reader) findNumber(number string, found *FoundMedia) error {
	var m register.Medium
	ok, err := r.getJSON(mediumKey(r.school.ID, number), &m)
	if err == nil && !ok {
		err = fmt.Errorf("medium %.40s of school %s: %w", number, r.school.ID, ErrNotFound)
	}
	if err != nil {
		return err
	}
	for _, serial := range m.Serials {
		one, err := r.find(FoundMedium{Serial: serial})
		if err != nil {
			return err
		}
		found.Found = append(found.Found, one)
	}
	return nil
}

// plugged looks up what was plugged into machines since they are set aside, and
// since something was found, each medium once.
func (r *reader) plugged(machines []register.Asset, since *incident.Moment) ([]FoundMedium, error) {
	list := []FoundMedium{}
	for _, a := range machines {
		from := a.InvestigationAt
		if since != nil && since.At.After(from) {
			from = since.At
		}
		events, err := r.events(a.Device)
		if err != nil {
			return nil, err
		}
		known := map[string]bool{}
		for _, e := range events {
			if e.Action != posture.Attached && e.Action != posture.Present || e.At.Before(from) {
				continue
			}
			one := FoundMedium{At: e.At, On: a.Tag, What: strings.TrimSpace(e.Vendor + " " + e.Product), Serial: e.Serial.Value}
			if one.Serial != "" && known[one.Serial] {
				continue
			}
			known[one.Serial] = true
			if one, err = r.find(one); err != nil {
				return nil, err
			}
			list = append(list, one)
		}
		if list, err = r.inserted(a, list, known, from); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(list, func(a, b FoundMedium) int { return b.At.Compare(a.At) })
	return list, nil
}

// inserted looks up what is in a machine and was not said to have come.
func (r *reader) inserted(machine register.Asset, list []FoundMedium, known map[string]bool, from time.Time) ([]FoundMedium, error) {
	var a Attached
	if _, err := r.getJSON(text(key(r.school.ID, famAttached), string(machine.Device)), &a); err != nil {
		return nil, err
	}
	for _, serial := range a.Serials {
		if known[serial] {
			continue
		}
		one := FoundMedium{Serial: serial, On: machine.Tag}
		seen, err := r.sighted(famFound, serial)
		for _, s := range seen {
			if s.Device == machine.Device {
				one.At = s.Last
			}
		}
		if err == nil {
			one, err = r.find(one)
		}
		if err != nil {
			return nil, err
		}
		if !one.At.Before(from) {
			list = append(list, one)
		}
	}
	return list, nil
}

// find says what is known of a medium.
func (r *reader) find(m FoundMedium) (FoundMedium, error) {
	m.Seen, m.Match = []Seen{}, CannotBeKnown
	if m.Serial == "" {
		return m, nil
	}
	seen, err := r.seen(m.Serial)
	if err != nil {
		return m, err
	}
	found, err := r.sighted(famFound, m.Serial)
	if err != nil {
		return m, err
	}
	m.Seen = seen
	m.Encryption, m.EncryptionAt = encryptionOf(append(found, seen...))
	m.Match = NeverSeen
	if len(m.Seen) > 0 {
		m.Match = Unregistered
	}
	var number string
	if _, err := r.get(serialKey(r.school.ID, m.Serial), func(data []byte) error { number = string(data); return nil }); err != nil || number == "" {
		return m, err
	}
	var registered register.Medium
	if _, err := r.getJSON(mediumKey(r.school.ID, number), &registered); err != nil {
		return m, err
	}
	m.Number, m.Role, m.Match = registered.Number, registered.Role, IsRegistered
	if !registered.InUse() {
		m.Match = WasWithdrawn
	}
	return m, nil
}
