package intake

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

func TestReportsAreRecordedAndAcknowledged(t *testing.T) {
	w := newWorld(t, Limits{})
	school := w.schools[0]
	l := w.enrol(school)
	c := l.open(&pb.Hello{ClockUnixMs: monday.Add(time.Hour).UnixMilli()})
	if got := time.UnixMilli(c.welcome.GetClockUnixMs()); !got.Equal(monday) || c.welcome.GetRecorded() != 0 || c.welcome.GetSendFull() {
		t.Errorf("welcome: got %v", c.welcome)
	}
	if got, want := c.welcome.GetReportPage(), "https://caretaker.example/report/"+string(school.ID); got != want {
		t.Errorf("people of the school report at %q, want %q", got, want)
	}
	first := l.report(wire.System, wire.Encryption)
	c.send(first)
	c.wantAck(1, 0)
	c.send(l.report(wire.Encryption))
	c.wantAck(2, 0)
	if err := school.roster.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	d, _ := school.roster.Device(l.id)
	if d.Last != 2 || d.Hash != l.previous {
		t.Errorf("the roster has report %d, want 2", d.Last)
	}
	rec, err := school.ledger.Read(t.Context(), d.Entry)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := school.ledger.Body(t.Context(), rec.Index, 0); err != nil || string(body) != "body of encryption" {
		t.Errorf("got body %q, %v", body, err)
	}
	if got, ok := w.intake.Connection(school.ID, l.id); !ok || got.Skew != time.Hour || got.Version != "test" {
		t.Errorf("connection: got %+v, %v", got, ok)
	}

	// The acknowledgement was lost: on this stream, and on the next.
	size := school.ledger.Size()
	c.send(first)
	c.wantAck(2, 0)
	c.close()
	c = l.open(&pb.Hello{})
	if c.welcome.GetRecorded() != 2 {
		t.Errorf("recorded: got %d, want 2", c.welcome.GetRecorded())
	}
	c.wantAck(2, 0)
	c.send(first)
	c.wantAck(2, 0)
	if got := school.ledger.Size(); got != size {
		t.Errorf("sent twice, the ledger grew from %d to %d entries", size, got)
	}
}

func TestGapIsRecordedAndEverythingAskedFor(t *testing.T) {
	w := newWorld(t, Limits{})
	l := w.enrol(w.schools[0])
	c := l.open(&pb.Hello{})
	c.send(l.report(wire.System, wire.Encryption))
	c.wantAck(1, 0)
	l.report(wire.System)
	l.report(wire.System) // 2 and 3 are never sent
	c.send(l.report(wire.Encryption))
	c.wantAck(4, 0)
	c.wantSendFull("gap")
	c.send(l.report(wire.Encryption))
	c.wantAck(5, 0)
	c.send(l.report(wire.System, wire.Encryption))
	c.wantAck(6, 0)
	if got, want := w.schools[0].gaps(t), []roster.Gap{{From: 2, To: 3, Reason: roster.GapUnknown}}; !slices.Equal(got, want) {
		t.Errorf("gaps: got %v, want %v", got, want)
	}
}

func TestDroppedReportsAreNamed(t *testing.T) {
	w := newWorld(t, Limits{})
	l := w.enrol(w.schools[0])
	l.report()
	c := l.open(&pb.Hello{Dropped: 1})
	c.send(l.report(wire.System, wire.Encryption))
	c.wantAck(2, 0)
	if got, want := w.schools[0].gaps(t), []roster.Gap{{From: 1, To: 1, Reason: roster.GapDropped}}; !slices.Equal(got, want) {
		t.Errorf("gaps: got %v, want %v", got, want)
	}
}

func TestRestoredCollectorLearnsWhatItMisses(t *testing.T) {
	w := newWorld(t, Limits{})
	l := w.enrol(w.schools[0])
	l.sequence = 5 // acknowledged by the collector before it was restored
	c := l.open(&pb.Hello{Acknowledged: 5})
	if !c.welcome.GetSendFull() {
		t.Error("a collector that lost reports does not ask for everything")
	}
	c.send(l.report(wire.System, wire.Encryption))
	c.wantAck(6, 0)
	if got, want := w.schools[0].gaps(t), []roster.Gap{{From: 1, To: 5, Reason: roster.GapRestored}}; !slices.Equal(got, want) {
		t.Errorf("gaps: got %v, want %v", got, want)
	}
}

