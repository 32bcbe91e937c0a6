package projection

import (
	"context"
	"errors"
	"log/slog"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/restricted"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// folder folds one school's ledger into the view. Its policies are a cache of
// what the ledger holds.
type folder struct {
	school   School
	view     *view.View
	room     func() error
	clock    clock.Clock
	log      *slog.Logger
	came     came
	workers  int
	memories *memories
	noted    map[uint64]bool            // entries of whose damage the log has been told
	notes    uint64                     // how often damage was met
	ahead    map[ledger.Index]*examined // reports of the step at hand that were examined already
	left     left                       // what the last step read and did not fold in
	policies map[uint64]*prepared
	begun    bool
	purged   uint64 // purges of entries before it are in what is folded

	permissions permissions // nil: to be read from the view's rows

	drafted    *prepared // a policy that is tried in place of the school's; nil: none, as always when entries are folded in
	introduced bool      // the rows have what does not come from the ledger
}

// steps is how many events of one breach an entry may cause for each of its
// sections; stepBits is room for all of an entry's.
const (
	steps    = 4
	stepBits = 16
)

// order returns the place of the events that a section of an entry causes.
func order(i ledger.Index, section int) uint64 {
	return (uint64(i)+1)<<stepBits | uint64(section)*steps
}

// fold takes one entry into the view. Folding an entry again changes nothing,
// which makes it safe to commit a very large one in parts. An entry whose words
// this version does not understand is passed over with a word in the log: the
// ledger keeps it, and a later version's view will show it.
func (f *folder) fold(ctx context.Context, tx *view.Tx, r ledger.Record) error {
	err := func() error {
		switch r.Envelope.Kind {
		case proof.KindReport:
			return f.report(ctx, tx, r)
		case proof.KindContacts:
			return f.contacts(ctx, tx, r)
		case proof.KindEnrolment:
			return f.enrolment(ctx, tx, r)
		case proof.KindPolicy:
			return f.publish(ctx, tx, r)
		case proof.KindAssignment:
			return f.assign(ctx, tx, r)
		case proof.KindDecision:
			return f.decide(ctx, tx, r)
		case proof.KindGap:
			if err := f.twice(ctx, tx, r); err != nil {
				return err
			}
			return f.gap(ctx, tx, r)
		case proof.KindPurge:
			return f.keepsDays(ctx, tx, r)
		case proof.KindLook:
			return f.looked(ctx, tx, r)
		}
		return nil // tokens and notices show nowhere yet; of purges, see step
	}()
	if bad, ok := errors.AsType[*notUnderstoodError](err); ok {
		f.log.Warn("an entry was not understood and is not shown",
			"entry", uint64(r.Index), "kind", r.Envelope.Kind.String(), "error", bad.Error())
		return nil
	}
	if bad, ok := errors.AsType[*ledger.CorruptError](err); ok {
		return f.note(tx, damage{entry: uint64(r.Index), what: bad.Error()})
	}
	return err
}

// notUnderstoodError is an entry that is whole and says something that this version
// cannot read.
type notUnderstoodError struct{ err error }

func (e *notUnderstoodError) Error() string { return e.err.Error() }
func (e *notUnderstoodError) Unwrap() error { return e.err }

// body reads the section of a name from an entry; ok is false if the entry has
// none or it was forgotten.
func (f *folder) body(ctx context.Context, r ledger.Record, name string) (data []byte, ok bool, err error) {
	for i, s := range r.Envelope.Sections {
		if s.Name != name {
			continue
		}
		data, err := ownBody(ctx, f.school.Ledger, r, i)
		if errors.Is(err, ledger.ErrForgotten) {
			return nil, false, nil
		}
		return data, err == nil, err
	}
	return nil, false, nil
}

// publish takes in a policy.
func (f *folder) publish(ctx context.Context, tx *view.Tx, r ledger.Record) error {
	p, err := f.readPolicy(ctx, r.Index)
	if err != nil {
		return err
	}
	p.words.Entry = uint64(r.Index)
	f.policies[p.words.Number] = p
	return tx.PutPolicy(p.words)
}

// decide takes in what a person decided.
func (f *folder) decide(ctx context.Context, tx *view.Tx, r ledger.Record) error {
	if err := f.revoke(ctx, tx, r); err != nil {
		return err
	}
	if admitted, err := f.admits(ctx, tx, r); admitted || err != nil {
		return err
	}
	if kept, err := f.keeps(ctx, tx, r); kept || err != nil {
		return err
	}
	if set, err := f.setsCalendar(ctx, tx, r); set || err != nil {
		return err
	}
	if taken, err := f.incident(ctx, tx, r); taken || err != nil {
		return err
	}
	if taken, err := f.concern(ctx, tx, r); taken || err != nil {
		return err
	}
	if taken, err := f.dispute(ctx, tx, r); taken || err != nil {
		return err
	}
	if taken, err := f.termReport(ctx, tx, r); taken || err != nil {
		return err
	}
	if taken, err := f.yearReport(ctx, tx, r); taken || err != nil {
		return err
	}
	data, ok, err := f.body(ctx, r, decision.Section)
	if err != nil || !ok {
		return err
	}
	if restricted.Sealed(data) {
		return nil // it shows nowhere, and no log tells of it
	}
	d, err := decision.Decode(data)
	if err != nil {
		return &notUnderstoodError{err}
	}
	switch d.Kind {
	case decision.AskExemption, decision.Exempt, decision.RefuseExemption, decision.EndExemption:
		return f.exempt(ctx, tx, d, r)
	}
	if d.Policy != nil || d.Kind == decision.Retention {
		return nil // it shows nowhere: a policy until it is published, and times in no row
	}
	if d.Kind == decision.Revoke {
		return nil // it stands beside the revocation
	}
	if d.Kind == decision.Subject {
		return f.request(tx, d, r)
	}
	if d.Kind == decision.OfferRelease {
		return tx.PutRelease(view.Release{Offer: *d.Release, Entry: uint64(r.Index) + 1, By: d.By, At: moment(r.Envelope.ReceivedAt), Reason: d.Reason})
	}
	if d.Kind == decision.SetParticulars {
		return tx.PutParticulars(view.Particulars{
			Particulars: *d.Particulars, Entry: uint64(r.Index) + 1, By: d.By, At: moment(r.Envelope.ReceivedAt), Reason: d.Reason,
		})
	}
	was, ok, err := tx.Device(d.Breach.Device)
	if err != nil || !ok || was.ReplacedBy != "" {
		return err
	}
	j, err := f.judge(ctx, tx, was, moment(r.Envelope.ReceivedAt), order(r.Index, 0))
	if err != nil {
		return err
	}
	if rule, ok := j.policy.rules[d.Breach.Rule]; ok {
		if err := j.lapse(rule); err != nil {
			return err
		}
	}
	if err := j.event(d.Breach, d.Event(j.order+1)); err != nil {
		return err
	}
	if err := j.follow(d.Breach); err != nil {
		return err
	}
	if d.Kind == decision.Resolve {
		j.row.Recheck = true
	}
	if err := j.retally(d.Breach.Rule); err != nil {
		return err
	}
	return j.save(was)
}

// gap takes in that reports are missing. What a lost laptop leaves out shows no
// more than what it says.
func (f *folder) gap(ctx context.Context, tx *view.Tx, r ledger.Record) error {
	data, ok, err := f.body(ctx, r, roster.SectionGap)
	if err != nil || !ok {
		return err
	}
	g, err := roster.DecodeGap(data)
	if err != nil {
		return &notUnderstoodError{err}
	}
	id := posture.DeviceID(r.Envelope.Subject)
	if was, _, err := tx.Device(id); err != nil || was.Apart == view.IsApart {
		return err
	}
	return tx.PutGap(id, view.Gap{
		From: g.From, To: g.To, Reason: g.Reason, At: moment(r.Envelope.ReceivedAt),
	})
}

// revoke takes in that a device is known no more. Its rows stay as they were:
// what it last said is what the school knows of it.
func (f *folder) revoke(ctx context.Context, tx *view.Tx, r ledger.Record) error {
	data, ok, err := f.body(ctx, r, roster.SectionRevocation)
	if err != nil || !ok {
		return err
	}
	revocation, err := roster.DecodeRevocation(data)
	if err != nil {
		return &notUnderstoodError{err}
	}
	was, ok, err := tx.Device(revocation.Device)
	if err != nil || !ok {
		return err
	}
	row := was
	row.RevokedAt, row.RevokedFor = moment(r.Envelope.ReceivedAt), revocation.Reason
	row.RevokedIn = uint64(r.Index)
	return tx.PutDevice(was, row)
}
