package calendar

import "testing"

// year is an invented school's year.
const year = `# Term dates as the governors agreed them on 12 March.
name: Hollybank Primary School, 2026/27
zone: Europe/London
from: 2026-09-01
to: 2027-08-31
terms:
  - {name: Autumn term, from: 2026-09-03, to: 2026-12-18}
  - {name: Spring term, from: 2027-01-05, to: 2027-03-25}
  - {name: Summer term, from: 2027-04-12, to: 2027-07-21}
holidays:
  - {name: October half-term, from: 2026-10-26, to: 2026-10-30}
  - {name: February half-term, from: 2027-02-15, to: 2027-02-19}
  - {name: Early May bank holiday, from: 2027-05-03, to: 2027-05-03}
  - {name: May half-term, from: 2027-05-31, to: 2027-06-04}
closed:
  - {name: Training day, on: 2026-11-02}
  - {name: Polling day, on: 2027-05-06}
`

func parsed(tb testing.TB, text string) *Calendar {
	tb.Helper()
	c, err := Parse("calendar.yaml", []byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return c
}
