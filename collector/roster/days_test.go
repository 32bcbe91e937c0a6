package roster

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func someDays() Days {
	return Days{Rules: []string{"AV-01", "ENC-01"}, Days: []Day{{
		Date: "2026-11-20", At: time.Date(2026, 11, 20, 23, 59, 59, 999_000_000, time.UTC), Devices: 12, Silent: 1, Policy: 3,
		Rules: [][]int{nil, {10, 1, 1, 0, 0}}, Order: []int{1}, Disks: []int{10, 1, 1, 2, 0, 0}, Definitions: []int{9, 1, 0, 0, 0, 1, 0, 0, 1},
	}}}
}

// TestDaysComeBack writes days and reads them.
func TestDaysComeBack(t *testing.T) {
	s, err := DaysSection(someDays(), 0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeDays(s.Body)
	if diff := cmp.Diff(someDays(), got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// TestSectionsOfDays have names of their own, as all sections of an entry.
func TestSectionsOfDays(t *testing.T) {
	var names []string
	for n := range 3 {
		s, err := DaysSection(someDays(), n)
		if err != nil || !IsDays(s.Name) {
			t.Errorf("%q: %v", s.Name, err)
		}
		names = append(names, s.Name)
	}
	if diff := cmp.Diff([]string{"days", "days-2", "days-3"}, names); diff != "" || IsDays("daybreak") || IsDays("purge") {
		t.Error(diff)
	}
}

// TestDaysThatCannotBe are neither written nor read.
func TestDaysThatCannotBe(t *testing.T) {
	for name, spoil := range map[string]func(*Days){
		"no date":               func(d *Days) { d.Days[0].Date = "yesterday" },
		"no moment":             func(d *Days) { d.Days[0].At = time.Time{} },
		"a rule too few":        func(d *Days) { d.Days[0].Rules = d.Days[0].Rules[1:] },
		"a count too few":       func(d *Days) { d.Days[0].Rules[1] = []int{1} },
		"an order of others":    func(d *Days) { d.Days[0].Order = []int{2} },
		"an order that repeats": func(d *Days) { d.Days[0].Order = []int{1, 1} },
		"less than no device":   func(d *Days) { d.Days[0].Devices = -1 },
		"less than no disk":     func(d *Days) { d.Days[0].Disks[2] = -1 },
		"disks too few":         func(d *Days) { d.Days[0].Disks = nil },
		"definitions too few":   func(d *Days) { d.Days[0].Definitions = nil },
		"days too many":         func(d *Days) { d.Days = make([]Day, MostDays+1) },
	} {
		d := someDays()
		spoil(&d)
		if _, err := DaysSection(d, 0); err == nil {
			t.Errorf("%s was written", name)
		}
	}
}

// FuzzDays reads anything as days: what is read can be written.
func FuzzDays(f *testing.F) {
	s, err := DaysSection(someDays(), 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.Body)
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"rules":["A"],"days":[{"date":"2026-11-20"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if d, err := DecodeDays(data); err == nil {
			if _, err := DaysSection(d, 0); err != nil && len(data) < 1<<20 {
				t.Errorf("%+v: %v", d, err)
			}
		}
	})
}
