package calendar

import (
	"fmt"
	"time"
)

// A reading of the school's clock is counted in nanoseconds since the first of
// January 1970 there, and every day has 24 hours of it. Where clocks are put
// forward the reading leaps; where they are put back it stands still until the
// hour that comes twice is over. It never goes back.

const dayLength = int64(24 * time.Hour)

// longestSpan is longer than any grace. What is longer is counted without a
// calendar.
const longestSpan = 40 * 366 * 24 * time.Hour

// countable reports whether a moment is of an age that calendars are written
// for. Clocks that are wrong by centuries are met.
func countable(t time.Time) bool { return t.Year() >= 1970 && t.Year() < 2200 }

// wall returns the reading of the school's clock at a moment.
func (c *Calendar) wall(t time.Time) int64 {
	local := t.In(c.zone)
	reading := readingOf(local)
	if since, _ := local.ZoneBounds(); !since.IsZero() && countable(since) {
		// What the clock showed when it was last put forward or back.
		reading = max(reading, readingOf(since.Add(-time.Nanosecond).In(c.zone))+1)
	}
	return reading
}

func readingOf(local time.Time) int64 {
	_, offset := local.Zone()
	return local.UnixNano() + int64(offset)*int64(time.Second)
}

// moment returns the first moment at which the school's clock has a reading, or
// has leapt over it.
func (c *Calendar) moment(wall int64) time.Time {
	// No zone is more than 14 hours ahead, so this is before.
	t := time.Unix(0, wall-int64(15*time.Hour)).In(c.zone)
	for {
		_, offset := t.Zone()
		at := time.Unix(0, wall-int64(offset)*int64(time.Second)).In(c.zone)
		if at.Before(t) {
			at = t // leapt over
		}
		_, until := t.ZoneBounds()
		// Where clocks are put back, the reading at which they are is first met then.
		if until.IsZero() || !at.After(until) {
			return at
		}
		t = until.In(c.zone)
	}
}

// days returns how many whole days a reading has, rounded down.
func days(wall int64) int64 {
	n := wall / dayLength
	if wall%dayLength < 0 {
		n--
	}
	return n
}

// Date is a day, in days since the first of January 1970.
type Date int64

// dateOf returns the date of a moment by the zone that it has.
func dateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / int64(24*time.Hour/time.Second))
}

// DateOf returns the day of a moment, as its own zone has it.
func DateOf(t time.Time) Date { return dateOf(t) }

// Time returns midnight at the beginning of the day, in UTC.
func (d Date) Time() time.Time { return time.Unix(int64(d)*int64(24*time.Hour/time.Second), 0).UTC() }

// String returns the date as 2026-10-26.
func (d Date) String() string { return d.Time().Format(time.DateOnly) }

// Words returns the date as people write it: 26 October 2026.
func (d Date) Words() string { return d.Time().Format("2 January 2006") }

// Weekday returns the day of the week.
func (d Date) Weekday() time.Weekday { return d.Time().Weekday() }

// MarshalText implements encoding.TextMarshaler.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Date) UnmarshalText(text []byte) error {
	parsed, err := parseDate(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// The days that calendars may speak of.
const (
	firstYear = 2000
	lastYear  = 2100
)

func parseDate(text string) (Date, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return 0, fmt.Errorf("%.40q is not a date such as 2026-09-01: year, month and day", text)
	}
	if t.Year() < firstYear || t.Year() >= lastYear {
		return 0, fmt.Errorf("%s is not a date from %d to %d", text, firstYear, lastYear-1)
	}
	return dateOf(t), nil
}
