package calendar

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func at(t testing.TB, c *Calendar, text string) time.Time {
	t.Helper()
	for _, layout := range []string{"2006-01-02 15:04 MST", "2006-01-02 15:04"} {
		if when, err := time.ParseInLocation(layout, text, c.Zone()); err == nil {
			return when
		}
	}
	t.Fatalf("%q is no time", text)
	return time.Time{}
}

const schoolDay = 24 * time.Hour

func TestGraceIsCountedInSchoolDays(t *testing.T) {
	c := parsed(t, year)
	for _, row := range []struct {
		name, start string
		span        time.Duration
		want        string
	}{
		{"within a week", "2026-09-07 10:00", 3 * schoolDay, "2026-09-10 10:00"},
		{"over a weekend", "2026-09-11 10:00", schoolDay, "2026-09-14 10:00"},
		{"from a weekend", "2026-09-12 10:00", schoolDay, "2026-09-15 00:00"},
		{"to the end of a Friday", "2026-09-10 00:00", 2 * schoolDay, "2026-09-12 00:00"},
		{"over half-term, its two weekends and a training day", "2026-10-22 09:30", 2 * schoolDay, "2026-11-03 09:30"},
		{"over the end of a year", "2026-12-17 14:00", 2 * schoolDay, "2027-01-05 14:00"},
		{"over a single closed day", "2027-05-05 12:00", schoolDay, "2027-05-07 12:00"},
		{"over a bank holiday", "2027-04-30 12:00", schoolDay, "2027-05-04 12:00"},
		{"clocks put forward in the Easter holiday", "2027-03-25 09:00", schoolDay, "2027-04-12 09:00"},
		{"hours", "2026-09-11 20:00", 6 * time.Hour, "2026-09-14 02:00"},
		{"before the calendar every day counts", "2026-08-20 10:00", 7 * schoolDay, "2026-08-27 10:00"},
		{"into the calendar", "2026-08-31 10:00", schoolDay, "2026-09-03 10:00"},
		{"into what is not known", "2027-07-21 10:00", schoolDay, "2027-09-01 10:00"},
		{"after the calendar every day counts", "2027-09-10 10:00", 7 * schoolDay, "2027-09-17 10:00"},
		{"no grace in a holiday", "2027-08-01 10:00", 0, "2027-08-01 10:00"},
	} {
		start, want := at(t, c, row.start), at(t, c, row.want)
		if got := c.After(start, row.span); !got.Equal(want) {
			t.Errorf("%s: %s after %s: got %s, want %s", row.name, row.span, start, got.In(c.Zone()), want)
		}
	}
}

// TestClocksThatChange: where a school is open on the night in which clocks
// change, the same hour of the next day is a day later all the same.
func TestClocksThatChange(t *testing.T) {
	open := strings.Replace(year, "terms:", "weekend: []\nterms:", 1)
	c := parsed(t, strings.Replace(open, "{name: October half-term, from: 2026-10-26", "{name: October half-term, from: 2026-10-27", 1))
	for _, row := range []struct {
		name, start string
		span        time.Duration
		want        string
	}{
		{"an hour comes twice", "2026-10-24 10:00", schoolDay, "2026-10-25 10:00"},
		{"from the first time", "2026-10-25 01:30 BST", schoolDay, "2026-10-26 01:30"},
		{"from the second time", "2026-10-25 01:30 GMT", schoolDay, "2026-10-26 02:00"},
		{"to the hour that comes twice", "2026-10-24 01:30", schoolDay, "2026-10-25 01:30 BST"},
	} {
		start, want := at(t, c, row.start), at(t, c, row.want)
		if got := c.After(start, row.span); !got.Equal(want) {
			t.Errorf("%s: got %s, want %s", row.name, got.In(c.Zone()), want)
		}
	}
	spring := parsed(t, strings.Replace(open, "to: 2027-03-25", "to: 2027-03-31", 1))
	if got, want := spring.After(at(t, spring, "2027-03-27 01:30"), schoolDay), at(t, spring, "2027-03-28 02:00"); !got.Equal(want) {
		t.Errorf("to the hour that is left out: got %s, want %s", got.In(spring.Zone()), want)
	}
	// Here clocks go forward at midnight, so that one day begins at one.
	beirut := parsed(t, strings.NewReplacer("Europe/London", "Asia/Beirut", "to: 2027-03-25", "to: 2027-03-31").Replace(open))
	if got, want := beirut.After(at(t, beirut, "2027-03-27 00:00"), schoolDay), at(t, beirut, "2027-03-28 01:00"); !got.Equal(want) {
		t.Errorf("to a midnight that is left out: got %s, want %s", got.In(beirut.Zone()), want)
	}
}

