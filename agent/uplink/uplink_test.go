package uplink

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"math"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/caretaker-school/caretaker/agent/spool"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

var monday = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// patience bounds how long a test waits for what does not come. It says
// nothing about how fast anything is.
const patience = time.Minute

// peer is a collector's end of the stream that says what a test has it say.
type peer struct {
	pb.UnimplementedUplinkServer
	script func(s pb.Uplink_ConnectServer) error
}

func (p *peer) Connect(s pb.Uplink_ConnectServer) error { return p.script(s) }

// watched is a driven clock that tells for how long it is asked to wait.
type watched struct {
	*clocktest.Driven
	asked chan time.Duration
}

func (w watched) After(d time.Duration) (<-chan time.Time, func()) {
	c, stop := w.Driven.After(d)
	w.asked <- d
	return c, stop
}

// world is an uplink, its spool and its peer.
type world struct {
	t     *testing.T
	clock watched
	spool *spool.Spool
	heard *heard
	again chan struct{}
	ended chan error
}

// heard notes what a Handler is told.
type heard struct {
	ended chan error

	mu           sync.Mutex // guards all below
	acknowledged []spool.Position
	recorded     []uint64
	skews        []time.Duration
	asked        int
	changed      chan struct{}
}

func (h *heard) note(change func()) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
	select {
	case h.changed <- struct{}{}:
	default:
	}
	return nil
}

func (h *heard) Welcomed(_ time.Time, skew time.Duration) error {
	return h.note(func() { h.skews = append(h.skews, skew) })
}

func (h *heard) ReportPage(string) error { return nil }

func (h *heard) Acknowledged(p spool.Position) error {
	return h.note(func() { h.acknowledged = append(h.acknowledged, p) })
}

func (h *heard) Recorded(n uint64) error {
	return h.note(func() { h.recorded = append(h.recorded, n) })
}
func (h *heard) Policy([]byte) error                        { return nil }
func (h *heard) Assignment([]byte) error                    { return nil }
func (h *heard) Checkpoint(proof.Checkpoint, []byte) error  { return nil }
func (h *heard) SendFull(string) error                      { return nil }
func (h *heard) ReleaseOffered(string, time.Duration) error { return nil }

func (h *heard) AssessNow(string) error { return h.note(func() { h.asked++ }) }
func (h *heard) Ended(reason error)     { h.ended <- reason }

// until waits for something that the handler is told.
func (h *heard) until(t *testing.T, what string, so func() bool) {
	t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	for {
		h.mu.Lock()
		done := so()
		h.mu.Unlock()
		if done {
			return
		}
		select {
		case <-h.changed:
		case <-end.C:
			t.Fatalf("it did not come about that %s", what)
		}
	}
}

// school is an authority and a device of its.
type school struct {
	authority *identity.Authority
	config    *tls.Config // of the device
}

func newSchool(t *testing.T) school {
	t.Helper()
	dir := t.TempDir()
	authority, err := identity.NewAuthority(dir, "s1", monday)
	must(t, err)
	key, err := identity.MakeDeviceKey(filepath.Join(dir, "device.pem"))
	must(t, err)
	der, err := authority.Issue("d1", key.Public(), monday)
	must(t, err)
	certificate, err := key.Certificate(der)
	must(t, err)
	config, err := identity.Client{
		School: "s1", Authority: authority.Certificate.Raw, Trusted: identity.NewTrusted(monday),
		Certificate: func() (*tls.Certificate, error) { return certificate, nil },
	}.Config()
	must(t, err)
	return school{authority, config}
}

// connect runs an uplink against a peer until the test ends.
func connect(t *testing.T, script func(pb.Uplink_ConnectServer) error) *world {
	t.Helper()
	s := newSchool(t)
	return connectAs(t, s, s, script)
}

