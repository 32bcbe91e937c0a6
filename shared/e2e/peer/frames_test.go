package peer

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"

	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

const (
	connectMethod = "/caretaker.v1.Uplink/Connect"
	renewMethod   = "/caretaker.v1.Uplink/Renew"
	enrollMethod  = "/caretaker.v1.Enrolment/Enroll"
)

// The frames of HTTP/2 and their flags.
const (
	frameData         = 0
	frameHeaders      = 1
	framePriority     = 2
	frameReset        = 3
	frameSettings     = 4
	framePushPromise  = 5
	framePing         = 6
	frameGoAway       = 7
	frameWindow       = 8
	frameContinuation = 9

	flagEndStream  = 1 // of data and headers
	flagAck        = 1 // of settings and pings
	flagEndHeaders = 4
	flagPadded     = 8
)

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// peer is one connection on which every byte of HTTP/2 is written by hand.
type peer struct {
	t    *testing.T
	conn net.Conn

	begun   bool   // the preface was sent
	next    uint32 // stream
	out     bytes.Buffer
	encoder *hpack.Encoder // into out
	decoder *hpack.Decoder
	fields  map[string]string // of the headers being decoded

	window  int            // what may be sent on the connection
	windows map[uint32]int // and on a stream, beside what a new one may have
	initial int            // what a new stream may have
}

func newPeer(t *testing.T, conn net.Conn) *peer {
	p := &peer{t: t, conn: conn, next: 1, window: 65535, initial: 65535, windows: map[uint32]int{}}
	p.encoder = hpack.NewEncoder(&p.out)
	p.decoder = hpack.NewDecoder(4096, func(f hpack.HeaderField) { p.fields[f.Name] = f.Value })
	return p
}

// dial opens TLS.
func dial(t *testing.T, address string, config *tls.Config) *peer {
	t.Helper()
	conn, err := tls.Dial("tcp", address, config)
	must(t, err)
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	return newPeer(t, conn)
}

func (p *peer) close() { p.conn.Close() }

// write sends bytes as they are. That the other end has gone is no fault.
func (p *peer) write(data []byte) { _, _ = p.conn.Write(data) }

// frame returns a frame, whatever its payload.
func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	return append(frameHead(len(payload), kind, flags, stream), payload...)
}

func frameHead(length int, kind, flags byte, stream uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{byte(length >> 16), byte(length >> 8), byte(length), kind, flags}, stream)
}

func setting(id uint16, value uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(nil, id), value)
}

func number(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// begin sends the preface, and lets the collector send as much as it likes.
func (p *peer) begin(settings ...byte) {
	if p.begun {
		return
	}
	p.begun = true
	if settings == nil {
		settings = setting(4, 1<<30)
	}
	p.write([]byte(preface))
	p.write(frame(frameSettings, 0, 0, settings))
	p.write(frame(frameWindow, 0, 0, number(1<<30)))
}

// block encodes headers.
func (p *peer) block(fields ...string) []byte {
	p.out.Reset()
	for i := 0; i+1 < len(fields); i += 2 {
		must(p.t, p.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}))
	}
	return bytes.Clone(p.out.Bytes())
}

// request encodes the headers of a call.
func (p *peer) request(method string, more ...string) []byte {
	return p.block(append([]string{
		":method", "POST", ":scheme", "https", ":path", method, ":authority", "collector", "content-type", "application/grpc", "te", "trailers",
	}, more...)...)
}

// open opens a stream with headers that were encoded.
func (p *peer) open(block []byte) uint32 {
	p.begin()
	id := p.next
	p.next += 2
	p.write(frame(frameHeaders, flagEndHeaders, id, block))
	return id
}

// message puts the prefix of gRPC before a message.
func message(data []byte) []byte { return prefixed(0, len(data), data) }

func prefixed(flag byte, length int, data []byte) []byte {
	return append(append([]byte{flag}, number(uint32(length))...), data...)
}

// data sends data on a stream, no more than the collector lets it.
func (p *peer) data(stream uint32, data []byte, end bool, o *outcome) {
	for {
		allowed := min(p.window, p.initial+p.windows[stream], 16<<10, len(data))
		if allowed > 0 || len(data) == 0 {
			flags := byte(0)
			if end && allowed == len(data) {
				flags = flagEndStream
			}
			p.write(frame(frameData, flags, stream, data[:allowed]))
			p.window -= allowed
			p.windows[stream] -= allowed
			if data = data[allowed:]; len(data) == 0 {
				return
			}
			continue
		}
		if p.read(stream, o); o.over {
			return
		}
	}
}

// outcome is how a call ended.
type outcome struct {
	messages [][]byte // whole ones
	fields   map[string]string
	reset    int // code, -1 if it was not
	goAway   int // code, -1 if there was none
	closed   bool
	over     bool
	rest     []byte // of data
}

