package intake

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/caretaker-school/caretaker/collector/enroll"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

var monday = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// world is a collector with two schools on loopback, over real TLS and disk.
// Its clock stands still.
type world struct {
	t       *testing.T
	data    string
	clock   *clocktest.Driven
	address string
	intake  *Intake
	schools []*place
	wrap    func(*ledger.Ledger) Ledger // what intake sees of a ledger; nil: the ledger
	log     *slog.Logger                // of the intake; nil discards
	stop    func()

	balancers []netip.Prefix
	releases  Releases // that are handed on; nil: none are
	answering func()   // called while a hello is being answered; nil: nothing is
}

// place is one school of a world.
type place struct {
	*enroll.School
	verifier identity.SchoolVerifier
	ledger   *ledger.Ledger
	roster   *roster.Roster
}

func newWorld(t *testing.T, limits Limits) *world {
	t.Helper()
	w := &world{t: t, data: t.TempDir(), clock: clocktest.NewDriven(monday)}
	for _, name := range []string{"Hollybank Primary School", "Ashgrove Academy"} {
		if _, err := enroll.CreateSchool(w.data, name, monday); err != nil {
			t.Fatal(err)
		}
	}
	w.start(limits)
	t.Cleanup(func() {
		w.stop()
		for _, p := range w.schools {
			p.check(t)
		}
	})
	return w
}

