package web

import (
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/evidence"
)

// lifeline is what is proven of a device over time, drawn from left to right.
// Where nothing was heard nothing is drawn: a gap is a gap.
type lifeline struct {
	From, To *moment
	Bands    []band
	Rows     []bandRow // the same as a table
	Keys     []standingWords
}

// band is a stretch of time of one state, in percent of the width.
type band struct {
	Class, X, W string
}

// bandRow is a stretch of time in words.
type bandRow struct {
	From, To *moment
	Look     standingWords
	Why      string
}

// longestLine is how far back a line is drawn.
const longestLine = 100 * 24 * time.Hour

// silentLook is the look of time from which nothing is known.
func silentLook() standingWords { return standingWords{"not heard from", "gap"} }

// newLifeline draws the spans of a sheet and its silences; nil if there is
// nothing to draw.
func newLifeline(b *evidence.Bundle, c clockwork) *lifeline {
	spans := b.Sheet.Spans
	if len(spans) == 0 {
		return nil
	}
	from := spans[0].From
	if earliest := b.At.Add(-longestLine); from.Before(earliest) {
		from = earliest
	}
	whole := b.At.Sub(from)
	if whole <= 0 {
		return nil
	}
	l := &lifeline{From: c.moment(from), To: c.moment(b.At)}
	add := func(start, end time.Time, look standingWords, why string) {
		if end.Before(from) {
			return
		}
		l.Rows = append(l.Rows, bandRow{c.moment(start), c.moment(end), look, why})
		start, end = latest(start, from), earliest(end, b.At)
		w := 100 * float64(end.Sub(start)) / float64(whole)
		x := 100 * float64(start.Sub(from)) / float64(whole)
		if w < narrowest {
			w, x = narrowest, min(x, 100-narrowest)
		}
		l.Bands = append(l.Bands, band{look.Class, percent(x), percent(w)})
		l.key(look)
	}
	// Between two spans it changed, nobody knows when: there nothing is drawn,
	// and the legend and the table say why.
	for i, s := range spans {
		look := stateLook(s.State)
		if s.State == evidence.Missing {
			look = standingWords{"reports missing", "gap"}
		}
		if i > 0 && spans[i-1].State != evidence.Missing && s.State != evidence.Missing && s.From.After(spans[i-1].To) {
			look := standingWords{"it changed between two reports, nobody knows when", "gap"}
			l.Rows = append(l.Rows, bandRow{c.moment(spans[i-1].To), c.moment(s.From), look, ""})
			l.key(look)
		}
		add(s.From, s.To, look, visible(s.Why))
	}
	for _, s := range b.Sheet.Silences {
		add(s.From, s.To, silentLook(), "")
	}
	return l
}

// key adds a look to the legend, once.
func (l *lifeline) key(look standingWords) {
	if !slices.Contains(l.Keys, look) {
		l.Keys = append(l.Keys, look)
	}
}

// narrowest is the narrowest that a band is drawn, in percent, so that two
// hours in a term are seen.
const narrowest = 0.6

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