func newOutcome() outcome { return outcome{reset: -1, goAway: -1, fields: map[string]string{}} }

// verdict says how a call ended, in a word.
func (o outcome) verdict() string {
	for _, data := range o.messages {
		var m pb.CollectorMessage
		if wire.Unmarshal(data, &m) == nil && m.GetRefusal() != nil {
			return "refused " + m.GetRefusal().GetCode()
		}
	}
	switch {
	case o.fields["grpc-status"] == "0":
		return "ok"
	case o.fields["grpc-status"] != "":
		return "status " + o.fields["grpc-status"]
	case o.reset >= 0:
		return "reset " + strconv.Itoa(o.reset)
	case o.goAway >= 0:
		return "goaway " + strconv.Itoa(o.goAway)
	case o.closed:
		return "closed"
	case o.fields[":status"] != "":
		return "http " + o.fields[":status"]
	}
	return "open"
}

// heard returns the messages on a stream.
func (o outcome) heard(t *testing.T) []*pb.CollectorMessage {
	t.Helper()
	var all []*pb.CollectorMessage
	for _, data := range o.messages {
		m := new(pb.CollectorMessage)
		must(t, wire.Unmarshal(data, m))
		all = append(all, m)
	}
	return all
}

// say opens a stream, sends what is given as its data, ends it and waits for
// its end.
func (p *peer) say(method string, data ...[]byte) outcome {
	p.t.Helper()
	o := newOutcome()
	id := p.open(p.request(method))
	p.data(id, bytes.Join(data, nil), true, &o)
	return p.await(id, o)
}

// unary makes one call.
func (p *peer) unary(method string, m proto.Message) outcome {
	p.t.Helper()
	defer p.close()
	return p.say(method, message(encode(p.t, m)))
}

// await reads until a stream or the connection has ended.
func (p *peer) await(stream uint32, o outcome) outcome {
	p.t.Helper()
	for !o.over {
		p.read(stream, &o)
	}
	return o
}

// until reads until something is so, or a stream has ended.
func (p *peer) until(stream uint32, o *outcome, so func(*outcome) bool) bool {
	p.t.Helper()
	for !o.over && !so(o) {
		p.read(stream, o)
	}
	return so(o)
}

// read takes one frame and notes what it says of a stream.
func (p *peer) read(stream uint32, o *outcome) {
	head := make([]byte, 9)
	if _, err := io.ReadFull(p.conn, head); err != nil {
		o.closed, o.over = true, true
		return
	}
	payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
	if _, err := io.ReadFull(p.conn, payload); err != nil {
		o.closed, o.over = true, true
		return
	}
	kind, flags, id := head[3], head[4], binary.BigEndian.Uint32(head[5:])
	switch kind {
	case frameSettings:
		p.settings(flags, payload)
	case framePing:
		if flags&flagAck == 0 {
			p.write(frame(framePing, flagAck, 0, payload))
		}
	case frameWindow:
		if n := int(binary.BigEndian.Uint32(payload)); id == 0 {
			p.window += n
		} else {
			p.windows[id] += n
		}
	case frameGoAway:
		// The connection is closed a second later.
		o.goAway, o.over = int(binary.BigEndian.Uint32(payload[4:])), true
	case frameReset:
		if id == stream {
			o.reset, o.over = int(binary.BigEndian.Uint32(payload)), true
		}
	case frameHeaders:
		p.fields = map[string]string{}
		if _, err := p.decoder.Write(payload); err != nil {
			p.t.Fatalf("the collector's headers cannot be read: %v", err)
		}
		if id == stream {
			for name, value := range p.fields {
				o.fields[name] = value
			}
		}
	case frameData:
		if id == stream {
			o.take(payload)
		}
	}
	if id == stream && (kind == frameHeaders || kind == frameData) && flags&flagEndStream != 0 {
		o.over = true
	}
}

func (p *peer) settings(flags byte, payload []byte) {
	if flags&flagAck != 0 {
		return
	}
	for ; len(payload) >= 6; payload = payload[6:] {
		if binary.BigEndian.Uint16(payload) == 4 {
			p.initial = int(binary.BigEndian.Uint32(payload[2:]))
		}
	}
	p.write(frame(frameSettings, flagAck, 0, nil))
}

// take puts messages together from data.
func (o *outcome) take(data []byte) {
	o.rest = append(o.rest, data...)
	for len(o.rest) >= 5 {
		n := int(binary.BigEndian.Uint32(o.rest[1:]))
		if len(o.rest) < 5+n {
			return
		}
		o.messages = append(o.messages, bytes.Clone(o.rest[5:5+n]))
		o.rest = o.rest[5+n:]
	}
}

func (o outcome) String() string {
	return fmt.Sprintf("%s (%d messages, %v)", o.verdict(), len(o.messages), o.fields)
}
