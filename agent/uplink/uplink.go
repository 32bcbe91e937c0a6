// Package uplink is the agent's end of the stream: it sends what the spool
// holds, oldest first, and forgets a statement only when the collector has
// acknowledged it.
//
// What the collector may say is a closed list: a policy and an assignment that
// the school has signed, a signed checkpoint, "send everything", "assess now",
// a refusal. The package judges nothing and executes nothing; whatever else
// arrives is passed over.
package uplink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/caretaker-school/caretaker/agent/route"
	"github.com/caretaker-school/caretaker/agent/spool"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

const (
	// window is how many statements may be on their way without an answer.
	window = 32
	// maxMessage bounds what is accepted from the collector, in bytes.
	maxMessage = 4 << 20
	// firstWait and longestWait bound the pause between two attempts.
	firstWait   = time.Second
	longestWait = 5 * time.Minute
	// steady is how long a stream must have lasted to count as a success.
	steady = time.Minute
	// answerWithin is how long the collector may take to answer the hello.
	answerWithin = 30 * time.Second
	// maxHeaders bounds what the collector may say beside its messages, in
	// bytes.
	maxHeaders = 64 << 10
)

// Config is what an uplink needs. All fields are required but the last two.
type Config struct {
	Addresses []string                // of the collector, tried in turn
	TLS       *tls.Config             // the device's certificate, the school's authority
	School    identity.SchoolVerifier // of the school's checkpoints
	Spool     Spool
	Hello     func() Hello // what to say at the start of a stream
	Handler   Handler
	Clock     clock.Clock
	Log       *slog.Logger
	// Again receives when it is worth trying at once after a failure, as when
	// the machine was woken; nil if nobody tells.
	Again <-chan struct{}
	// Routes finds the way to the collector; nil goes straight.
	Routes *route.Routes
}

// Spool holds what is to be sent: a *spool.Spool.
type Spool interface {
	// After returns the first statement after a position, and false if there
	// is none.
	After(spool.Position) (spool.Item, bool, error)
	// Acknowledge forgets all statements up to and including a position.
	Acknowledge(spool.Position) error
	// Wake receives after something was put.
	Wake() <-chan struct{}
	// Stats says what waits.
	Stats() spool.Stats
}

// Hello is what the agent says of itself at the start of a stream.
type Hello struct {
	Version      string // of the agent
	Policy       uint64 // number of the policy in force
	Assignment   uint64 // number of the assignment in force
	Boot         string
	Acknowledged uint64 // sequence of the last report acknowledged
	Told         string // hash of the key by which it asked who it is, if it was told that it is the device
	System       string // for which it takes releases; "" if it takes none
	// Untaken is the version that it tried last and why it does not run; "" both
	// if there was none.
	Untaken, Why string
}

// Handler is told what the collector says. Its methods are called one at a
// time and must not block for long. What they return other than nil ends the
// stream.
type Handler interface {
	// Welcomed is called when the collector has answered; collector
	// is its time, skew the device's clock less that.
	Welcomed(collector time.Time, skew time.Duration) error
	// ReportPage is told where people at the school report a loss, as the collector
	// says it; "" if it does not. It is for the receiver to check.
	ReportPage(address string) error
	// Acknowledged is called after the spool has forgotten what was
	// acknowledged. It is never more than was sent.
	Acknowledged(spool.Position) error
	// Recorded is told up to which number the collector says that it has
	// reports of this device. If that is more than the device ever made, its
	// state is older than the collector's record.
	Recorded(sequence uint64) error
	// Policy and Assignment receive a document that says it was signed by the
	// school. Whether it was is for the receiver to check.
	Policy(document []byte) error
	Assignment(document []byte) error
	// Checkpoint receives a checkpoint that the school has signed, and the
	// signed note that holds it.
	Checkpoint(c proof.Checkpoint, note []byte) error
	// SendFull asks that the next report carry every section.
	SendFull(reason string) error
	// AssessNow asks for an assessment at once.
	AssessNow(request string) error
	// ReleaseOffered says that the collector may offer a release, for which it is
	// to be asked at some moment within a time.
	ReleaseOffered(version string, within time.Duration) error
	// Ended is called when a stream has ended, or could not be opened.
	Ended(reason error)
}

// Uplink sends what a spool holds. Make it with New and run it once.
type Uplink struct {
	c Config

	mu   sync.Mutex       // guards all below
	sent spool.Position   // the last statement sent, on this stream or an earlier one
	conn *grpc.ClientConn // of the stream that is open; nil if none is
}

// New returns an uplink that Run sets going.
func New(c Config) *Uplink { return &Uplink{c: c} }

// RefusedError means that the collector ended the stream with a reason.
type RefusedError struct {
	Code   string // such as "revoked"
	Reason string // one sentence, for people
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the collector refused (%s): %s", wire.Visible(e.Code, 40), wire.Visible(e.Reason, 300))
}