func TestDays(t *testing.T) {
	c := parsed(t, year)
	for when, want := range map[string]Day{
		"2026-09-01 12:00":     {Kind: Holiday},
		"2026-09-03 00:00":     {Kind: School, Name: "Autumn term"},
		"2026-09-05 12:00":     {Kind: Weekend, Name: "Autumn term"},
		"2026-10-27 12:00":     {Kind: Holiday, Name: "October half-term"},
		"2026-11-02 23:59":     {Kind: Closed, Name: "Training day"},
		"2027-06-10 23:30 UTC": {Kind: School, Name: "Summer term"}, // half past midnight there
		"2027-08-31 23:30 BST": {Kind: Holiday},
		"2027-09-01 00:30 BST": {Kind: Unknown},
		"2026-08-31 12:00":     {Kind: Unknown},
	} {
		got := c.On(at(t, c, when))
		if got.Kind != want.Kind || got.Name != want.Name {
			t.Errorf("%s: got %s %q, want %s %q", when, got.Kind, got.Name, want.Kind, want.Name)
		}
		in, known := c.InTerm(at(t, c, when))
		if in != (want.Kind == School) || known != (want.Kind != Unknown) {
			t.Errorf("%s: in term %v, known %v", when, in, known)
		}
	}
	if got := c.On(at(t, c, "2027-06-11 00:30")); got.Date.String() != "2027-06-11" {
		t.Errorf("half past midnight in summer is on %s", got.Date)
	}
}

func TestQuiet(t *testing.T) {
	c := parsed(t, year)
	for when, want := range map[string]string{
		"2026-09-04 12:00": "2026-09-04 12:00", "2026-10-23 23:59": "2026-10-23 23:59", "2026-10-24 00:00": "2026-11-03 00:00",
		"2027-07-22 08:00": "2027-09-01 00:00", "2027-09-02 08:00": "2027-09-02 08:00",
	} {
		now, opens := at(t, c, when), at(t, c, want)
		if got := c.Opens(now); !got.Equal(opens) {
			t.Errorf("%s: the school opens %s, want %s", when, got.In(c.Zone()), opens)
		}
		if got := c.Quiet(now, false); got == now.Equal(opens) {
			t.Errorf("%s: quiet is %v", when, got)
		}
		if c.Quiet(now, true) {
			t.Errorf("%s: quiet about what is urgent", when)
		}
	}
	var none *Calendar
	if now := at(t, c, "2027-08-01 08:00"); none.Quiet(now, false) || !none.Opens(now).Equal(now) {
		t.Error("quiet without a calendar")
	}
}

