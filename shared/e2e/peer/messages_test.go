package peer

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// What the documentation of the wire lists as codes of refusals.
var refusals = []string{"malformed", "oversized", "signature", "expired", "unknown", "revoked", "quota", "twice"}

// TestBrokenPrefixes breaks what gRPC puts before a message.
func TestBrokenPrefixes(t *testing.T) {
	w := newWorld(t)
	a := w.enrol(w.schools[0])
	greeting := encode(t, hello())
	said := func(method string, data ...[]byte) func(*peer) outcome {
		return func(p *peer) outcome { return p.say(method, data...) }
	}
	report := func(flag byte, length int, body []byte) func(*peer) outcome {
		return said(connectMethod, message(greeting), prefixed(flag, length, body))
	}
	one := encode(t, a.report())
	encoded := func(encoding string, flag byte) func(*peer) outcome {
		return func(p *peer) outcome {
			id, o := p.open(p.request(connectMethod, "grpc-encoding", encoding)), newOutcome()
			p.data(id, prefixed(flag, len(greeting), greeting), true, &o)
			return p.await(id, o)
		}
	}
	w.attacks(t, a, []attack{
		{"nothing", "refused malformed", said(connectMethod)},
		{"an empty message", "refused malformed", said(connectMethod, message(nil))},
		{"a length larger than the message", "status 13|refused malformed", report(0, len(one)+1, one)},
		{"a length smaller than the message", "status 13|refused malformed|status 8", report(0, len(one)-1, one)},
		{"half a prefix", "status 13|refused malformed", said(connectMethod, message(greeting), []byte{0, 0, 0})},
		{"a length of 4 GB", "status 8|refused oversized", report(0, 1<<32-1, one)},
		{"a byte more than allowed", "status 8|refused oversized", report(0, wire.MaxMessage+1, one)},
		{"100 MB", "status 8|refused oversized", report(0, 100<<20, one)},
		{"all that is allowed, of nothing", "status 13|refused malformed", report(0, wire.MaxMessage, make([]byte, wire.MaxMessage))},
		{"said to be compressed, and is not", "status 13|status 12", report(1, len(one), one)},
		{"a flag that is none", "status 13|status 12", report(7, len(one), one)},
		{"compressed in a way nobody knows", "status 12|status 13", encoded("brotli", 1)},
		{"compressed in a way that is not spoken here", "status 12|status 13", encoded("gzip", 1)},
		{"could be compressed, and is not", "ok|status 12", encoded("gzip", 0)},
		{"renewing with nothing", "status 13", said(renewMethod)},
		{"renewing twice in one call", "status 13", said(renewMethod, message(nil), message(nil))},
		{"renewing with 100 MB", "status 8", said(renewMethod, prefixed(0, 100<<20, one))},
		{"renewing with an empty message", "status 3|status 7", said(renewMethod, message(nil))},
	})
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"enrolling with nothing":          {nil, "status 13"},
		"enrolling with an empty message": {message(nil), "status 7"},
		"enrolling with 100 MB":           {prefixed(0, 100<<20, one), "status 8"},
		"enrolling with 33 KB":            {message(make([]byte, 33<<10)), "status 8"},
		"enrolling with a report":         {message(one), "status 7"},
	} {
		p := w.stranger(w.schools[0].ID)
		if got := p.say(enrollMethod, c.data).verdict(); got != c.want {
			t.Errorf("%s ended with %q, want %q", name, got, c.want)
		}
		p.close()
		w.unharmed(t)
	}
	w.settled(t)
}

// line is a connection for many calls, one after the other. One that ends is
// opened anew.
type line struct {
	open func() *peer
	p    *peer
}

func (l *line) say(method string, data ...[]byte) outcome {
	used := l.p != nil
	if !used {
		l.p = l.open()
	}
	o := l.p.say(method, data...)
	if !o.closed && o.goAway < 0 {
		return o
	}
	l.close()
	if used {
		// A message that cannot be read ends a stream a little before its
		// handler is done, and a device's newer stream closes the older's
		// connection, which here is its own.
		return l.say(method, data...)
	}
	return o
}

func (l *line) close() {
	if l.p != nil {
		l.p.close()
		l.p = nil
	}
}

