package peer

import (
	"bytes"
	"crypto/rand"
	"slices"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/shared/proof"
)

// attack is something that a peer does on a connection with a real
// certificate, and how that is to end: one of the verdicts in want. "closed"
// may be in the place of a goodbye that is not read in time.
type attack struct {
	name string
	want string                // verdicts, with | between
	do   func(p *peer) outcome // after TLS was opened
}

// attacks runs a table. After each the other laptop has noticed nothing.
func (w *world) attacks(t *testing.T, a *attacker, table []attack) {
	t.Helper()
	for _, c := range table {
		t.Run(c.name, func(t *testing.T) {
			p := a.connect()
			p.t = t
			defer p.close()
			got := c.do(p).verdict()
			if !slices.Contains(strings.Split(c.want, "|"), got) {
				t.Errorf("it ended with %q, want %q", got, c.want)
			}
			w.unharmed(t)
		})
	}
}

// then writes frames after the preface and waits for what comes of it on a
// stream.
func then(stream uint32, frames ...[]byte) func(*peer) outcome {
	return func(p *peer) outcome {
		p.begin()
		p.write(bytes.Join(frames, nil))
		return p.await(stream, newOutcome())
	}
}

// passed writes frames that are to be passed over: a stream after them is
// served.
func passed(frames ...[]byte) func(*peer) outcome {
	return func(p *peer) outcome {
		p.begin()
		p.write(bytes.Join(frames, nil))
		return p.say(connectMethod, message(encode(p.t, hello())))
	}
}

// headed opens a stream with headers made from the peer's own.
func headed(fields ...string) func(*peer) outcome {
	return func(p *peer) outcome {
		p.begin()
		p.write(frame(frameHeaders, flagEndHeaders|flagEndStream, 1, p.block(fields...)))
		return p.await(1, newOutcome())
	}
}

// flooded writes the same many times while it reads.
func flooded(times int, frames func(p *peer, i int) []byte) func(*peer) outcome {
	return func(p *peer) outcome {
		p.begin()
		var all []byte
		for i := range times {
			all = append(all, frames(p, i)...)
		}
		written := make(chan struct{})
		go func() { defer close(written); p.write(all) }()
		o := p.await(1, newOutcome())
		p.close()
		<-written
		return o
	}
}

const gone = "closed|goaway 1|goaway 0"

