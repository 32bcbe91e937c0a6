package subject

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// asked is a request that came on a day.
func asked(t testing.TB, on string) Request {
	t.Helper()
	r, err := Request{}.Take(Taken{Change{ID: "sr-1", What: Receive, On: on, Zone: "Europe/London", Name: "Sam Carter", How: Spoken}, Act{By: "head", Entry: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r Request) and(t testing.TB, c Change) Request {
	t.Helper()
	c.ID = "sr-1"
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	next, err := r.Take(Taken{c, Act{By: "dpo", Entry: uint64(len(r.Taken) + 1)}})
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// TestTheMonthIsTheCalendars: across months of other lengths, and with weekends,
// holidays and the changes of clocks in it.
func TestTheMonthIsTheCalendars(t *testing.T) {
	for _, one := range []struct{ on, due string }{
		{"2026-11-02", "2026-12-02"},
		{"2026-12-18", "2027-01-18"}, // over Christmas: holidays count
		{"2027-01-31", "2027-02-28"},
		{"2028-01-31", "2028-02-29"},
		{"2026-10-31", "2026-11-30"},
		{"2026-07-22", "2026-08-22"}, // in the summer holidays
		{"2026-03-28", "2026-04-28"}, // over the change of clocks
		{"2026-02-28", "2026-03-28"},
	} {
		if got := asked(t, one.on).Clock(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)).Due; got != one.due {
			t.Errorf("asked on %s: due %s, want %s", one.on, got, one.due)
		}
	}
}

func TestTheClockIsTheSchools(t *testing.T) {
	r := asked(t, "2026-06-30")
	// At half past eleven at night in UTC it is the next day at the school.
	for _, one := range []struct {
		now  time.Time
		left int
		says string
	}{
		{time.Date(2026, 7, 29, 22, 59, 0, 0, time.UTC), 1, "due by the end of Thu 30 Jul 2026: 1 day left"},
		{time.Date(2026, 7, 29, 23, 30, 0, 0, time.UTC), 0, "due today, by the end of Thu 30 Jul 2026"},
		{time.Date(2026, 7, 30, 22, 59, 0, 0, time.UTC), 0, "due today"},
		{time.Date(2026, 7, 30, 23, 0, 0, 0, time.UTC), -1, "was due by the end of Thu 30 Jul 2026: 1 day late"},
	} {
		if c := r.Clock(one.now); c.Left != one.left || c.Late != (one.left < 0) || !strings.Contains(r.Words(one.now), one.says) {
			t.Errorf("at %v: %+v, %q", one.now, c, r.Words(one.now))
		}
	}
}

func TestTheClockWaitsForProofAndIsExtended(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	r := asked(t, "2026-11-02").and(t, Change{What: AskProof, On: "2026-11-03"})
	if c := r.Clock(now); !c.Waiting || c.Due != "" || c.Late {
		t.Errorf("while it waits: %+v", c)
	}
	r = r.and(t, Change{What: Identified, On: "2026-11-10"})
	if got := r.Clock(now).Due; got != "2026-12-10" {
		t.Errorf("once it is known who asked it is due %s", got)
	}
	r = r.and(t, Change{What: Extend, On: "2026-11-20", Months: 2})
	if got := r.Clock(now).Due; got != "2027-02-10" {
		t.Errorf("extended it is due %s", got)
	}
	// Who was never asked, and is known all the same, does not wait.
	if got := asked(t, "2026-11-02").and(t, Change{What: Identified, On: "2026-11-10"}).Clock(now).Due; got != "2026-12-02" {
		t.Errorf("without having been asked it is due %s", got)
	}
	r = r.and(t, Change{What: Answered, On: "2026-11-21"})
	if c := r.Clock(now); c != (Clock{}) || r.Words(now) != "answered on Sat 21 Nov 2026" {
		t.Errorf("once answered: %+v, %s", c, r.Words(now))
	}
}

func TestWhatCannotBeRecorded(t *testing.T) {
	r := asked(t, "2026-11-02")
	known := r.and(t, Change{What: Identified, On: "2026-11-02"})
	over := known.and(t, Change{What: Answered, On: "2026-11-20"})
	for name, one := range map[string]struct {
		at Request
		c  Change
	}{
		"again":                     {r, Change{What: Receive, On: "2026-11-02", Zone: "UTC", Name: "A", How: Letter}},
		"of nothing":                {Request{}, Change{What: Extend, On: "2026-11-02", Months: 1}},
		"before it came":            {r, Change{What: Identified, On: "2026-11-01"}},
		"to nobody known":           {r, Change{What: Answered, On: "2026-11-20"}},
		"proof that is there":       {known, Change{What: AskProof, On: "2026-11-20"}},
		"after its end":             {over, Change{What: Extend, On: "2026-11-20", Months: 1}},
		"an extension that is none": {r.and(t, Change{What: Extend, On: "2026-11-20", Months: 2}), Change{What: Extend, On: "2026-11-20", Months: 2}},
	} {
		one.c.ID = "sr-1"
		if _, err := one.at.Take(Taken{one.c, Act{Entry: 99}}); err == nil {
			t.Errorf("%s: it was recorded", name)
		}
	}
	if again, err := over.Take(Taken{Change{ID: "sr-1", What: Extend}, Act{Entry: 2}}); err != nil || len(again.Taken) != len(over.Taken) {
		t.Errorf("an entry that was taken already: %v", err)
	}
}

func TestChangesAreChecked(t *testing.T) {
	good := Change{ID: "sr-1", What: Receive, On: "2026-11-02", Zone: "Europe/London", Name: "Sam Carter", How: Spoken}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Change){
		"no request":          func(c *Change) { c.ID = "" },
		"no day":              func(c *Change) { c.On = "yesterday" },
		"a day that is none":  func(c *Change) { c.On = "2026-02-30" },
		"nobody":              func(c *Change) { c.Name = "" },
		"a hidden name":       func(c *Change) { c.Name = "Sam\u202e" },
		"no way":              func(c *Change) { c.How = "smoke" },
		"no zone":             func(c *Change) { c.Zone = "" },
		"an extension":        func(c *Change) { c.Months = 1 },
		"a file":              func(c *Change) { c.Digest = strings.Repeat("a", 64) },
		"another sort":        func(c *Change) { c.What = "lose" },
		"four months":         func(c *Change) { *c = Change{ID: "sr-1", What: Extend, On: "2026-11-02", Months: 4} },
		"an export of nobody": func(c *Change) { *c = Change{ID: "sr-1", What: Export, Digest: strings.Repeat("a", 64)} },
		"an export of no file": func(c *Change) {
			*c = Change{ID: "sr-1", What: Export, People: []string{"Sam Carter"}}
		},
	} {
		c := good
		spoil(&c)
		if c.Check() == nil {
			t.Errorf("%s: it passed", name)
		}
	}
}

// TestADueDayIsNeverMoreThanAMonthLater, whatever the day: at least 28 and at
// most 31 days, and never past the end of the next month.
func TestADueDayIsNeverMoreThanAMonthLater(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 4000).Draw(t, "day"))
		months := rapid.IntRange(1, 3).Draw(t, "months")
		due := monthsAfter(start, months)
		if gone := int(due.Month()) - int(start.Month()) + 12*(due.Year()-start.Year()); gone != months || due.Day() > start.Day() {
			t.Fatalf("%d months after %s is %s", months, start.Format(time.DateOnly), due.Format(time.DateOnly))
		}
	})
}
