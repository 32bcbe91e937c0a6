package evidence

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Summary is what a bundle says, in words and in the order in which people
// read it. Printing and pages are made from it, so that they say the same.
// Everything in it can be shown: what devices called themselves is made visible.
type Summary struct {
	Title    string
	Subtitle string
	State    State // of a device, at the moment that was asked about; "" of a school
	Parts    []Part
}

// Part is a part of a summary.
type Part struct {
	Heading string // "" for what needs none
	// Columns are the names of the cells of its rows. Where there are none, a
	// row is a sentence, or a name and what it stands for.
	Columns []string
	Shown   bool       // the names are printed too; without them the rows speak for themselves
	Rows    [][]string // cells; a row of one cell is a sentence
	List    []string
}

// Ending is what each summary ends with.
const Ending = "This is evidence, not certification."

// Summary returns what the bundle says, with times in a zone. aware is when the
// school became aware of the loss; zero leaves the deadline to the bundle, and
// out if that has none.
func (b *Bundle) Summary(zone *time.Location, aware time.Time) Summary {
	p := page{b: b, s: b.Sheet, zone: zone}
	switch {
	case b.Year != nil:
		p.year()
	case b.Position != nil:
		p.position()
	default:
		p.device(aware)
	}
	return p.d
}

// Print writes what a bundle says as text for people, as Summary has it.
func Print(w io.Writer, b *Bundle, zone *time.Location, aware time.Time) error {
	d := b.Summary(zone, aware)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	lines := []string{d.Title, d.Subtitle, ""}
	for _, part := range d.Parts {
		lines = append(append(lines, part.lines()...), "")
	}
	for _, line := range append(lines, Ending) {
		if _, err := io.WriteString(t, line+"\n"); err != nil {
			return fmt.Errorf("print the evidence about %s: %w", b.about(), err)
		}
	}
	return t.Flush()
}

// lines are a part as text. What belongs to a heading stands further in.
func (p Part) lines() (lines []string) {
	in := ""
	if p.Heading != "" {
		lines, in = append(lines, p.Heading+":"), "  "
	}
	if p.Shown {
		lines = append(lines, in+strings.Join(p.Columns, "\t"))
	}
	for _, row := range p.Rows {
		lines = append(lines, in+strings.Join(row, "\t"))
	}
	for _, item := range p.List {
		lines = append(lines, in+"- "+item)
	}
	return lines
}

// LastSign is when the device last said something before the moment: a report,
// or that its last report still held. It is zero if it never had.
func (s Sheet) LastSign() time.Time {
	if n := len(s.Spans); n > 0 {
		return later(s.Spans[n-1].To, s.HeldAt)
	}
	return s.HeldAt
}

// FileName is a name for the bundle's file, by what it is about and the moment.
func (b *Bundle) FileName() string {
	return fmt.Sprintf("%s-%s.evidence", b.about(), b.At.Format("20060102T150405Z"))
}
