package web

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/collector/view"
)

// A trend is drawn as one column for each week, of what was known at the end of
// the last day of it on which anything was heard. A week in which nothing was
// heard has no column: nothing joins what was before it and what came after.

// layer is a part of every column, with one look everywhere.
type layer struct {
	standingWords
	count func(view.CountedDay) int
}

// column is a week of a trend.
type column struct {
	From, To calendar.Date
	Known    bool
	Devices  int
	Counts   []int // by layer
}

// trend is a drawing, and the table that says the same.
type trend struct {
	Title    string
	Words    string // what the last column says, and the first
	Layers   []standingWords
	Paths    []trendPath
	Closed   []segment // holidays, in units of the drawing
	Terms    []segment // where terms begin
	Width    int
	Height   int
	Rows     []trendRow
	Gaps     bool // there are weeks without a column
	Columns  []string
	From, To string
	Most     int // devices that a column of full height counts
}

// trendPath is all that one layer is, of every column.
type trendPath struct {
	Class, Fill, D string
}

// trendRow is a column in words.
type trendRow struct {
	Week    string
	Known   bool
	Devices int
	Counts  []int
}

// fills are the patterns of layers that are not plain.
var fills = map[string]string{"not-proven": "url(#hatch)", "exempt": "url(#dots)", "listed": "url(#stripes)"}

// The size of a drawing, in its own units.
const (
	wideTrend, tallTrend   = 720, 180
	smallTrend, shortTrend = 320, 72
)

func columnsOf(weeks []view.Week, layers []layer, covers func(view.CountedDay) bool) []column {
	list := make([]column, 0, len(weeks))
	for _, w := range weeks {
		c := column{From: w.From, To: w.To, Counts: make([]int, len(layers))}
		if w.Last != nil && covers(*w.Last) {
			c.Known = true
			for i, l := range layers {
				c.Counts[i] = l.count(*w.Last)
				c.Devices += c.Counts[i]
			}
		}
		list = append(list, c)
	}
	return list
}

// newTrend draws columns. The layers lie upon each other in their order.
func newTrend(t view.Trend, title string, layers []layer, covers func(view.CountedDay) bool, width, height int) trend {
	columns := columnsOf(t.Weeks(), layers, covers)
	d := trend{Title: title, Width: width, Height: height, From: t.From.Words(), To: min(t.To, t.Now.Date).Words()}
	most := 1
	for _, c := range columns {
		most = max(most, c.Devices)
		d.Gaps = d.Gaps || !c.Known
		d.Rows = append(d.Rows, trendRow{weekWords(c), c.Known, c.Devices, c.Counts})
	}
	d.Most = most
	for i, l := range layers {
		d.Layers = append(d.Layers, l.standingWords)
		d.Columns = append(d.Columns, l.Words)
		var path strings.Builder
		for n, c := range columns {
			c.draw(&path, i, n, len(columns), float64(height)/float64(most), width, height)
		}
		if path.Len() > 0 {
			d.Paths = append(d.Paths, trendPath{l.Class, fills[l.Class], path.String()})
		}
	}
	d.mark(t, len(columns))
	d.Words = trendWords(columns, layers)
	return d
}

// thinnest is the least that a layer is drawn, in units, so that one laptop among
// thousands is seen.
const thinnest = 2.0

// heights gives each layer its part of a column's height, none that counts
// anything less than the thinnest; what that costs is taken from the others in
// proportion.
func (c column) heights(unit float64) []float64 {
	heights := make([]float64, len(c.Counts))
	thin, rest := 0.0, 0.0
	for i, n := range c.Counts {
		switch h := float64(n) * unit; {
		case n == 0:
		case h < thinnest:
			heights[i] = thinnest
			thin += thinnest
		default:
			heights[i] = h
			rest += h
		}
	}
	whole := float64(c.Devices) * unit
	for i, h := range heights {
		if h > thinnest && whole > thin {
			heights[i] = h * (whole - thin) / rest
		}
	}
	return heights
}

// draw adds the rectangle of a layer of a column to a path.
func (c column) draw(path *strings.Builder, layer, n, of int, unit float64, width, height int) {
	if !c.Known || c.Counts[layer] == 0 {
		return
	}
	below := 0.0
	heights := c.heights(unit)
	for _, h := range heights[:layer] {
		below += h
	}
	x, next := n*width/of, (n+1)*width/of
	wide := next - x
	if wide > 4 {
		wide-- // so that columns are told apart
	}
	bottom := float64(height) - below
	fmt.Fprintf(path, "M%d %sh%dv%sh-%dz", x, tenths(max(0, bottom-heights[layer])), wide, tenths(min(bottom, heights[layer])), wide)
}

