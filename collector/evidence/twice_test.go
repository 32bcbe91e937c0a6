package evidence

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// doubts records that two machines answer to the laptop's name, or that their
// firmware told them apart.
func (l *laptop) doubts(what string, id posture.DeviceID, at time.Time) {
	l.t.Helper()
	l.append(must(l.maker.Doubt(roster.Doubt{Device: id, What: what, Why: roster.DoubtFork}, at)))
}

// tellsApart records what somebody decided about a machine that asks who it is.
func (l *laptop) tellsApart(c admission.Change, at time.Time) {
	l.t.Helper()
	d := decision.Decision{Kind: decision.Admission, By: "Morgan Ellis", At: at, Reason: "looked at the label"}
	sections := must(decision.AdmissionSections(d, c, [2][proof.SaltSize]byte{{1}, {2}}))
	l.append(l.maker.Entry(proof.KindDecision, string(c.Device), at, sections...))
}

// TestTwoMachinesOfOneNameProveNothing: from the moment that they are noticed
// until the one that keeps the name has reported. It makes no difference how
// much of it the view knows.
func TestTwoMachinesOfOneNameProveNothing(t *testing.T) {
	l := newLaptop(t)
	at := func(hours int) time.Time { return monday.Add(time.Duration(hours) * time.Hour) }
	key := strings.Repeat("0a", 32)
	keeps := admission.Change{What: admission.TellApart, Device: "d1", Key: key, Keeps: true}
	other, renewal := keeps, admission.Change{What: admission.ApproveRenewal, Device: "d1"}
	other.Keeps = false
	var entries []uint64 // by hour
	for hour, do := range []func(time.Time){
		func(at time.Time) { l.reports(encrypted(), at, at) },
		func(at time.Time) { l.doubts(roster.DoubtSettled, "d1", at) }, // nobody doubts it
		func(at time.Time) { l.doubts(roster.DoubtNoticed, "d2", at) }, // another device
		func(at time.Time) { l.doubts(roster.DoubtNoticed, "d1", at) },
		func(at time.Time) { l.doubts(roster.DoubtNoticed, "d1", at) },
		func(at time.Time) { l.tellsApart(other, at) },
		func(at time.Time) { l.tellsApart(renewal, at) },
		func(at time.Time) { l.tellsApart(keeps, at) },
		func(at time.Time) { l.doubts(roster.DoubtNoticed, "d1", at) }, // before it has reported
		func(at time.Time) { l.doubts(roster.DoubtSettled, "d1", at) },
		func(at time.Time) { l.reports(encrypted(), at, at) },
	} {
		do(at(hour))
		entries = append(entries, l.school.Ledger.Size()-1)
	}
	unsettled, unheard := "two machines answered to its name, and nobody knew which of them had said what", "two machines had answered to its name, and it had not reported since they were told apart"
	first := Twice{Entry: entries[3], At: at(3), Settled: entries[7], Until: at(7)}
	second := Twice{Entry: entries[8], At: at(8), Settled: entries[9], Until: at(9)}
	open := func(d Twice) Twice { return Twice{Entry: d.Entry, At: d.At} }
	known := []Apart{{From: entries[3] + 1, To: entries[7] + 1}, {From: entries[8] + 1, To: entries[9] + 1}}
	for hour, want := range []struct {
		state State
		why   string
		twice []Twice
	}{
		2:  {state: Encrypted},
		3:  {NotProven, unsettled, []Twice{open(first)}},
		4:  {NotProven, unsettled, []Twice{open(first)}},
		6:  {NotProven, unsettled, []Twice{open(first)}},
		7:  {NotProven, unheard, []Twice{first}},
		8:  {NotProven, unsettled, []Twice{first, open(second)}},
		9:  {NotProven, unheard, []Twice{first, second}},
		10: {Encrypted, "", []Twice{first, second}},
	} {
		if want.state == "" {
			continue
		}
		q := Question{Device: "d1", At: at(hour).Add(time.Minute), By: "Priya Anand", Now: monday.Add(day)}
		for folded, spans := range map[uint64][]Apart{
			0:                      nil,
			entries[7]:             {{From: known[0].From}},
			entries[9]:             {known[0], {From: known[1].From}},
			l.school.Ledger.Size(): known,
		} {
			q.Found = Found{}
			if folded == l.school.Ledger.Size() {
				q.Found = l.found()
			}
			q.Folded, q.Twice = folded, spans
			s := l.ask(q).Sheet
			if s.State != want.state || want.why != "" && s.Why != want.why {
				t.Errorf("after %d hours, with %d entries folded, it is %s because %q", hour, folded, s.State, s.Why)
			}
			if diff := cmp.Diff(want.twice, s.Twice); diff != "" {
				t.Errorf("after %d hours, with %d entries folded: %s", hour, folded, diff)
			}
			if knows := !says(s, "which of two machines made the reports that came before"); knows != (want.twice == nil) {
				t.Errorf("after %d hours it knows which machine reported: %t", hour, knows)
			}
		}
	}
}