func TestBrokenHTTP2(t *testing.T) {
	w := newWorld(t)
	a := w.enrol(w.schools[0])
	connect := newPeer(t, nil).request(connectMethod) // as the first block of a connection
	opened := frame(frameHeaders, flagEndHeaders, 1, connect)
	random := make([]byte, 8<<10)
	_, _ = rand.Read(random)
	table := []attack{
		{"HTTP/1.1 inside", gone, func(p *peer) outcome {
			p.write([]byte("GET / HTTP/1.1\r\nHost: collector\r\n\r\n"))
			return p.await(1, newOutcome())
		}},
		{"garbage inside", gone, func(p *peer) outcome { p.write(random); return p.await(1, newOutcome()) }},
		{"no settings first", gone, func(p *peer) outcome {
			p.write(append([]byte(preface), frame(framePing, 0, 0, make([]byte, 8))...))
			return p.await(1, newOutcome())
		}},
		{"garbage after the preface", gone, then(1, random)},
		{"a frame of 16 MB", gone, then(1, opened, frameHead(1<<24-1, frameData, 0, 1))},
		{"a frame of one byte too many", gone, then(1, opened, frame(frameData, 0, 1, make([]byte, 16<<10+1)))},
		{"a frame that nobody knows", "ok", passed(frame(0x55, 0xff, 0, []byte("hello")))},

		{"settings of five bytes", gone, then(1, frame(frameSettings, 0, 0, make([]byte, 5)))},
		{"settings on a stream", gone, then(1, frame(frameSettings, 0, 1, nil))},
		{"an acknowledgement of settings with content", gone, then(1, frame(frameSettings, flagAck, 0, setting(4, 1)))},
		{"a window beyond all", gone + "|goaway 3", then(1, frame(frameSettings, 0, 0, setting(4, 1<<31)))},
		{"a frame size of one", "ok", passed(frame(frameSettings, 0, 0, setting(5, 1)))},
		{"a header table of 4 GB", "ok", passed(frame(frameSettings, 0, 0, setting(1, 1<<32-1)))},
		{"settings that nobody knows", "ok", passed(frame(frameSettings, 0, 0, setting(0x99, 7)))},
		{"a ping of seven bytes", gone, then(1, frame(framePing, 0, 0, make([]byte, 7)))},
		{"a ping on a stream", gone, then(1, frame(framePing, 0, 1, make([]byte, 8)))},
		{"an answer to no ping", "ok", passed(frame(framePing, flagAck, 0, make([]byte, 8)))},

		{"no more window on the connection", gone, then(1, frame(frameWindow, 0, 0, number(0)))},
		{"no more window on a stream", gone + "|reset 1", then(1, opened, frame(frameWindow, 0, 1, number(0)))},
		{"more window than there is", "ok", passed(frame(frameWindow, 0, 0, number(1<<31-1)), frame(frameWindow, 0, 0, number(1<<31-1)))},
		{"a window of three bytes", gone, then(1, frame(frameWindow, 0, 0, []byte{1, 2, 3}))},

		{"headers on the connection", gone, then(1, frame(frameHeaders, flagEndHeaders, 0, connect))},
		{"headers on an even stream", gone, then(2, frame(frameHeaders, flagEndHeaders, 2, connect))},
		{"headers on an older stream", gone, func(p *peer) outcome {
			p.begin()
			p.write(frame(frameHeaders, flagEndHeaders|flagEndStream, 5, p.request(renewMethod)))
			p.write(frame(frameHeaders, flagEndHeaders, 3, p.request(renewMethod)))
			return p.await(3, newOutcome())
		}},
		{"headers again on the same stream", gone + "|reset 1|reset 5", func(p *peer) outcome {
			p.begin()
			p.write(opened)
			p.write(frame(frameHeaders, flagEndHeaders, 1, p.request(connectMethod)))
			return p.await(1, newOutcome())
		}},
		{"more padding than headers", gone + "|reset 1", then(1, frame(frameHeaders, flagEndHeaders|flagPadded, 1, append([]byte{255}, connect...)))},
		{"headers that continue as data", gone, then(1, frame(frameHeaders, 0, 1, connect), frame(frameData, 0, 1, nil))},
		{"a continuation of nothing", gone, then(1, frame(frameContinuation, flagEndHeaders, 1, connect))},
		{"a continuation of another stream", gone, then(1, frame(frameHeaders, 0, 1, connect), frame(frameContinuation, flagEndHeaders, 3, nil))},

		{"data on the connection", gone, then(1, frame(frameData, 0, 0, []byte("x")))},
		{"data on no stream", "ok", passed(frame(frameData, 0, 7, []byte("x")))},
		{"data with more padding than there is", gone, then(1, opened, frame(frameData, flagPadded, 1, []byte{9, 1}))},
		{"data after the end", "reset 5|status 13|status 9|refused malformed|" + gone, then(1, opened, frame(frameData, flagEndStream, 1, nil), frame(frameData, 0, 1, []byte("more")))},
		{"more data than the window", "reset 3|goaway 3|status 13|" + gone, func(p *peer) outcome {
			p.begin()
			p.write(opened)
			p.write(prefixedFrames(1, 1<<20))
			return p.await(1, newOutcome())
		}},

		{"a reset of the connection", gone, then(1, frame(frameReset, 0, 0, number(8)))},
		{"a reset of no stream", "ok", passed(frame(frameReset, 0, 9, number(8)))},
		{"a reset of three bytes", gone, then(1, opened, frame(frameReset, 0, 1, []byte{1, 2, 3}))},
		{"a push", "ok", passed(frame(framePushPromise, flagEndHeaders, 9, append(number(2), connect...)))},
		{"a priority", "ok", passed(frame(framePriority, 0, 3, make([]byte, 5)))},
		{"a priority of four bytes", gone, then(1, frame(framePriority, 0, 3, make([]byte, 4)))},
		{"a goodbye", "ok", passed(frame(frameGoAway, 0, 0, make([]byte, 8)))},
	}
	w.attacks(t, a, table)
	for at := range preface {
		p := a.connect()
		p.write([]byte(preface[:at]))
		p.close()
	}
	w.unharmed(t)
	w.settled(t)
}

