package uplink

import (
	"errors"
	"testing"
	"time"

	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// TestTheReasonIsToldEachTime refuses many streams whose sender is at work: the
// refusal is what each ended with, whichever of the stream's two sides is done
// first.
func TestTheReasonIsToldEachTime(t *testing.T) {
	w := connect(t, func(s pb.Uplink_ConnectServer) error {
		return steps(
			func() error { return welcome(s, monday.UnixMilli()) },
			func() error { return receive(s, 1) },
			func() error {
				return s.Send(&pb.CollectorMessage{Message: &pb.CollectorMessage_Refusal{Refusal: &pb.Refusal{Code: "quota", Reason: "come later"}}})
			},
		)
	})
	w.put(1, 0)
	for range 200 {
		var refused *RefusedError
		if err := w.over(); !errors.As(err, &refused) {
			t.Fatalf("it ended with %v", err)
		}
		for waits := false; !waits; {
			select {
			case d := <-w.clock.asked:
				if waits = d != answerWithin; waits {
					w.clock.Advance(d)
				}
			case <-time.After(patience):
				t.Fatal("it does not pause")
			}
		}
	}
}
