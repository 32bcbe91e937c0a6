package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/policy/baseline"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// whole is a laptop with the whole agent on it, reading a recorded machine.
type whole struct {
	t      *testing.T
	w      *world
	front  *front
	state  string
	device posture.DeviceID
}

// newWholeOf enrols a laptop that is like a recorded machine, and has it meet
// whoever the test has it meet.
func newWholeOf(w *world, like string) *whole {
	t := w.t
	t.Helper()
	dir, err := os.MkdirTemp("", "peer") // short, and open to the children's user
	must(t, err)
	must(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	l := &whole{t: t, w: w, front: newFront(w), state: filepath.Join(dir, "state")}
	machine := filepath.Join(dir, "machine")
	must(t, os.CopyFS(machine, os.DirFS("../testdata/machines/"+like)))
	token := w.token
	token.Addresses = []string{l.front.address()}
	id, err := agentapp.Enroll(t.Context(), agentapp.EnrollConfig{State: l.state, Token: token.String()}, w.clock)
	must(t, err)
	l.device = id.Device
	l.front.hostile.Store(true)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- agentapp.Run(ctx, agentapp.Config{State: l.state, Replay: machine, Log: slog.New(slog.DiscardHandler)}, w.clock)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the agent ended with: %v", err)
		}
	})
	return l
}

func (l *whole) status() agentapp.Status {
	l.t.Helper()
	s, err := agentapp.ReadStatus(l.state, time.Time{}, l.w.clock.Now())
	must(l.t, err)
	return s
}

// policyOf returns a policy of a number, signed by a key.
func policyOf(t *testing.T, key *identity.SchoolKey, number uint64) []byte {
	t.Helper()
	p, err := policy.Decode(baseline.School())
	must(t, err)
	p.Number = number
	body, err := policy.Encode(p)
	must(t, err)
	signed, err := key.SignDocument(roster.DocumentPolicy, body)
	must(t, err)
	return signed
}

// assignmentOf returns an assignment of the number 9 for a device.
func assignmentOf(t *testing.T, key *identity.SchoolKey, school posture.SchoolID, device posture.DeviceID) []byte {
	t.Helper()
	body, err := json.Marshal(roster.Assignment{School: school, Device: device, Assignment: policy.Assignment{Number: 9, Ownership: posture.SchoolSingleUser}})
	must(t, err)
	signed, err := key.SignDocument(roster.DocumentAssignment, body)
	must(t, err)
	return signed
}

// trick is what a hostile collector does on one call, and what the laptop then
// says of it. What it says of a call that it lets go on to the end is
// "enough", the reason of the refusal that ends the call.
type trick struct {
	name string
	do   func(s *side)
	want string // one of these, with | between
}

const enough = "refused (enough)"

