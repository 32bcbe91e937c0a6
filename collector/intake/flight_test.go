package intake

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/shared/proof"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// reports returns the sequences of the reports in a school's ledger, in order.
func (p *place) reports(t *testing.T) []uint64 {
	t.Helper()
	var all []uint64
	for rec, err := range p.ledger.Entries(t.Context(), 0, ledger.Index(p.ledger.Size())) {
		if err != nil {
			t.Fatal(err)
		}
		if rec.Envelope.Kind == proof.KindReport {
			all = append(all, rec.Envelope.Sequence)
		}
	}
	return all
}

func wantUnbroken(t *testing.T, got []uint64, last int) {
	t.Helper()
	for i, sequence := range got {
		if sequence != uint64(i+1) {
			t.Fatalf("got the reports %v, want each once and in order", got)
		}
	}
	if len(got) != last {
		t.Fatalf("got %d reports, want %d", len(got), last)
	}
}

// TestManyReportsAreAcknowledgedTogether sends more reports at once than may be
// on their way: each is recorded once, and no answer says more than is.
func TestManyReportsAreAcknowledgedTogether(t *testing.T) {
	const many = 3 * mostFlying
	w := newWorld(t, Limits{})
	l := w.enrol(w.schools[0])
	c := l.open(&pb.Hello{})
	for range many {
		c.send(l.report())
	}
	answers := 0
	for last := uint64(0); last < many; answers++ {
		a := c.next().GetAcknowledge()
		if a == nil || a.GetSequence() <= last || a.GetContact() != 0 {
			t.Fatalf("got %v after the answer to report %d", a, last)
		}
		last = a.GetSequence()
		if n := len(w.schools[0].reports(t)); uint64(n) < last {
			t.Fatalf("report %d is acknowledged, and %d are recorded", last, n)
		}
	}
	wantUnbroken(t, w.schools[0].reports(t), many)
	if answers > many {
		t.Errorf("%d answers to %d reports", answers, many)
	}
	// A contact is about a report that is there.
	c.send(l.report())
	c.send(l.contact())
	c.wantAck(many+1, 0)
}

// TestGapAmongManyReports has reports missing in the middle of many.
func TestGapAmongManyReports(t *testing.T) {
	w := newWorld(t, Limits{})
	l := w.enrol(w.schools[0])
	c := l.open(&pb.Hello{})
	for range 5 {
		c.send(l.report())
	}
	l.report() // lost
	for range 5 {
		c.send(l.report())
	}
	for last := uint64(0); last < 11; {
		if a := c.next().GetAcknowledge(); a != nil {
			last = a.GetSequence()
		}
	}
	if got := w.schools[0].gaps(t); len(got) != 1 || got[0].From != 6 || got[0].To != 6 {
		t.Errorf("got the gaps %v, want report 6", got)
	}
	if got := w.schools[0].reports(t); len(got) != 10 || got[4] != 5 || got[5] != 7 {
		t.Errorf("got the reports %v", got)
	}
}

// refuses is a ledger that has another's report in the place of one: the
// ledger refuses it, when those after it are on their way already.
type refuses struct {
	Ledger
	sequence *atomic.Uint64
	instead  *atomic.Pointer[ledger.Entry]
}

func (r refuses) Begin(ctx context.Context, after *ledger.Pending, entries ...ledger.Entry) (*ledger.Pending, error) {
	if entries[0].Envelope.Sequence == r.sequence.Load() {
		entries = []ledger.Entry{*r.instead.Load()}
	}
	return r.Ledger.Begin(ctx, after, entries...)
}

// TestNothingAfterAReportThatIsNotRecorded: the stream ends, nothing from that
// report on is acknowledged or recorded, and all of it can be sent again.
func TestNothingAfterAReportThatIsNotRecorded(t *testing.T) {
	w := newWorld(t, Limits{})
	w.stop()
	r := refuses{sequence: new(atomic.Uint64), instead: new(atomic.Pointer[ledger.Entry])}
	w.wrap = func(l *ledger.Ledger) Ledger { r := r; r.Ledger = l; return r }
	w.start(Limits{})
	school := w.schools[0]
	l := w.enrol(school)
	c := l.open(&pb.Hello{})
	first := l.report()
	c.send(first)
	c.wantAck(1, 0)
	// Report 1 in the name of the same device, but another one.
	twin := *l
	twin.sequence, twin.previous, twin.refs = 0, proof.Digest{}, nil
	s := &session{school: w.intake.schools[l.school], id: l.id}
	m := twin.report("system").GetReport()
	statement, err := proof.DecodeReportStatement(m.GetStatement())
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.entry(statement, m)
	if err != nil {
		t.Fatal(err)
	}
	r.instead.Store(&other)
	r.sequence.Store(4)
	var sent []*pb.AgentMessage
	for range 20 {
		sent = append(sent, l.report())
		_ = c.Send(sent[len(sent)-1]) // until the stream ends
	}
	for {
		got, err := c.Recv()
		if err != nil {
			break
		}
		if a := got.GetAcknowledge(); a.GetSequence() > 3 {
			t.Fatalf("got %v for what was not recorded", got)
		}
	}
	wantUnbroken(t, school.reports(t), 3)
	r.sequence.Store(0)
	c = l.open(&pb.Hello{Acknowledged: 1})
	if c.welcome.GetRecorded() != 3 {
		t.Errorf("welcomed with %d reports, want 3", c.welcome.GetRecorded())
	}
	for _, m := range sent {
		c.send(m)
	}
	for last := uint64(0); last < 21; {
		if a := c.next().GetAcknowledge(); a != nil {
			last = a.GetSequence()
		}
	}
	wantUnbroken(t, school.reports(t), 21)
}
