package roster

import (
	"fmt"
	"math"
	"time"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Restored says that the record was put back from a backup: what was recorded
// after the backup is not in it, and numbers that were given then are to be given
// to nothing else.
type Restored struct {
	Taken time.Time `json:"taken"` // of the backup
	At    time.Time `json:"at"`
	Above uint64    `json:"above"` // policies, and each device's assignments, are numbered above it from here on
}

// RestoredFrom is a restore, at a moment, of a backup of a moment, in the record of
// a school that was made at a moment. Numbers go on above that of the minutes since
// the school was made: whatever was given since the backup, in this record or in
// one that was restored before, is lower, as long as a school changes its policy,
// or what one device is told, less than once a minute. Minutes since the backup
// would not do: an older backup may have been restored meanwhile.
func RestoredFrom(made, taken, at time.Time) Restored {
	return Restored{Taken: taken.UTC(), At: at.UTC(), Above: uint64(min(mostAbove, max(0, math.Ceil(at.Sub(made).Minutes()))))}
}

// mostAbove bounds a number that a record may begin above: the minutes of longer
// than Go counts. None that is read from a record runs over.
const mostAbove = 1 << 32

// DecodeRestored reads the body of a restore.
func DecodeRestored(body []byte) (Restored, error) {
	r, err := named[Restored](SectionRestored, body)
	if err == nil && r.Above > mostAbove {
		err = fmt.Errorf("read section %s: it begins above %d, which no restore does", SectionRestored, r.Above)
	}
	return r, err
}

// Restored returns the entry that says that the record was restored.
func (m Maker) Restored(r Restored) (ledger.Entry, error) {
	section, err := Section(SectionRestored, proof.Kept, r)
	if err != nil {
		return ledger.Entry{}, err
	}
	return m.Entry(proof.KindDecision, "", r.At, section), nil
}

// restore is a Restored at its place in the record.
type restore struct {
	Restored
	In uint64
}

func (r *Roster) foldRestored(rec ledger.Record, body []byte) error {
	restored, err := DecodeRestored(body)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.restores = append(r.restores, restore{restored, uint64(rec.Index)})
	return nil
}

// after returns the number that follows one which an entry gave. It is called with
// mu held.
func (r *Roster) after(number, in uint64) uint64 {
	for _, one := range r.restores {
		if one.In > in {
			number = max(number, one.Above)
		}
	}
	return number + 1
}

// NextPolicy returns the number of the next policy that is published.
func (r *Roster) NextPolicy() uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.after(r.policy, r.policyIn)
}

// NextAssignment returns the number of the next assignment of a device; 0 if it is
// not known.
func (r *Roster) NextAssignment(id posture.DeviceID) uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	d, ok := r.devices[id]
	if !ok {
		return 0
	}
	return r.after(d.Assignment, d.AssignedIn)
}

// Overtaken reports whether a device that says it has an assignment of a number
// was given it by what a restore has lost: it has to be told anew, under a higher
// number, what the record says. A number that no restore explains changes nothing,
// and once it was told anew none does.
func (r *Roster) Overtaken(id posture.DeviceID, has uint64) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	d, ok := r.devices[id]
	return ok && d.Assignment > 0 && has > d.Assignment && r.after(d.Assignment, d.AssignedIn) > d.Assignment+1
}

// LastRestored returns when the record was last restored; ok is false if it never
// was.
func (r *Roster) LastRestored() (last Restored, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if n := len(r.restores); n > 0 {
		return r.restores[n-1].Restored, true
	}
	return Restored{}, false
}