func TestWithoutACalendarEveryHourCounts(t *testing.T) {
	var c *Calendar
	start := time.Date(2027, 8, 1, 8, 0, 0, 0, time.UTC)
	if got := c.After(start, 7*schoolDay); !got.Equal(start.Add(7 * schoolDay)) {
		t.Errorf("got %s", got)
	}
	if got := c.Between(start, start.Add(time.Hour)); got != time.Hour {
		t.Errorf("between: %s", got)
	}
	if c.On(start).Kind != Unknown || c.On(start).Date.String() != "2027-08-01" || c.Name() != "" || len(c.Spans()) != 0 {
		t.Errorf("a calendar that there is not says something of %v", c.On(start))
	}
	whole := parsed(t, year)
	if Join(nil, whole) != whole || Join(whole, nil) != whole {
		t.Error("joined with nothing it is another")
	}
	for _, odd := range []time.Time{{}, time.Date(1601, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if got := whole.After(odd, schoolDay); !got.Equal(odd.Add(schoolDay)) {
			t.Errorf("after %s: %s", odd, got)
		}
		if got := whole.On(odd).Kind; got != Unknown {
			t.Errorf("on %s: %s", odd, got)
		}
	}
}

func TestTheNextYearIsAddedToTheLast(t *testing.T) {
	next := strings.NewReplacer("2027", "2028", "2026", "2027").Replace(year)
	next = strings.Replace(next, "from: 2027-09-01", "from: 2027-07-20", 1) // it corrects the end of the last term
	c := Join(parsed(t, year), parsed(t, next))
	if got := c.On(at(t, c, "2026-11-02 12:00")); got.Name != "Training day" {
		t.Errorf("of last year: %+v", got)
	}
	if got := c.On(at(t, c, "2027-07-19 12:00")).Kind; got != School {
		t.Errorf("before it was corrected: %s", got)
	}
	if got := c.On(at(t, c, "2027-07-20 12:00")).Kind; got != Holiday {
		t.Errorf("corrected: %s", got)
	}
	if got, want := c.After(at(t, c, "2027-07-19 10:00"), schoolDay), at(t, c, "2027-09-03 10:00"); !got.Equal(want) {
		t.Errorf("over the summer: got %s, want %s", got, want)
	}
	far := strings.NewReplacer("2027", "2032", "2026", "2031").Replace(year)
	gap := Join(parsed(t, far), parsed(t, year))
	if got := gap.On(at(t, gap, "2029-01-02 12:00")).Kind; got != Unknown {
		t.Errorf("between two calendars: %s", got)
	}
	if from, to, _ := gap.Speaks(); from.String() != "2026-09-01" || to.String() != "2032-08-31" {
		t.Errorf("it speaks of %s to %s", from, to)
	}
}

func TestWarnings(t *testing.T) {
	c := parsed(t, year)
	for when, want := range map[string]string{
		"2026-08-20 12:00": "begins on 1 September 2026", "2026-10-01 12:00": "", "2027-07-19 12:00": "", "2027-07-21 12:00": "ends on 31 August 2027",
		"2027-08-31 12:00": "ends on 31 August 2027", "2027-09-01 12:00": "ended on 31 August 2027",
	} {
		if got := c.Warning(at(t, c, when)); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	var none *Calendar
	if got := none.Warning(at(t, c, "2026-10-01 12:00")); !strings.Contains(got, "no term calendar") {
		t.Errorf("none: %q", got)
	}
	far := Join(parsed(t, strings.NewReplacer("2027", "2032", "2026", "2031").Replace(year)), c)
	if got := far.Warning(at(t, c, "2029-01-02 12:00")); !strings.Contains(got, "speaks of today") {
		t.Errorf("in a gap: %q", got)
	}
}

func TestSpans(t *testing.T) {
	var lines []string
	for _, s := range parsed(t, year).Spans() {
		lines = append(lines, fmt.Sprintf("%s %s %s %s", s.From, s.To, s.Kind, s.Name))
	}
	for _, want := range []string{
		"2026-09-01 2026-09-02 holiday ", "2026-09-03 2026-10-25 school day Autumn term", "2026-10-26 2026-11-01 holiday October half-term",
		"2026-11-02 2026-11-02 closed Training day", "2026-12-19 2027-01-04 holiday ",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("%q is missing from:\n%s", want, strings.Join(lines, "\n"))
		}
	}
}

func TestDaysAreReadBack(t *testing.T) {
	c := parsed(t, year)
	for _, want := range c.Spans() {
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Span
		if err := json.Unmarshal(data, &got); err != nil || got != want {
			t.Errorf("%s: read back as %+v, %v", data, got, err)
		}
	}
	for _, bad := range []string{`{"kind":"bank holiday"}`, `{"from":"1 September"}`} {
		if json.Unmarshal([]byte(bad), &Span{}) == nil {
			t.Errorf("%s was read", bad)
		}
	}
	if got := Kind(99).String(); got != "unknown" {
		t.Errorf("a kind that there is not is %q", got)
	}
}

// drawn is a random calendar of up to two years.
func drawn(t *rapid.T, label string) *Calendar {
	zone, err := time.LoadLocation(rapid.SampledFrom([]string{
		"Europe/London", "UTC", "America/St_Johns", "Asia/Beirut", "Australia/Lord_Howe", "Pacific/Auckland", "Africa/Cairo", "America/Havana",
	}).Draw(t, label+" zone"))
	if err != nil {
		t.Fatal(err)
	}
	c := &Calendar{zone: zone, first: int64(dateOf(time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC))) + int64(rapid.IntRange(-300, 300).Draw(t, label+" first"))}
	for len(c.days) < 700 && rapid.IntRange(0, 9).Draw(t, label+" more") > 0 {
		k := Kind(rapid.IntRange(0, int(Closed)).Draw(t, label+" kind"))
		c.days = append(c.days, slices.Repeat([]day{{kind: k}}, rapid.IntRange(1, 60).Draw(t, label+" length"))...)
	}
	return c.made()
}

