// Package intake is the collector's end of the stream: it knows each device by
// its certificate, checks what it signed, has it recorded in the school's
// ledger, and acknowledges it when it is synced to disk and not before.
//
// It never opens the body of a section, never judges a finding and never reads
// the view. A peer that is slow, broken or hostile costs its own stream and
// nobody else's.
package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// Ledger is the part of a school's ledger that intake needs.
type Ledger interface {
	// Append returns once the entries are synced to disk.
	Append(ctx context.Context, entries ...ledger.Entry) ([]ledger.Index, error)
	// Begin begins an append and does not wait for the sync. Nothing is
	// recorded if the append that it follows is not.
	Begin(ctx context.Context, after *ledger.Pending, entries ...ledger.Entry) (*ledger.Pending, error)
	// Checkpoint returns a signed checkpoint of the present size.
	Checkpoint(ctx context.Context) ([]byte, error)
}

// School is a school that is served.
type School struct {
	ID        posture.SchoolID
	Authority *identity.Authority
	Roster    *roster.Roster // nil if Shut
	Ledger    Ledger         // nil if Shut
	// Shut says, in words for the devices, why nothing can be recorded for the
	// school now. Its devices are told to come again, and keep what they have.
	Shut string
	// Still reports whether a device is to be left as it is: it is asked for
	// nothing and given no policy and no assignment. What it says is recorded as
	// ever, and it is acknowledged. nil: none is.
	Still func(posture.DeviceID) bool
	// Renumber records for a device anew, under a number that it cannot have yet,
	// the assignment that it has by the record: it says that it has another, of the
	// number has, which this record has lost. nil: it keeps that.
	Renumber func(ctx context.Context, device posture.DeviceID, has uint64) error
}

// Desk admits devices and renews their certificates: collector/enroll.
type Desk interface {
	pb.EnrolmentServer
	Renew(ctx context.Context, who identity.Peer, request []byte) ([]byte, error)
	// Part says who a machine is that asks, if two answer to one name.
	Part(ctx context.Context, who identity.Peer, request *pb.PartRequest) (*pb.PartResponse, error)
}

// Limits bounds what all peers together may take. Zero means the default.
type Limits struct {
	Connections int           // open at once; default 120,000
	HalfOpen    int           // whose peer is not known yet, half of them of one address; the oldest gives way; default 2,048
	Enrolling   int           // without a certificate, half of them of one address; the oldest gives way; default 1,024
	Handshake   time.Duration // until a peer must be known, and then say hello; default 10 s
}

// Options configures an intake. All fields but Limits, Releases and Balancers are required.
type Options struct {
	Name    string // names this collector in entries
	Schools []School
	Desk    Desk
	// Releases are handed on to devices; nil: none are.
	Releases Releases
	// ReportPage tells devices where people of a school report a loss without signing
	// in; "" if that is not known. nil: none is told.
	ReportPage func(ctx context.Context, school posture.SchoolID) string
	Limits     Limits
	// Balancers are whose connections begin by saying whom they are from, by the
	// PROXY protocol, version 2, so that each counts for its own address.
	Balancers []netip.Prefix
	Clock     clock.Clock
	Log       *slog.Logger
}

// Intake serves the devices of all schools on one port. Make it with New and
// serve it once.
type Intake struct {
	pb.UnimplementedUplinkServer
	o Options

	mu      sync.RWMutex // guards all below
	schools map[posture.SchoolID]*school
	work    func(*school) // begins what a school does beside its streams; nil unless Serve runs
}

// school is a School at work.
type school struct {
	School
	in       *Intake
	maker    roster.Maker
	contacts *contacts
	gone     chan struct{} // closed when another takes its place

	mu       sync.Mutex // guards all below
	sessions map[posture.DeviceID]*session
	// unanswered are requests for an assessment that no stream had an answer to.
	unanswered map[posture.DeviceID]string
	quotas     map[posture.DeviceID]*quota
	boots      map[posture.DeviceID][]string // with which each device said hello, the last one last
	given      []byte                        // the checkpoint last made
	givenAt    time.Time                     // when
}

// New returns an intake.
func New(o Options) *Intake {
	l := &o.Limits
	l.Connections, l.HalfOpen, l.Enrolling = or(l.Connections, 120_000), or(l.HalfOpen, 2048), or(l.Enrolling, 1024)
	l.Handshake = or(l.Handshake, 10*time.Second)
	in := &Intake{o: o, schools: map[posture.SchoolID]*school{}}
	for _, s := range o.Schools {
		in.Put(s)
	}
	return in
}

// Put serves a school from now on, in place of what was served under its
// identifier, whose streams end: their devices come again. Serve may run.
func (in *Intake) Put(s School) {
	sc := &school{
		School: s, in: in, maker: roster.Maker{School: s.ID, Intake: in.o.Name}, gone: make(chan struct{}),
		sessions: map[posture.DeviceID]*session{}, unanswered: map[posture.DeviceID]string{}, quotas: map[posture.DeviceID]*quota{}, boots: map[posture.DeviceID][]string{},
	}
	sc.contacts = newContacts(sc)
	in.mu.Lock()
	before := in.schools[s.ID]
	in.schools[s.ID] = sc
	if in.work != nil {
		in.work(sc)
	}
	in.mu.Unlock()
	if before != nil {
		close(before.gone)
		before.closeAll()
	}
}

// find returns the school that is served under an identifier.
func (in *Intake) find(id posture.SchoolID) (*school, bool) {
	in.mu.RLock()
	defer in.mu.RUnlock()
	sc, ok := in.schools[id]
	return sc, ok
}

