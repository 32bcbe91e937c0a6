package evidence

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/retention"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// TestWhatRetentionKeepsIsEnough: once all contacts but each day's last are
// forgotten, evidence of the end of a day says what it said before. Of a moment
// within a day it knows less, and says no more.
func TestWhatRetentionKeepsIsEnough(t *testing.T) {
	l := newLaptop(t)
	l.reports(encrypted(), monday, monday)
	for hour := range 50 {
		at := monday.Add(time.Duration(hour+1) * time.Hour)
		l.contact(at, at)
	}
	l.contact(monday.Add(19*day), monday.Add(19*day))
	midnight := monday.Add(16*time.Hour - time.Millisecond)
	ask := func(at time.Time) Sheet {
		return l.ask(Question{Device: "d1", At: at, By: "Priya Anand", Now: at.Add(365 * day), Found: l.found()}).Sheet
	}
	whole, within := ask(midnight.Add(21*day)), ask(monday.Add(30*time.Hour))
	atMidnight := ask(midnight)
	month := ledger.Month{Year: monday.Year(), Month: monday.Month()}
	survey, err := retention.Read(t.Context(), l.school.Ledger)
	if err != nil {
		t.Fatal(err)
	}
	keep, err := survey.Asked(t.Context(), l.school.Ledger, l.school.Roster, proof.Contacts, month, monday.Add(80*day))
	if err != nil {
		t.Fatal(err)
	}
	gone := uint64(0)
	_, err = l.school.Ledger.Forget(t.Context(), proof.Contacts, month, keep, func(p ledger.Purge) (ledger.Entry, error) {
		gone = p.Forgotten
		section, err := roster.Section(roster.SectionPurge, proof.Kept, roster.Purge{Purge: p, By: "Morgan Ellis", Reason: "it is time"})
		return l.maker.Entry(proof.KindPurge, "", monday.Add(80*day), section), err
	})
	if err != nil || gone < 40 {
		t.Fatalf("%d contacts were forgotten: %v", gone, err)
	}
	if diff := cmp.Diff(whole, ask(midnight.Add(21*day))); diff != "" {
		t.Errorf("of weeks later (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(atMidnight, ask(midnight)); diff != "" {
		t.Errorf("of the end of the first day (-before +after):\n%s", diff)
	}
	if now := ask(monday.Add(30 * time.Hour)); now.HeldAt.After(within.HeldAt) || !now.HeldAt.Equal(monday.Add(15*time.Hour)) || now.State != within.State {
		t.Errorf("within the second day it held until %v, and until %v before", now.HeldAt, within.HeldAt)
	}
}
