package peer

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

func hello(change ...func(*pb.Hello)) *pb.AgentMessage {
	h := &pb.Hello{WireVersion: wire.Version, AgentVersion: "test", Boot: "boot-1", ClockUnixMs: monday.UnixMilli(), Assignment: 1}
	for _, c := range change {
		c(h)
	}
	return &pb.AgentMessage{Message: &pb.AgentMessage_Hello{Hello: h}}
}

// report makes the next report of two sections. change may alter the statement
// before it is signed.
func (s *signer) report(change ...func(*proof.ReportStatement)) *pb.AgentMessage {
	s.t.Helper()
	s.sequence++
	s.carried = s.sections(wire.System, wire.Encryption)
	st := proof.ReportStatement{
		School: string(s.school), Device: string(s.id), Sequence: s.sequence, Previous: s.previous, MadeAt: uint64(monday.UnixMilli()), Boot: "boot-1",
	}
	for _, c := range s.carried {
		st.Sections = append(st.Sections, c.Ref(uint64(monday.UnixMilli()), s.sequence))
	}
	for _, c := range change {
		c(&st)
	}
	s.sequence = st.Sequence
	statement, err := st.Encode()
	must(s.t, err)
	s.previous, s.contacts = proof.HashReport(statement), 0
	r := &pb.Report{Statement: statement, Signature: s.sign(s.previous)}
	for _, c := range s.carried {
		r.Sections = append(r.Sections, &pb.Section{Name: c.Name, Salt: c.Salt[:], Body: c.Body})
	}
	return &pb.AgentMessage{Message: &pb.AgentMessage_Report{Report: r}}
}

// contact says that nothing has changed since the last report.
func (s *signer) contact(change ...func(*proof.ContactStatement)) *pb.AgentMessage {
	s.t.Helper()
	s.contacts++
	st := proof.ContactStatement{
		School: string(s.school), Device: string(s.id), Report: s.sequence, Hash: s.previous, Count: s.contacts, MadeAt: uint64(monday.UnixMilli()), Boot: "boot-1",
	}
	for _, c := range change {
		c(&st)
	}
	statement, err := st.Encode()
	must(s.t, err)
	return &pb.AgentMessage{Message: &pb.AgentMessage_Contact{Contact: &pb.Contact{Statement: statement, Signature: s.sign(proof.HashContact(statement))}}}
}

func (s *signer) sign(hash proof.Digest) []byte {
	s.t.Helper()
	signature, err := s.key.Sign(hash)
	must(s.t, err)
	return signature
}

func enrollRequest(t *testing.T, token identity.Token, key *identity.DeviceKey) *pb.EnrollRequest {
	t.Helper()
	request, err := key.Request()
	must(t, err)
	return &pb.EnrollRequest{
		TokenId: token.ID, TokenSecret: token.Secret[:], CertificateRequest: request, Platform: "linux", Hostname: "hb-lt-666", AgentVersion: "test",
	}
}

func decodeEnrolled(t *testing.T, o outcome) *pb.EnrollResponse {
	t.Helper()
	if o.verdict() != "ok" || len(o.messages) != 1 {
		t.Fatalf("enrolling ended with %s", o.verdict())
	}
	var answer pb.EnrollResponse
	must(t, wire.Unmarshal(o.messages[0], &answer))
	return &answer
}

func encode(t testing.TB, m proto.Message) []byte {
	t.Helper()
	data, err := wire.Marshal(m)
	must(t, err)
	return data
}
