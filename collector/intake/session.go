package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// session is one device's stream. Its handler alone reads from the stream and
// moves the position; what others want to say is sent by a goroutine that
// lives only as long as there is something to send.
type session struct {
	school *school
	id     posture.DeviceID
	conn   *arrival
	stream pb.Uplink_ConnectServer
	quota  *quota
	since  time.Time
	ended  chan struct{} // closed when the handler has returned

	// The position: what is in the ledger or on its way there. The handler's alone.
	device   roster.Device
	sections []proof.SectionRef // of the last report, once needed
	asked    bool               // for a full report, which has not come yet
	flights  flights            // reports on their way to the disk

	sending sync.Mutex // held while a message is sent

	mu    sync.Mutex // guards all below
	hello *pb.Hello  // as it came; nil until it is answered
	has   documents  // as the device has them once it has read what it was sent
	skew  time.Duration
	wants wants
	// unanswered is the last request for an assessment, until the device says
	// something: the stream that it was sent on may be dead, and its next takes it
	// over.
	unanswered string
	saying     chan struct{} // closed when the goroutine that sends what is wanted ends; nil if there is none
}

// documents are the numbers of what a device is told of its school and its use.
type documents struct{ policy, assignment uint64 }

// refusal ends a stream with a reason that the device is told.
type refusal struct{ code, reason string }

func (r *refusal) Error() string { return r.reason }

func refuse(code, format string, args ...any) error {
	return &refusal{code, fmt.Sprintf(format, args...)}
}

var errRevoked = refuse("revoked", "this device was revoked by the school")

// Connect implements the Uplink service.
func (in *Intake) Connect(stream pb.Uplink_ConnectServer) error {
	v, err := caller(stream.Context())
	if err != nil {
		return err
	}
	sc, ok := in.find(v.who.School)
	if !ok {
		return status.Error(codes.PermissionDenied, "this school is not served here")
	}
	if sc.Shut != "" {
		return status.Error(codes.Unavailable, sc.Shut)
	}
	s := &session{school: sc, id: v.who.Device, conn: v.conn, stream: stream, since: in.o.Clock.Now(), ended: make(chan struct{})}
	s.flights.landed = make(chan struct{}, 1)
	defer close(s.ended)
	defer s.hush()
	return s.end(s.work(stream.Context(), v))
}

// work serves the stream until it ends.
func (s *session) work(ctx context.Context, v *visitor) error {
	if v.who.Expired(s.since) {
		return refuse("expired", "this device's certificate has ended: it must be renewed first")
	}
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.leave()
	defer s.arrive() // before the device's next stream may begin
	if err := s.settle(ctx); err != nil {
		return err
	}
	if err := s.greet(); err != nil {
		return err
	}
	for {
		m, err := s.stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return receiving(err)
		}
		if err := s.slow(ctx, proto.Size(m)); err != nil {
			return err
		}
		err = s.at(true)
		if err == nil {
			err = s.handle(ctx, m)
		}
		if err == nil {
			err = s.at(false)
		}
		if err != nil {
			return err
		}
	}
}

// receiving says why a message could not be received.
func receiving(err error) error {
	switch status.Code(err) {
	case codes.ResourceExhausted:
		return refuse("oversized", "a message has more than the %d bytes allowed", wire.MaxMessage)
	case codes.Internal:
		return refuse("malformed", "a message could not be read")
	default:
		return err
	}
}