// prefixedFrames is a message of so many bytes in frames as large as they may
// be, whatever the window.
func prefixedFrames(stream uint32, size int) []byte {
	var all []byte
	for rest := prefixed(0, size, make([]byte, size)); len(rest) > 0; {
		n := min(16<<10, len(rest))
		all, rest = append(all, frame(frameData, 0, stream, rest[:n])...), rest[n:]
	}
	return all
}

// TestBrokenHeaders breaks what a call begins with.
func TestBrokenHeaders(t *testing.T) {
	w := newWorld(t)
	a := w.enrol(w.schools[0])
	connect := newPeer(t, nil).request(connectMethod)
	usual := []string{":method", "POST", ":scheme", "https", ":path", connectMethod, ":authority", "collector", "content-type", "application/grpc", "te", "trailers"}
	but := func(name, value string) []string {
		fields := slices.Clone(usual)
		fields[slices.Index(fields, name)+1] = value
		return fields
	}
	block := func(bytes ...byte) func(*peer) outcome {
		return then(1, frame(frameHeaders, flagEndHeaders|flagEndStream, 1, bytes))
	}
	hpackBroken := gone + "|goaway 9"
	// A header of 4,000 bytes is put into the table and then named 16,000 times
	// by its number: 64 MB of headers in 20 KB.
	bomb := append(newPeer(t, nil).block("x-bomb", strings.Repeat("x", 4000)), bytes.Repeat([]byte{0x80 | 62}, 16_000)...)
	w.attacks(t, a, []attack{
		{"no such index", hpackBroken, block(0xff, 0x80, 0x80, 0x01)},
		{"index zero", hpackBroken, block(0x80)},
		{"a number without end", hpackBroken, block(bytes.Repeat([]byte{0xff}, 100)...)},
		{"a text longer than the block", hpackBroken, block(0x00, 0x7f, 0xff, 0x01, 'x')},
		{"a text of 4 GB", hpackBroken, block(0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0x0f, 'x')},
		{"Huffman garbage", hpackBroken, block(0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x01, 'x')},
		{"a table larger than allowed", hpackBroken, block(append([]byte{0x3f, 0xff, 0xff, 0x7f}, connect...)...)},
		{"an empty block", gone + "|reset 1|http 400|status 13|status 3", block()},
		{"a bomb of headers", gone + "|reset 1|reset 8|http 431|status 13|status 8", func(p *peer) outcome {
			p.begin()
			p.write(frame(frameHeaders, 0, 1, bomb[:16<<10]))
			p.write(frame(frameContinuation, flagEndHeaders, 1, bomb[16<<10:]))
			return p.await(1, newOutcome())
		}},
		{"16 KB of one header", gone + "|reset 1|reset 8|http 431|status 13|status 8", headed(append(usual, "x", strings.Repeat("y", 12<<10))...)},
		{"a thousand headers", gone + "|reset 1|reset 6|reset 8|http 431|status 13|status 8", headed(append(slices.Clone(usual), strings.Split(strings.TrimSuffix(strings.Repeat("a,b,", 1000), ","), ",")...)...)},

		{"GET", "http 405|status 13|reset 1", headed(but(":method", "GET")...)},
		{"no method", "http 400|status 13|reset 1|http 405|status 12|" + gone, headed(usual[2:]...)},
		{"no path", "status 12|status 13|http 400|reset 1", headed(slices.Delete(slices.Clone(usual), 4, 6)...)},
		{"two paths", gone + "|reset 1", headed(append([]string{":path", enrollMethod}, usual...)...)},
		{"a path after the headers", gone + "|reset 1", headed(append(usual, ":path", enrollMethod)...)},
		{"capital letters", gone + "|reset 1", headed(append(usual, "X-Name", "x")...)},
		{"a line feed in a header", gone + "|reset 1|refused malformed|status 9", headed(append(usual, "x-name", "a\r\nb: c")...)},
		{"a header of HTTP/1.1", "status 13|http 400|reset 1", headed(append(usual, "connection", "close")...)},
		{"another content", "http 415|status 3", headed(but("content-type", "text/html")...)},
		{"no content type", "http 415|status 3", headed(slices.Delete(slices.Clone(usual), 8, 10)...)},
		{"no such service", "status 12", headed(but(":path", "/caretaker.v1.Console/Do")...)},
		{"no such method", "status 12", headed(but(":path", "/caretaker.v1.Uplink/Drop")...)},
		{"a path without a slash", "status 12", headed(but(":path", "hello")...)},
		{"enrolling with a certificate", "status 12", headed(but(":path", enrollMethod)...)},
		{"reflection", "status 12", headed(but(":path", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")...)},
		{"a time limit that is none", "status 13|http 400", headed(append(usual, "grpc-timeout", "soon")...)},
		{"a time limit of a nanosecond", "status 4|reset 8|refused malformed|closed", headed(append(usual, "grpc-timeout", "1n")...)},
		{"a time limit of eleven thousand years", "ok", func(p *peer) outcome {
			id := p.open(p.request(connectMethod, "grpc-timeout", "99999999H"))
			o := newOutcome()
			p.data(id, message(encode(p.t, hello())), true, &o)
			return p.await(id, o)
		}},
		{"bytes that are no base64", "status 13|http 400", headed(append(usual, "x-bin", "???")...)},
		{"a trace that is garbage", "ok", func(p *peer) outcome {
			id := p.open(p.request(connectMethod, "traceparent", "\xff\xfe", "grpc-trace-bin", "AAAA"))
			o := newOutcome()
			p.data(id, message(encode(p.t, hello())), true, &o)
			return p.await(id, o)
		}},
	})
	w.settled(t)
}

// TestFloods sends what is right by itself, without end.
func TestFloods(t *testing.T) {
	w := newWorld(t)
	a := w.enrol(w.schools[0])
	connect := newPeer(t, nil).request(connectMethod)
	many := 20_000
	if thorough() {
		many = 500_000
	}
	calm := gone + "|goaway 11"
	w.attacks(t, a, []attack{
		{"pings", calm, flooded(many, func(*peer, int) []byte { return frame(framePing, 0, 0, make([]byte, 8)) })},
		{"settings", "ok", func(p *peer) outcome {
			p.begin()
			go p.write(bytes.Repeat(frame(frameSettings, 0, 0, nil), many))
			return p.say(connectMethod, message(encode(p.t, hello())))
		}},
		{"continuations without end", gone + "|status 8|reset 1", func(p *peer) outcome {
			p.begin()
			p.write(frame(frameHeaders, 0, 1, connect))
			flooding := make(chan struct{})
			go func() { defer close(flooding); flood(p.conn, frame(frameContinuation, 0, 1, nil), many) }()
			o := p.await(1, newOutcome())
			p.close()
			<-flooding
			return o
		}},
		{"continuations full of headers", gone + "|status 8|reset 1", func(p *peer) outcome {
			p.begin()
			p.write(frame(frameHeaders, 0, 1, connect))
			full := frame(frameContinuation, 0, 1, p.block("x", strings.Repeat("y", 10<<10)))
			flooding := make(chan struct{})
			go func() { defer close(flooding); flood(p.conn, full, many) }()
			o := p.await(1, newOutcome())
			p.close()
			<-flooding
			return o
		}},
		{"streams that are reset at once", calm, flooded(many, func(p *peer, i int) []byte {
			id := uint32(2*i + 1)
			return append(frame(frameHeaders, flagEndHeaders, id, p.request(connectMethod)), frame(frameReset, 0, id, number(8))...)
		})},
		{"renewals that are reset at once", "ok|reset 7|" + calm, func(p *peer) outcome {
			p.begin()
			var all []byte
			for range min(many/4, 20_000) { // what is answered to these fits into what a network holds
				all = append(all, frame(frameHeaders, flagEndHeaders, p.next, p.request(renewMethod))...)
				all = append(all, frame(frameReset, 0, p.next, number(8))...)
				p.next += 2
			}
			p.write(all)
			return p.say(connectMethod, message(encode(p.t, hello())))
		}},
		{"five calls at once", "reset 7", func(p *peer) outcome {
			for range 4 {
				p.open(p.request(renewMethod))
			}
			return p.await(p.open(p.request(renewMethod)), newOutcome())
		}},
		{"two streams of one device", "closed", func(p *peer) outcome {
			first := p.open(p.request(connectMethod))
			p.write(frame(frameData, 0, first, message(encode(p.t, hello()))))
			o := newOutcome()
			p.until(first, &o, func(o *outcome) bool { return len(o.messages) > 0 })
			return p.await(p.open(p.request(connectMethod)), newOutcome())
		}},
		{"empty data", "ok", func(p *peer) outcome {
			id, o := p.open(p.request(connectMethod)), newOutcome()
			p.data(id, message(encode(p.t, hello())), false, &o)
			p.write(bytes.Repeat(frame(frameData, 0, id, nil), many))
			p.write(frame(frameData, flagEndStream, id, nil))
			return p.await(id, o)
		}},
		{"windows", "ok", func(p *peer) outcome {
			p.begin()
			p.write(bytes.Repeat(frame(frameWindow, 0, 0, number(1)), many))
			return p.say(connectMethod, message(encode(p.t, hello())))
		}},
		{"data a byte at a time", "ok", func(p *peer) outcome {
			id := p.open(p.request(connectMethod))
			var all []byte
			for _, b := range message(encode(p.t, hello())) {
				all = append(all, frame(frameData, 0, id, []byte{b})...)
			}
			p.write(append(all, frame(frameData, flagEndStream, id, nil)...))
			return p.await(id, newOutcome())
		}},
	})
	w.settled(t)
}

// TestWhoReadsNothing is about readers so slow that they never read: what they
// are told waits within bounds, and nobody else waits with them.
func TestWhoReadsNothing(t *testing.T) {
	w := newWorld(t)
	a := w.enrol(w.schools[0])

	// A window for answers that never opens: the collector hears reports and
	// can acknowledge none.
	p := a.connect()
	p.begin(setting(4, 0)...)
	id, o := p.open(p.request(connectMethod)), newOutcome()
	p.data(id, message(encode(t, hello())), false, &o)
	const reports = 50
	for range reports {
		p.data(id, message(encode(t, a.report())), false, &o)
	}
	until(t, "the reports are recorded", func() bool { return a.recorded(proof.KindReport) == reports })
	w.unharmed(t)
	if len(o.messages) > 0 || len(o.rest) > 0 {
		t.Errorf("the collector said something through a window of nothing: %v", o)
	}

	// The same device comes again and reads: it is told of what was recorded,
	// and the stream that does not read gives way.
	q := a.connect()
	again := q.say(connectMethod, message(encode(t, hello())))
	if got := again.heard(t); again.verdict() != "ok" || len(got) < 2 || got[0].GetWelcome().GetRecorded() != reports || got[1].GetAcknowledge().GetSequence() != reports {
		t.Errorf("it came again and ended with %v, having heard %v", again, got)
	}
	q.close()
	if got := p.await(id, o).verdict(); got != "closed" {
		t.Errorf("the stream that does not read ended with %s", got)
	}
	p.close()
	w.settled(t)

	// Nothing at all is read from the connection, and it asks for ever more
	// answers: what it can send ends somewhere, and so does what is kept for it.
	stuck := a.connect()
	stuck.begin()
	sent := make(chan int, 1)
	go func() {
		n := 0
		for range 1000 {
			if _, err := stuck.conn.Write(bytes.Repeat(frame(frameSettings, 0, 0, nil), 100_000)); err != nil {
				break
			}
			n++
		}
		sent <- n
	}()
	for range 20 {
		w.unharmed(t)
	}
	stuck.close()
	if n := <-sent; n == 1000 {
		t.Errorf("the collector took %d MB of questions, and answered them to nobody", n*900_000>>20)
	}
	w.settled(t)
}
