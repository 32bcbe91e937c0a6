package summary

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// EncodeYear returns the report of a year as it is kept. It is written in one way.
func EncodeYear(y Year) ([]byte, error) {
	if err := y.Check(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(y)
	if err == nil && len(data) > MostBody {
		err = fmt.Errorf("it is longer than %d bytes", MostBody)
	}
	if err != nil {
		return nil, fmt.Errorf("write the report of %s: %w", y.Year, err)
	}
	return data, nil
}

// DecodeYear reads the report of a year. Bytes that EncodeYear would not have
// written are refused, so that a report has one digest.
func DecodeYear(data []byte) (y Year, err error) {
	if len(data) > MostBody {
		return y, fmt.Errorf("read the report of a year: it is longer than %d bytes", MostBody)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&y); err != nil {
		return y, fmt.Errorf("read the report of a year: %w", err)
	}
	again, err := EncodeYear(y)
	if err == nil && !bytes.Equal(again, data) {
		err = errors.New("read the report of a year: it is not written as reports are")
	}
	return y, err
}

// Check says what is wrong with the report of a year.
func (y Year) Check() error {
	wrong := func(what string) error { return fmt.Errorf("check the report of a year: %s", what) }
	switch {
	case y.Format != Format:
		return wrong(fmt.Sprintf("it is of format %d, and this version knows %d", y.Format, Format))
	case y.School == "" || y.Year == "" || y.Number < 1 || y.At.IsZero() || len(y.Terms) == 0:
		return wrong("it is of no year of no school")
	}
	for _, t := range y.Terms {
		if t.ID == "" || t.Name == "" || t.Number < 0 || (t.Number > 0) != (t.Entry > 0) || (t.Number > 0) != (len(t.Digest) == 64) {
			return wrong("it does not say of which report of each term it is made")
		}
	}
	cells := []Cell{y.Between.Found, y.Between.Settled, y.Between.Ended}
	for _, i := range y.Between.Incidents {
		cells = append(cells, i.Cell)
	}
	for _, u := range y.Rules {
		if len(u.Terms) != len(y.Terms) {
			return wrong("a rule is not told of in each term")
		}
		for _, t := range u.Terms {
			if t != nil && len(t) != len(Standings()) {
				return wrong("a rule is not counted as rules are")
			}
			cells = append(cells, t...)
		}
	}
	for _, c := range cells {
		if c.Count != nil && (*c.Count < Least || c.Few) {
			return wrong("it tells a count that is too small to be told")
		}
	}
	for _, lines := range [][]YearLine{y.Coverage, y.Breaches, y.Exemptions, y.Incidents} {
		for _, l := range lines {
			if len(l.Terms) != len(y.Terms) {
				return wrong("something is not told of in each term")
			}
			for _, s := range append([]*Sum{l.Between, l.Year}, l.Terms...) {
				if s != nil && !s.good() {
					return wrong("it tells a sum that is too small to be told")
				}
			}
		}
	}
	return nil
}

// good reports whether a sum is one that may be told.
func (s Sum) good() bool {
	switch {
	case s.Least < 0:
		return false
	case s.Most == nil:
		return true
	}
	return *s.Most >= s.Least && (*s.Most > s.Least || s.Least >= Least)
}

// PrintYear writes the report of a year as text for people.
func PrintYear(w io.Writer, y Year) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	all := []string{y.School, y.Title() + ", " + y.Period(), "Counts under 5 are not shown, nor others from which they would follow.", ""}
	for _, part := range y.Parts() {
		all = append(all, part.Heading)
		if len(part.Columns) > 0 {
			all = append(all, "  \t"+strings.Join(part.Columns, "\t"))
		}
		for _, row := range part.Rows {
			all = append(all, "  "+strings.Join(row, "\t"))
		}
		for _, words := range part.List {
			all = append(all, "  "+words)
		}
		all = append(all, "")
	}
	for _, line := range all {
		if _, err := io.WriteString(t, line+"\n"); err != nil {
			return fmt.Errorf("print the report of %s: %w", y.Year, err)
		}
	}
	return t.Flush()
}

// YearPart is a part of the report as people read it: rows under columns, of which
// the first cell names the row, or a list.
type YearPart struct {
	Heading string
	Columns []string // of all cells but the first
	Rows    [][]string
	List    []string
	Rules   bool // it tells of the rules, each in each term
}

// Label names the column of a cell that is not the first of its row.
func (p YearPart) Label(cell int) string { return p.Columns[cell-1] }

// Parts is the report in words and in the order in which people read it. Printing
// and pages are made from it, so that they say the same.
func (y Year) Parts() (parts []YearPart) {
	list := func(heading string, words []string) {
		if len(words) == 0 {
			words = []string{"Nothing."}
		}
		parts = append(parts, YearPart{Heading: heading, List: words})
	}
	table := func(heading string, columns []string, lines []YearLine) {
		part := YearPart{Heading: heading, Columns: columns}
		for _, l := range lines {
			part.Rows = append(part.Rows, append([]string{l.Words}, l.Cells()[:len(columns)]...))
		}
		parts = append(parts, part)
	}
	names := y.Names()
	whole := append(append([]string{}, names...), "In holidays", "Year")
	var terms []string
	for _, t := range y.Terms {
		terms = append(terms, fmt.Sprintf("%s, %s to %s: %s", t.Name, t.From, t.To, t.Signed()))
	}
	list("Terms of the year", terms)
	list("What was done", y.Done)
	list("Overdue, and decisions needed, when the last of these terms ended", y.Left)
	table("Policy breaches", whole, y.Breaches)
	table("Exemptions", whole, y.Exemptions)
	table("Incidents", whole, y.Incidents)
	table("Devices and coverage, at the end of each term", names, y.Coverage)
	parts = append(parts, y.rulesPart())
	list("What this cannot say", y.CannotSay)
	return parts
}

func (y Year) rulesPart() YearPart {
	part := YearPart{Heading: "Rules, in devices at the end of each term", Columns: Standings(), Rules: true}
	for _, u := range y.Rules {
		for i, cells := range u.Terms {
			row := []string{u.Title + " (" + u.Rule + "), " + y.Terms[i].Name}
			for n := range Standings() {
				words := "not known"
				if cells != nil {
					words = cells[n].Words()
				}
				row = append(row, words)
			}
			part.Rows = append(part.Rows, row)
		}
	}
	return part
}