// Run keeps a stream open until ctx ends, and waits longer after each failure.
func (u *Uplink) Run(ctx context.Context) error {
	wait := firstWait
	for attempt := 0; ; attempt++ {
		began := u.c.Clock.Now()
		err := u.stream(ctx, u.c.Addresses[attempt%len(u.c.Addresses)])
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was told to end, and a stream always ends with an error
		}
		u.c.Log.Info("stream ended", "reason", err)
		u.c.Handler.Ended(err)
		if u.c.Clock.Now().Sub(began) >= steady {
			wait = firstWait
		}
		var refused *RefusedError
		if errors.As(err, &refused) {
			wait = longestWait
		}
		// Anywhere from half to all of it, so that laptops that lost the
		// collector together do not come back together.
		pause, stop := u.c.Clock.After(wait/2 + rand.N(wait/2+1))
		select {
		case <-ctx.Done():
			stop()
			return nil
		case <-u.c.Again:
			stop()
			wait = firstWait
			continue
		case <-pause:
		}
		wait = min(2*wait, longestWait)
	}
}

// stream opens one stream and works it until it ends, always with an error.
func (u *Uplink) stream(ctx context.Context, address string) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer func() { err = fmt.Errorf("report to %s: %w", address, inWords(ctx, err)) }()
	way, err := u.c.Routes.Open(ctx, address, u.c.TLS)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, way.Close()) }()
	conn, err := way.Client(address, u.c.TLS, weights()...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	s, err := pb.NewUplinkClient(conn).Connect(ctx)
	if err != nil {
		return err
	}
	if err := u.greet(ctx, cancel, s); err != nil {
		return err
	}
	u.reachedBy(conn)
	defer u.reachedBy(nil)
	acknowledged, sent := make(chan spool.Position, window), make(chan struct{})
	var g errgroup.Group
	g.Go(func() error {
		defer close(sent)
		err := u.send(ctx, s, acknowledged)
		if err != nil {
			cancel(err) // the receiver is waiting for the network
		}
		return err
	})
	g.Go(func() error {
		err := u.receive(s, acknowledged, sent)
		cancel(err) // the sender may be waiting for the network
		return err
	})
	err = g.Wait()
	// Each ends the other, and the other may be done first: the reason is what
	// the first to fail said.
	if why := context.Cause(ctx); why != nil {
		return why
	}
	return err
}

// weights are how much a connection may take.
func weights() []grpc.DialOption {
	return []grpc.DialOption{
		// A laptop has one stream with little in it; large buffers would be
		// most of its memory. gRPC lends what it writes through only for the
		// time of writing, and that is large enough for a full record of TLS:
		// draining a spool through less costs both ends several times as much.
		grpc.WithReadBufferSize(4 << 10), grpc.WithWriteBufferSize(32 << 10), grpc.WithMaxHeaderListSize(maxHeaders),
		// The collector says little. A window that adapts itself would send a
		// ping for each of its answers.
		grpc.WithStaticStreamWindowSize(64 << 10), grpc.WithStaticConnWindowSize(64 << 10),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(wire.Codec{}), grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(spool.MaxMessage)),
		// Rarely enough to let the processor sleep, often enough to find out
		// within the hour that a school's router has forgotten the stream.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Minute, Timeout: time.Minute}),
		grpc.WithDisableServiceConfig(),
	}
}

// greet says hello and waits for the welcome.
func (u *Uplink) greet(ctx context.Context, cancel context.CancelCauseFunc, s pb.Uplink_ConnectClient) error {
	late, stop := u.c.Clock.After(answerWithin)
	answered := make(chan struct{})
	var watch errgroup.Group
	watch.Go(func() error {
		select {
		case <-late:
			cancel(errLate)
		case <-answered:
		case <-ctx.Done():
		}
		return nil
	})
	defer func() {
		stop()
		close(answered)
		_ = watch.Wait() // it never fails
	}()
	h, stats, now := u.c.Hello(), u.c.Spool.Stats(), u.c.Clock.Now()
	if err := s.Send(&pb.AgentMessage{Message: &pb.AgentMessage_Hello{Hello: &pb.Hello{
		WireVersion: wire.Version, AgentVersion: h.Version, Policy: h.Policy, Assignment: h.Assignment,
		ClockUnixMs: now.UnixMilli(), Boot: h.Boot, Acknowledged: h.Acknowledged, Told: h.Told,
		Spooled: uint64(stats.Waiting), Dropped: stats.Dropped, System: h.System, Update: h.note(),
	}}}); err != nil {
		return errors.Join(err, ended(s))
	}
	m, err := s.Recv()
	if err != nil {
		return err
	}
	if r := m.GetRefusal(); r != nil {
		return &RefusedError{Code: r.GetCode(), Reason: r.GetReason()}
	}
	w := m.GetWelcome()
	if w == nil {
		return errors.New("the collector did not begin with a welcome")
	}
	// Half of the time the answer took was the way here, as far as one can tell.
	middle := now.Add(u.c.Clock.Now().Sub(now) / 2)
	collector := time.UnixMilli(w.GetClockUnixMs())
	if err := u.c.Handler.Welcomed(collector, middle.Sub(collector)); err != nil {
		return err
	}
	if err := u.c.Handler.ReportPage(w.GetReportPage()); err != nil {
		return err
	}
	if err := u.c.Handler.Recorded(w.GetRecorded()); err != nil {
		return err
	}
	if w.GetSendFull() {
		return u.c.Handler.SendFull("asked")
	}
	return nil
}