func TestTwoReportsOfOneNumber(t *testing.T) {
	w := newWorld(t, Limits{})
	l := w.enrol(w.schools[0])
	c := l.open(&pb.Hello{})
	c.send(l.report())
	c.wantAck(1, 0)
	then := slices.Clone(l.refs)
	c.send(l.report())
	c.wantAck(2, 0)
	c.close()
	l.sequence, l.previous, l.refs = 1, proof.Digest{1}, then // as a laptop set up from an older copy would go on
	c = l.open(&pb.Hello{Acknowledged: 2})
	c.send(l.report(wire.Security))
	c.wantRefusal("twice")
	l.connect(&pb.Hello{Acknowledged: 2}).wantRefusal("twice")
	want := []roster.Gap{{From: 2, To: 2, Reason: roster.GapConflict}}
	if got := w.schools[0].gaps(t); !slices.Equal(got, want) {
		t.Errorf("gaps: got %v, want %v", got, want)
	}
}

func TestUnknownSectionIsAskedFor(t *testing.T) {
	w := newWorld(t, Limits{})
	l := w.enrol(w.schools[0])
	c := l.open(&pb.Hello{})
	c.send(l.report(wire.System))
	c.wantAck(1, 0)
	l.refs = append(l.refs, l.sections(9, wire.Security)[0].Ref(0, 1)) // report 1 carried no such thing
	c.send(l.report(wire.System))
	c.wantAck(2, 0)
	c.wantSendFull("unknown-section")
}

// Each of these ends one stream, records nothing and hurts nobody else.
func TestBadMessagesEndTheirStreamOnly(t *testing.T) {
	w := newWorld(t, Limits{})
	school := w.schools[0]
	bystander, other := w.enrol(school), w.enrol(school)
	bystanding := bystander.open(&pb.Hello{})
	changed := func(change func(*pb.Report)) func(*laptop) *pb.AgentMessage {
		return func(l *laptop) *pb.AgentMessage {
			m := l.report()
			change(m.GetReport())
			return m
		}
	}
	restated := func(change func(*proof.ReportStatement)) func(*laptop) *pb.AgentMessage {
		return func(l *laptop) *pb.AgentMessage {
			sections := l.sections(1, wire.System)
			s := proof.ReportStatement{School: string(l.school), Device: string(l.id), Sequence: 1, Sections: []proof.SectionRef{sections[0].Ref(0, 1)}}
			change(&s)
			return l.sign(s, sections)
		}
	}
	for name, c := range map[string]struct {
		code string
		make func(*laptop) *pb.AgentMessage
	}{
		"wrong signature":     {"signature", changed(func(r *pb.Report) { r.Signature[10] ^= 1 })},
		"changed statement":   {"signature", changed(func(r *pb.Report) { r.Statement[80] ^= 1 })},
		"not a statement":     {"malformed", changed(func(r *pb.Report) { r.Statement = []byte("hello") })},
		"changed body":        {"malformed", changed(func(r *pb.Report) { r.Sections[0].Body = []byte("other") })},
		"missing body":        {"malformed", changed(func(r *pb.Report) { r.Sections = r.Sections[:1] })},
		"extra body":          {"malformed", changed(func(r *pb.Report) { r.Sections = append(r.Sections, r.Sections[0]) })},
		"short salt":          {"malformed", changed(func(r *pb.Report) { r.Sections[0].Salt = nil })},
		"another's statement": {"malformed", restated(func(s *proof.ReportStatement) { s.Device = string(other.id) })},
		"another school's":    {"malformed", restated(func(s *proof.ReportStatement) { s.School = string(w.schools[1].ID) })},
		"kept for ever":       {"malformed", restated(func(s *proof.ReportStatement) { s.Sections[0].Class = proof.Kept })},
		"kept for ever, new":  {"malformed", restated(func(s *proof.ReportStatement) { s.Sections[0].Name, s.Sections[0].Class = "weather", proof.Kept })},
		"a second hello": {"malformed", func(*laptop) *pb.AgentMessage {
			return &pb.AgentMessage{Message: &pb.AgentMessage_Hello{Hello: &pb.Hello{}}}
		}},
		"contact wrongly made": {"signature", func(l *laptop) *pb.AgentMessage { m := l.contact(); m.GetContact().Signature[9] ^= 1; return m }},
		"contact of nothing":   {"malformed", func(l *laptop) *pb.AgentMessage { return l.contact() }},
	} {
		t.Run(name, func(t *testing.T) {
			l := w.enrol(school)
			l.t = t
			size := school.ledger.Size()
			line := l.open(&pb.Hello{})
			_ = line.Send(c.make(l)) // the stream may end while it is being sent
			line.wantRefusal(c.code)
			line.close()
			if got := school.ledger.Size(); got != size {
				t.Errorf("it was recorded: %d entries became %d", size, got)
			}
			bystanding.send(bystander.report())
			bystanding.wantAck(bystander.sequence, 0)
			l.sequence, l.previous, l.refs, l.contacts = 0, proof.Digest{}, nil, 0
			l.works()
		})
	}
}

