package roster

import (
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Standing says how the school stands to a device: what intake must know
// before it gives it anything.
type Standing struct {
	Revoked bool
	// Lost says that the device is lost: what it says is recorded apart, and it
	// is given nothing.
	Lost bool
	// Behind says that the last report is of the time in which the device was
	// lost, and so shows nowhere: it is asked for a full one.
	Behind bool
	// Doubted says that two machines answer to the device's name: neither is
	// heard until they are told apart.
	Doubted bool
}

// Standing returns how the school stands to a device; ok is false if it is not
// known.
func (r *Roster) Standing(id posture.DeviceID) (s Standing, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	d, ok := r.devices[id]
	if !ok {
		return s, false
	}
	return Standing{Revoked: d.Revoked, Lost: len(d.LostBy) > 0, Behind: d.behind(), Doubted: d.DoubtIn > 0}, true
}

func (d *record) behind() bool { return len(d.LostBy) == 0 && d.Last > 0 && d.FoundIn > d.Entry }

// RenewalWindow returns for how long after its end a certificate may be renewed
// without anybody's approval.
func (r *Roster) RenewalWindow() time.Duration {
	r.mu.RLock()
	defer r.mu.RUnlock()
	days := r.window
	if days == 0 {
		days = admission.UsualWindow
	}
	return time.Duration(days) * 24 * time.Hour
}

// RenewalApproved returns when a device's renewal was last approved; the zero
// time if it never was.
func (r *Roster) RenewalApproved(id posture.DeviceID) time.Time {
	r.mu.RLock()
	defer r.mu.RUnlock()
	d, ok := r.devices[id]
	if !ok || d.Approved == 0 {
		return time.Time{}
	}
	return time.UnixMilli(d.Approved).UTC()
}

// foldAdmission takes in what the school decided about enrolments. Whether two
// of them are one computer is nothing to intake: the older one is revoked by a
// section of its own.
func (r *Roster) foldAdmission(rec ledger.Record, body []byte) error {
	c, err := admission.Decode(body)
	if err != nil {
		return err
	}
	switch c.What {
	case admission.SetWindow:
		r.mu.Lock()
		defer r.mu.Unlock()
		r.window = c.Days
	case admission.EndToken:
		r.mu.Lock()
		defer r.mu.Unlock()
		if t, ok := r.tokens[c.Token]; ok && t.Taken == 0 {
			t.Over, t.Taken = true, int64(rec.Envelope.ReceivedAt)
			r.nextEnd()
		}
	case admission.ApproveRenewal:
		r.change(string(c.Device), func(d *record) { d.Approved = int64(rec.Envelope.ReceivedAt) })
	case admission.TellApart:
		r.change(string(c.Device), func(d *record) {
			d.tellApart(c)
			r.news.add(c.Device)
			r.tell()
		})
	}
	return nil
}

// foldIncident takes in which devices are lost, and which were found: by each
// incident for itself, as incident.From puts them together.
func (r *Roster) foldIncident(rec ledger.Record, body []byte) error {
	c, err := incident.Decode(body)
	if err != nil {
		return err
	}
	for _, l := range c.Links {
		if l.What != incident.Device || c.What != incident.Found && !l.Lost {
			continue
		}
		r.change(string(l.Device), func(d *record) { d.lose(c.ID, c.What != incident.Found, uint64(rec.Index)) })
		r.mu.Lock()
		r.news.add(l.Device)
		r.tell()
		r.mu.Unlock()
	}
	return nil
}

// lose takes in that a device is lost by an incident, or is not any more.
func (d *record) lose(by string, lost bool, entry uint64) {
	at := slices.Index(d.LostBy, by)
	switch {
	case lost && at < 0:
		d.LostBy = append(d.LostBy, by)
	case !lost && at >= 0:
		if d.LostBy = slices.Delete(d.LostBy, at, at+1); len(d.LostBy) == 0 {
			d.LostBy, d.FoundIn = nil, entry
		}
	}
}
