package uplink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/caretaker-school/caretaker/shared/publisher"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// ErrBusy means that the collector gives to others at the moment.
var ErrBusy = errors.New("the collector has no room for this now")

// ErrNotConnected means that no stream is open.
var ErrNotConnected = errors.New("the collector is not connected")

const (
	// partWithin bounds how long the collector may take to answer about a release.
	partWithin = 2 * time.Minute
	// maxRelease and maxPart bound what it may answer, in bytes.
	maxRelease = 1 << 20
	maxPart    = 260 << 10
)

// Release asks for the metadata of the release that is offered, with the roots
// after the one of the number; ok is false if nothing is offered. It goes over the
// stream's own connection, so that an update costs the collector no other.
func (u *Uplink) Release(ctx context.Context, root uint64) (m publisher.Metadata, ok bool, err error) {
	var answer *pb.ReleaseResponse
	if err := u.ask(ctx, func(ctx context.Context, c pb.UplinkClient) error {
		answer, err = c.Release(ctx, &pb.ReleaseRequest{Root: root}, grpc.MaxCallRecvMsgSize(maxRelease))
		return err
	}); err != nil || answer.GetVersion() == "" {
		return publisher.Metadata{}, false, err
	}
	return publisher.Metadata{
		Roots: answer.GetRoots(), Timestamp: answer.GetTimestamp(), Snapshot: answer.GetSnapshot(), Targets: answer.GetTargets(),
	}, true, nil
}

// Part asks for a part of a release's program for a system, from an offset on.
func (u *Uplink) Part(ctx context.Context, version, system string, offset uint64) ([]byte, error) {
	var answer *pb.ReleasePartResponse
	if err := u.ask(ctx, func(ctx context.Context, c pb.UplinkClient) (err error) {
		answer, err = c.ReleasePart(ctx, &pb.ReleasePartRequest{Version: version, System: system, Offset: offset}, grpc.MaxCallRecvMsgSize(maxPart))
		return err
	}); err != nil {
		return nil, err
	}
	return answer.GetData(), nil
}

// ask calls the collector beside the stream.
func (u *Uplink) ask(ctx context.Context, call func(context.Context, pb.UplinkClient) error) error {
	u.mu.Lock()
	conn := u.conn
	u.mu.Unlock()
	if conn == nil {
		return ErrNotConnected
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	late, stop := u.c.Clock.After(partWithin)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- call(ctx, pb.NewUplinkClient(conn)) }() // waited for below, whatever comes first
	var err error
	select {
	case err = <-ended:
	case <-late:
		cancel()
		return errors.Join(errors.New("it did not answer in time"), <-ended)
	}
	if s, ok := status.FromError(err); ok && err != nil {
		if s.Code() == codes.ResourceExhausted {
			return ErrBusy
		}
		return fmt.Errorf("the collector answered: %s", wire.Visible(s.Message(), 300))
	}
	return err
}

// reachedBy notes the connection of the stream that is open; nil when it has ended.
func (u *Uplink) reachedBy(conn *grpc.ClientConn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.conn = conn
}

// note is what the hello says of an update that did not end well.
func (h Hello) note() *pb.UpdateNote {
	if h.Why == "" {
		return nil
	}
	return &pb.UpdateNote{Version: h.Untaken, Reason: h.Why}
}