func TestOversizedMessageEndsItsStreamOnly(t *testing.T) {
	w := newWorld(t, Limits{})
	l, bystander := w.enrol(w.schools[0]), w.enrol(w.schools[0])
	bystanding := bystander.open(&pb.Hello{})
	c := l.open(&pb.Hello{})
	m := l.report()
	m.GetReport().Sections[0].Body = bytes.Repeat([]byte("x"), 100<<20)
	_ = c.Send(m) // the stream may end while it is being sent
	var err error
	for err == nil {
		_, err = c.Recv()
	}
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a message of 100 MB: got %v", err)
	}
	bystanding.send(bystander.report())
	bystanding.wantAck(1, 0)
	l.sequence, l.previous, l.refs = 0, proof.Digest{}, nil
	l.works()
}

func TestStreamMustBeginWithHello(t *testing.T) {
	w := newWorld(t, Limits{})
	l := w.enrol(w.schools[0])
	stream, err := pb.NewUplinkClient(dial(t, w, l.config(l.school))).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := &line{t: t, Uplink_ConnectClient: stream}
	c.send(l.report())
	c.wantRefusal("malformed")
}

func TestNewerAgentIsUnderstood(t *testing.T) {
	w := newWorld(t, Limits{})
	l := w.enrol(w.schools[0])
	c := l.open(&pb.Hello{})
	m := l.report("weather", wire.System) // a section that this version does not know
	unknown := protowire.AppendString(protowire.AppendTag(nil, 900, protowire.BytesType), "new")
	m.GetReport().ProtoReflect().SetUnknown(unknown)
	m.ProtoReflect().SetUnknown(unknown)
	c.send(m)
	c.wantAck(1, 0)
	onlyNew := &pb.AgentMessage{}
	onlyNew.ProtoReflect().SetUnknown(unknown)
	c.send(onlyNew)
	c.send(l.report())
	c.wantAck(2, 0)
}

func TestSchoolsAreWalls(t *testing.T) {
	w := newWorld(t, Limits{})
	l := w.enrol(w.schools[0])
	// At the other school's door, with its own certificate.
	config := l.config(w.schools[1].ID)
	config.VerifyConnection = nil
	stream, err := pb.NewUplinkClient(dial(t, w, config)).Connect(t.Context())
	if err == nil {
		_, err = stream.Recv()
	}
	if err == nil {
		t.Fatal("a device was let in at another school")
	}
	l.works()
	w.enrol(w.schools[1]).works()
}

func TestCallsThatNeedACertificate(t *testing.T) {
	w := newWorld(t, Limits{})
	l := w.enrol(w.schools[0])
	config := l.config(l.school)
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tls.Certificate{}, nil }
	client := pb.NewUplinkClient(dial(t, w, config))
	_, request := newKey(t)
	if _, err := client.Renew(t.Context(), &pb.RenewRequest{CertificateRequest: request}); err == nil {
		t.Error("a stranger renewed a certificate")
	}
	stream, err := client.Connect(t.Context())
	if err == nil {
		_, err = stream.Recv()
	}
	if err == nil {
		t.Error("a stranger opened a stream")
	}
	// A message that is larger than a stranger may send.
	_, err = pb.NewEnrolmentClient(dial(t, w, config)).Enroll(t.Context(), &pb.EnrollRequest{Hostname: string(bytes.Repeat([]byte("x"), 1<<20))})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a stranger's large message: got %v", err)
	}
}

