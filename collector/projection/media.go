package projection

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// media takes in which media a report has in the device, and which came since
// the one before.
func (j *judgement) media(was view.DeviceRow, facts posture.Facts, st proof.ReportStatement, r ledger.Record) error {
	came := map[string]*view.Sighting{}
	at := j.row.ObservedAt
	seen := func(serial string) *view.Sighting {
		if came[serial] == nil {
			came[serial] = &view.Sighting{Device: j.row.ID, First: at, Last: at}
		}
		return came[serial]
	}
	if slices.ContainsFunc(st.Sections, func(s proof.SectionRef) bool { return s.Name == wire.MediaEvents && s.Carried == st.Sequence }) {
		for _, e := range facts.MediaEvents.Items {
			if !e.Serial.Known() || e.Action != posture.Attached && e.Action != posture.Present {
				continue
			}
			when := observed(j.row.Clock, e.At, j.received)
			s := seen(e.Serial.Value)
			s.Times++
			if s.Times == 1 || when.Before(s.First) {
				s.First = when
			}
			if s.Times == 1 || when.After(s.Last) {
				s.Last = when
			}
		}
	}
	if digestOf(was.Places, wire.Media) != digestOf(j.row.Places, wire.Media) || was.LastReport == 0 {
		if err := j.attached(facts.Media, seen); err != nil {
			return err
		}
	}
	serials := make([]string, 0, len(came))
	for serial := range came {
		serials = append(serials, serial)
	}
	slices.Sort(serials)
	aside, err := j.aside()
	if err != nil {
		return err
	}
	for _, serial := range serials {
		see := j.tx.See
		if !aside.IsZero() && !came[serial].Last.Before(aside) {
			see = j.tx.SeeFound // nobody of the school used it there
		}
		if err := see(serial, *came[serial], uint64(r.Index)+1); err != nil {
			return err
		}
	}
	return nil
}

// aside returns since when the device is set aside for found media; the zero
// time if it is not.
func (j *judgement) aside() (time.Time, error) {
	if j.row.AssetTag == "" {
		return time.Time{}, nil
	}
	a, err := j.tx.Asset(j.row.AssetTag)
	if err != nil || !a.Investigation {
		return time.Time{}, err
	}
	return a.InvestigationAt, nil
}

func digestOf(places []view.Place, section string) [32]byte {
	for _, p := range places {
		if p.Name == section {
			return p.Digest
		}
	}
	return [32]byte{}
}

// attached takes in which media are in the device.
func (j *judgement) attached(media posture.Answer[posture.Medium], seen func(string) *view.Sighting) error {
	before, err := j.tx.Attached(j.row.ID)
	if err != nil {
		return err
	}
	now := view.Attached{Absent: media.Absent}
	if len(media.Gaps) > 0 {
		now.Unread = posture.NotVisible
	}
	for _, m := range media.Items {
		switch {
		case m.Kind == posture.PhoneMedium, m.Capacity.Known() && m.Capacity.Value == 0:
			continue // a phone is never opened, and an empty reader holds nothing
		case !m.Serial.Known():
			// What nobody asked is no less unknown: NotAsked would say that none
			// is missing.
			now.Unread = cmp.Or(m.Serial.Absent, now.Unread, posture.NotVisible)
			continue
		}
		now.Serials = append(now.Serials, m.Serial.Value)
		s := seen(m.Serial.Value)
		if s.Times == 0 && !slices.Contains(before.Serials, m.Serial.Value) {
			s.Times = 1
		}
		if m.Encryption.Known() {
			s.Encryption, s.EncryptionAt = m.Encryption.Value, j.row.ObservedAt
		}
	}
	return j.tx.PutAttached(j.row.ID, now)
}

// unknownMedia counts the media in the device that are not registered. If any
// of them cannot be told, a count of none is not known.
func (j *judgement) unknownMedia() (posture.Reading[int64], error) {
	a, err := j.tx.Attached(j.row.ID)
	if err != nil {
		return posture.Reading[int64]{}, err
	}
	if a.Absent != posture.None {
		return posture.Unread[int64](a.Absent), nil
	}
	n := int64(0)
	for _, serial := range a.Serials {
		m, err := j.tx.MediumOf(serial)
		if err != nil {
			return posture.Reading[int64]{}, err
		}
		if !m.InUse() {
			n++
		}
	}
	if n == 0 && a.Unread != posture.NotAsked {
		return posture.Unread[int64](a.Unread), nil
	}
	return posture.Read(n), nil
}

// medium takes in a change of a medium. A serial number that another medium has
// makes it void.
func (f *folder) medium(ctx context.Context, tx *view.Tx, r ledger.Record, c register.Change, made register.Made) error {
	was, err := tx.Medium(c.Tag)
	if err != nil {
		return err
	}
	next, err := was.Take(c, made)
	if err != nil || made.Entry < was.Entry {
		return err
	}
	for _, serial := range next.Serials {
		other, err := tx.MediumOf(serial)
		if err != nil {
			return err
		}
		if other.InUse() && register.Key(other.Number) != register.Key(next.Number) {
			return &register.VoidError{Why: "the medium is " + other.Number + " already"}
		}
	}
	if err := tx.PutMedium(was, next); err != nil {
		return err
	}
	for _, serial := range slices.Concat(next.Before, next.Serials) {
		if err := f.rejudge(ctx, tx, r, serial); err != nil {
			return err
		}
	}
	return nil
}

// rejudge judges the devices that have a medium in them.
func (f *folder) rejudge(ctx context.Context, tx *view.Tx, r ledger.Record, serial string) error {
	sightings, err := tx.Sightings(serial)
	if err != nil {
		return err
	}
	var failed error
	for _, s := range sightings {
		a, err := tx.Attached(s.Device)
		if err != nil || !slices.Contains(a.Serials, serial) {
			failed = errors.Join(failed, err)
			continue
		}
		if err := f.judgeAgain(ctx, tx, r, s.Device); err != nil {
			return err
		}
	}
	return failed
}
