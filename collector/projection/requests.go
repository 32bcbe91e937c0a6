package projection

import (
	"errors"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/subject"
	"github.com/caretaker-school/caretaker/collector/view"
)

// request takes in a change of a request of a person. One whose beginning is
// forgotten shows no more.
func (f *folder) request(tx *view.Tx, d decision.Decision, r ledger.Record) error {
	err := tx.TakeRequest(subject.Taken{
		Change: *d.Request, Act: subject.Act{By: d.By, Words: d.Reason, At: moment(r.Envelope.ReceivedAt), Entry: uint64(r.Index) + 1},
	})
	if why, ok := errors.AsType[*view.RefusedChangeError](err); ok {
		f.log.Info("a change of a request changes nothing", "entry", uint64(r.Index), "why", why.Error())
		return nil
	}
	return err
}