func TestRevokedDevice(t *testing.T) {
	w := newWorld(t, Limits{})
	school := w.schools[0]
	l, other := w.enrol(school), w.enrol(school)
	c := l.open(&pb.Hello{})
	c.send(l.report())
	c.wantAck(1, 0)
	entry, err := roster.Maker{School: school.ID}.Revocation(roster.Revocation{Device: l.id, Reason: "lost"}, monday)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := school.ledger.Append(t.Context(), entry); err != nil {
		t.Fatal(err)
	}
	for err == nil { // the stream ends by itself
		_, err = c.Recv()
	}
	c = l.connect(&pb.Hello{})
	c.wantRefusal("revoked")
	if _, err := pb.NewUplinkClient(c.conn).Renew(t.Context(), &pb.RenewRequest{}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a revoked device renewed: %v", err)
	}
	other.works()
}

func TestExpiredDeviceReachesRenewalAlone(t *testing.T) {
	w := newWorld(t, Limits{})
	l := w.enrol(w.schools[0])
	w.clock.Advance(100 * 24 * time.Hour)
	c := l.connect(&pb.Hello{})
	c.wantRefusal("expired")
	_, wrong := newKey(t)
	if _, err := pb.NewUplinkClient(c.conn).Renew(t.Context(), &pb.RenewRequest{CertificateRequest: wrong}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("renewal for another key: got %v", err)
	}
	request, err := l.key.Request()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := pb.NewUplinkClient(c.conn).Renew(t.Context(), &pb.RenewRequest{CertificateRequest: request})
	if err != nil {
		t.Fatal(err)
	}
	l.der = answer.GetCertificate()
	l.works()
}

func TestNewestStreamWins(t *testing.T) {
	w := newWorld(t, Limits{})
	l := w.enrol(w.schools[0])
	older := l.open(&pb.Hello{})
	older.send(l.report())
	older.wantAck(1, 0)
	newer := l.open(&pb.Hello{Acknowledged: 1})
	var err error
	for err == nil {
		_, err = older.Recv()
	}
	newer.send(l.report())
	newer.wantAck(2, 0)
	if n := w.intake.Connections(l.school); n != 1 {
		t.Errorf("%d connections of one device", n)
	}
}

func TestWhatTheCollectorSays(t *testing.T) {
	w := newWorld(t, Limits{})
	school := w.schools[0]
	l := w.enrol(school)
	c := l.open(&pb.Hello{})
	m, err := c.Recv()
	if err != nil {
		t.Fatal(err)
	}
	a, err := roster.OpenAssignment(school.verifier, m.GetAssignment().GetDocument())
	if err != nil || a.Device != l.id || a.Number != 1 {
		t.Errorf("assignment: got %+v, %v from %v", a, err, m)
	}
	if m, err = c.Recv(); err != nil {
		t.Fatal(err)
	}
	checkpoint, err := school.verifier.Checkpoint([]byte(m.GetCheckpoint().GetNote()))
	if err != nil || checkpoint.Size != school.ledger.Size() {
		t.Errorf("checkpoint: got %+v, %v from %v", checkpoint, err, m)
	}

	if err := w.intake.AssessNow(school.ID, l.id, "request-1"); err != nil {
		t.Fatal(err)
	}
	if got := c.next().GetAssessNow().GetRequest(); got != "request-1" {
		t.Errorf("assess now: got request %q", got)
	}
	if err := w.intake.AssessNow(school.ID, "d0", "x"); err == nil {
		t.Error("a device that is not there was asked")
	}

	document, err := school.Key.SignDocument(roster.DocumentPolicy, []byte(`{"number":7}`))
	if err != nil {
		t.Fatal(err)
	}
	entry, err := roster.Maker{School: school.ID}.Policy(document, []byte("name: school"), monday)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := school.ledger.Append(t.Context(), entry); err != nil {
		t.Fatal(err)
	}
	m, err = c.Recv()
	if err != nil || !bytes.Equal(m.GetPolicy().GetDocument(), document) {
		t.Errorf("published policy: got %v, %v", m, err)
	}
	// Once told, it is not told again; a device that has it is not told at all.
	c.send(l.report())
	if m, err := c.Recv(); err != nil || m.GetAcknowledge().GetSequence() != 1 {
		t.Errorf("got %v, %v", m, err)
	}
	c = l.open(&pb.Hello{Policy: 7, Assignment: 1, Acknowledged: 1})
	if m, err := c.Recv(); err != nil || m.GetCheckpoint() == nil {
		t.Errorf("got %v, %v, want a checkpoint", m, err)
	}
}

