package uplink

import (
	"context"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
	"google.golang.org/protobuf/proto"

	"github.com/caretaker-school/caretaker/shared/wire"
)

// FuzzWords lets a collector end a stream in any words: what a technician
// reads is short, and every character of it can be seen.
func FuzzWords(f *testing.F) {
	f.Add(uint32(codes.Unavailable), "transport: Error while dialing: connect: refused", "", "")
	f.Add(uint32(codes.Unknown), "\x1b[2J\u202e", "revoked\n", "this device\x00")
	f.Fuzz(func(t *testing.T, code uint32, words, refusal, reason string) {
		for _, err := range []error{status.Error(codes.Code(code), words), &RefusedError{Code: refusal, Reason: reason}} {
			if err == nil {
				continue
			}
			got := inWords(context.Background(), err).Error()
			if len(got) > 400 || !utf8.ValidString(got) || wire.Visible(got, 400) != got || strings.ContainsAny(got, "\x1b\n\u202e") {
				t.Errorf("it says %q", got)
			}
		}
	})
}

// FuzzSpooled sends what may have become of a file of the spool: a message that
// is read is written to bytes that say the same.
func FuzzSpooled(f *testing.F) {
	report, err := EncodeReport([]byte("statement"), []byte("signature"), nil)
	if err != nil {
		f.Fatal(err)
	}
	contact, err := EncodeContact([]byte("statement"), []byte("signature"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(report)
	f.Add(contact)
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		var first, second pb.AgentMessage
		if wire.Unmarshal(data, &first) != nil {
			return
		}
		again, err := wire.Marshal(&first)
		if err == nil {
			err = wire.Unmarshal(again, &second)
		}
		if err != nil || !proto.Equal(&first, &second) {
			t.Errorf("%v became %v: %v", &first, &second, err)
		}
	})
}
