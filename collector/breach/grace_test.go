package breach

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// term is a calendar of the weeks around start, with some days off.
func term(t interface{ Fatal(...any) }) *calendar.Calendar {
	c, err := calendar.Parse("term", []byte(`name: Autumn
zone: Europe/London
from: 2026-08-25
to: 2026-09-30
terms: [{name: Autumn term, from: 2026-09-01, to: 2026-09-30}]
closed: [{name: Training day, on: 2026-09-03}]
`))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestGraceStandsStillWhileTheSchoolIsClosed: on Tuesday morning a laptop fails;
// Thursday is a training day, and a weekend follows.
func TestGraceStandsStillWhileTheSchoolIsClosed(t *testing.T) {
	day := 24 * time.Hour
	days := term(t)
	terms := Terms{Severity: posture.High, Grace: 4 * day, Pauses: true, Escalate: Escalation{10 * day, posture.Critical}}
	b := Breach{}.After(failed(1, start, terms))
	if got, want := b.GraceEnds(days), start.Add(7*day); !got.Equal(want) {
		t.Errorf("four school days end at %s, want %s", got, want)
	}
	if got, want := b.GraceEnds(nil), start.Add(4*day); !got.Equal(want) {
		t.Errorf("without a calendar they end at %s, want %s", got, want)
	}
	if got := b.Status(start.Add(6*day), days); got != Pending {
		t.Errorf("on Monday it is %s", got)
	}
	if got := b.Status(start.Add(6*day), nil); got != Open {
		t.Errorf("on Monday, by the clock, it is %s", got)
	}
	plain := terms
	plain.Pauses = false
	if got, want := (Breach{}.After(failed(1, start, plain))).GraceEnds(days), start.Add(4*day); !got.Equal(want) {
		t.Errorf("a grace that never pauses ends at %s, want %s", got, want)
	}
	if got := b.Severity(start.Add(10 * day)); got != posture.Critical {
		t.Errorf("after ten days, holidays or not, it is %s", got)
	}
}

// TestACalendarOnlyPutsOff: whatever is known of a school's days, a breach is
// open no earlier than by the clock, unless the clocks change, and no later
// than without a pause where its terms have none.
func TestACalendarOnlyPutsOff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b Breach
		for _, e := range events(t) {
			b = b.After(e)
		}
		days := term(t)
		switch with, without := b.GraceEnds(days), b.GraceEnds(nil); {
		case with.Before(without):
			t.Fatalf("%+v ends its grace at %s, and by the clock at %s", b, with, without)
		case !b.Terms.Pauses && !with.Equal(without):
			t.Fatalf("%+v paused until %s", b, with)
		}
	})
}
