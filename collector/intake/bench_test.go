package intake

import (
	"context"
	"crypto/rand"
	"log/slog"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// answers is a device's end of a stream that reads and says nothing.
type answers struct {
	grpc.ServerStream
	ctx  context.Context //nolint:containedctx // what Context returns
	sent int
}

func (a *answers) Context() context.Context        { return a.ctx }
func (a *answers) Send(*pb.CollectorMessage) error { a.sent++; return nil }
func (a *answers) Recv() (*pb.AgentMessage, error) { return nil, context.Canceled }

// BenchmarkReport is what the collector does with one report of usual size, all
// but what the connection costs: decoded, checked, recorded and acknowledged.
// "signature" is the part that no other program could save either.
func BenchmarkReport(b *testing.B) {
	key, err := identity.MakeDeviceKey(filepath.Join(b.TempDir(), "device.pem"))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("signature", func(b *testing.B) {
		hash := proof.HashReport([]byte("a statement"))
		signature, err := key.Sign(hash)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if err := proof.VerifyStatement(key.Public(), hash, signature); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		data := mem.BufferSlice{mem.SliceBuffer(usualReports(b, key, 1)[0])}
		b.ReportAllocs()
		for b.Loop() {
			if err := (wire.Codec{}).Unmarshal(data, new(pb.AgentMessage)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("whole", func(b *testing.B) {
		reports := usualReports(b, key, b.N)
		l, err := ledger.Open(b.TempDir(), ledger.Options{School: "hollybank"})
		if err != nil {
			b.Fatal(err)
		}
		in := New(Options{
			Name: "collector", Schools: []School{{ID: "hollybank", Ledger: l}}, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler),
		})
		a := &answers{ctx: b.Context()}
		s := &session{school: in.schools["hollybank"], id: "dev-014", stream: a, quota: newQuota(), hello: &pb.Hello{}}
		s.flights.landed = make(chan struct{}, 1)
		s.device = roster.Device{ID: "dev-014", Key: key.Public()}
		b.ReportAllocs()
		b.ResetTimer()
		for _, data := range reports {
			m := new(pb.AgentMessage)
			if err := (wire.Codec{}).Unmarshal(mem.BufferSlice{mem.SliceBuffer(data)}, m); err != nil {
				b.Fatal(err)
			}
			if err := s.handle(b.Context(), m); err != nil {
				b.Fatal(err)
			}
		}
		if err := s.grounded(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		b.ReportMetric(float64(a.sent)/float64(b.N), "answers/op")
		if size := l.Size(); size != uint64(b.N) {
			b.Errorf("%d reports are recorded of %d", size, b.N)
		}
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
	})
}

// usualReports makes a device's reports, encoded: nine sections, of which three
// have changed, as when a stick is put in.
func usualReports(b *testing.B, key *identity.DeviceKey, n int) [][]byte {
	b.Helper()
	names := []string{
		wire.Media, wire.MediaEvents, wire.Findings, wire.System, wire.Encryption, wire.Antivirus, wire.Programs, wire.Executables, wire.Security,
	}
	body := make([]byte, 850)
	_, _ = rand.Read(body) // it never fails
	refs := make([]proof.SectionRef, len(names))
	var previous proof.Digest
	out := make([][]byte, n)
	for i := range out {
		sequence := uint64(i + 1)
		m := &pb.Report{}
		for k, name := range names {
			class, _ := wire.Class(name)
			if k > 2 && i > 0 {
				continue
			}
			section := proof.Section{Name: name, Class: class, Salt: [proof.SaltSize]byte{byte(i)}, Body: body}
			refs[k] = section.Ref(uint64(monday.UnixMilli()), sequence)
			m.Sections = append(m.Sections, &pb.Section{Name: name, Salt: section.Salt[:], Body: body})
		}
		var err error
		if m.Statement, err = (proof.ReportStatement{
			School: "hollybank", Device: "dev-014", Sequence: sequence, Previous: previous, MadeAt: uint64(monday.UnixMilli()), Sections: refs,
		}).Encode(); err != nil {
			b.Fatal(err)
		}
		previous = proof.HashReport(m.Statement)
		if m.Signature, err = key.Sign(previous); err != nil {
			b.Fatal(err)
		}
		if out[i], err = wire.Marshal(&pb.AgentMessage{Message: &pb.AgentMessage_Report{Report: m}}); err != nil {
			b.Fatal(err)
		}
	}
	return out
}
