package intake

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/enroll"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

const day = 24 * time.Hour

// decide records a section of a person's decision, and has intake know of it.
func (p *place) decide(t *testing.T, w *world, name string, body []byte, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	section, err := roster.RawSection(name, proof.Kept, body)
	if err != nil {
		t.Fatal(err)
	}
	entry := roster.Maker{School: p.ID}.Entry(proof.KindDecision, "", w.clock.Now(), section)
	if _, err := p.ledger.Append(t.Context(), entry); err != nil {
		t.Fatal(err)
	}
	if err := p.roster.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (p *place) lose(t *testing.T, w *world, what incident.What, id posture.DeviceID) {
	t.Helper()
	c := incident.Change{What: what, ID: "in-1", Links: []incident.Link{{What: incident.Device, Device: id, Lost: what == incident.Open}}}
	if what == incident.Open {
		aware := incident.NewMoment(monday, "UTC")
		c.Kind, c.Aware = incident.LostDevice, &aware
	}
	body, err := incident.Encode(c)
	p.decide(t, w, incident.Section, body, err)
}

func (p *place) admit(t *testing.T, w *world, c admission.Change) {
	t.Helper()
	body, err := admission.Encode(c)
	p.decide(t, w, admission.Section, body, err)
}

// first moves the clock until something comes.
func (w *world) first(c *line) *pb.CollectorMessage {
	w.t.Helper()
	answer := make(chan *pb.CollectorMessage, 1)
	go func() {
		m, _ := c.Recv() // nil if it failed
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

func (l *laptop) request() *pb.RenewRequest {
	l.t.Helper()
	request, err := l.key.Request()
	if err != nil {
		l.t.Fatal(err)
	}
	return &pb.RenewRequest{CertificateRequest: request}
}

// TestALostDeviceIsGivenNothing: what it says is recorded and acknowledged, and
// it hears nothing else: no assignment, no checkpoint, no question and no
// certificate. Once found it gets all of it, and is asked how it is.
func TestALostDeviceIsGivenNothing(t *testing.T) {
	w := newWorld(t, Limits{})
	school := w.schools[0]
	l, other := w.enrol(school), w.enrol(school)
	other.works()
	school.lose(t, w, incident.Open, l.id)
	c := l.connect(&pb.Hello{})
	if m, err := c.Recv(); err != nil || m.GetWelcome() == nil {
		t.Fatalf("it is welcomed with %v, %v", m, err)
	}
	reports := school.count(t, proof.KindReport)
	for _, m := range []*pb.AgentMessage{l.report(), l.contact(), l.report()} {
		c.send(m)
		if answer := w.first(c); answer.GetAcknowledge() == nil { // whatever comes: nothing is passed over
			t.Fatalf("what it says is answered with %v", answer)
		}
	}
	if n := school.count(t, proof.KindReport) - reports; n != 2 {
		t.Errorf("%d of its reports are recorded", n)
	}
	if err := w.intake.AssessNow(school.ID, l.id, "r"); !errors.Is(err, ErrLost) {
		t.Errorf("asked for an assessment: %v", err)
	}
	_, err := pb.NewUplinkClient(c.conn).Renew(t.Context(), l.request())
	if status.Code(err) != codes.PermissionDenied || strings.Contains(err.Error(), "lost") {
		t.Errorf("a lost device renews: %v", err)
	}
	school.lose(t, w, incident.Found, l.id)
	for full, assignment := false, false; !full || !assignment; {
		m, err := c.Recv()
		if err != nil {
			t.Fatalf("once found: asked %v, assignment %v: %v", full, assignment, err)
		}
		full, assignment = full || m.GetSendFull().GetReason() == "found", assignment || m.GetAssignment() != nil
	}
	c.send(l.report())
	c.wantAck(3, 0)
	if err := school.roster.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s, _ := school.roster.Standing(l.id); s != (roster.Standing{}) {
		t.Errorf("after it reported it stands as %+v", s)
	}
}

// TestRevocationCountsForTheNextMessage: also on a stream that is open.
func TestRevocationCountsForTheNextMessage(t *testing.T) {
	w := newWorld(t, Limits{})
	school := w.schools[0]
	l := w.enrol(school)
	c := l.open(&pb.Hello{})
	c.send(l.report())
	c.wantAck(1, 0)
	entry, err := roster.Maker{School: school.ID}.Revocation(roster.Revocation{Device: l.id, Reason: "its key was copied"}, monday)
	if err == nil {
		_, err = school.ledger.Append(t.Context(), entry)
	}
	if err == nil {
		err = school.roster.CatchUp(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Send(l.report()) // the stream may have ended
	for err == nil {
		_, err = c.Recv()
	}
	if n := school.count(t, proof.KindReport); n != 1 {
		t.Errorf("%d reports are recorded, one of them after the revocation", n)
	}
}

// TestTheWindowForRenewal: an expired known key renews by itself for as long as
// the school's window is open, and after it when somebody has approved that.
func TestTheWindowForRenewal(t *testing.T) {
	w := newWorld(t, Limits{})
	school := w.schools[0]
	l, later := w.enrol(school), w.enrol(school)
	desk := w.intake.o.Desk.(interface {
		Waiting(posture.SchoolID) []enroll.Waiting
	})
	renew := func(l *laptop) error {
		conn := dial(t, w, l.config(l.school))
		defer conn.Close()
		answer, err := pb.NewUplinkClient(conn).Renew(t.Context(), l.request())
		if err == nil {
			l.der = answer.GetCertificate()
		}
		return err
	}
	w.clock.Advance((90 + 179) * day)
	if err := renew(l); err != nil {
		t.Fatalf("179 days after the end: %v", err)
	}
	w.clock.Advance(2 * day)
	err := renew(later)
	if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "ended on 21 February 2027, more than 180 days ago") {
		t.Fatalf("181 days after the end: %v", err)
	}
	later.connect(&pb.Hello{}).wantRefusal("expired")
	if list := desk.Waiting(school.ID); len(list) != 1 || list[0].Device != later.id || !list[0].Since.Equal(w.clock.Now()) {
		t.Errorf("who waits: %+v", list)
	}
	if list := desk.Waiting(w.schools[1].ID); len(list) != 0 {
		t.Errorf("at another school wait %+v", list)
	}
	school.admit(t, w, admission.Change{What: admission.ApproveRenewal, Device: l.id}) // of another
	if err := renew(later); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("another's renewal was approved: %v", err)
	}
	school.admit(t, w, admission.Change{What: admission.ApproveRenewal, Device: later.id})
	w.clock.Advance(admission.ApprovalLasts)
	if err := renew(later); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("an approval that was not used in time: %v", err)
	}
	school.admit(t, w, admission.Change{What: admission.ApproveRenewal, Device: later.id})
	if err := renew(later); err != nil {
		t.Fatalf("approved: %v", err)
	}
	if list := desk.Waiting(school.ID); len(list) != 0 {
		t.Errorf("renewed, and %+v wait", list)
	}
	later.works()
	// A school may choose another window.
	school.admit(t, w, admission.Change{What: admission.SetWindow, Days: 7})
	w.clock.Advance(100 * day)
	if err := renew(l); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "more than 7 days ago") {
		t.Errorf("after a window of a week: %v", err)
	}
}