// start opens the data folder and serves it.
func (w *world) start(limits Limits) {
	t := w.t
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var schools []School
	var desks []enroll.Desk
	found, err := enroll.LoadSchools(w.data)
	if err != nil || len(found) != 2 {
		t.Fatalf("load %d schools: %v", len(found), err)
	}
	w.schools = nil
	done := make(chan error, 8)
	running := 0
	for _, name := range []string{"Hollybank Primary School", "Ashgrove Academy"} {
		s, ok := enroll.FindSchool(found, name)
		if !ok {
			t.Fatalf("school %q is not there", name)
		}
		p := openPlace(t, ctx, s)
		w.schools = append(w.schools, p)
		served := School{ID: s.ID, Authority: s.Authority, Roster: p.roster, Ledger: p.ledger}
		if w.wrap != nil {
			served.Ledger = w.wrap(p.ledger)
		}
		schools = append(schools, served)
		desks = append(desks, enroll.Desk{School: s, Roster: p.roster, Ledger: p.ledger})
		running++
		go func() { done <- p.roster.Run(ctx) }()
	}
	log := w.log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	w.intake = New(Options{
		Name: "collector", Schools: schools, Desk: enroll.NewService(desks, "collector", w.clock, log), Limits: limits, Clock: w.clock, Log: log, Balancers: w.balancers, Releases: w.releases,
		ReportPage: func(_ context.Context, school posture.SchoolID) string {
			if w.answering != nil {
				w.answering()
			}
			return "https://caretaker.example/report/" + string(school)
		},
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.address = l.Addr().String()
	running++
	go func() { done <- w.intake.Serve(ctx, l) }()
	w.stop = func() {
		cancel()
		for range running {
			// Where a test takes every descriptor, a record that could not be
			// followed is for the program to open again.
			if err := <-done; err != nil && !errors.Is(err, syscall.EMFILE) {
				t.Error(err)
			}
		}
		running = 0
		for _, p := range w.schools {
			if err := p.ledger.Close(); err != nil {
				t.Error(err)
			}
		}
		w.stop = func() {}
	}
}

func openPlace(t *testing.T, ctx context.Context, s *enroll.School) *place {
	t.Helper()
	signer, err := s.Key.Signer()
	if err != nil {
		t.Fatal(err)
	}
	p := &place{School: s}
	if p.verifier, err = s.Key.Verifier(); err != nil {
		t.Fatal(err)
	}
	p.ledger, err = ledger.Open(s.LedgerDir(), ledger.Options{School: string(s.ID), Signer: signer, Verifier: p.verifier.Note})
	if err != nil {
		t.Fatal(err)
	}
	p.roster, err = roster.Open(ctx, roster.Options{School: s.ID, Ledger: p.ledger, Verifier: p.verifier, Snapshot: s.SnapshotFile()})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// check verifies the whole ledger from disk.
func (p *place) check(t *testing.T) {
	t.Helper()
	l, err := ledger.Open(p.LedgerDir(), ledger.Options{School: string(p.ID), Verifier: p.verifier.Note})
	if err != nil {
		t.Error(err)
		return
	}
	defer l.Close()
	if _, err := l.Verify(context.Background(), ledger.VerifyOptions{}); err != nil {
		t.Errorf("verify the ledger of %s: %v", p.Name, err)
	}
}

// kinds returns the kinds of a school's entries, in order.
func (p *place) kinds(t *testing.T) []proof.Kind {
	t.Helper()
	var kinds []proof.Kind
	for rec, err := range p.ledger.Entries(t.Context(), 0, ledger.Index(p.ledger.Size())) {
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, rec.Envelope.Kind)
	}
	return kinds
}

func (p *place) count(t *testing.T, kind proof.Kind) int {
	t.Helper()
	n := 0
	for _, k := range p.kinds(t) {
		if k == kind {
			n++
		}
	}
	return n
}

// gaps returns the gaps that are recorded.
func (p *place) gaps(t *testing.T) []roster.Gap {
	t.Helper()
	var gaps []roster.Gap
	for rec, err := range p.ledger.Entries(t.Context(), 0, ledger.Index(p.ledger.Size())) {
		if err != nil {
			t.Fatal(err)
		}
		if rec.Envelope.Kind != proof.KindGap {
			continue
		}
		body, err := p.ledger.Body(t.Context(), rec.Index, 0)
		if err != nil {
			t.Fatal(err)
		}
		g, err := roster.DecodeGap(body)
		if err != nil {
			t.Fatal(err)
		}
		gaps = append(gaps, g)
	}
	return gaps
}

func (p *place) token(t *testing.T, w *world, n enroll.NewToken) identity.Token {
	t.Helper()
	n.Addresses = []string{w.address}
	token, err := enroll.CreateToken(t.Context(), p.School, p.ledger, n, w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.roster.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	return token
}

// laptop is one enrolled device as its collector sees it: it signs what it is
// told to.
type laptop struct {
	t        *testing.T
	w        *world
	school   posture.SchoolID
	id       posture.DeviceID
	key      *identity.DeviceKey
	der      []byte // certificate
	ca       []byte
	sequence uint64
	previous proof.Digest
	refs     []proof.SectionRef
	contacts uint64
	bodies   map[string][]byte // of sections, in place of the usual
}

func dial(t *testing.T, w *world, config *tls.Config, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	options = append(options, grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(200<<20)))
	conn, err := grpc.NewClient("passthrough:///"+w.address, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func newKey(t *testing.T) (*identity.DeviceKey, []byte) {
	t.Helper()
	key, err := identity.MakeDeviceKey(filepath.Join(t.TempDir(), "device.pem"))
	if err != nil {
		t.Fatal(err)
	}
	request, err := key.Request()
	if err != nil {
		t.Fatal(err)
	}
	return key, request
}

func (w *world) ask(token identity.Token, request []byte) (*pb.EnrollResponse, error) {
	conn := dial(w.t, w, identity.PinnedConfig(token.School, token.Fingerprint, identity.NewTrusted(monday)))
	defer conn.Close()
	return pb.NewEnrolmentClient(conn).Enroll(w.t.Context(), &pb.EnrollRequest{
		TokenId: token.ID, TokenSecret: token.Secret[:], CertificateRequest: request, Platform: "linux", Hostname: "hb-lt-014", AgentVersion: "test",
	})
}

func (w *world) enrol(p *place) *laptop {
	w.t.Helper()
	key, request := newKey(w.t)
	answer, err := w.ask(p.token(w.t, w, enroll.NewToken{}), request)
	if err != nil {
		w.t.Fatal(err)
	}
	return &laptop{
		t: w.t, w: w, school: p.ID, id: posture.DeviceID(answer.GetDevice()), key: key, der: answer.GetCertificate(), ca: answer.GetAuthority(),
	}
}

func (l *laptop) config(school posture.SchoolID) *tls.Config {
	l.t.Helper()
	config, err := identity.Client{
		School: school, Authority: l.ca, Trusted: identity.NewTrusted(monday),
		Certificate: func() (*tls.Certificate, error) { return l.key.Certificate(l.der) },
	}.Config()
	if err != nil {
		l.t.Fatal(err)
	}
	return config
}

// line is an open stream.
type line struct {
	t *testing.T
	pb.Uplink_ConnectClient
	conn    *grpc.ClientConn
	welcome *pb.Welcome
	close   func()
}

func (l *laptop) connect(hello *pb.Hello) *line {
	l.t.Helper()
	conn := dial(l.t, l.w, l.config(l.school))
	ctx, cancel := context.WithCancel(l.t.Context())
	stream, err := pb.NewUplinkClient(conn).Connect(ctx)
	if err != nil {
		l.t.Fatal(err)
	}
	hello.WireVersion, hello.AgentVersion, hello.Boot = wire.Version, "test", cmp.Or(hello.GetBoot(), "boot-1")
	if err := stream.Send(&pb.AgentMessage{Message: &pb.AgentMessage_Hello{Hello: hello}}); err != nil && !errors.Is(err, io.EOF) { // it may be refused at once
		l.t.Fatal(err)
	}
	return &line{t: l.t, Uplink_ConnectClient: stream, conn: conn, close: func() { cancel(); conn.Close() }}
}

// open connects and expects a welcome.
func (l *laptop) open(hello *pb.Hello) *line {
	l.t.Helper()
	c := l.connect(hello)
	m, err := c.Recv()
	if err != nil {
		l.t.Fatal(err)
	}
	if c.welcome = m.GetWelcome(); c.welcome == nil {
		l.t.Fatalf("got %v, want a welcome", m)
	}
	return c
}

// next returns the next message that is none of those that come unasked.
func (c *line) next() *pb.CollectorMessage {
	c.t.Helper()
	for {
		m, err := c.Recv()
		if err != nil {
			c.t.Fatalf("wait for an answer: %v", err)
		}
		if m.GetCheckpoint() == nil && m.GetPolicy() == nil && m.GetAssignment() == nil {
			return m
		}
	}
}

func (c *line) wantAck(sequence, contact uint64) {
	c.t.Helper()
	m := c.next()
	if a := m.GetAcknowledge(); a == nil || a.GetSequence() != sequence || a.GetContact() != contact {
		c.t.Fatalf("got %v, want an acknowledgement of %d, contact %d", m, sequence, contact)
	}
}

func (c *line) wantSendFull(reason string) {
	c.t.Helper()
	m := c.next()
	if f := m.GetSendFull(); f == nil || f.GetReason() != reason {
		c.t.Fatalf("got %v, want it to ask for everything because of %q", m, reason)
	}
}

func (c *line) wantRefusal(code string) {
	c.t.Helper()
	m := c.next()
	if r := m.GetRefusal(); r == nil || r.GetCode() != code {
		c.t.Fatalf("got %v, want a refusal with the code %q", m, code)
	}
	if _, err := c.Recv(); err == nil {
		c.t.Fatal("the stream goes on after a refusal")
	}
}

func (c *line) send(m *pb.AgentMessage) {
	c.t.Helper()
	if err := c.Send(m); err != nil {
		c.t.Fatal(err)
	}
}

func (l *laptop) sections(salt byte, names ...string) []proof.Section {
	var out []proof.Section
	for _, name := range names {
		class, ok := wire.Class(name)
		if !ok {
			class = proof.Posture
		}
		body, ok := l.bodies[name]
		if !ok {
			body = []byte("body of " + name)
		}
		out = append(out, proof.Section{Name: name, Class: class, Salt: [proof.SaltSize]byte{salt}, Body: body})
	}
	return out
}

// report makes the next report: it carries the named sections, or all that
// there are so far, and names the others as carried before.
func (l *laptop) report(names ...string) *pb.AgentMessage {
	l.sequence++
	var carried []proof.Section
	if len(names) == 0 {
		names = []string{wire.System, wire.Encryption}
	}
	for _, s := range l.sections(byte(l.sequence), names...) {
		carried = append(carried, s)
		ref := s.Ref(uint64(monday.UnixMilli()), l.sequence)
		replaced := false
		for i := range l.refs {
			if l.refs[i].Name == s.Name {
				l.refs[i], replaced = ref, true
			}
		}
		if !replaced {
			l.refs = append(l.refs, ref)
		}
	}
	return l.sign(proof.ReportStatement{
		School: string(l.school), Device: string(l.id), Sequence: l.sequence, Previous: l.previous,
		MadeAt: uint64(monday.UnixMilli()), Boot: "boot-1", Sections: l.refs,
	}, carried)
}

func (l *laptop) sign(statement proof.ReportStatement, carried []proof.Section) *pb.AgentMessage {
	l.t.Helper()
	encoded, err := statement.Encode()
	if err != nil {
		l.t.Fatal(err)
	}
	l.previous, l.contacts = proof.HashReport(encoded), 0
	signature, err := l.key.Sign(l.previous)
	if err != nil {
		l.t.Fatal(err)
	}
	m := &pb.Report{Statement: encoded, Signature: signature}
	for _, s := range carried {
		m.Sections = append(m.Sections, &pb.Section{Name: s.Name, Salt: s.Salt[:], Body: s.Body})
	}
	return &pb.AgentMessage{Message: &pb.AgentMessage_Report{Report: m}}
}

func (l *laptop) contact() *pb.AgentMessage {
	l.t.Helper()
	l.contacts++
	encoded, err := proof.ContactStatement{
		School: string(l.school), Device: string(l.id), Report: l.sequence, Hash: l.previous, Count: l.contacts,
		MadeAt: uint64(monday.UnixMilli()), Boot: "boot-1",
	}.Encode()
	if err != nil {
		l.t.Fatal(err)
	}
	signature, err := l.key.Sign(proof.HashContact(encoded))
	if err != nil {
		l.t.Fatal(err)
	}
	return &pb.AgentMessage{Message: &pb.AgentMessage_Contact{Contact: &pb.Contact{Statement: encoded, Signature: signature}}}
}

// works proves that a laptop can report: what happened to others has not hurt
// it.
func (l *laptop) works() {
	l.t.Helper()
	c := l.open(&pb.Hello{Acknowledged: l.sequence})
	defer c.close()
	c.send(l.report())
	c.wantAck(l.sequence, 0)
}
