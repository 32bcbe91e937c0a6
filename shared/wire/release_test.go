package wire

import (
	"encoding/hex"
	"testing"

	"google.golang.org/protobuf/proto"

	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// TestReleaseMessages holds what is said about releases to the bytes that it had
// when it was first said.
func TestReleaseMessages(t *testing.T) {
	for _, one := range []struct {
		want string
		m    proto.Message
	}{
		{"4a0b0a0676312e322e3010d804", &pb.CollectorMessage{Message: &pb.CollectorMessage_ReleaseOffered{ReleaseOffered: &pb.ReleaseOffered{Version: "v1.2.0", WithinSeconds: 600}}}},
		{"0801120676312e312e30520b6c696e75782d616d6436345a1b0a0676312e322e301211697420646964206e6f74207265706f7274", &pb.Hello{WireVersion: 1, AgentVersion: "v1.1.0", System: "linux-amd64", Update: &pb.UpdateNote{Version: "v1.2.0", Reason: "it did not report"}}},
		{"0802", &pb.ReleaseRequest{Root: 2}},
		{"0a0676312e322e301202" + "7b7d" + "1a027b7d22027b7d2a027b7d", &pb.ReleaseResponse{Version: "v1.2.0", Roots: [][]byte{[]byte("{}")}, Timestamp: []byte("{}"), Snapshot: []byte("{}"), Targets: []byte("{}")}},
		{"0a0676312e322e30120b6c696e75782d616d643634188080" + "10", &pb.ReleasePartRequest{Version: "v1.2.0", System: "linux-amd64", Offset: 256 << 10}},
		{"0a03616263", &pb.ReleasePartResponse{Data: []byte("abc")}},
	} {
		data, err := Marshal(one.m)
		if err != nil || hex.EncodeToString(data) != one.want {
			t.Errorf("%T is encoded as\n%x, %v, and was\n%s", one.m, data, err, one.want)
		}
	}
}
