package uplink

import (
	"fmt"

	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// EncodeReport returns a report as the message that the spool holds: a signed
// statement and the sections that it carries, in its order.
func EncodeReport(statement, signature []byte, sections []proof.Section) ([]byte, error) {
	r := &pb.Report{Statement: statement, Signature: signature}
	for _, s := range sections {
		r.Sections = append(r.Sections, &pb.Section{Name: s.Name, Salt: s.Salt[:], Body: s.Body})
	}
	data, err := wire.Marshal(&pb.AgentMessage{Message: &pb.AgentMessage_Report{Report: r}})
	if err != nil {
		return nil, fmt.Errorf("encode a report: %w", err)
	}
	return data, nil
}

// EncodeContact returns a contact as the message that the spool holds.
func EncodeContact(statement, signature []byte) ([]byte, error) {
	data, err := wire.Marshal(&pb.AgentMessage{Message: &pb.AgentMessage_Contact{
		Contact: &pb.Contact{Statement: statement, Signature: signature},
	}})
	if err != nil {
		return nil, fmt.Errorf("encode a contact: %w", err)
	}
	return data, nil
}