// TestBrokenMessages sends every message that an agent can send, in every way
// that it can be broken. What cannot be read ends the call; what can be read
// and is still the same is taken as if it were whole; and what is another
// message now is refused with a code that is documented.
func TestBrokenMessages(t *testing.T) {
	w := newWorld(t)
	a := w.enrol(w.schools[0])
	// A device whose boots take turns is two, and neither is heard: here it names none.
	unbooted := func(h *pb.Hello) { h.Boot = "" }
	greeting := message(encode(t, hello(unbooted)))
	stream := func(m *pb.AgentMessage, taken func(*testing.T, outcome) bool) func(*testing.T, *line, broken) {
		return func(t *testing.T, l *line, b broken) {
			said := [][]byte{message(b.data)}
			if m.GetHello() == nil {
				said = append([][]byte{greeting}, said...)
			}
			size, o := a.recorded(proof.KindReport), l.say(connectMethod, said...)
			judge(t, b, m, o, o.verdict() == "ok" && taken(t, o))
			if grew := a.recorded(proof.KindReport) - size; grew > 0 && !same(b.data, m) {
				t.Errorf("%s: it was recorded", b.name)
			}
		}
	}
	acknowledged := func(t *testing.T, o outcome) bool {
		return slices.ContainsFunc(o.heard(t), func(m *pb.CollectorMessage) bool { return m.GetAcknowledge().GetSequence() == a.sequence })
	}
	welcomed := func(t *testing.T, o outcome) bool { return o.heard(t)[0].GetWelcome() != nil }
	anyway := func(*testing.T, outcome) bool { return true }

	report := a.report()
	must(t, first(a.connect().once(connectMethod, greeting, message(encode(t, report)))))
	contact := a.contact()
	progress := &pb.AgentMessage{Message: &pb.AgentMessage_Progress{Progress: &pb.Progress{Request: "request-1", Percent: 50}}}
	full := hello(unbooted, func(h *pb.Hello) { h.Policy, h.Assignment, h.Acknowledged, h.Spooled, h.Dropped = 1, 2, 1, 3, 4 })
	request := enrollRequest(t, w.token, a.key)
	renewal := &pb.RenewRequest{CertificateRequest: request.GetCertificateRequest()}
	unary := func(method string, m proto.Message) func(*testing.T, *line, broken) {
		return func(t *testing.T, l *line, b broken) {
			o := l.say(method, message(b.data))
			judge(t, b, m, o, o.verdict() == "ok")
		}
	}
	certified, strange := a.connect, func() *peer { return w.stranger(w.schools[0].ID) }
	for _, c := range []struct {
		name string
		m    proto.Message
		open func() *peer
		say  func(*testing.T, *line, broken)
	}{
		{"hello", full, certified, stream(full, welcomed)},
		{"report", report, certified, stream(report, acknowledged)},
		{"contact", contact, certified, stream(contact, anyway)}, // is acknowledged a second later
		{"progress", progress, certified, stream(progress, anyway)},
		{"enrolment", request, strange, unary(enrollMethod, request)},
		{"renewal", renewal, certified, unary(renewMethod, renewal)},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &line{open: c.open}
			for i, b := range some(breaks(t, c.m), 7) {
				c.say(t, l, b)
				w.clock.Advance(100 * time.Millisecond)
				if i%25 == 0 {
					w.unharmed(t)
				}
			}
			l.close()
			w.unharmed(t)
		})
	}
	if got := a.recorded(proof.KindReport); got != 1 {
		t.Errorf("one report, sent again in many ways, is %d times in the ledger", got)
	}
	w.settled(t)
}

// judge checks how a broken message was answered.
func judge(t *testing.T, b broken, whole proto.Message, o outcome, taken bool) {
	t.Helper()
	got := o.verdict()
	read := whole.ProtoReflect().New().Interface()
	switch err := wire.Unmarshal(b.data, read); {
	case err != nil:
		// A message that cannot be read; or one that is larger than a stranger may send.
		if got != "status 13" && got != "refused malformed" && (got != "status 8" || len(b.data) < 20<<10) {
			t.Errorf("%s: it cannot be read (%v), and ended with %s", b.name, err, o)
		}
	case proto.Equal(read, whole):
		if !taken && got != "status 8" {
			t.Errorf("%s: it says the same, and ended with %s", b.name, o)
		}
	case taken:
	case got == "ok": // said nothing that this collector knows
	case !documented(got):
		t.Errorf("%s: it ended with %s", b.name, o)
	}
}

// same reports whether bytes are read as a message.
func same(data []byte, as proto.Message) bool {
	read := as.ProtoReflect().New().Interface()
	return wire.Unmarshal(data, read) == nil && proto.Equal(read, as)
}

// documented reports whether a call ended as the wire's documentation lists:
// InvalidArgument, PermissionDenied and ResourceExhausted are for single calls.
func documented(verdict string) bool {
	if code, ok := strings.CutPrefix(verdict, "refused "); ok {
		return slices.Contains(refusals, code)
	}
	return slices.Contains([]string{"status 3", "status 7", "status 8"}, verdict)
}

// once makes one call and closes the connection.
func (p *peer) once(method string, data ...[]byte) outcome {
	p.t.Helper()
	defer p.close()
	return p.say(method, data...)
}

// first returns what is wrong with a call that should have gone well.
func first(o outcome) error {
	if o.verdict() != "ok" {
		return fmt.Errorf("the call ended with %s", o)
	}
	return nil
}

// TestRefusalsAreDocumented holds the codes of refusals to the comment that
// lists them beside the message.
func TestRefusalsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../wire/proto/caretaker/v1/uplink.proto")
	must(t, err)
	line := regexp.MustCompile(`string code = 1; // (.*)`).FindStringSubmatch(string(text))
	if line == nil {
		t.Fatal("the codes of refusals are not listed")
	}
	var listed []string
	for _, quoted := range regexp.MustCompile(`"([a-z]+)"`).FindAllStringSubmatch(line[1], -1) {
		listed = append(listed, quoted[1])
	}
	if !slices.Equal(listed, refusals) {
		t.Errorf("the wire lists %q, and what is tested is %q", listed, refusals)
	}
	sources, err := filepath.Glob("../../../collector/intake/*.go")
	must(t, err)
	for _, path := range sources {
		source, err := os.ReadFile(path)
		must(t, err)
		for _, made := range regexp.MustCompile(`refuse\("([a-z]+)"`).FindAllStringSubmatch(string(source), -1) {
			if !slices.Contains(listed, made[1]) {
				t.Errorf("%s refuses with %q, which is not listed", path, made[1])
			}
		}
	}
}
