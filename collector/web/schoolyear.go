package web

import (
	"fmt"
	"strconv"
	"time"

	"github.com/caretaker-school/caretaker/collector/calendar"
)

// drawnYear is a year from September to August, drawn a month a row.
type drawnYear struct {
	Title        string
	Months       []yearMonth
	Rows         []yearRow // the same as a table
	Before, Next string    // addresses of the years beside it
}

// yearMonth is a month: its days from left to right, 31 of them wide.
type yearMonth struct {
	Name string
	Runs []yearRun
}

// yearRun is a run of days of one kind, in percent of the width.
type yearRun struct {
	Class, X, W, Y, H string
}

// yearRow is a run of days in words.
type yearRow struct {
	Words, Name, From, To string
}

// dayLook is how a kind of day is drawn and called. Kinds differ in height as
// well as in colour.
type dayLook struct{ class, words, y, h string }

func lookOf(k calendar.Kind) dayLook {
	switch k {
	case calendar.School:
		return dayLook{"school", "School days", "0", "100%"}
	case calendar.Closed:
		return dayLook{"closed", "Closed", "0", "100%"}
	case calendar.Holiday:
		return dayLook{"holiday", "Holiday", "60%", "40%"}
	case calendar.Weekend:
		return dayLook{"weekend", "Weekend", "80%", "20%"}
	}
	return dayLook{"unknown", "No calendar speaks of it", "0", "100%"}
}

// drawYear draws the year that an address asks for, or the present one.
func drawYear(days *calendar.Calendar, now time.Time, asked, address string) *drawnYear {
	first, err := strconv.Atoi(asked)
	if err != nil || first < 1970 || first > 2199 {
		first = now.Year()
		if now.Month() < time.September {
			first--
		}
	}
	y := &drawnYear{Title: fmt.Sprintf("September %d to August %d", first, first+1)}
	at := func(n int) string { return address + "?year=" + strconv.Itoa(n) + "#year" }
	y.Before, y.Next = at(first-1), at(first+1)
	for i := range 12 {
		y.month(days, time.Date(first, time.September+time.Month(i), 1, 12, 0, 0, 0, time.UTC))
	}
	return y
}

// month adds a month, by a moment at noon of its first day.
func (y *drawnYear) month(days *calendar.Calendar, first time.Time) {
	m := yearMonth{Name: first.Format("Jan 2006")}
	begun, kind := 0, calendar.Unknown
	end := func(n int) {
		look := lookOf(kind)
		m.Runs = append(m.Runs, yearRun{look.class, inDays(begun), inDays(n - begun), look.y, look.h})
	}
	last := first.AddDate(0, 1, -1).Day()
	for n := range last {
		noon := first.AddDate(0, 0, n)
		day := days.On(time.Date(noon.Year(), noon.Month(), noon.Day(), 12, 0, 0, 0, days.Zone()))
		if n > 0 && day.Kind != kind {
			end(n)
			begun = n
		}
		kind = day.Kind
		y.row(day)
	}
	end(last)
	y.Months = append(y.Months, m)
}

func inDays(days int) string { return strconv.FormatFloat(100*float64(days)/31, 'f', 2, 64) + "%" }

// row adds a day to the table. Weekends belong to what is around them.
func (y *drawnYear) row(d calendar.Day) {
	words, date := lookOf(d.Kind).words, d.Date.Time().Format("Mon 2 Jan 2006")
	if n := len(y.Rows); n > 0 && (d.Kind == calendar.Weekend || y.Rows[n-1].Words == words && y.Rows[n-1].Name == d.Name) {
		y.Rows[n-1].To = date
		return
	}
	y.Rows = append(y.Rows, yearRow{words, d.Name, date, date})
}
