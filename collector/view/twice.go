package view

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Twice says that two machines answer to a device's name. What either said
// before proves nothing, since nobody knows which of them said it; and so it is
// until the one that keeps the name has reported again.
type Twice struct {
	Since   time.Time `json:"since"`            // when the collector noticed
	Settled time.Time `json:"settled,omitzero"` // when they were told apart; zero: they are not
	Why     string    `json:"why"`              // as roster.Doubt names it
	Entry   uint64    `json:"entry"`            // by which it was noticed, counted from 1
}

func (t *Twice) code(c *coder) {
	c.instant(&t.Since)
	c.instant(&t.Settled)
	codeText(c, &t.Why)
	c.count(&t.Entry)
}

// Words says it in a sentence.
func (t Twice) Words() string {
	if !t.Settled.IsZero() {
		return "Not proven: two machines answered to this name. They were told apart, and this one has not reported since."
	}
	return "Not proven: two machines answer to this name, and nobody knows which of them said it."
}

// TwiceSpan is a time in which two machines answered to a name, from the entry
// of the ledger by which that was noticed to the one by which they were told
// apart: both count from 1.
type TwiceSpan struct {
	From  uint64    `json:"from"`
	To    uint64    `json:"to,omitempty"` // 0: they are not told apart
	Since time.Time `json:"since"`
	Until time.Time `json:"until,omitzero"`
	Why   string    `json:"why"`
}

// doubt has nothing count as met that was.
func (d *DeviceRow) doubt() {
	d.Vector.Rules = slices.Clone(d.Vector.Rules)
	for i, s := range d.Vector.Rules {
		if s.Bits&(passing|excused) != 0 {
			d.Vector.Rules[i].Bits |= unproven
		}
	}
	d.Disks, d.Definitions, d.Proven = d.Disks.silent(), Definitions{}, false
}

func twiceKey(school posture.SchoolID, id posture.DeviceID) []byte {
	return text(key(school, famTwice), string(id))
}

// Twices returns when two machines answered to a device's name, oldest first.
func (tx *Tx) Twices(id posture.DeviceID) (spans []TwiceSpan, err error) {
	_, err = tx.getJSON(twiceKey(tx.school, id), &spans)
	return spans, err
}

// PutTwices records them.
func (tx *Tx) PutTwices(id posture.DeviceID, spans []TwiceSpan) error {
	if err := tx.room(roomy); err != nil {
		return err
	}
	return tx.putJSON(twiceKey(tx.school, id), spans[max(0, len(spans)-mostSpans):])
}

func (r *reader) twices(id posture.DeviceID) (spans []TwiceSpan, err error) {
	_, err = r.getJSON(twiceKey(r.school.ID, id), &spans)
	return spans, err
}

// TwoMachines are the devices of a school to whose name more than one machine
// answers, or did and asks still.
type TwoMachines struct {
	Devices []TwoOfOne `json:"devices"`
}

// TwoOfOne is one of them, with the machines that ask who they are.
type TwoOfOne struct {
	Device      posture.DeviceID     `json:"device"`
	Hostname    string               `json:"hostname"`
	AssetTag    string               `json:"assetTag,omitempty"`
	LastContact time.Time            `json:"lastContact"`
	Twice       *Twice               `json:"twice,omitempty"` // nil: the device is believed, and a copy asks who it is
	Claimants   []admission.Claimant `json:"claimants"`
}

// TwoMachines lists them: those to whose name two machines answer, and those of
// which a machine asks who it is.
func (q *Queries) TwoMachines(ctx context.Context, school posture.SchoolID, asking []admission.Claimant, now time.Time) (TwoMachines, error) {
	list := TwoMachines{Devices: []TwoOfOne{}}
	err := q.read(ctx, school, now, func(r *reader) error {
		ids, err := r.doubted()
		if err != nil {
			return err
		}
		for _, c := range asking {
			if !slices.Contains(ids, c.Device) {
				ids = append(ids, c.Device)
			}
		}
		for _, id := range ids {
			row, known, err := r.row(id)
			if err != nil {
				return err
			}
			one := TwoOfOne{Device: id, Hostname: row.Hostname, AssetTag: row.AssetTag, LastContact: row.LastContact, Claimants: []admission.Claimant{}}
			if known && row.Twice != (Twice{}) && row.Twice.Settled.IsZero() {
				one.Twice = &row.Twice
			}
			for _, c := range asking {
				if c.Device == id {
					one.Claimants = append(one.Claimants, c)
				}
			}
			list.Devices = append(list.Devices, one)
		}
		return nil
	})
	return list, err
}

// doubted lists the devices to whose name two machines answer now.
func (r *reader) doubted() (list []posture.DeviceID, err error) {
	err = r.each(key(r.school.ID, famTwice), nil, false, func(k []byte, _ *badger.Item) (bool, error) {
		id, _, ok := part(k)
		if !ok {
			return true, nil
		}
		row, known, err := r.row(posture.DeviceID(id))
		if err != nil {
			return false, fmt.Errorf("read the device %s to whose name two machines answered: %w", id, err)
		}
		if known && row.Twice != (Twice{}) && row.Twice.Settled.IsZero() && row.RevokedAt.IsZero() && row.ReplacedBy == "" {
			list = append(list, row.ID)
		}
		return true, nil
	})
	return list, err
}
