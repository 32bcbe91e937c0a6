package app

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/agent/assess"
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

// However the times of the sections drift apart, a day has hardly more rounds
// than the section that is read most often has readings.
func TestSectionsAreReadTogether(t *testing.T) {
	every := assess.Every()
	s := newSchedule(every, monday, rand.New(rand.NewPCG(1, 2)).Float64)
	rounds, read := 0, map[string]int{}
	for now := monday; now.Before(monday.AddDate(0, 0, 30)); now = s.next(now) {
		rounds++
		for _, section := range s.take(now) {
			read[section]++
		}
	}
	most := 0
	for section, n := range read {
		most = max(most, n)
		if least := int(30*24*time.Hour/every[section]) * 9 / 10; n < least || n > 2*least {
			t.Errorf("%s was read %d times in 30 days", section, n)
		}
	}
	if rounds > most*5/4 {
		t.Errorf("%d rounds in 30 days, while no section was read more than %d times", rounds, most)
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
