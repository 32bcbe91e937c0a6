package projection

import (
	"context"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/dispute"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/view"
)

// dispute takes in that somebody says of a recorded fact that it is wrong, or what
// the school answered; ok is false if the entry is neither. Who it was and what
// they wrote may be forgotten: that it was disputed counts all the same. The fact
// stays as it is.
func (f *folder) dispute(ctx context.Context, tx *view.Tx, r ledger.Record) (ok bool, err error) {
	data, ok, err := f.body(ctx, r, dispute.Section)
	if err != nil || !ok {
		return false, err
	}
	c, err := dispute.Decode(data)
	if err != nil {
		return true, &notUnderstoodError{err}
	}
	var words string
	text, written, err := f.body(ctx, r, dispute.SectionWords)
	if err != nil {
		return true, err
	}
	if written {
		if words, err = dispute.DecodeWords(text); err != nil {
			return true, &notUnderstoodError{err}
		}
	}
	var d decision.Decision
	data, known, err := f.body(ctx, r, decision.Section)
	if err != nil {
		return true, err
	}
	if known {
		if d, err = decision.Decode(data); err != nil {
			return true, &notUnderstoodError{err}
		}
	}
	entry, at := uint64(r.Index)+1, moment(r.Envelope.ReceivedAt)
	if c.What == dispute.Answer {
		return true, tx.AnswerDispute(c.ID, c.Outcome, view.Act{By: d.By, At: at, Reason: words, Entry: entry})
	}
	row := view.Dispute{
		ID: c.ID, About: c.About, Rule: c.Rule, Device: c.Device, Asset: c.Asset, Fact: c.Fact, On: c.On, Due: c.Due,
		Words: words, By: d.By, Forgotten: !known, Raised: at, Entry: entry,
	}
	if d.Dispute != nil {
		row.Told = *d.Dispute
	}
	return true, tx.TakeDispute(row)
}