// tenths writes a coordinate with a decimal at most.
func tenths(f float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", math.Round(f*10)/10), ".0")
}

// mark shades holidays and marks where terms begin.
func (d *trend) mark(t view.Trend, weeks int) {
	if weeks == 0 {
		return
	}
	first, last := t.From, min(t.To, t.Now.Date)
	at := func(day calendar.Date) float64 {
		return float64(d.Width) * float64(day-first) / float64(last-first+1)
	}
	for _, s := range t.Closed {
		if s.To < first || s.From > last || s.To-s.From < 2 {
			continue // a single closed day is not seen at this scale
		}
		x := at(max(s.From, first))
		d.Closed = append(d.Closed, segment{X: tenths(x), W: tenths(at(min(s.To, last)+1) - x)})
	}
	for _, s := range t.Terms {
		if s.From > first && s.From <= last {
			d.Terms = append(d.Terms, segment{X: tenths(at(s.From))})
		}
	}
}

func weekWords(c column) string {
	if c.From == c.To {
		return c.From.Words()
	}
	return c.From.Time().Format("2 January") + " to " + c.To.Words()
}

// trendWords says where a trend ended and where it began.
func trendWords(columns []column, layers []layer) string {
	known := slices.DeleteFunc(slices.Clone(columns), func(c column) bool { return !c.Known })
	if len(known) == 0 {
		return "Nothing is known of this time."
	}
	say := func(c column) string {
		var parts []string
		for i, l := range layers {
			if c.Counts[i] > 0 {
				parts = append(parts, number(c.Counts[i])+" "+strings.ToLower(l.Words))
			}
		}
		if len(parts) == 0 {
			return "it covered no device"
		}
		return strings.Join(parts, ", ")
	}
	first, last := known[0], known[len(known)-1]
	words := "By " + last.To.Words() + ": " + say(last) + "."
	if len(known) > 1 {
		words += " By " + first.To.Words() + ": " + say(first) + "."
	}
	return words
}

// ruleLayers are the standings on a rule, in the order of every bar from the
// bottom up: what needs somebody is at the foot, where it is compared.
func ruleLayers(rule string) []layer {
	of := func(pick func(view.CountedRule) int) func(view.CountedDay) int {
		return func(d view.CountedDay) int { r, _ := d.On(rule); return pick(r) }
	}
	return []layer{
		{newStanding(view.NotMet), of(func(r view.CountedRule) int { return r.NotMet })},
		{newStanding(view.NotProven), of(func(r view.CountedRule) int { return r.NotProven })},
		{newStanding(view.Exempt), of(func(r view.CountedRule) int { return r.Exempt })},
		{newStanding(view.Met), of(func(r view.CountedRule) int { return r.Met })},
	}
}

func encryptionLayers() []layer {
	return []layer{
		{standingWords{"Not encrypted", "not-met"}, func(d view.CountedDay) int { return d.Encryption.Open + d.Encryption.ListedOpen }},
		{standingWords{"Not proven", "not-proven"}, func(d view.CountedDay) int { return d.Encryption.Unproven + d.Encryption.ListedUnsure }},
		{standingWords{"Encrypted by a list, not by an agent", "listed"}, func(d view.CountedDay) int { return d.Encryption.Listed }},
		{standingWords{"Proven encrypted", "met"}, func(d view.CountedDay) int { return d.Encryption.Proven }},
	}
}

func definitionLayers() []layer {
	return []layer{
		{standingWords{"Older, out of date, or no antivirus on", "not-met"}, func(d view.CountedDay) int {
			a := d.Definitions
			return a.Month + a.Older + a.Outdated + a.None
		}},
		{standingWords{"Not proven", "not-proven"}, func(d view.CountedDay) int { return d.Definitions.Unproven }},
		{standingWords{"Four to seven days", "age-week"}, func(d view.CountedDay) int { return d.Definitions.Week }},
		{standingWords{"Two or three days", "age-days"}, func(d view.CountedDay) int { return d.Definitions.Days }},
		{standingWords{"Up to a day, or current by the product's word", "met"}, func(d view.CountedDay) int { return d.Definitions.Day + d.Definitions.Current }},
	}
}
