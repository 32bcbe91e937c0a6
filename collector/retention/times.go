package retention

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/body"
	"github.com/caretaker-school/caretaker/collector/decision"
)

// Item is one thing of which a school says how long it is kept.
type Item string

// The items.
const (
	Contacts  Item = "contacts"   // signed contacts, until each day's last is all that is kept
	Media     Item = "media"      // media that came and went
	Inventory Item = "inventory"  // programs and executables
	States    Item = "states"     // changes of a device's state, and what was decided about its breaches
	Link      Item = "link"       // the name of who had a device, once it was handed back
	GuestLink Item = "guest-link" // the same of a guest or supply teacher
	Decisions Item = "decisions"  // who decided or changed something, and why
	Incidents Item = "incidents"  // incidents, once they were closed
	Looks     Item = "looks"      // who looked at the record of a person

	Exports Item = "exports" // what was gathered for a person who asked

	TermReports Item = "term-reports" // who made and signed the report of a term or of a year
)

// Span is a length of time by the calendar.
type Span struct {
	N    int
	Unit Unit
}

// Unit is what a span is counted in.
type Unit string

// The units.
const (
	Days   Unit = "days"
	Months Unit = "months"
	Years  Unit = "years"
)

// mostUnits is more of any unit than any bound allows.
const mostUnits = 10_000

// ParseSpan reads a span such as "90 days".
func ParseSpan(s string) (Span, error) {
	words := strings.Fields(s)
	wrong := fmt.Errorf("%.40q is no length of time: write it as 90 days, 13 months or 6 years", s)
	if len(words) != 2 {
		return Span{}, wrong
	}
	n, err := strconv.Atoi(words[0])
	if err != nil || n < 1 || n > mostUnits {
		return Span{}, wrong
	}
	unit := Unit(strings.TrimSuffix(words[1], "s") + "s")
	if unit != Days && unit != Months && unit != Years {
		return Span{}, wrong
	}
	return Span{n, unit}, nil
}

// String returns the span as people write it.
func (s Span) String() string {
	unit := string(s.Unit)
	if s.N == 1 {
		unit = strings.TrimSuffix(unit, "s")
	}
	return strconv.Itoa(s.N) + " " + unit
}

// MarshalText implements encoding.TextMarshaler.
func (s Span) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Span) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSpan(string(text))
	return err
}

// After returns the moment a span after another. Of a month that has no such
// day it is the last day, so that nothing is kept longer than was said.
func (s Span) After(t time.Time) time.Time {
	months := 0
	switch s.Unit {
	case Days:
		return t.AddDate(0, 0, s.N)
	case Months:
		months = s.N
	case Years:
		months = 12 * s.N
	}
	out := t.AddDate(0, months, 0)
	if out.Day() != t.Day() {
		out = out.AddDate(0, 0, -out.Day())
	}
	return out
}

// longer reports whether a span is longer than another.
func (s Span) longer(than Span) bool {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return s.After(from).After(than.After(from))
}

// Term is how long an item is kept by itself, and between which bounds a school
// may choose.
type Term struct {
	Item  Item   `json:"item"`
	What  string `json:"what"`
	From  string `json:"from"` // the moment from which the time counts
	Usual Span   `json:"usual"`
	Least Span   `json:"least"`
	Most  Span   `json:"most"`
}

// Terms lists the items. The bounds keep a slip from forgetting what is still
// needed, or from keeping for ever what nobody needs: evidence about a loss asks
// for 30 days of media, and an exemption, which lasts a year at most, counts only
// while it is known that somebody asked for it.
func Terms() []Term {
	days, months, years := func(n int) Span { return Span{n, Days} }, func(n int) Span { return Span{n, Months} }, func(n int) Span { return Span{n, Years} }
	return []Term{
		{Contacts, "contacts of laptops but each day's last", "the end of the month in which they came", days(30), days(7), days(366)},
		{Media, "which sticks and other media were in which laptop", "the end of the month in which it was reported", days(90), days(31), years(2)},
		{Inventory, "which programs a laptop had, but those that it has now", "the end of the month in which it was reported", months(13), months(1), years(6)},
		{States, "how a laptop changed, and what was decided about its breaches", "the end of the laptop's life", years(1), months(1), years(10)},
		{Link, "the name of who had a device", "the day on which it was handed back", months(6), months(1), years(2)},
		{GuestLink, "the name of a guest who had a device", "the day on which it was handed back", months(3), months(1), years(2)},
		{Decisions, "who decided or changed something, and why", "the end of the month in which they did", years(2), months(13), years(10)},
		{Looks, "who looked at a laptop, or at what concerns people", "the end of the month in which they did", years(2), months(13), years(6)},
		{TermReports, "who made and signed the report of a term or of a year", "the end of the month in which they did", years(6), years(1), years(25)},
		{Exports, "what was gathered for a person who asked what is kept about them", "the day on which it was gathered", days(30), days(7), days(90)},
		{Incidents, "what was written about an incident", "the day on which it was closed", years(6), years(1), years(25)},
	}
}

func (i Item) known() bool {
	return slices.ContainsFunc(Terms(), func(t Term) bool { return t.Item == i })
}

// Times are what a school says of some items, or of all.
type Times map[Item]Span

// Usual returns the times of a school that has said nothing.
func Usual() Times {
	times := Times{}
	for _, t := range Terms() {
		times[t.Item] = t.Usual
	}
	return times
}

// Check says what is wrong with times that are about to be recorded.
func (t Times) Check() error {
	if len(t) == 0 {
		return errors.New("it is not said of what the time is to change")
	}
	var wrong []error
	for _, known := range Terms() {
		s, ok := t[known.Item]
		switch {
		case !ok:
		case known.Least.longer(s):
			wrong = append(wrong, fmt.Errorf("%s: %s is less than %s, the least", known.Item, s, known.Least))
		case s.longer(known.Most):
			wrong = append(wrong, fmt.Errorf("%s: %s is more than %s, the most", known.Item, s, known.Most))
		}
	}
	for i := range t {
		if !i.known() {
			wrong = append(wrong, fmt.Errorf("%.40q is nothing of which a school says how long it is kept", string(i)))
		}
	}
	return errors.Join(wrong...)
}

// Section is the name of the section that carries a change of the times. It is
// kept as long as the ledger: what is forgotten when must be told the same once
// it is forgotten who said so.
const Section = decision.RetentionSection

// mostBody bounds a change, in bytes.
const mostBody = 4 << 10

// change is the body of the section: only the items that it changes.
type change struct {
	Times map[Item]json.RawMessage `json:"times"`
}

// Encode returns the body of the section of a change.
func Encode(t Times) ([]byte, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]Times{"times": t})
	if err != nil {
		return nil, fmt.Errorf("encode how long things are kept: %w", err)
	}
	return body, nil
}

// Decode reads what Encode wrote. Items that this version does not know are
// passed over. A time that is not within this version's bounds counts as it was
// said.
func Decode(data []byte) (Times, error) {
	c, err := body.Decode[change](data, mostBody)
	if err != nil {
		return nil, fmt.Errorf("read how long things are kept: %w", err)
	}
	t := Times{}
	for i, raw := range c.Times {
		if !i.known() {
			continue
		}
		var s Span
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, fmt.Errorf("read how long %s is kept: %w", i, err)
		}
		t[i] = s
	}
	return t, nil
}