func moments(t *rapid.T, label string) time.Time {
	hours := rapid.IntRange(-400*24, 900*24).Draw(t, label)
	odd := time.Duration(rapid.IntRange(0, 3599).Draw(t, label+" seconds")) * time.Second
	return time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(hours)*time.Hour + odd)
}

// TestHolidaysAreLeftOut: weekends in term count, holidays, closed days and
// weekends between terms do not.
func TestHolidaysAreLeftOut(t *testing.T) {
	c := parsed(t, year)
	for _, row := range []struct {
		name, start string
		days        int
		want        string
	}{
		{"in term", "2026-09-07 10:00", 14, "2026-09-21 10:00"},
		{"over half-term and a training day", "2026-10-22 10:00", 14, "2026-11-11 10:00"},
		{"over the summer", "2027-07-21 15:00", 14, "2027-09-14 15:00"},
		{"from within the summer", "2027-08-10 15:00", 14, "2027-09-15 00:00"},
	} {
		start, want := at(t, c, row.start), at(t, c, row.want)
		got := c.AfterInTerm(start, time.Duration(row.days)*24*time.Hour)
		if !got.Equal(want) {
			t.Errorf("%s: got %s, want %s", row.name, got.In(c.Zone()), want)
		}
		if passed := c.BetweenInTerm(start, got); passed != time.Duration(row.days)*24*time.Hour {
			t.Errorf("%s: %s had passed", row.name, passed)
		}
	}
	var none *Calendar
	start := time.Date(2027, 8, 1, 8, 0, 0, 0, time.UTC)
	if got := none.AfterInTerm(start, time.Hour); !got.Equal(start.Add(time.Hour)) || none.BetweenInTerm(start, got) != time.Hour {
		t.Errorf("without a calendar: %s", got)
	}
}

func lengths(t *rapid.T, label string) time.Duration {
	return time.Duration(rapid.IntRange(0, 60*24*60).Draw(t, label)) * time.Minute
}

