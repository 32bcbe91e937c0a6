package app

import (
	"slices"
	"testing"
	"time"
)

var monday = time.Date(2026, 11, 23, 8, 5, 0, 0, time.UTC)

func testSchedule() *schedule {
	return newSchedule(map[string]time.Duration{"encryption": time.Hour, "media": time.Hour, "programs": 6 * time.Hour},
		monday, func() float64 { return 0.5 })
}

func TestEverythingIsDueAtFirst(t *testing.T) {
	s := testSchedule()
	if got, want := s.take(monday), []string{"encryption", "media", "programs"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := s.take(monday); got != nil {
		t.Errorf("%v is due twice", got)
	}
	if got, want := s.next(monday), monday.Add(time.Hour); !got.Equal(want) {
		t.Errorf("next is %v, want %v", got, want)
	}
}

func TestHurryBringsASectionForward(t *testing.T) {
	s := testSchedule()
	s.take(monday)
	soon := monday.Add(time.Second)
	s.hurry(soon, "media", "no such section")
	s.hurry(monday.Add(2*time.Hour), "media") // later than it is due already
	if got := s.next(monday); !got.Equal(soon) {
		t.Errorf("next is %v, want %v", got, soon)
	}
	if got, want := s.take(soon), []string{"media"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSectionsThatAreNearlyDueAreTakenAlong(t *testing.T) {
	s := testSchedule()
	s.take(monday)
	s.hurry(monday.Add(57*time.Minute), "media")
	if got, want := s.take(monday.Add(57*time.Minute)), []string{"encryption", "media"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAClockSetBackSilencesNothing(t *testing.T) {
	s := testSchedule()
	s.take(monday)
	back := monday.AddDate(-1, 0, 0)
	if got := s.next(back); !got.Equal(back) {
		t.Errorf("next is %v, want %v", got, back)
	}
	if got, want := s.take(back), []string{"encryption", "media", "programs"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