// TestAWelcomeComesFirst: what changes while a hello is being answered is said
// after the answer, by nobody before it.
func TestAWelcomeComesFirst(t *testing.T) {
	w := newWorld(t, Limits{})
	school := w.schools[0]
	l := w.enrol(school)
	sc, _ := w.intake.find(school.ID)
	w.answering = func() {
		sc.tell(wants{documents: true})
		if err := w.intake.AssessNow(school.ID, l.id, "request-1"); err != nil {
			t.Error(err)
		}
		sc.mu.Lock()
		session := sc.sessions[l.id]
		sc.mu.Unlock()
		session.mu.Lock()
		defer session.mu.Unlock()
		if session.saying != nil {
			t.Error("something is being said to a device whose hello is not answered")
		}
	}
	c := l.open(&pb.Hello{})
	if got := c.next().GetAssessNow().GetRequest(); got != "request-1" {
		t.Errorf("what was asked for meanwhile: got request %q", got)
	}
}

// TestWhoIsAskedOnADeadStreamIsAskedAgain: a request that nothing came after is
// made on the stream that takes the place of the one it was sent on, once.
func TestWhoIsAskedOnADeadStreamIsAskedAgain(t *testing.T) {
	w := newWorld(t, Limits{})
	school := w.schools[0]
	l := w.enrol(school)
	asks := func(request string) {
		t.Helper()
		if err := w.intake.AssessNow(school.ID, l.id, request); err != nil {
			t.Fatal(err)
		}
	}
	wants := func(c *line, request string) {
		t.Helper()
		if got := c.next().GetAssessNow().GetRequest(); got != request {
			t.Errorf("asked with %q, want %q", got, request)
		}
	}
	c := l.open(&pb.Hello{})
	asks("request-1")
	wants(c, "request-1")
	c = l.open(&pb.Hello{}) // the laptop is elsewhere now, and the collector has not noticed
	wants(c, "request-1")
	c.close() // and it comes back
	c = l.open(&pb.Hello{})
	wants(c, "request-1")
	c.send(l.report())
	c.wantAck(1, 0)
	c = l.open(&pb.Hello{Acknowledged: 1})
	asks("request-2")
	wants(c, "request-2") // and not the first again
}

func TestHalfOpenConnectionsKeepNobodyOut(t *testing.T) {
	w := newWorld(t, Limits{HalfOpen: 32, Connections: 400})
	l := w.enrol(w.schools[0])
	var idle []net.Conn
	for range 300 {
		conn, err := net.Dial("tcp", w.address)
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, conn)
	}
	l.works()
	// All but the newest were shown out.
	if _, err := idle[0].Read(make([]byte, 1)); err == nil {
		t.Error("the oldest half-open connection is still there")
	}
	for _, conn := range idle {
		conn.Close()
	}
	l.works()
}

// TestTenThousandHalfOpenConnections holds as many open as a machine can, some
// of which begin a handshake and never end it.
func TestTenThousandHalfOpenConnections(t *testing.T) {
	w := newWorld(t, Limits{})
	l := w.enrol(w.schools[0])
	var idle []net.Conn
	t.Cleanup(func() {
		for _, conn := range idle {
			conn.Close()
		}
	})
	for n := range 10_000 {
		conn, err := net.Dial("tcp", w.address)
		if errors.Is(err, syscall.EMFILE) {
			t.Skipf("this machine gives a program %d connections only", n)
		}
		if err != nil {
			t.Fatal(err)
		}
		if n%3 == 0 {
			if _, err := conn.Write([]byte{22, 3, 1, 1, 0, 1, 0, 0, 252, 3, 3}); err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				t.Fatal(err)
			}
		}
		idle = append(idle, conn)
	}
	l.works()
	w.enrol(w.schools[0]).works()
}