// TestAHostileCollector has everything that a school's collector has, and
// tries it on a laptop: nothing that waits is forgotten unless it was said to
// be recorded, nothing is taken that the school did not sign, numbers only
// rise, and the laptop says what happened. Then a real collector answers, and
// every report is in its ledger, or the ledger says that it is not.
func TestAHostileCollector(t *testing.T) {
	w := newWorld(t)
	l := newWholeOf(w, "plain-laptop")
	ours, theirs := w.schools[0], w.schools[1]
	stolen, err := identity.NewSchoolKey(filepath.Join(t.TempDir(), "key.pem"), ours.ID)
	must(t, err)
	noted := func(key *identity.SchoolKey, size uint64) string {
		signer, err := key.Signer()
		must(t, err)
		note, err := proof.SignCheckpoint(proof.Checkpoint{Origin: proof.Origin(string(ours.ID)), Size: size, Root: proof.Digest{byte(size), 1}}, signer)
		must(t, err)
		return string(note)
	}
	// told says hello back, sends messages and ends in a refusal; a laptop that
	// has something against a message ends it before.
	told := func(messages ...*pb.CollectorMessage) func(*side) {
		return func(s *side) {
			s.welcome()
			s.send(messages...)
			s.send(refusal("enough", "that is all"))
			s.left()
		}
	}
	many := func(n int, m *pb.CollectorMessage) []*pb.CollectorMessage {
		all := make([]*pb.CollectorMessage, n)
		for i := range all {
			all[i] = m
		}
		return all
	}
	swapped, err := ours.Key.SignDocument(roster.DocumentAssignment, []byte(`{"number":99}`))
	must(t, err)
	statuses := func(s *side, code, words string) {
		s.hear(1)
		s.write(frame(frameHeaders, flagEndHeaders|flagEndStream, 1, s.block(":status", "200", "content-type", "application/grpc", "grpc-status", code, "grpc-message", words)))
		s.left()
	}
	frames := func(all ...[]byte) func(*side) {
		return func(s *side) {
			s.welcome()
			s.hear(2) // the first statement: the welcome has arrived
			s.write(bytes.Join(all, nil))
			s.left()
		}
	}
	late := func(do func(s *side)) func(*side) {
		return func(s *side) { w.drive(t, func() { do(s) }) }
	}
	tricks := []trick{
		{"nothing is answered", late(func(s *side) { s.hear(1); s.left() }), "did not answer within"},
		{"nothing is answered, with headers", late(func(s *side) { s.answer(); s.left() }), "did not answer within"},
		{"the call is ended", func(s *side) { statuses(s, "0", ""); s.left() }, "the collector closed the stream"},
		{"the call is refused in words that attack", func(s *side) { statuses(s, "14", "disk full %1B]0;%E2%80%AE"+strings.Repeat("x", 3000)) }, `disk full \u{1b}]0;\u{202e}xxx`},
		{"a status that is none", func(s *side) { statuses(s, "99999999999", "") }, "grpc-status"},
		{"another content", func(s *side) {
			s.hear(1)
			s.write(frame(frameHeaders, flagEndHeaders|flagEndStream, 1, s.block(":status", "302", "location", "https://elsewhere.example", "content-type", "text/html")))
			s.left()
		}, "302"},
		{"it hangs up", func(*side) {}, "report to"},
		{"no welcome first", func(s *side) { s.answer(); s.send(sendFull()); s.left() }, "did not begin with a welcome"},
		{"a refusal of no known code", told(refusal("eat\x1b[2Jthis", strings.Repeat("reason ", 1000))), `the collector refused (eat\u{1b}[2Jthis): reason`},
		{"a refusal without words", told(refusal("", "")), "the collector refused ()"},
		{"two welcomes", told(&pb.CollectorMessage{Message: &pb.CollectorMessage_Welcome{Welcome: &pb.Welcome{Recorded: math.MaxUint64, SendFull: true}}}), enough},
		{"a message of nothing", told(&pb.CollectorMessage{}), enough},

		{"a policy that nobody signed", told(document("policy", []byte("{}"))), "take policy"},
		{"no policy at all", told(document("policy", nil)), "take policy"},
		{"a policy of another school", told(document("policy", policyOf(t, theirs.Key, 7))), "take policy"},
		{"a policy signed by a key of that name", told(document("policy", policyOf(t, stolen, 7))), "take policy"},
		{"an assignment as a policy", told(document("policy", swapped)), "take policy"},
		{"a policy with a bit changed", told(document("policy", flipped(policyOf(t, ours.Key, 7)))), "take policy"},
		{"a policy cut short", told(document("policy", policyOf(t, ours.Key, 7)[:900])), "take policy"},
		{"a policy", told(document("policy", policyOf(t, ours.Key, 5))), enough},
		{"an older policy", told(document("policy", policyOf(t, ours.Key, 4))), enough},
		{"the same policy again", told(many(3, document("policy", policyOf(t, ours.Key, 5)))...), enough},
		{"an assignment for another device", told(document("assignment", assignmentOf(t, ours.Key, ours.ID, "d0000000000"))), "take assignment"},
		{"an assignment of another school", told(document("assignment", assignmentOf(t, ours.Key, theirs.ID, l.device))), "take assignment"},
		{"an assignment that nobody signed", told(document("assignment", []byte("{}"))), "take assignment"},

		{"a checkpoint that is none", told(checkpoint("hello")), "checkpoint"},
		{"a checkpoint of another school", told(checkpoint(noted(theirs.Key, 100))), "checkpoint"},
		{"a checkpoint signed by a key of that name", told(checkpoint(noted(stolen, 100))), "checkpoint"},
		{"a checkpoint", told(checkpoint(noted(ours.Key, 100))), enough},
		{"a checkpoint that contradicts it", told(checkpoint(noted(ours.Key, 90))), enough},
		{"a checkpoint of 3 MB", told(checkpoint(strings.Repeat("x", 3<<20))), "checkpoint"},

		{"send everything, without end", told(many(300, sendFull())...), "asks for more than it has reason to"},
		{"assess now, without end", told(many(300, assessNow("request \x1b[2J"))...), "asks for more than it has reason to"},

		{"100 MB", func(s *side) { s.welcome(); s.raw(prefixed(0, 100<<20, []byte("x"))); s.left() }, "larger than max"},
		{"4 GB", func(s *side) { s.welcome(); s.raw(prefixed(0, 1<<32-1, []byte("x"))); s.left() }, "larger than max"},
		{"a message that cannot be read", func(s *side) { s.welcome(); s.raw(message([]byte{0xff, 0xff, 0xff})); s.left() }, "decode message"},
		{"a compressed message", func(s *side) { s.welcome(); s.raw(prefixed(1, 1, []byte("x"))); s.left() }, "compress"},
		{"a flag that is none", func(s *side) { s.welcome(); s.raw(prefixed(9, 1, []byte("x"))); s.left() }, "payload format"},
		{"half a message", func(s *side) { s.welcome(); s.hear(2); s.raw(prefixed(0, 9, []byte("x"))) }, "closed the connection"},

		{"garbage in TLS", func(s *side) { s.hear(0); s.write(bytes.Repeat([]byte("garbage "), 1000)); s.left() }, "closed the connection|connection has ended|did not answer|frame"},
		{"a frame of 16 MB", frames(frameHead(1<<24-1, frameData, 0, 1)), "frame too large"},
		{"an old page of the web", func(s *side) { s.write([]byte("HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("hello", 20))); s.left() }, ""},
		{"the stream is reset", frames(frame(frameReset, 0, 1, number(2))), "RST_STREAM"},
		{"a goodbye", func(s *side) {
			s.welcome()
			s.hear(2)
			s.write(frame(frameGoAway, 0, 0, append(number(0), number(11)...)))
			s.left()
		}, "draining|closed the connection"},
		{"a push", func(s *side) {
			s.welcome()
			s.write(frame(framePushPromise, flagEndHeaders, 1, append(number(2), s.block(":method", "GET")...)))
			s.send(refusal("enough", ""))
			s.left()
		}, enough},
		{"a bomb of headers", func(s *side) {
			s.hear(1)
			bomb := append(s.block("x-bomb", strings.Repeat("x", 4000)), bytes.Repeat([]byte{0x80 | 62}, 12_000)...)
			s.write(frame(frameHeaders, flagEndHeaders, 1, bomb))
			s.left()
		}, "header list size"},
		{"pings without end", func(s *side) {
			s.welcome()
			s.flood(frame(framePing, 0, 0, make([]byte, 8)))
			s.send(refusal("enough", ""))
			s.left()
		}, enough},
		{"settings without end", func(s *side) {
			s.welcome()
			s.flood(frame(frameSettings, 0, 0, nil))
			s.send(refusal("enough", ""))
			s.left()
		}, enough},
		{"no window for what the laptop says", func(s *side) {
			s.begun = true
			s.write(frame(frameSettings, 0, 0, setting(4, 0)))
			w.drive(t, func() { s.left() })
		}, "did not answer within"},
	}
	waiting := 0
	check := func(c trick) {
		t.Helper()
		s := l.status()
		says := func(want string) bool { return strings.Contains(s.Trouble, want) }
		if !slices.ContainsFunc(strings.Split(c.want, "|"), says) || s.Trouble == "" || s.Connected || len(s.Trouble) > 600 {
			t.Errorf("%s: it says %q, want %q", c.name, s.Trouble, c.want)
		}
		held := l.spooled()
		if held < waiting || s.Dropped > 0 || s.Acknowledged > 0 {
			t.Errorf("%s: %d statements wait, %d before; %d are acknowledged", c.name, held, waiting, s.Acknowledged)
		}
		if s.Policy != 0 && s.Policy != 5 {
			t.Errorf("%s: policy %d is in force", c.name, s.Policy)
		}
		waiting = held
	}
	for i, c := range tricks {
		s := l.front.next()
		if i > 0 {
			check(tricks[i-1]) // it comes again after it has noted why the call ended
		}
		s.t = t
		c.do(s)
		s.hangUp()
	}
	// The last two are lies that nobody can see through at once: everything is
	// recorded, and there are more reports than the laptop made.
	s := l.front.next()
	check(tricks[len(tricks)-1])
	if got := l.status().Policy; got != 5 {
		t.Errorf("policy %d is in force, want 5, the only one that was signed", got)
	}
	if _, err := os.Stat(filepath.Join(l.state, "contradiction.json")); err != nil {
		t.Errorf("two checkpoints that contradict each other were not kept: %v", err)
	}
	most := 4 + 2*100 // what it may be asked for on two calls, and some of its own
	if waiting > most {
		t.Errorf("%d statements wait, and it was to make %d at most", waiting, most)
	}
	s.welcome()
	s.hear(2) // the first statement
	s.send(acknowledgement(math.MaxUint64, math.MaxUint64), refusal("enough", ""))
	s.left()
	s.hangUp()
	s = l.front.next()
	s.welcome(func(m *pb.Welcome) { m.Recorded = math.MaxUint64 })
	s.send(refusal("enough", ""))
	s.left()
	s.hangUp()

	l.front.hostile.Store(false)
	made := l.finish()
	l.complete(made)
	w.unharmed(t)
	if now := rest(); now.heap > w.resting.heap+mostKept {
		t.Errorf("the heap has %d KB, %d KB before", now.heap>>10, w.resting.heap>>10)
	}
}

// flood writes a frame again and again while it reads what is answered.
func (s *side) flood(data []byte) {
	written := make(chan struct{})
	go func() { defer close(written); flood(s.conn, data, 20_000) }()
	s.until(1, &s.o, func(*outcome) bool {
		select {
		case <-written:
			return true
		default:
			return false
		}
	})
	<-written
}

func flipped(data []byte) []byte {
	data[len(data)/2] ^= 1
	return data
}

// spooled counts the statements that wait on disk.
func (l *whole) spooled() int {
	l.t.Helper()
	files, err := os.ReadDir(filepath.Join(l.state, "spool"))
	must(l.t, err)
	n := 0
	for _, f := range files {
		if ext := filepath.Ext(f.Name()); ext == ".report" || ext == ".contact" {
			n++
		}
	}
	return n
}

// finish waits until a real collector has all that waits and a report behind
// it, and returns that report's number.
func (l *whole) finish() uint64 {
	l.t.Helper()
	told := l.status().Acknowledged
	l.w.untilPassing(l.t, "a report is acknowledged and nothing waits any more", func() bool {
		s := l.status()
		return s.Connected && s.Acknowledged > told && l.spooled() == 0
	})
	return l.status().Acknowledged
}

// complete checks that each report is in the ledger once, or in a gap that the
// ledger names.
func (l *whole) complete(last uint64) {
	l.t.Helper()
	place, seen := l.w.schools[0], map[uint64]int{}
	for rec, err := range place.ledger.Entries(l.t.Context(), 0, ledger.Index(place.ledger.Size())) {
		must(l.t, err)
		switch {
		case rec.Envelope.Subject != string(l.device):
		case rec.Envelope.Kind == proof.KindReport:
			seen[rec.Envelope.Sequence]++
		case rec.Envelope.Kind == proof.KindGap:
			body, err := place.ledger.Body(l.t.Context(), rec.Index, 0)
			must(l.t, err)
			g, err := roster.DecodeGap(body)
			must(l.t, err)
			if g.Reason != roster.GapRestored {
				l.t.Errorf("the reports %d to %d are said to be missing because of %s", g.From, g.To, g.Reason)
			}
			for n := g.From; n <= min(g.To, last); n++ {
				seen[n]++
			}
		}
	}
	for n := uint64(1); n <= last; n++ {
		if seen[n] != 1 {
			l.t.Errorf("report %d is %d times in the ledger, gaps included", n, seen[n])
		}
	}
}
