// Package calendar knows when a school is open: its terms, holidays, closed
// days and weekends, as the school wrote them down, in the school's own time.
// By it grace that is given in school days is counted, and by it people are
// left in peace in the holidays.
//
// It never reads a clock or a file, and never guesses: a day of which no
// calendar speaks is not a holiday, so time counts on it as on a school day.
package calendar

import (
	"fmt"
	"slices"
	"sort"
	"time"
)

// Kind says what a day is.
type Kind uint8

// The kinds of days. Zero claims nothing.
const (
	Unknown Kind = iota // no calendar speaks of it
	School              // the school is open
	Weekend             // of every week of a term
	Holiday             // between terms, or a holiday within one
	Closed              // the school is closed for that day alone
)

var kindNames = [...]string{"unknown", "school day", "weekend", "holiday", "closed"}

// String returns the kind in lower case.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[Unknown]
}

// MarshalText implements encoding.TextMarshaler.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It refuses words that
// String does not produce.
func (k *Kind) UnmarshalText(text []byte) error {
	i := slices.Index(kindNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("%.40q is not a kind of day", text)
	}
	*k = Kind(i)
	return nil
}

// counts reports whether time counts on a day of this kind.
func (k Kind) counts() bool { return k == School || k == Unknown }

// holiday reports whether the school is closed for more than a weekend.
func (k Kind) holiday() bool { return k == Holiday || k == Closed }

// Calendar is what is known of a school's days. A nil calendar knows none. It
// is not changed once it is made, and safe for concurrent use.
type Calendar struct {
	name  string
	zone  *time.Location
	first int64   // the first day that it speaks of, in days since 1970
	days  []day   // from the first on
	open  []int64 // how many days count before each, and before the end
	term  []int64 // the same of those that are no holiday, weekends in term included
}

// day is what one day is, and what the school calls it.
type day struct {
	kind Kind
	name string
}

// made returns the calendar with its counts.
func (c *Calendar) made() *Calendar {
	c.open, c.term = make([]int64, len(c.days)+1), make([]int64, len(c.days)+1)
	for i, d := range c.days {
		c.open[i+1], c.term[i+1] = c.open[i], c.term[i]
		if d.kind.counts() {
			c.open[i+1]++
		}
		if !d.kind.holiday() {
			c.term[i+1]++
		}
	}
	return c
}

// Join returns what is known once a newer calendar is added to an older one:
// of each day that the newer speaks of what it says, of the others what the
// older said. The zone is the newer's. Either may be nil.
func Join(older, newer *Calendar) *Calendar {
	if older == nil {
		return newer
	}
	if newer == nil {
		return older
	}
	first := min(older.first, newer.first)
	end := max(older.end(), newer.end())
	c := &Calendar{name: newer.name, zone: newer.zone, first: first, days: make([]day, end-first)}
	copy(c.days[older.first-first:], older.days)
	for i, d := range newer.days {
		if d.kind != Unknown {
			c.days[newer.first-first+int64(i)] = d
		}
	}
	return c.made()
}

// end is the day after the last.
func (c *Calendar) end() int64 { return c.first + int64(len(c.days)) }

// Name returns what the school calls the calendar.
func (c *Calendar) Name() string {
	if c == nil {
		return ""
	}
	return c.name
}

// Zone returns the school's zone; UTC if there is no calendar.
func (c *Calendar) Zone() *time.Location {
	if c == nil {
		return time.UTC
	}
	return c.zone
}

// Day is one day at the school.
type Day struct {
	Date Date   `json:"date"`
	Kind Kind   `json:"kind"`
	Name string `json:"name,omitempty"` // of the term, holiday or closed day
}

// On returns the day that it is at the school at a moment.
func (c *Calendar) On(t time.Time) Day {
	if c == nil || !countable(t) {
		return Day{Date: dateOf(t)}
	}
	n := days(c.wall(t))
	d := Day{Date: Date(n)}
	if i := n - c.first; i >= 0 && i < int64(len(c.days)) {
		d.Kind, d.Name = c.days[i].kind, c.days[i].name
	}
	return d
}

// InTerm reports whether the school is open on the day that it is there at a
// moment. known is false if no calendar speaks of that day.
func (c *Calendar) InTerm(t time.Time) (in, known bool) {
	k := c.On(t).Kind
	return k == School, k != Unknown
}

// Quiet reports whether people are to be left in peace about something at a
// moment: on a day on which the school is known to be closed they are, unless
// the matter is urgent, as the loss of a device or of its encryption is.
func (c *Calendar) Quiet(now time.Time, urgent bool) bool { return !urgent && !c.On(now).Kind.counts() }