// all returns the schools that are served.
func (in *Intake) all() []*school {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return slices.Collect(maps.Values(in.schools))
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Serve answers on the listener until ctx ends, and closes it.
func (in *Intake) Serve(ctx context.Context, l net.Listener) error {
	d := newDoor(in, l)
	uplink := in.server(wire.MaxMessage)
	pb.RegisterUplinkServer(uplink, in)
	enrolment := in.server(maxEnrolment)
	pb.RegisterEnrolmentServer(enrolment, in.o.Desk)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.run(ctx) })
	for _, s := range []struct {
		server *grpc.Server
		lobby  *lobby
	}{{uplink, d.devices}, {enrolment, d.strangers}} {
		g.Go(func() error {
			if err := s.server.Serve(s.lobby); err != nil && ctx.Err() == nil {
				return fmt.Errorf("serve devices: %w", err)
			}
			return nil
		})
		g.Go(func() error {
			<-ctx.Done()
			s.server.Stop()
			return nil
		})
	}
	in.begin(ctx, g)
	g.Go(func() error { return in.sweep(ctx, d) })
	return g.Wait()
}

// begin has every school do what it does beside its streams, those put later
// too.
func (in *Intake) begin(ctx context.Context, g *errgroup.Group) {
	work := func(s *school) {
		if s.Shut != "" {
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		g.Go(func() error {
			defer cancel()
			select {
			case <-s.gone:
			case <-ctx.Done():
			}
			return nil
		})
		g.Go(func() error { return s.contacts.run(ctx) })
		g.Go(func() error { return s.herald(ctx) })
	}
	g.Go(func() error {
		<-ctx.Done()
		in.mu.Lock()
		defer in.mu.Unlock()
		in.work = nil
		return nil
	})
	in.mu.Lock()
	defer in.mu.Unlock()
	in.work = work
	for _, s := range in.schools {
		work(s)
	}
}

// maxEnrolment bounds a message from a peer that nobody knows, in bytes.
const maxEnrolment = 32 << 10

// server makes a gRPC server with small buffers: most of a collector's memory
// is that of quiet streams.
func (in *Intake) server(maxMessage int) *grpc.Server {
	return grpc.NewServer(
		grpc.Creds(doorCredentials{}), grpc.ForceServerCodecV2(wire.Codec{}),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxHeaderListSize(8<<10), grpc.HeaderTableSize(0), grpc.MaxConcurrentStreams(4),
		grpc.ReadBufferSize(0), grpc.WriteBufferSize(4<<10),
		grpc.InitialWindowSize(256<<10), grpc.InitialConnWindowSize(512<<10),
		grpc.ConnectionTimeout(20*time.Second), grpc.WaitForHandlers(true),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 2 * time.Minute, Time: 15 * time.Minute, Timeout: time.Minute}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Minute}),
		grpc.UnaryInterceptor(func(ctx context.Context, m any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (out any, err error) {
			defer in.contain(&err)
			return next(ctx, m)
		}),
		grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
			defer in.contain(&err)
			return next(srv, ss)
		}),
	)
}

// contain turns a panic into the end of one call.
func (in *Intake) contain(err *error) {
	if p := recover(); p != nil {
		in.o.Log.Error("call ended in a panic", "panic", p, "stack", string(debug.Stack()))
		*err = status.Error(codes.Internal, "the collector failed on this call; others are not affected")
	}
}

// caller returns who opened the connection of a call.
func caller(ctx context.Context) (*visitor, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, status.Error(codes.Unauthenticated, "the call has no peer")
	}
	v, ok := p.AuthInfo.(*visitor)
	if !ok || v.who.Device == "" {
		return nil, status.Error(codes.Unauthenticated, "the call needs a device's certificate")
	}
	v.called()
	return v, nil
}

// Renew implements the Uplink service.
func (in *Intake) Renew(ctx context.Context, m *pb.RenewRequest) (*pb.RenewResponse, error) {
	v, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	certificate, err := in.o.Desk.Renew(ctx, v.who, m.GetCertificateRequest())
	if err != nil {
		return nil, err
	}
	return &pb.RenewResponse{Certificate: certificate}, nil
}

// ErrNotConnected means that the device has no stream open.
var ErrNotConnected = errors.New("the device is not connected")

// ErrLost means that the device is lost, and given nothing.
var ErrLost = errors.New("the device is lost: it is given nothing, not even a question, until it is found")

// AssessNow asks a connected device for an assessment at once. request comes
// back with its progress.
func (in *Intake) AssessNow(id posture.SchoolID, device posture.DeviceID, request string) error {
	s, ok := in.session(id, device)
	if !ok {
		return ErrNotConnected
	}
	if standing, ok := s.school.Roster.Standing(device); ok && standing.Lost {
		return ErrLost
	}
	s.assess(request)
	return nil
}

// Connection is a device that has a stream open.
type Connection struct {
	School  posture.SchoolID
	Device  posture.DeviceID
	Since   time.Time
	Version string        // of the agent
	Skew    time.Duration // the device's clock less the collector's, when it said hello
	Spooled uint64        // reports that waited then
	Dropped uint64        // statements that its spool had dropped by then, ever
}

// Connection returns how a device is connected.
func (in *Intake) Connection(id posture.SchoolID, device posture.DeviceID) (Connection, bool) {
	s, ok := in.session(id, device)
	if !ok {
		return Connection{}, false
	}
	return s.connection(), true
}

// Connections counts the devices of a school that have a stream open.
func (in *Intake) Connections(id posture.SchoolID) int {
	s, ok := in.find(id)
	if !ok {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

func (in *Intake) session(id posture.SchoolID, device posture.DeviceID) (*session, bool) {
	sc, ok := in.find(id)
	if !ok {
		return nil, false
	}
	sc.mu.Lock()
	defer sc.mu.Unlock()
	s, ok := sc.sessions[device]
	return s, ok
}