// take makes this the device's one stream: the newest wins, and waits until
// the older has ended, so that what that had recorded is known.
func (s *session) take(ctx context.Context) error {
	sc := s.school
	for {
		sc.mu.Lock()
		older, ok := sc.sessions[s.id]
		select {
		case <-sc.gone:
			sc.mu.Unlock()
			return status.Error(codes.Unavailable, "the collector opens the school's record again: try again at once")
		default:
		}
		if !ok {
			sc.sessions[s.id] = s
			s.unanswered = sc.unanswered[s.id]
			delete(sc.unanswered, s.id)
			s.quota = sc.quota(s.id, s.since)
			sc.mu.Unlock()
			return nil
		}
		sc.mu.Unlock()
		older.conn.Close()
		select {
		case <-older.ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// closeAll ends every stream of the school.
func (s *school) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, session := range s.sessions {
		session.conn.Close()
	}
}

func (s *session) leave() {
	s.school.mu.Lock()
	defer s.school.mu.Unlock()
	delete(s.school.sessions, s.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unanswered != "" {
		s.school.unanswered[s.id] = s.unanswered
	}
}

// settle learns where the device's chain stands.
func (s *session) settle(ctx context.Context) error {
	if err := s.school.Roster.CatchUp(ctx); err != nil {
		return s.failed("read the roster", err)
	}
	d, ok := s.school.Roster.Device(s.id)
	switch {
	case !ok:
		return refuse("unknown", "this device is not known here: enrol it again")
	case d.Revoked:
		return errRevoked
	case d.Doubted:
		return errTwice
	}
	s.device = d
	return nil
}

// greet answers the hello.
func (s *session) greet() error {
	m, err := s.stream.Recv()
	if errors.Is(err, io.EOF) {
		return refuse("malformed", "the stream ends before a hello")
	}
	if err != nil {
		return receiving(err)
	}
	h := m.GetHello()
	if h == nil {
		return refuse("malformed", "the stream does not begin with a hello")
	}
	if err := s.slow(s.stream.Context(), proto.Size(m)); err != nil {
		return err
	}
	if told := s.school.Roster; told.HasKept(s.id) && !told.Keeps(s.id, h.GetTold()) {
		return errTwice // another was told that it is the one
	}
	if boot := wire.Visible(h.GetBoot(), maxBoot); s.school.cameBack(s.id, boot) {
		return s.doubt(s.stream.Context(), roster.Doubt{Why: roster.DoubtStreams})
	}
	now := s.school.in.o.Clock.Now()
	// A device that was told of reports that are not here: this collector was
	// restored from a copy.
	s.asked = h.GetAcknowledged() > s.device.Last
	welcome := &pb.Welcome{WireVersion: wire.Version, ClockUnixMs: now.UnixMilli(), Recorded: s.device.Last, SendFull: s.asked}
	if tell := s.school.in.o.ReportPage; tell != nil {
		welcome.ReportPage = tell(s.stream.Context(), s.school.ID)
	}
	if err := s.send(&pb.CollectorMessage{Message: &pb.CollectorMessage_Welcome{Welcome: welcome}}); err != nil {
		return err
	}
	if s.device.Last > h.GetAcknowledged() {
		if err := s.acknowledge(s.device.Last, 0); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.hello, s.skew = h, time.UnixMilli(h.GetClockUnixMs()).Sub(now)
	s.has = documents{policy: h.GetPolicy(), assignment: h.GetAssignment()}
	unanswered := s.unanswered
	s.mu.Unlock()
	s.runs(h)
	s.renumber(h.GetAssignment())
	s.want(wants{documents: true, checkpoint: true, assess: unanswered})
	return nil
}

// renumber has a device told anew what it is told of its use, if this record was
// restored from a copy and has lost what gave it the assignment that it has.
func (s *session) renumber(has uint64) {
	d := s.school.Roster
	if standing, ok := d.Standing(s.id); s.school.Renumber == nil || !ok || standing.Lost || !d.Overtaken(s.id, has) {
		return
	}
	if err := s.school.Renumber(s.stream.Context(), s.id, has); err != nil {
		s.school.in.o.Log.Error("assignment not given again after a restore", "school", s.school.ID, "device", s.id, "error", err)
	}
}

// slow waits as long as the device's quota asks.
func (s *session) slow(ctx context.Context, size int) error {
	c := s.school.in.o.Clock
	delay, ok := s.quota.delay(c.Now(), size)
	if !ok {
		return refuse("quota", "this device sends more than it may: it is to try again later")
	}
	if delay <= 0 {
		return nil
	}
	passed, stop := c.After(delay)
	defer stop()
	select {
	case <-passed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *session) handle(ctx context.Context, m *pb.AgentMessage) error {
	switch standing, ok := s.school.Roster.Standing(s.id); {
	case !ok || standing.Revoked:
		return errRevoked
	case standing.Doubted:
		return errTwice
	}
	s.mu.Lock()
	s.unanswered = ""
	s.mu.Unlock()
	switch m := m.GetMessage().(type) {
	case *pb.AgentMessage_Report:
		return s.report(ctx, m.Report)
	case *pb.AgentMessage_Contact:
		return s.contact(ctx, m.Contact)
	case *pb.AgentMessage_Hello:
		return refuse("malformed", "a second hello on one stream")
	}
	return nil // progress, or something that a newer agent says
}

// maxBoot bounds what names a boot, in bytes.
const maxBoot = 64

// farewell is how long a peer may take to read what was being sent to it when
// its stream ends.
const farewell = 5 * time.Second

// hush has nothing more said, and waits until what is being said is. It comes
// before the handler returns, however it does.
func (s *session) hush() {
	s.mu.Lock()
	s.wants = wants{closed: true}
	saying := s.saying
	s.mu.Unlock()
	s.outlast(saying)
}

// arrive waits until everything on its way to the disk is there or not.
func (s *session) arrive() {
	_ = s.at(false) // if that cannot be said, neither can anything else
	s.flights.mu.Lock()
	landing := s.flights.landing
	s.flights.mu.Unlock()
	s.outlast(landing)
}

// outlast waits until a goroutine that sends has ended, and takes its peer
// away from it if that does not read.
func (s *session) outlast(sending <-chan struct{}) {
	if sending == nil {
		return
	}
	late, stop := s.school.in.o.Clock.After(farewell)
	defer stop()
	select {
	case <-sending:
	case <-late:
		s.conn.Close()
		<-sending
	}
}

// end closes the stream: with a refusal that the device is told, or with a
// status.
func (s *session) end(err error) error {
	s.hush()
	var r *refusal
	if !errors.As(err, &r) {
		return err
	}
	s.school.in.o.Log.Warn("device refused", "school", s.school.ID, "device", s.id, "code", r.code, "reason", r.reason)
	if err := s.send(&pb.CollectorMessage{Message: &pb.CollectorMessage_Refusal{
		Refusal: &pb.Refusal{Code: r.code, Reason: r.reason},
	}}); err != nil {
		return err
	}
	return status.Error(codes.FailedPrecondition, r.reason)
}

// failed logs what went wrong on our side and tells the device to come again.
func (s *session) failed(doing string, err error) error {
	if s.stream.Context().Err() != nil {
		return s.stream.Context().Err()
	}
	s.school.in.o.Log.Error("stream failed", "school", s.school.ID, "device", s.id, "doing", doing, "error", err)
	return status.Error(codes.Unavailable, "the collector could not "+doing+": try again later")
}

func (s *session) send(m *pb.CollectorMessage) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	return s.stream.Send(m)
}

func (s *session) acknowledge(sequence, contact uint64) error {
	return s.send(&pb.CollectorMessage{Message: &pb.CollectorMessage_Acknowledge{
		Acknowledge: &pb.Acknowledge{Sequence: sequence, Contact: contact},
	}})
}

func (s *session) sendFull(reason string) error {
	if s.asked {
		return nil
	}
	s.asked = true
	return s.send(&pb.CollectorMessage{Message: &pb.CollectorMessage_SendFull{SendFull: &pb.SendFull{Reason: reason}}})
}

func (s *session) connection() Connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Connection{
		School: s.school.ID, Device: s.id, Since: s.since, Version: wire.Visible(s.hello.GetAgentVersion(), 64), Skew: s.skew,
		Spooled: s.hello.GetSpooled(), Dropped: s.hello.GetDropped(),
	}
}

// append records entries. A nil error means that they are synced to disk. It
// ends only when they are recorded or not, even if the device has gone: the
// device's next stream waits for this one, and must know.
func (s *session) append(ctx context.Context, entries ...ledger.Entry) error {
	_, err := s.school.Ledger.Append(context.WithoutCancel(ctx), entries...)
	return err
}