// TestMoreNeverEndsEarlier: a longer grace, a later start and one more holiday
// never make a grace end earlier, and what Between counts is what After gave.
func TestMoreNeverEndsEarlier(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawn(t, "calendar")
		start, span := moments(t, "start"), lengths(t, "span")
		end := c.After(start, span)
		if end.Before(start) {
			t.Fatalf("it ends at %s, before it begins at %s", end, start)
		}
		if longer := c.After(start, span+lengths(t, "more")); longer.Before(end) {
			t.Fatalf("a longer one ends at %s, before %s", longer, end)
		}
		if later := c.After(start.Add(lengths(t, "later")), span); later.Before(end) {
			t.Fatalf("a later one ends at %s, before %s", later, end)
		}
		if span > 0 && c.Between(start, end) < span {
			t.Fatalf("%s of %s had passed at its end", c.Between(start, end), span)
		}
		if span > 0 && c.Between(start, end.Add(-time.Nanosecond)) >= span {
			t.Fatalf("%s had passed before its end %s", span, end)
		}
		inTerm := c.AfterInTerm(start, span)
		if inTerm.After(end) {
			t.Fatalf("with weekends counted it ends at %s, later than %s", inTerm, end)
		}
		if later := c.AfterInTerm(start.Add(lengths(t, "later in term")), span); later.Before(inTerm) {
			t.Fatalf("a later one in term ends at %s, before %s", later, inTerm)
		}
		if span > 0 && (c.BetweenInTerm(start, inTerm) < span || c.BetweenInTerm(start, inTerm.Add(-time.Nanosecond)) >= span) {
			t.Fatalf("in term %s of %s had passed at its end %s", c.BetweenInTerm(start, inTerm), span, inTerm)
		}
		more := &Calendar{zone: c.zone, first: c.first, days: slices.Clone(c.days)}
		for i := range more.days {
			if rapid.IntRange(0, 9).Draw(t, "close") == 0 {
				more.days[i].kind = Holiday
			}
		}
		if got := more.made().After(start, span); got.Before(end) {
			t.Fatalf("with more holidays it ends at %s, before %s", got, end)
		}
		if got := more.AfterInTerm(start, span); got.Before(inTerm) {
			t.Fatalf("in term, with more holidays, it ends at %s, before %s", got, inTerm)
		}
	})
}

// TestTheWallClock compares the reading of the clock and its inverse with what
// Go's time says of each moment.
func TestTheWallClock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawn(t, "calendar")
		m := moments(t, "moment")
		if _, until := m.In(c.zone).ZoneBounds(); !until.IsZero() && rapid.Bool().Draw(t, "where clocks are changed") {
			m = until.Add(rapid.SampledFrom([]time.Duration{-time.Hour, -1, 0, 1, time.Hour / 2, time.Hour}).Draw(t, "from there"))
		}
		w := c.wall(m)
		if next := c.wall(m.Add(time.Minute)); next < w {
			t.Fatalf("the clock goes back after %s", m)
		}
		if again := c.moment(w); c.wall(again) < w || again.After(m) {
			t.Fatalf("the clock reads %d at %s, and first at %s", w, m, again)
		}
		if back := c.moment(w); back.After(c.moment(0).AddDate(0, 0, 0)) && c.wall(back.Add(-time.Nanosecond)) >= w {
			t.Fatalf("the clock read %d before %s", w, back)
		}
		local := m.In(c.zone)
		if r := readingOf(local); r > w {
			t.Fatalf("the clock shows %d and is read as %d", r, w)
		}
	})
}

func TestJoinIsTheNewerThenTheOlder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		older, newer := drawn(t, "older"), drawn(t, "newer")
		both := Join(older, newer)
		kind := func(c *Calendar, n int64) Kind {
			if i := n - c.first; i >= 0 && i < int64(len(c.days)) {
				return c.days[i].kind
			}
			return Unknown
		}
		for n := both.first - 2; n < both.end()+2; n++ {
			want := kind(newer, n)
			if want == Unknown {
				want = kind(older, n)
			}
			if got := kind(both, n); got != want {
				t.Fatalf("%s: got %s, want %s", Date(n), got, want)
			}
		}
	})
}

func BenchmarkAfter(b *testing.B) {
	c := parsed(b, year)
	start := time.Date(2026, 10, 22, 9, 30, 0, 0, time.UTC)
	for b.Loop() {
		c.After(start, 7*schoolDay)
	}
}
