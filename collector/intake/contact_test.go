package intake

import (
	"runtime"
	"testing"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/shared/proof"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// flush moves the clock until what was waiting has an answer.
func (w *world) flush(c *line) *pb.CollectorMessage {
	w.t.Helper()
	answer := make(chan *pb.CollectorMessage, 1)
	go func() {
		m, err := c.Recv()
		for err == nil && (m.GetCheckpoint() != nil || m.GetAssignment() != nil) {
			m, err = c.Recv()
		}
		answer <- m
	}()
	for {
		select {
		case m := <-answer:
			return m
		default:
			w.clock.Advance(contactsWait / 10)
			runtime.Gosched()
		}
	}
}

func TestContactsAreRecordedTogether(t *testing.T) {
	w := newWorld(t, Limits{})
	school := w.schools[0]
	var laptops []*laptop
	var lines []*line
	for range 3 {
		l := w.enrol(school)
		c := l.open(&pb.Hello{})
		c.send(l.report())
		c.wantAck(1, 0)
		c.send(l.contact())
		laptops, lines = append(laptops, l), append(lines, c)
	}
	for _, c := range lines {
		m := w.flush(c)
		if a := m.GetAcknowledge(); a.GetSequence() != 1 || a.GetContact() != 1 {
			t.Fatalf("got %v, want contact 1 of report 1 acknowledged", m)
		}
	}
	recorded := 0
	for _, kind := range school.kinds(t) {
		if kind == proof.KindContacts {
			recorded++
		}
	}
	if recorded == 0 || recorded > 3 {
		t.Errorf("3 contacts are in %d entries", recorded)
	}

	// Sent again over a new stream, after a lost acknowledgement.
	l := laptops[0]
	size := school.ledger.Size()
	l.contacts--
	c := l.open(&pb.Hello{Acknowledged: 1})
	c.send(l.contact())
	c.wantAck(1, 1)
	if got := school.ledger.Size(); got != size {
		t.Errorf("sent twice, the ledger grew from %d to %d entries", size, got)
	}

	// After a restart the ledger still knows.
	w.stop()
	w.start(Limits{})
	l.contacts--
	c = l.open(&pb.Hello{Acknowledged: 1})
	c.send(l.contact())
	c.wantAck(1, 1)
}

func TestContactOfAReportThatIsNotHere(t *testing.T) {
	w := newWorld(t, Limits{})
	l := w.enrol(w.schools[0])
	l.report() // never sent
	c := l.open(&pb.Hello{})
	c.send(l.contact())
	c.wantSendFull("gap")
	c.send(l.report())
	c.wantAck(2, 0)
	if n := w.schools[0].count(t, proof.KindContacts); n != 0 {
		t.Errorf("%d contacts of an unknown report were recorded", n)
	}
}

func TestContactWaitsForTheNewerStream(t *testing.T) {
	w := newWorld(t, Limits{})
	l := w.enrol(w.schools[0])
	c := l.open(&pb.Hello{})
	c.send(l.report())
	c.wantAck(1, 0)
	c.send(l.contact())
	c.send(l.report()) // answered after the contact was taken in
	c.wantAck(2, 0)
	c.close()
	l.sequence, l.contacts = 2, 0
	c = l.open(&pb.Hello{Acknowledged: 2})
	c.send(l.contact())
	if a := w.flush(c).GetAcknowledge(); a.GetSequence() != 2 || a.GetContact() != 1 {
		t.Errorf("got %v", a)
	}
}

// TestContactRecordedWhileTheNextStreamOpens: a contact that was taken in over a
// stream that broke is recorded after the next stream has learnt where the
// device stands, and is then sent again.
func TestContactRecordedWhileTheNextStreamOpens(t *testing.T) {
	w := newWorld(t, Limits{})
	school := w.schools[0]
	l, other := w.enrol(school), w.enrol(school)
	c := l.open(&pb.Hello{})
	first := l.report().GetReport()
	c.send(&pb.AgentMessage{Message: &pb.AgentMessage_Report{Report: first}})
	c.wantAck(1, 0)
	again := l.contact()
	c.send(again)
	c.send(&pb.AgentMessage{Message: &pb.AgentMessage_Report{Report: first}})
	c.wantAck(1, 0) // so the contact was taken in
	next := l.open(&pb.Hello{Acknowledged: 1})

	o := other.open(&pb.Hello{})
	o.send(other.report())
	o.wantAck(1, 0)
	o.send(other.contact())
	w.flush(o) // the batch is recorded, with both contacts

	next.send(again)
	next.wantAck(1, 1)
	seen := map[string]int{}
	for rec, err := range school.ledger.Entries(t.Context(), 0, ledger.Index(school.ledger.Size())) {
		if err != nil {
			t.Fatal(err)
		}
		if rec.Envelope.Kind != proof.KindContacts {
			continue
		}
		for n := range rec.Envelope.Sections {
			body, err := school.ledger.Body(t.Context(), rec.Index, n)
			if err != nil {
				t.Fatal(err)
			}
			signed, err := proof.DecodeSignedContact(body)
			if err != nil {
				t.Fatal(err)
			}
			seen[string(signed.Statement)]++
		}
	}
	for statement, n := range seen {
		if n > 1 {
			t.Errorf("a contact is recorded %d times: %x", n, statement)
		}
	}
}
