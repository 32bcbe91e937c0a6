package main

import (
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
)

// TestCommandsWriteTheTimesOfTheSchool: on a machine whose own zone is UTC too, as
// that of servers often is; and an end at midnight as the day before.
func TestCommandsWriteTheTimesOfTheSchool(t *testing.T) {
	here := time.Local
	t.Cleanup(func() { time.Local = here })
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	summer := time.Date(2026, 7, 21, 14, 5, 0, 0, time.UTC)
	for zone, want := range map[*time.Location]string{time.UTC: "Tue 21 Jul 2026 15:05 BST", paris: "Tue 21 Jul 2026 16:05 CEST"} {
		time.Local = zone
		if got := when(summer); got != want {
			t.Errorf("in %s: got %q, want %q", zone, got, want)
		}
	}
	time.Local = time.UTC
	last, err := endOf("2026-07-21", 0, summer.In(homeZone(summer)))
	if err != nil || until(last) != "the end of Tue 21 Jul 2026" {
		t.Errorf("an exemption until its last day ends %v: %q, %v", last, until(last), err)
	}
	if got := until(summer); got != when(summer) {
		t.Errorf("got %q", got)
	}
	if got := scopeWords(breach.Scope{Of: breach.OneDevice, Device: "d-1"}, "HB-LT-009"); got != "HB-LT-009" {
		t.Errorf("got %q", got)
	}
}
