package evidence

import (
	"strconv"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/proof"
)

const (
	// clockTolerance is by how much clocks may differ without a word.
	clockTolerance = 5 * time.Minute
	reportedLate   = 6 * time.Hour
)

// latest is the last time that JSON can write: a device may claim any.
var latest = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// moment reads a time as devices and the ledger write it.
func moment(ms uint64) time.Time {
	if ms > uint64(latest.UnixMilli()) {
		return latest
	}
	return time.UnixMilli(int64(ms)).UTC()
}

// placed is when a report was made, as far as its own clock and the collector's
// agree. It was made before the collector received it, and after the collector
// had received the last entry below the checkpoint that it bears witness to.
type placed struct {
	at       time.Time
	earliest time.Time
	received time.Time
	wrong    bool // its own clock said something impossible
	back     bool // the clock was put back since the report before
}

// place places reports, which stand in the order in which they were made, among
// what the collector's clock says. enrolled is the device's enrolment.
func place(enrolled entry, reports []signedReport) []placed {
	list := make([]placed, 0, len(reports))
	known := []entry{enrolled}
	earliest, next := moment(enrolled.envelope.ReceivedAt), 0
	for i, r := range reports {
		// A witness to more than there was when the report came is of a ledger
		// that was lost since, and says nothing about this one.
		if size := r.statement.Witness.Size; size <= r.index {
			for ; next < len(known) && known[next].index < size; next++ {
				earliest = later(earliest, moment(known[next].envelope.ReceivedAt))
			}
		}
		known = append(known, r.entry)
		made := moment(r.statement.MadeAt)
		p := placed{earliest: earliest, received: moment(r.envelope.ReceivedAt)}
		p.at = earlier(later(made, p.earliest), p.received)
		p.wrong = made.After(p.received.Add(clockTolerance)) || made.Before(p.earliest.Add(-clockTolerance))
		if i > 0 {
			before := list[i-1].at
			if p.back = p.at.Before(before.Add(-clockTolerance)); !p.back {
				p.at = later(p.at, earlier(before, p.received))
			}
		}
		list = append(list, p)
	}
	return list
}

// upTo returns how many of the reports were made up to a moment: those that the
// collector had by then, those before them, and after these what the device's
// own clock says, for as long as it was not put back.
func upTo(enrolled entry, reports []signedReport, at time.Time) int {
	n, believed := 0, true
	for i, p := range place(enrolled, reports) {
		made := moment(reports[i].statement.MadeAt)
		switch {
		case !p.received.After(at):
			n = i + 1
		case believed && !p.back && !made.After(at) && !p.earliest.After(at):
			n = i + 1
		default:
			believed = false
		}
	}
	return n
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// history follows what the reports said, one after the other, and from the
// second format on what contacts said of them.
func (o *opened) history(s *Sheet) {
	next, before := uint64(1), proof.Digest{}
	for _, sign := range o.signs() {
		if c := sign.contact; c != nil {
			if o.bundle.Format > 1 && c.statement.Hash == before && c.statement.Report+1 == next && len(s.Spans) > 0 {
				s.Spans[len(s.Spans)-1].goesOn(later(c.at, s.Spans[len(s.Spans)-1].To), c.statement.Report)
			}
			continue
		}
		r, p := o.reports[sign.report], o.places[sign.report] // of the place a copy
		sequence, first := r.statement.Sequence, next
		if sequence == next && sequence > 1 && r.statement.Previous != before {
			first-- // it follows another report of that number
		}
		if sequence > first {
			from := s.EnrolledAt
			if n := len(s.Spans); n > 0 {
				from = s.Spans[n-1].To
			}
			s.Spans = append(s.Spans, Span{From: from, To: p.at, State: Missing, Why: o.gapReason(first), First: first, Last: sequence - 1})
		}
		next, before = sequence+1, proof.HashReport(r.envelope.Statement)
		state, why := o.disks(r)
		if n := len(s.Spans); o.bundle.Format > 1 && n > 0 && !p.back {
			p.at = later(p.at, earlier(s.Spans[n-1].To, p.received)) // after the contacts before it
		}
		if n := len(s.Spans); n > 0 && s.Spans[n-1].State == state && s.Spans[n-1].Why == why && !p.back {
			s.Spans[n-1].goesOn(p.at, sequence)
			continue
		}
		s.Spans = append(s.Spans, Span{From: p.at, To: p.at, State: state, Why: why, First: sequence, Last: sequence})
	}
	last := s.Spans[len(s.Spans)-1]
	s.State, s.Why, s.Since = last.State, last.Why, last.From
}

// goesOn lengthens a span by a report, or a contact, that said the same.
func (p *Span) goesOn(at time.Time, sequence uint64) {
	if p.Quiet == nil || at.Sub(p.To) > p.Quiet.To.Sub(p.Quiet.From) {
		p.Quiet = &Quiet{From: p.To, To: at}
	}
	p.To, p.Last = at, sequence
}

// gapReason is what the collector recorded of missing reports.
func (o *opened) gapReason(sequence uint64) string {
	for _, g := range o.gaps {
		if g.From > sequence || sequence > g.To {
			continue
		}
		switch g.Reason {
		case roster.GapDropped, roster.GapRestored, roster.GapConflict:
			return g.Reason
		}
	}
	return roster.GapUnknown
}

// clocks lists what is not known because clocks were wrong or reports late.
func (o *opened) clocks(s Sheet) (list []string) {
	if late := s.Reported.ReceivedAt.Sub(s.Reported.MadeAt); late < -clockTolerance {
		list = append(list, "what time it was on the device: its clock was ahead of the collector's")
	} else if late > reportedLate {
		list = append(list, "when exactly the last report was made: it came late, and its time is the device's own word")
	}
	var wrong, back []uint64
	for i, r := range o.reports {
		p, sequence := o.places[i], r.statement.Sequence
		if p.wrong {
			wrong = append(wrong, sequence)
		}
		if p.back {
			back = append(back, sequence)
		}
		first := s.Spans[len(s.Spans)-1].First
		if sequence == first && sequence != s.Reported.Sequence && p.received.Sub(p.at) > reportedLate {
			list = append(list, "when exactly it was first so: report "+strconv.FormatUint(first, 10)+" came late, and its time is the device's own word")
		}
	}
	if len(wrong) > 0 {
		list = append(list, "when exactly these reports were made, for the device's clock was wrong: "+numbers(wrong))
	}
	if len(back) > 0 {
		list = append(list, "how long before these reports the ones before them were made, for the device's clock was put back: "+numbers(back))
	}
	return list
}

// numbers lists the first few of many.
func numbers(list []uint64) string {
	const most = 10
	var words []string
	for _, n := range list[:min(len(list), most)] {
		words = append(words, strconv.FormatUint(n, 10))
	}
	text := strings.Join(words, ", ")
	if more := len(list) - most; more > 0 {
		text += " and " + strconv.Itoa(more) + " more"
	}
	return text
}