// TestOneDeviceTakesNotAllConnections: a stolen laptop that opens connections
// without end keeps nobody out, and strangers who stay keep no stranger out.
func TestOneDeviceTakesNotAllConnections(t *testing.T) {
	w := newWorld(t, Limits{Connections: 40, HalfOpen: 8, Enrolling: 8})
	greedy, other := w.enrol(w.schools[0]), w.enrol(w.schools[0])
	hold := func(config *tls.Config) {
		t.Helper()
		conn, err := tls.Dial("tcp", w.address, config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if err := conn.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range 60 {
		hold(greedy.config(greedy.school))
	}
	other.works()
	greedy.works()
	stranger := greedy.config(greedy.school)
	stranger.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tls.Certificate{}, nil }
	for range 60 {
		hold(stranger)
	}
	w.enrol(w.schools[1]).works()
}

// panics is a ledger that fails in the worst way when it is told to.
type panics struct {
	Ledger
	subject *atomic.Pointer[string]
}

func (p panics) Begin(ctx context.Context, after *ledger.Pending, entries ...ledger.Entry) (*ledger.Pending, error) {
	if s := p.subject.Load(); s != nil && entries[0].Envelope.Subject == *s {
		panic("append to a ledger that is not there")
	}
	return p.Ledger.Begin(ctx, after, entries...)
}

// TestAPanicEndsOneCall: what goes wrong over one device's message ends its
// stream, is not acknowledged, and hurts nobody else.
func TestAPanicEndsOneCall(t *testing.T) {
	w := newWorld(t, Limits{})
	w.stop()
	var subject atomic.Pointer[string]
	w.wrap = func(l *ledger.Ledger) Ledger { return panics{l, &subject} }
	w.start(Limits{})
	l, other := w.enrol(w.schools[0]), w.enrol(w.schools[0])
	watching := other.open(&pb.Hello{})
	id := string(l.id)
	subject.Store(&id)
	c := l.open(&pb.Hello{})
	message := l.report()
	c.send(message)
	var err error
	for err == nil {
		var m *pb.CollectorMessage
		if m, err = c.Recv(); m.GetAcknowledge() != nil {
			t.Errorf("got %v for what was not recorded", m)
		}
	}
	if status.Code(err) != codes.Internal {
		t.Errorf("got %v, want an internal error", err)
	}
	watching.send(other.report())
	watching.wantAck(1, 0)
	subject.Store(nil)
	c = l.open(&pb.Hello{})
	c.send(message)
	c.wantAck(1, 0)
}

func TestSilentStreamsAreClosed(t *testing.T) {
	w := newWorld(t, Limits{Handshake: 10 * time.Second})
	l := w.enrol(w.schools[0])
	stream, err := pb.NewUplinkClient(dial(t, w, l.config(l.school))).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for w.intake.Connections(l.school) == 0 {
		if t.Context().Err() != nil {
			t.Fatal("it never connected")
		}
	}
	ended := make(chan error, 1)
	go func() { _, err := stream.Recv(); ended <- err }()
	for closed := false; !closed; {
		w.clock.Advance(11 * time.Second)
		select {
		case err := <-ended:
			if err == nil {
				t.Error("a stream without a hello was answered")
			}
			closed = true
		default:
		}
	}
}

func TestQuota(t *testing.T) {
	q := newQuota()
	for range messagesAtOnce {
		if d, ok := q.delay(monday, 100); d != 0 || !ok {
			t.Fatalf("within the quota: got %s, %v", d, ok)
		}
	}
	if d, ok := q.delay(monday, 100); d <= 0 || !ok {
		t.Errorf("beyond the quota: got %s, %v, want a delay", d, ok)
	}
	if q.full(monday) || !q.full(monday.Add(time.Hour)) {
		t.Error("a quota is full when it should not be, or the other way round")
	}
	if _, ok := newQuota().delay(monday, bytesAtOnce+1); ok {
		t.Error("more than may ever come was let in")
	}
	q = newQuota()
	for range 2*bytesAtOnce/wire.MaxMessage + 3 {
		if _, ok := q.delay(monday, wire.MaxMessage); !ok {
			return
		}
	}
	t.Error("messages without end were let in")
}

// TestADayOfFlooding sends as much as is let in for a day, in messages of one
// size: what may be added to the disk is bounded, and who was refused may come
// again when there is room.
func TestADayOfFlooding(t *testing.T) {
	for _, size := range []int{100, 50_000, wire.MaxMessage} {
		q, now, end := newQuota(), monday, monday.Add(24*time.Hour)
		let := 0
		for now.Before(end) {
			delay, ok := q.delay(now, size)
			if ok {
				let += size + messageCost
				now = now.Add(delay)
			} else {
				now = now.Add(time.Second) // it asks again and again
			}
		}
		if most := budgetAtOnce + budgetPerDay + size + messageCost; let > most {
			t.Errorf("messages of %d bytes: %d MB were let in, want at most %d", size, let>>20, most>>20)
		}
		if _, ok := q.delay(now.Add(24*time.Hour), size); !ok {
			t.Errorf("messages of %d bytes: a day later none is let in", size)
		}
	}
}