// Opens returns the first moment from now on at which the school is not known
// to be closed.
func (c *Calendar) Opens(now time.Time) time.Time {
	if c.On(now).Kind.counts() {
		return now
	}
	i := days(c.wall(now)) - c.first
	for i < int64(len(c.days)) && !c.days[i].kind.counts() {
		i++
	}
	return c.moment((c.first + i) * dayLength).In(now.Location())
}

// Speaks returns the first and the last day that the calendar speaks of; ok is
// false if there is none.
func (c *Calendar) Speaks() (from, to Date, ok bool) {
	if c == nil || len(c.days) == 0 {
		return 0, 0, false
	}
	return Date(c.first), Date(c.end() - 1), true
}

// Span is a run of days of one kind and name.
type Span struct {
	Kind Kind   `json:"kind"`
	Name string `json:"name,omitempty"`
	From Date   `json:"from"`
	To   Date   `json:"to"` // the last day
}

// Spans lists the days that the calendar speaks of. Weekends belong to the term
// or holiday around them.
func (c *Calendar) Spans() []Span {
	list := []Span{}
	if c == nil {
		return list
	}
	for i, d := range c.days {
		date := Date(c.first + int64(i))
		last := len(list) - 1
		switch {
		case last >= 0 && (d.kind == Weekend || list[last].Kind == d.kind && list[last].Name == d.name):
			list[last].To = date
		default:
			list = append(list, Span{Kind: d.kind, Name: d.name, From: date, To: date})
		}
	}
	return list
}

// After returns the moment at which so much time has passed at the school
// since start: days on which it is known to be closed do not count, and 24
// hours lie between an hour of one day and the same hour of the next, whatever
// the clocks do that night. Without a calendar every hour counts.
func (c *Calendar) After(start time.Time, span time.Duration) time.Time {
	if !c.counts(start, span) {
		return start.Add(max(0, span))
	}
	return c.after(c.open, start, span)
}

// AfterInTerm is After with weekends counted too, and holidays and closed days
// left out.
func (c *Calendar) AfterInTerm(start time.Time, span time.Duration) time.Time {
	if !c.counts(start, span) {
		return start.Add(max(0, span))
	}
	return c.after(c.term, start, span)
}

// counts reports whether the calendar makes a difference to a span of time.
func (c *Calendar) counts(start time.Time, span time.Duration) bool {
	return c != nil && span > 0 && span <= longestSpan && countable(start)
}

func (c *Calendar) after(before []int64, start time.Time, span time.Duration) time.Time {
	target := c.counted(before, c.wall(start)) + int64(span)
	return c.moment(c.reach(before, target)).In(start.Location())
}

// Between returns how much time has passed at the school between two moments:
// what After counts.
func (c *Calendar) Between(from, to time.Time) time.Duration {
	if c == nil || !countable(from) || !countable(to) {
		return max(0, to.Sub(from))
	}
	return c.between(c.open, from, to)
}

// BetweenInTerm is what AfterInTerm counts.
func (c *Calendar) BetweenInTerm(from, to time.Time) time.Duration {
	if c == nil || !countable(from) || !countable(to) {
		return max(0, to.Sub(from))
	}
	return c.between(c.term, from, to)
}

func (c *Calendar) between(before []int64, from, to time.Time) time.Duration {
	return time.Duration(max(0, c.counted(before, c.wall(to))-c.counted(before, c.wall(from))))
}

// counted returns how much time counts between the calendar's first day and a
// reading of the school's clock. before is how many days count before each.
func (c *Calendar) counted(before []int64, wall int64) int64 {
	from := wall - c.first*dayLength
	n := int64(len(c.days))
	switch i := days(from); {
	case from < 0:
		return from
	case i >= n:
		return before[n]*dayLength + from - n*dayLength
	case before[i] == before[i+1]:
		return before[i] * dayLength
	default:
		return before[i]*dayLength + from - i*dayLength
	}
}

// reach returns the first reading of the school's clock before which so much
// time counts.
func (c *Calendar) reach(before []int64, target int64) int64 {
	n := len(c.days)
	switch {
	case target <= 0:
		return c.first*dayLength + target
	case target > before[n]*dayLength:
		return c.end()*dayLength + target - before[n]*dayLength
	}
	i := sort.Search(n, func(i int) bool { return before[i+1]*dayLength >= target })
	return (c.first+int64(i))*dayLength + target - before[i]*dayLength
}
