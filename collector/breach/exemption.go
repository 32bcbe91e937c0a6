package breach

import (
	"errors"
	"fmt"
	"time"
)

// Exemption is permission to fail a rule for a time. It has an approver other
// than the one who asked, a reason and an end; whoever records one checks that
// with Check.
type Exemption struct {
	ID       string    `json:"id"`
	From     time.Time `json:"from"`
	Until    time.Time `json:"until"`          // the first moment at which it no longer holds
	Ended    time.Time `json:"ended,omitzero"` // when it was taken back before its end
	AskedBy  string    `json:"askedBy"`
	Approver string    `json:"approver"`
	Reason   string    `json:"reason"`
}

// Runs reports whether the exemption holds at a moment. One without an end
// never does.
func (e Exemption) Runs(now time.Time) bool {
	return !e.From.IsZero() && !now.Before(e.From) && now.Before(e.Ends())
}

// Ends returns the first moment at which the exemption no longer holds.
func (e Exemption) Ends() time.Time {
	if !e.Ended.IsZero() && e.Ended.Before(e.Until) {
		return e.Ended
	}
	return e.Until
}

// Check reports what an exemption lacks.
func (e Exemption) Check() error {
	switch {
	case e.ID == "":
		return errors.New("an exemption needs an identifier")
	case e.Reason == "":
		return errors.New("an exemption needs a reason")
	case e.AskedBy == "" || e.Approver == "":
		return errors.New("an exemption needs someone who asks and someone who approves")
	case e.AskedBy == e.Approver:
		return fmt.Errorf("%.80s cannot approve an exemption that they asked for", e.AskedBy)
	case e.From.IsZero() || e.Until.IsZero():
		return errors.New("an exemption needs a start and an end")
	case !e.From.Before(e.Until):
		return errors.New("an exemption must end after it starts")
	}
	return nil
}
