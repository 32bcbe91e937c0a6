package web

import (
	"strconv"
	"strings"

	"github.com/caretaker-school/caretaker/collector/view"
)

// share is how many devices have one standing.
type share struct {
	Standing standingWords
	Count    int
	Address  string // of the list of what it counts, or ""
}

// bar is a row of shares drawn side by side. The numbers are always written
// beside it: nothing is to be had from the drawing alone.
type bar struct {
	Shares   []share // those that count at least one, in the order of the legend
	Segments []segment
	Words    string // such as "54 met, 3 not met, 4 not proven"
	Total    int
}

// segment is one rectangle of a bar, in percent of its width.
type segment struct {
	Class string
	X, W  string
}

// order is the order of standings in every bar and legend.
var order = [...]view.Standing{view.NotMet, view.NotProven, view.Exempt, view.Met}

// least is the narrowest that a segment is drawn, in percent, so that one
// laptop among thousands is seen.
const least = 1.5

func newBar(met, notMet, notProven, exempt int) bar {
	counts := map[view.Standing]int{view.Met: met, view.NotMet: notMet, view.NotProven: notProven, view.Exempt: exempt}
	var b bar
	for _, s := range order {
		b.Total += counts[s]
		if counts[s] > 0 {
			b.Shares = append(b.Shares, share{Standing: newStanding(s), Count: counts[s]})
		}
	}
	var words []string
	x := 0.0
	widths := b.widths()
	for i, s := range b.Shares {
		b.Segments = append(b.Segments, segment{Class: s.Standing.Class, X: percent(x), W: percent(widths[i])})
		x += widths[i]
		words = append(words, number(s.Count)+" "+strings.ToLower(s.Standing.Words))
	}
	b.Words = strings.Join(words, ", ")
	return b
}

// leading makes each share of a rule's bar lead to the devices that it counts.
func (b bar) leading(devices, rule string) bar {
	for i := range b.Shares {
		b.Shares[i].Address = standingAddress(devices, rule, b.Shares[i].Standing.Class)
	}
	return b
}

// widths gives each share its part of 100, none less than the least; what that
// costs is taken from the others in proportion.
func (b bar) widths() []float64 {
	widths := make([]float64, len(b.Shares))
	small, rest := 0.0, 0.0
	for i, s := range b.Shares {
		widths[i] = 100 * float64(s.Count) / float64(b.Total)
		if widths[i] < least {
			widths[i] = least
			small += least
		} else {
			rest += widths[i]
		}
	}
	for i := range widths {
		if widths[i] > least {
			widths[i] *= (100 - small) / rest
		}
	}
	return widths
}

func percent(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) + "%" }

// legend lists the standings in the order of the bars.
func legend() []standingWords {
	all := make([]standingWords, 0, len(order))
	for _, s := range order {
		all = append(all, newStanding(s))
	}
	return all
}