// connectAs lets a device of one school meet a collector of another.
func connectAs(t *testing.T, device, collector school, script func(pb.Uplink_ConnectServer) error) *world {
	t.Helper()
	clock := watched{clocktest.NewDriven(monday), make(chan time.Duration, 100)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server := grpc.NewServer(grpc.ForceServerCodecV2(wire.Codec{}), grpc.Creds(credentials.NewTLS(identity.ServerConfig(
		func(posture.SchoolID) (*identity.Authority, bool) { return collector.authority, true }, clock.Driven,
	))))
	pb.RegisterUplinkServer(server, &peer{script: script})
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	held, err := spool.Open(t.TempDir(), spool.Options{})
	must(t, err)
	w := &world{t: t, clock: clock, spool: held, heard: &heard{ended: make(chan error, 100), changed: make(chan struct{}, 1)}, again: make(chan struct{}), ended: make(chan error, 1)}
	u := New(Config{
		Addresses: []string{listener.Addr().String()}, TLS: device.config, Spool: held, Handler: w.heard, Clock: clock,
		Hello: func() Hello { return Hello{Version: "test", Boot: "boot-1"} }, Log: slog.New(slog.DiscardHandler), Again: w.again,
	})
	ctx, cancel := context.WithCancel(context.Background())
	go func() { w.ended <- u.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-w.ended; err != nil {
			t.Errorf("the uplink ended with: %v", err)
		}
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return w
}

// put puts a report into the spool.
func (w *world) put(sequence, contact uint64) {
	w.t.Helper()
	message, err := EncodeReport([]byte("statement"), []byte("signature"), nil)
	must(w.t, err)
	_, err = w.spool.Put(spool.Item{Position: spool.Position{Sequence: sequence, Contact: contact}, Message: message})
	must(w.t, err)
}

// over waits for a stream to end and returns why.
func (w *world) over() error {
	w.t.Helper()
	select {
	case err := <-w.heard.ended:
		return err
	case <-time.After(patience):
		w.t.Fatal("the stream did not end")
		return nil
	}
}

func welcome(s pb.Uplink_ConnectServer, at int64) error {
	m, err := s.Recv()
	if err != nil {
		return err
	}
	if m.GetHello() == nil {
		return errors.New("the stream does not begin with a hello")
	}
	return s.Send(&pb.CollectorMessage{Message: &pb.CollectorMessage_Welcome{Welcome: &pb.Welcome{WireVersion: wire.Version, ClockUnixMs: at}}})
}

func acknowledge(s pb.Uplink_ConnectServer, sequence, contact uint64) error {
	return s.Send(&pb.CollectorMessage{Message: &pb.CollectorMessage_Acknowledge{Acknowledge: &pb.Acknowledge{Sequence: sequence, Contact: contact}}})
}

// receive reads n statements.
func receive(s pb.Uplink_ConnectServer, n int) error {
	for range n {
		m, err := s.Recv()
		if err != nil {
			return err
		}
		if m.GetReport() == nil {
			return errors.New("it is no report")
		}
	}
	return nil
}

// steps ends at the first that fails.
func steps(all ...func() error) error {
	for _, step := range all {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// TestForgetsNothingThatWasNotSent meets a collector that acknowledges
// everything there ever could be.
func TestForgetsNothingThatWasNotSent(t *testing.T) {
	arrived := make(chan struct{})
	w := connect(t, func(s pb.Uplink_ConnectServer) error {
		return steps(
			func() error { return welcome(s, monday.UnixMilli()) },
			func() error { return acknowledge(s, math.MaxUint64, math.MaxUint64) },
			func() error { return receive(s, 2) },
			func() error { return acknowledge(s, 2, 9) },
			func() error { return receive(s, 1) },
			func() error { close(arrived); <-s.Context().Done(); return nil },
		)
	})
	w.heard.until(t, "the first acknowledgement came", func() bool { return len(w.heard.acknowledged) == 1 })
	w.put(1, 0)
	w.put(2, 0)
	w.heard.until(t, "the second acknowledgement came", func() bool { return len(w.heard.acknowledged) == 2 })
	w.put(2, 3)
	select {
	case <-arrived:
	case <-time.After(patience):
		t.Fatal("what was never sent was forgotten")
	}
	if got := w.heard.acknowledged; got[0] != (spool.Position{}) || got[1] != (spool.Position{Sequence: 2}) {
		t.Errorf("acknowledged as %v", got)
	}
	if got := w.heard.recorded; len(got) != 3 || got[1] != math.MaxUint64 {
		t.Errorf("recorded up to %v", got)
	}
	if n := w.spool.Stats().Waiting; n != 1 {
		t.Errorf("%d wait, want the contact that is not acknowledged", n)
	}
}

func TestAnyClockIsTaken(t *testing.T) {
	for _, at := range []int64{math.MaxInt64, math.MinInt64, 0, -1} {
		w := connect(t, func(s pb.Uplink_ConnectServer) error {
			return steps(
				func() error { return welcome(s, at) },
				func() error { return receive(s, 1) },
				func() error { return acknowledge(s, 1, 0) },
				func() error { <-s.Context().Done(); return nil },
			)
		})
		w.put(1, 0)
		w.heard.until(t, "the report is acknowledged", func() bool { return len(w.heard.acknowledged) == 1 })
	}
}

// TestBackOff counts the pauses between attempts, which double up to a bound,
// begin anew after a stream that lasted, and are long after a refusal.
func TestBackOff(t *testing.T) {
	scripts := make(chan func(pb.Uplink_ConnectServer) error, 1)
	w := connect(t, func(s pb.Uplink_ConnectServer) error { return (<-scripts)(s) })
	pause := func(want time.Duration) { w.clock.Advance(w.pauses(want)) }
	broken := func(pb.Uplink_ConnectServer) error { return status.Error(codes.Unavailable, "try again later") }
	want := firstWait
	for range 12 {
		scripts <- broken
		pause(want)
		want = min(2*want, longestWait)
	}
	scripts <- func(s pb.Uplink_ConnectServer) error {
		if err := welcome(s, monday.UnixMilli()); err != nil {
			return err
		}
		w.clock.Advance(steady)
		return nil
	}
	pause(firstWait)
	scripts <- func(s pb.Uplink_ConnectServer) error {
		return s.Send(&pb.CollectorMessage{Message: &pb.CollectorMessage_Refusal{Refusal: &pb.Refusal{Code: "revoked", Reason: "this device was revoked"}}})
	}
	pause(longestWait)
	scripts <- broken // the attempt after the last pause
}

// pauses waits for a stream to end and for the pause after it, which is want
// or up to a half less.
func (w *world) pauses(want time.Duration) time.Duration {
	w.t.Helper()
	_ = w.over()
	for {
		select {
		case d := <-w.clock.asked:
			if d == answerWithin {
				continue // for the welcome, not between attempts
			}
			if d < want/2 || d > want {
				w.t.Errorf("it pauses for %s, want %s to %s", d, want/2, want)
			}
			return d
		case <-time.After(patience):
			w.t.Fatal("it does not pause")
		}
	}
}

// TestAgainEndsThePause wakes a machine that has been out of reach for long:
// it tries at once, and as if it had not failed before.
func TestAgainEndsThePause(t *testing.T) {
	w := connect(t, func(pb.Uplink_ConnectServer) error { return status.Error(codes.Unavailable, "try again later") })
	for want := firstWait; want < 8*firstWait; want *= 2 {
		w.clock.Advance(w.pauses(want))
	}
	w.pauses(8 * firstWait)
	w.again <- struct{}{}
	w.pauses(firstWait)
}

func TestAsksTooMuch(t *testing.T) {
	w := connect(t, func(s pb.Uplink_ConnectServer) error {
		if err := welcome(s, monday.UnixMilli()); err != nil {
			return err
		}
		for s.Context().Err() == nil {
			if err := s.Send(&pb.CollectorMessage{Message: &pb.CollectorMessage_AssessNow{AssessNow: &pb.AssessNow{}}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err := w.over(); !errors.Is(err, errTalks) {
		t.Errorf("the stream ended with: %v", err)
	}
	w.heard.until(t, "it was counted", func() bool { return w.heard.asked == mostAtOnce })
}

// TestWords looks at what a technician reads.
func TestWords(t *testing.T) {
	ours, others := newSchool(t), newSchool(t)
	for name, story := range map[string]struct {
		collector school
		script    func(pb.Uplink_ConnectServer) error
		want      string
	}{
		"another authority": {others, nil, "it is not the one that this laptop knows (“Caretaker s1”)"},
		"refused": {ours, func(s pb.Uplink_ConnectServer) error {
			return s.Send(&pb.CollectorMessage{Message: &pb.CollectorMessage_Refusal{Refusal: &pb.Refusal{Code: "revoked", Reason: "this device was \x1b[2Jrevoked"}}})
		}, `the collector refused (revoked): this device was \u{1b}[2Jrevoked`},
		"a failure": {ours, func(pb.Uplink_ConnectServer) error {
			return status.Error(codes.Unavailable, "the disk is full \x1b]0;\u202e"+strings.Repeat("x", 4000))
		}, `the disk is full \u{1b}]0;\u{202e}xxx`},
		"the end": {ours, func(pb.Uplink_ConnectServer) error { return nil }, "the collector closed the stream"},
		"no welcome": {ours, func(s pb.Uplink_ConnectServer) error {
			return steps(func() error { _, err := s.Recv(); return err }, func() error { return acknowledge(s, 1, 0) })
		}, "the collector did not begin with a welcome"},
	} {
		w := connectAs(t, ours, story.collector, story.script)
		got := w.over().Error()
		if !strings.Contains(got, story.want) || !strings.HasPrefix(got, "report to 127.0.0.1:") || strings.Contains(got, "rpc error") || len(got) > 400 {
			t.Errorf("%s: got %q, want %q", name, got, story.want)
		}
	}
}

func TestSilenceEnds(t *testing.T) {
	w := connect(t, func(s pb.Uplink_ConnectServer) error { <-s.Context().Done(); return nil })
	if d := <-w.clock.asked; d != answerWithin {
		t.Fatalf("it waits for %s", d)
	}
	w.clock.Advance(answerWithin)
	if err := w.over(); !errors.Is(err, errLate) {
		t.Errorf("got %v", err)
	}
}

// TestWindow has a collector that acknowledges nothing: no more than a window
// of statements is on the way.
func TestWindow(t *testing.T) {
	more := make(chan error, 1)
	w := connect(t, func(s pb.Uplink_ConnectServer) error {
		return steps(
			func() error { return welcome(s, monday.UnixMilli()) },
			func() error { return receive(s, window) },
			func() error { return acknowledge(s, 1, 0) },
			func() error { return receive(s, 1) },
			func() error { more <- nil; <-s.Context().Done(); return nil },
		)
	})
	for i := range uint64(window + 5) {
		w.put(i+1, 0)
	}
	select {
	case <-more:
	case <-time.After(patience):
		t.Fatal("an acknowledgement made no room")
	}
	if n := w.spool.Stats().Waiting; n != window+4 {
		t.Errorf("%d wait, want %d", n, window+4)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
