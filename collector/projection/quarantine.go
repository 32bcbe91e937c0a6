package projection

import (
	"context"

	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// What comes from a device while it is marked lost goes to a timeline of its
// own: whoever has it now may make it say anything. From when it was marked,
// the order of the ledger says, and no clock of anybody's.

// setApart takes in who is lost, or is not any more, by a change of an incident.
func setApart(tx *view.Tx, c incident.Change, r ledger.Record) error {
	for _, l := range c.Links {
		if l.What != incident.Device {
			continue
		}
		was, known, err := tx.Device(l.Device)
		if err != nil {
			return err
		}
		lost := tx.Lost(l.Device)
		if !known || lost == (was.Apart == view.IsApart) {
			continue
		}
		q, err := tx.Quarantine(l.Device)
		if err != nil {
			return err
		}
		row, at, received := was, uint64(r.Index)+1, moment(r.Envelope.ReceivedAt)
		if lost {
			row.Apart = view.IsApart
			q.Spans = append(q.Spans, view.QuarantineSpan{From: at, Since: received})
		} else {
			row.Apart = view.WasApart
			last := &q.Spans[len(q.Spans)-1]
			last.To, last.Until = at, received
		}
		if err := tx.PutQuarantine(l.Device, q); err != nil {
			return err
		}
		if err := tx.PutDevice(was, row); err != nil {
			return err
		}
	}
	return nil
}

// mostNotMet bounds the rules that a quarantined report names.
const mostNotMet = 100

// reportApart takes in a report of a device that is lost.
func (f *folder) reportApart(ctx context.Context, tx *view.Tx, was view.DeviceRow, st proof.ReportStatement, r ledger.Record) error {
	q, err := tx.Quarantine(was.ID)
	if err != nil || st.Sequence <= max(was.LastReport, q.LastReport) {
		return err // a repeat is no news
	}
	before := q.Places
	if was.LastReport > q.LastReport {
		before = was.Places
	}
	asked, err := f.question(ctx, tx, was.ID, before, st, r)
	if err != nil {
		return err
	}
	x, err := f.examine(ctx, asked, was.ID, r)
	if err != nil {
		return err
	}
	for _, d := range x.damage {
		if err := f.note(tx, d); err != nil {
			return err
		}
	}
	received := moment(r.Envelope.ReceivedAt)
	said := view.Quarantined{
		Entry: uint64(r.Index), Sequence: st.Sequence, MadeAt: moment(st.MadeAt), ReceivedAt: received,
		NotMet: []string{}, Unread: len(x.findings) == 0,
	}
	for _, group := range byRule(x.findings) {
		for _, finding := range group {
			if finding.Result == posture.Fail && len(said.NotMet) < mostNotMet {
				said.NotMet = append(said.NotMet, finding.Rule)
				break
			}
		}
	}
	q.LastReport, q.Places, q.LastContact = st.Sequence, asked.places, received
	q.Reports, q.Through = q.Reports+1, order(r.Index, 0)
	return tx.PutQuarantine(was.ID, q, said)
}

// contactApart takes in a contact of a device that is lost.
func contactApart(tx *view.Tx, id posture.DeviceID, r ledger.Record, section int) error {
	q, err := tx.Quarantine(id)
	if err != nil || order(r.Index, section) <= q.Through {
		return err // it was folded in
	}
	q.Contacts, q.LastContact, q.Through = q.Contacts+1, moment(r.Envelope.ReceivedAt), order(r.Index, section)
	return tx.PutQuarantine(id, q)
}

// back returns the row by which the next report of a device counts. Of one that
// was found, the reports that were kept apart are not missing, and the sections
// that it carried with them can be found.
func back(tx *view.Tx, was view.DeviceRow) (view.DeviceRow, error) {
	if was.Apart != view.WasApart {
		return was, nil
	}
	row := was
	row.Apart = view.Counts
	q, err := tx.Quarantine(was.ID)
	if err == nil && q.LastReport > row.LastReport {
		row.LastReport, row.Places = q.LastReport, q.Places
	}
	return row, err
}
