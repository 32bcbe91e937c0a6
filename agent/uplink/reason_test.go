package uplink

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/agent/route"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
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

// TestWhoClosesBeforeItIsOpen: a filter that hears the laptop out and closes the
// connection is told as one that cuts it, with what to ask for, and not as the
// collector.
func TestWhoClosesBeforeItIsOpen(t *testing.T) {
	filter, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer filter.Close()
	heard := make(chan error, 1)
	go func() {
		c, err := filter.Accept()
		if err == nil {
			var head [5]byte // of a record of TLS: its length last
			if _, err = io.ReadFull(c, head[:]); err == nil {
				_, err = io.ReadFull(c, make([]byte, binary.BigEndian.Uint16(head[3:])))
			}
			err = errors.Join(err, c.Close())
		}
		heard <- err
	}()
	u := New(Config{TLS: newSchool(t).config, Clock: clocktest.NewDriven(monday)})
	err = u.stream(t.Context(), filter.Addr().String())
	must(t, <-heard)
	blocked, ok := errors.AsType[*route.BlockedError](err)
	if !ok || blocked.Tried[0].Kind != route.Cut || !errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "was cut before it was open (the other end closed it)") {
		t.Errorf("it ended with %v", err)
	}
}
