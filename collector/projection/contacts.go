package projection

import (
	"context"
	"errors"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// contacts takes in a batch of contacts. One that was forgotten is passed over:
// the last of its day is kept.
func (f *folder) contacts(ctx context.Context, tx *view.Tx, r ledger.Record) error {
	for i, s := range r.Envelope.Sections {
		if s.Name != roster.SectionContact {
			continue
		}
		data, err := ownBody(ctx, f.school.Ledger, r, i)
		if errors.Is(err, ledger.ErrForgotten) {
			tx.Forgot(moment(r.Envelope.ReceivedAt))
			continue
		}
		if bad, ok := errors.AsType[*ledger.CorruptError](err); ok {
			if err := f.note(tx, damage{entry: uint64(r.Index), what: bad.Error()}); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		signed, err := proof.DecodeSignedContact(data)
		if err != nil {
			return &notUnderstoodError{err}
		}
		st, err := proof.DecodeContactStatement(signed.Statement)
		if err != nil {
			return &notUnderstoodError{err}
		}
		if err := f.contact(ctx, tx, st, r, i); err != nil {
			return err
		}
	}
	return nil
}

func (f *folder) contact(ctx context.Context, tx *view.Tx, st proof.ContactStatement, r ledger.Record, section int) error {
	was, ok, err := tx.Device(posture.DeviceID(st.Device))
	if err != nil || !ok || posture.SchoolID(st.School) != f.school.ID {
		return err
	}
	if was.Apart == view.IsApart {
		return contactApart(tx, was.ID, r, section)
	}
	if was.ReplacedBy != "" || was.Twice != (view.Twice{}) {
		return nil // of two machines, or of a report before they were told apart
	}
	received := moment(r.Envelope.ReceivedAt)
	j, err := f.judge(ctx, tx, was, received, order(r.Index, section))
	if err != nil {
		return err
	}
	if err := j.heard(); err != nil {
		return err
	}
	if err := tx.Hear(&j.row, view.Heard{Entry: uint64(r.Index), Section: section, At: received, Online: j.row.Online}); err != nil {
		return err
	}
	j.row.Clock = hear(was.Clock, st.Boot, st.Uptime, moment(st.MadeAt), received)
	if st.Report == was.LastReport && st.Report > 0 {
		held := observed(j.row.Clock, moment(st.ReadAt), received)
		if held.After(j.row.HeldAt) {
			j.row.HeldAt = held
		}
		encryptionAt := j.row.EncryptionAt()
		if j.row.Proven && held.After(encryptionAt) {
			encryptionAt = held
		}
		j.row.SetTimes(encryptionAt)
		if err := j.recheck(); err != nil {
			return err
		}
	}
	if j.mustJudge(was) {
		assignment, _, err := tx.Assignment(was.ID, was.Assignment)
		if err != nil {
			return err
		}
		if err := j.school(assignment); err != nil {
			return err
		}
	}
	return j.save(was)
}

// mustJudge reports whether a contact can change what the school's rules say.
// Most cannot, and are cheap.
func (j *judgement) mustJudge(was view.DeviceRow) bool {
	if was.Clock.Measured() != j.row.Clock.Measured() || len(was.Own) == 0 || was.SchoolPolicy != j.policy.words.Number ||
		j.row.LastContact.Before(was.LastContact) { // the collector's clock was set back
		return true
	}
	for _, own := range was.Own {
		if own.Result != posture.Pass && own.Result != posture.NotChecked && own.Result != posture.NotApplicable {
			return true
		}
	}
	for _, rule := range j.policy.lapses {
		state, _ := j.tx.State(was.Vector, rule.ID)
		if t := was.Vector.LapsesAt(state, rule, j.tx.Terms()); !t.IsZero() && !t.After(j.received) {
			return true
		}
	}
	return false
}

// recheck opens again what a decision settled and the device still fails: it
// has said that nothing changed. The school's own rules are judged anew by what
// is known now, which is more than the device said.
func (j *judgement) recheck() error {
	if !j.row.Recheck {
		return nil
	}
	for _, id := range j.tx.Rules(j.row.Vector) {
		if rule, ok := j.policy.rules[id]; ok && rule.Side == policy.AtSchool {
			continue
		}
		states, err := j.tx.States(j.row.ID, id)
		if err != nil {
			return err
		}
		for _, s := range states {
			if s.Result != posture.Fail || s.Gone {
				continue
			}
			if err := j.failsStill(id, s); err != nil {
				return err
			}
		}
	}
	j.row.Recheck = false
	return nil
}
