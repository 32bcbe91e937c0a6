package projection

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// doubts records that two machines answer to a name, or that their firmware
// told them apart.
func (s *school) doubts(tb testing.TB, at time.Time, id posture.DeviceID, what string) {
	tb.Helper()
	d := roster.Doubt{Device: id, What: what}
	if what == roster.DoubtNoticed {
		d.Why = roster.DoubtFork
	}
	section, err := roster.Section(roster.SectionDoubt, proof.Kept, d)
	if err != nil {
		tb.Fatal(err)
	}
	s.ledger.append(s.envelope(proof.KindGap, string(id), at), section)
}

// TestTwoMachinesOfOneName: from the entry that notices them nothing counts as
// met, whatever either says, until the one that keeps the name has reported.
// What is said again changes nothing, and folding anew comes to the same.
func TestTwoMachinesOfOneName(t *testing.T) {
	s := newSchool(t, "hollybank")
	l, other := s.enrol(t, "hb-lt-014", term), s.enrol(t, "hb-lt-015", term)
	l.report(t, term, term)
	other.report(t, term, term)
	f := open(t, s)
	met := f.device(t, s, string(l.id), term).Met
	if met == 0 {
		t.Fatal("nothing is met before")
	}
	at := func(hours int) time.Time { return term.Add(time.Duration(hours) * hour) }
	key := strings.Repeat("0a", 32)
	noticed, settled, hours := "noticed", "settled", 0
	for _, step := range []struct {
		name string
		do   func(time.Time)
		want string // of noticed, settled and ""
		from int    // hours after the term began
	}{
		{"noticed", func(at time.Time) { s.doubts(t, at, l.id, roster.DoubtNoticed) }, noticed, 1},
		{"noticed again", func(at time.Time) { s.doubts(t, at, l.id, roster.DoubtNoticed) }, noticed, 1},
		{"one of them is heard", func(at time.Time) { l.contact(t, at, at) }, noticed, 1},
		{"another device is doubted that nobody knows", func(at time.Time) { s.doubts(t, at, "unknown", roster.DoubtNoticed) }, noticed, 1},
		{"and settled", func(at time.Time) { s.doubts(t, at, "unknown", roster.DoubtSettled) }, noticed, 1},
		{"settled by firmware", func(at time.Time) { s.doubts(t, at, l.id, roster.DoubtSettled) }, settled, 1},
		{"settled again", func(at time.Time) { s.doubts(t, at, l.id, roster.DoubtSettled) }, settled, 1},
		{"it confirms what either said", func(at time.Time) { l.contact(t, at, at) }, settled, 1},
		{"noticed before it has reported", func(at time.Time) { s.doubts(t, at, l.id, roster.DoubtNoticed) }, noticed, 9},
		{"settled once more", func(at time.Time) { s.doubts(t, at, l.id, roster.DoubtSettled) }, settled, 9},
		{"it reports", func(at time.Time) { l.report(t, at, at) }, "", 0},
		{"settled, and nobody doubts it", func(at time.Time) { s.doubts(t, at, l.id, roster.DoubtSettled) }, "", 0},
		{"noticed after a report", func(at time.Time) { s.doubts(t, at, l.id, roster.DoubtNoticed) }, noticed, 13},
		{"the other machine is a device of its own", func(at time.Time) {
			s.admits(t, at, admission.Change{What: admission.TellApart, Device: l.id, Key: key})
		}, noticed, 13},
		{"this one keeps the name", func(at time.Time) {
			s.admits(t, at, admission.Change{What: admission.TellApart, Device: l.id, Key: key, Keeps: true})
		}, settled, 13},
		{"it reports again", func(at time.Time) { l.report(t, at, at) }, "", 0},
	} {
		hours++
		now := at(hours)
		step.do(now)
		d := f.device(t, s, string(l.id), now)
		got, from := "", time.Time{}
		if d.Twice != nil {
			got, from = noticed, d.Twice.Since
			if !d.Twice.Settled.IsZero() {
				got = settled
			}
		}
		if got != step.want || got != "" && !from.Equal(at(step.from)) {
			t.Errorf("%s: it is %q since %s, want %q since %s", step.name, got, from, step.want, at(step.from))
		}
		if got == "" && d.Met != met || got != "" && d.Met != 0 {
			t.Errorf("%s: %d rules are met, of %d before", step.name, d.Met, met)
		}
		if o := f.device(t, s, string(other.id), now); o.Met != met || o.Twice != nil {
			t.Errorf("%s: of the other device %d rules are met", step.name, o.Met)
		}
	}
	h, err := f.q.History(t.Context(), s.id, l.id)
	if err != nil {
		t.Fatal(err)
	}
	span := func(from, to int) view.TwiceSpan {
		return view.TwiceSpan{Since: at(from), Until: at(to), Why: roster.DoubtFork}
	}
	want := []view.TwiceSpan{span(1, 6), span(9, 10), span(13, 15)}
	if diff := cmp.Diff(want, h.Twice, cmpopts.IgnoreFields(view.TwiceSpan{}, "From", "To"), cmpopts.EquateApproxTime(0)); diff != "" {
		t.Error(diff)
	}
	again := open(t, s)
	again.catchUp(t)
	if got, want := again.dump(t, s), f.dump(t, s); got != want {
		t.Errorf("folded anew: %s", differences(got, want))
	}
}
