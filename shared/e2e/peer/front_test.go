package peer

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/enroll"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// front is the address that a laptop knows as its collector's. Behind it is a
// real one, or somebody hostile who has everything that the collector has: the
// school's authority and its key.
type front struct {
	t       *testing.T
	clock   *clocktest.Driven
	school  *enroll.School
	behind  string // address of the real collector
	listen  net.Listener
	hostile atomic.Bool
	calls   chan *side    // connections while it is hostile, TLS opened
	step    time.Duration // by which next moves time on
}

func newFront(w *world) *front {
	w.t.Helper()
	return newFrontOf(w.t, w.clock, w.schools[0].School, w.address)
}

func newFrontOf(t *testing.T, clock *clocktest.Driven, school *enroll.School, behind string) *front {
	t.Helper()
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	f := &front{t: t, clock: clock, school: school, behind: behind, listen: listen, calls: make(chan *side), step: 10 * time.Second}
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listen.Accept()
			if err != nil {
				return
			}
			running.Go(func() { f.receive(conn, stop) })
		}
	})
	t.Cleanup(func() { close(stop); listen.Close(); running.Wait() })
	return f
}

func (f *front) address() string { return f.listen.Addr().String() }

func (f *front) receive(conn net.Conn, stop chan struct{}) {
	defer conn.Close()
	if !f.hostile.Load() {
		f.pass(conn, stop)
		return
	}
	config := identity.ServerConfig(func(posture.SchoolID) (*identity.Authority, bool) { return f.school.Authority, true }, f.clock)
	inside := tls.Server(conn, config)
	if inside.Handshake() != nil || inside.SetDeadline(time.Now().Add(patience)) != nil {
		return
	}
	s := &side{peer: newPeer(f.t, inside), o: newOutcome(), done: make(chan struct{})}
	select {
	case f.calls <- s:
		<-s.done
	case <-stop:
	}
}

// pass connects a laptop with the real collector, until either ends.
func (f *front) pass(near net.Conn, stop chan struct{}) {
	far, err := net.Dial("tcp", f.behind)
	if err != nil {
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			near.Close()
			far.Close()
		})
	}
	ended := make(chan struct{})
	go func() { both.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-stop:
		near.Close()
		far.Close()
		<-ended
	}
}

// next waits for the laptop's next call while its clock is moved on.
func (f *front) next() *side {
	f.t.Helper()
	tick, end := time.NewTicker(2*time.Millisecond), time.NewTimer(patience)
	defer tick.Stop()
	defer end.Stop()
	for {
		select {
		case s := <-f.calls:
			return s
		case <-tick.C:
			f.clock.Advance(f.step)
		case <-end.C:
			f.t.Fatal("the laptop does not come again")
		}
	}
}

// side is the collector's side of one call.
type side struct {
	*peer
	o    outcome // what the laptop says on stream 1
	done chan struct{}
}

func (s *side) hangUp() {
	s.close()
	close(s.done)
}

// hear begins HTTP/2 and waits until the laptop has said so many messages.
func (s *side) hear(messages int) bool {
	if !s.begun {
		s.begun = true
		_, _ = io.ReadFull(s.conn, make([]byte, len(preface)))
		s.write(frame(frameSettings, 0, 0, setting(4, 1<<20)))
		s.write(frame(frameWindow, 0, 0, number(1<<30)))
	}
	so := s.until(1, &s.o, func(o *outcome) bool { return len(o.messages) >= messages })
	s.o.over = s.o.closed // the laptop may have said all that it has to say
	return so
}

// answer waits for the hello and begins to answer the call.
func (s *side) answer() {
	s.hear(1)
	s.write(frame(frameHeaders, flagEndHeaders, 1, s.block(":status", "200", "content-type", "application/grpc")))
}

// welcome answers the hello as a collector should.
func (s *side) welcome(change ...func(*pb.Welcome)) {
	s.answer()
	s.welcomed(change...)
}

func (s *side) welcomed(change ...func(*pb.Welcome)) {
	m := &pb.Welcome{WireVersion: wire.Version, ClockUnixMs: monday.UnixMilli()}
	for _, c := range change {
		c(m)
	}
	s.send(&pb.CollectorMessage{Message: &pb.CollectorMessage_Welcome{Welcome: m}})
}

// send sends messages on the stream.
func (s *side) send(all ...*pb.CollectorMessage) {
	s.t.Helper()
	for _, m := range all {
		s.raw(message(encode(s.t, m)))
	}
}

// raw sends data on the stream, as it is.
func (s *side) raw(data []byte) { s.data(1, data, false, &s.o) }

// replyRaw ends a single call with what may be a message.
func (s *side) replyRaw(data []byte) {
	s.answer()
	s.raw(message(data))
	s.write(frame(frameHeaders, flagEndHeaders|flagEndStream, 1, s.block("grpc-status", "0")))
}

// left waits until the laptop has hung up.
func (s *side) left() { s.until(1, &s.o, func(o *outcome) bool { return o.closed }); s.await(1, s.o) }

func refusal(code, reason string) *pb.CollectorMessage {
	return &pb.CollectorMessage{Message: &pb.CollectorMessage_Refusal{Refusal: &pb.Refusal{Code: code, Reason: reason}}}
}

func acknowledgement(sequence, contact uint64) *pb.CollectorMessage {
	return &pb.CollectorMessage{Message: &pb.CollectorMessage_Acknowledge{Acknowledge: &pb.Acknowledge{Sequence: sequence, Contact: contact}}}
}

func document(kind string, signed []byte) *pb.CollectorMessage {
	d := &pb.SignedDocument{Document: signed}
	if kind == "policy" {
		return &pb.CollectorMessage{Message: &pb.CollectorMessage_Policy{Policy: d}}
	}
	return &pb.CollectorMessage{Message: &pb.CollectorMessage_Assignment{Assignment: d}}
}

func checkpoint(note string) *pb.CollectorMessage {
	return &pb.CollectorMessage{Message: &pb.CollectorMessage_Checkpoint{Checkpoint: &pb.Checkpoint{Note: note}}}
}

func sendFull() *pb.CollectorMessage {
	return &pb.CollectorMessage{Message: &pb.CollectorMessage_SendFull{SendFull: &pb.SendFull{Reason: "gap"}}}
}

func assessNow(request string) *pb.CollectorMessage {
	return &pb.CollectorMessage{Message: &pb.CollectorMessage_AssessNow{AssessNow: &pb.AssessNow{Request: request}}}
}
