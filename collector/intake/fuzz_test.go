package intake

import (
	"errors"
	"testing"

	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// FuzzReport lets a device of the school sign anything: what passes the checks
// must be an entry that the ledger can hold.
func FuzzReport(f *testing.F) {
	key, err := identity.MakeDeviceKey(f.TempDir() + "/device.pem")
	if err != nil {
		f.Fatal(err)
	}
	s := &session{
		school: &school{School: School{ID: "hollybank"}, in: &Intake{o: Options{Clock: clocktest.NewDriven(monday)}}, maker: roster.Maker{School: "hollybank"}},
		id:     "d1", device: roster.Device{ID: "d1", Key: key.Public()}, hello: &pb.Hello{},
	}
	section := proof.Section{Name: wire.System, Class: proof.Posture, Body: []byte("body")}
	for _, carried := range []uint64{1, 2} {
		statement, err := proof.ReportStatement{
			School: "hollybank", Device: "d1", Sequence: 2, Sections: []proof.SectionRef{section.Ref(0, carried)},
		}.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(statement, wire.System, section.Salt[:], section.Body)
	}
	f.Fuzz(func(t *testing.T, statement []byte, name string, salt, body []byte) {
		signature, err := key.Sign(proof.HashReport(statement))
		if err != nil {
			t.Fatal(err)
		}
		m := &pb.Report{Statement: statement, Signature: signature}
		if name != "" {
			m.Sections = []*pb.Section{{Name: name, Salt: salt, Body: body}}
		}
		var r *refusal
		read, _, err := s.verifyReport(m)
		if err != nil {
			if !errors.As(err, &r) {
				t.Errorf("got %v, want a refusal", err)
			}
			return
		}
		entry, err := s.entry(read, m)
		if err != nil {
			if !errors.As(err, &r) {
				t.Errorf("got %v, want a refusal", err)
			}
			return
		}
		if _, err := entry.Envelope.Encode(); err != nil {
			t.Errorf("it passed, and the ledger cannot hold it: %v", err)
		}
		if err := entry.Envelope.CheckStatement(); err != nil {
			t.Errorf("it passed, and disagrees with its envelope: %v", err)
		}
		s.gap(read)
	})
}
