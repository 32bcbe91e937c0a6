package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// direction says on which side of its bound a ratio must lie.
type direction int

const (
	atMost direction = iota + 1
	atLeast
	justTold // nothing is asked of it
)

// row is one line of the table.
type row struct {
	what    string
	ours    float64
	unit    string
	against string  // what it is measured against
	limit   float64 // in the same unit
	want    direction
	bound   float64 // of ours divided by limit
	note    string
}

func (r row) ratio() float64 {
	if r.limit == 0 {
		return 0
	}
	return r.ours / r.limit
}

// ok reports whether the ratio is on the side of its bound that was asked for.
func (r row) ok() bool {
	switch r.want {
	case atMost:
		return r.ratio() <= r.bound
	case atLeast:
		return r.ratio() >= r.bound
	case justTold:
	}
	return true
}

func (r row) verdict() string {
	switch {
	case r.want == justTold:
		return ""
	case r.ok():
		return "yes"
	}
	return "NO"
}

func (r row) asked() string {
	switch r.want {
	case atMost:
		return fmt.Sprintf("≤ %.2f", r.bound)
	case atLeast:
		return fmt.Sprintf("≥ %.2f", r.bound)
	case justTold:
	}
	return ""
}

// figure writes a value with as many digits as say something.
func figure(v float64, unit string) string {
	digits := 2
	switch {
	case v >= 100:
		digits = 0
	case v >= 10:
		digits = 1
	}
	return fmt.Sprintf("%.*f %s", digits, v, unit)
}

// printTable writes the rows as a table that is also valid Markdown.
func printTable(to io.Writer, rows []row) error {
	w := tabwriter.NewWriter(to, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| what\t| ours\t| limit or peer\t| ratio\t| asked\t| ok\t|")
	fmt.Fprintln(w, "|---\t|---\t|---\t|---\t|---\t|---\t|")
	for _, r := range rows {
		against, ratio := "", ""
		if r.limit != 0 {
			against = figure(r.limit, r.unit)
			if r.against != "" {
				against += " (" + r.against + ")"
			}
			ratio = fmt.Sprintf("%.2f", r.ratio())
		}
		fmt.Fprintf(w, "| %s\t| %s\t| %s\t| %s\t| %s\t| %s\t|\n", r.what, figure(r.ours, r.unit), against, ratio, r.asked(), r.verdict())
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	for _, r := range rows {
		if r.note != "" {
			fmt.Fprintf(to, "\n%s: %s", r.what, r.note)
		}
	}
	fmt.Fprintln(to)
	return nil
}