// send sends what the spool holds and what is put into it, in order, with at
// most window statements unanswered.
func (u *Uplink) send(ctx context.Context, s pb.Uplink_ConnectClient, acknowledged <-chan spool.Position) error {
	var cursor spool.Position
	var out []spool.Position // sent and not acknowledged
	settle := func(p spool.Position) {
		for len(out) > 0 && !p.Before(out[0]) {
			out = out[1:]
		}
	}
	for {
		item, ok, err := u.c.Spool.After(cursor)
		if err != nil {
			return err
		}
		if !ok || len(out) == window {
			wake := u.c.Spool.Wake()
			if ok {
				wake = nil // there is something, but no room
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case p := <-acknowledged:
				settle(p)
			case <-wake:
			}
			continue
		}
		u.noteSent(item.Position) // before it is: the answer may be quick
		if err := s.SendMsg(wire.Encoded(item.Message)); errors.Is(err, io.EOF) {
			return nil // the stream has ended; receive learns why
		} else if err != nil {
			return fmt.Errorf("send report %d: %w", item.Sequence, err)
		}
		cursor = item.Position
		out = append(out, item.Position)
	}
}

// noteSent remembers how far statements were sent.
func (u *Uplink) noteSent(p spool.Position) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.sent.Before(p) {
		u.sent = p
	}
}

// wasSent returns p, or the last statement sent if p lies beyond it.
func (u *Uplink) wasSent(p spool.Position) spool.Position {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.sent.Before(p) {
		return u.sent
	}
	return p
}

// receive acts on what the collector says, until the stream ends.
func (u *Uplink) receive(s pb.Uplink_ConnectClient, acknowledged chan<- spool.Position, sent <-chan struct{}) error {
	allowed := rate.NewLimiter(rate.Every(oneMore), mostAtOnce)
	for {
		m, err := s.Recv()
		if err != nil {
			return err
		}
		if a := m.GetAcknowledge(); a != nil {
			p := spool.Position{Sequence: a.GetSequence(), Contact: a.GetContact()}
			if err := u.acknowledge(p, acknowledged, sent); err != nil {
				return err
			}
			continue
		}
		if !allowed.AllowN(u.c.Clock.Now(), 1) {
			return errTalks
		}
		if err := u.handle(m); err != nil {
			return err
		}
	}
}

// acknowledge forgets what the collector has recorded: nothing that was not
// sent, whatever the collector says that it has.
func (u *Uplink) acknowledge(said spool.Position, acknowledged chan<- spool.Position, sent <-chan struct{}) error {
	if err := u.c.Handler.Recorded(said.Sequence); err != nil {
		return err
	}
	p := u.wasSent(said)
	if err := u.c.Spool.Acknowledge(p); err != nil {
		return err
	}
	select {
	case acknowledged <- p:
	case <-sent: // nobody waits for it any more
	}
	return u.c.Handler.Acknowledged(p)
}

// handle acts on everything that the collector may say but an acknowledgement.
func (u *Uplink) handle(m *pb.CollectorMessage) error {
	switch m := m.GetMessage().(type) {
	case *pb.CollectorMessage_Policy:
		return u.c.Handler.Policy(m.Policy.GetDocument())
	case *pb.CollectorMessage_Assignment:
		return u.c.Handler.Assignment(m.Assignment.GetDocument())
	case *pb.CollectorMessage_Checkpoint:
		c, err := u.c.School.Checkpoint([]byte(m.Checkpoint.GetNote()))
		if err != nil {
			return fmt.Errorf("take a checkpoint from the collector: %w", err)
		}
		return u.c.Handler.Checkpoint(c, []byte(m.Checkpoint.GetNote()))
	case *pb.CollectorMessage_SendFull:
		return u.c.Handler.SendFull(wire.Visible(m.SendFull.GetReason(), 40))
	case *pb.CollectorMessage_AssessNow:
		return u.c.Handler.AssessNow(wire.Visible(m.AssessNow.GetRequest(), 64))
	case *pb.CollectorMessage_ReleaseOffered:
		o := m.ReleaseOffered
		return u.c.Handler.ReleaseOffered(wire.Visible(o.GetVersion(), 40), time.Duration(o.GetWithinSeconds())*time.Second)
	case *pb.CollectorMessage_Refusal:
		return &RefusedError{Code: m.Refusal.GetCode(), Reason: m.Refusal.GetReason()}
	}
	return nil // a newer collector says something that this agent does not know
}

// ended returns why a stream on which a Send failed has ended: what the
// collector said, if it said something.
func ended(s pb.Uplink_ConnectClient) error {
	for {
		m, err := s.Recv()
		if err != nil {
			return err
		}
		if r := m.GetRefusal(); r != nil {
			return &RefusedError{Code: r.GetCode(), Reason: r.GetReason()}
		}
	}
}
