package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// streamWindow is how many messages of a bare stream may be unanswered: as
// many as the agent's uplink allows.
const streamWindow = 32

// streams has n laptops send messages of a size that nobody looks at, as fast
// as they are acknowledged: what the streams alone can carry.
func (f *fleet) streams(ctx context.Context, n, messages, size int) (took time.Duration, err error) {
	agents, err := f.openAll(ctx, n)
	if err != nil {
		return 0, err
	}
	open := make([]pb.Uplink_ConnectClient, n)
	for i, a := range agents {
		conn, stream, err := a.bare(ctx)
		if err != nil {
			return 0, fmt.Errorf("laptop %s: %w", a.hostname, err)
		}
		defer conn.Close()
		open[i] = stream
	}
	began := f.clock.Now()
	var g errgroup.Group
	for _, s := range open {
		g.Go(func() error { return pump(s, messages, size) })
	}
	err = g.Wait()
	return f.clock.Now().Sub(began), err
}

// bare opens a stream with the laptop's certificate and waits for its welcome.
func (a *agent) bare(ctx context.Context) (*grpc.ClientConn, pb.Uplink_ConnectClient, error) {
	config, err := a.device.TLS()
	if err != nil {
		return nil, nil, err
	}
	conn, err := grpc.NewClient("passthrough:///"+a.device.Addresses[0], grpc.WithTransportCredentials(credentials.NewTLS(config)),
		// As the agent's uplink does.
		grpc.WithReadBufferSize(4<<10), grpc.WithWriteBufferSize(32<<10),
		grpc.WithStaticStreamWindowSize(64<<10), grpc.WithStaticConnWindowSize(64<<10),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(wire.Codec{})), grpc.WithDisableServiceConfig())
	if err != nil {
		return nil, nil, err
	}
	s, err := pb.NewUplinkClient(conn).Connect(ctx)
	if err == nil {
		err = s.Send(&pb.AgentMessage{Message: &pb.AgentMessage_Hello{Hello: &pb.Hello{WireVersion: wire.Version}}})
	}
	if err == nil {
		_, err = s.Recv()
	}
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return conn, s, nil
}

func pump(s pb.Uplink_ConnectClient, messages, size int) error {
	room := make(chan struct{}, streamWindow)
	var g errgroup.Group
	g.Go(func() error {
		m, err := wire.Marshal(&pb.AgentMessage{Message: &pb.AgentMessage_Report{Report: &pb.Report{Statement: make([]byte, size)}}})
		for range messages {
			room <- struct{}{}
			if err == nil {
				err = s.SendMsg(wire.Encoded(m))
			}
		}
		return err
	})
	for range messages {
		if _, err := s.Recv(); err != nil {
			return err // the sender ends with its stream
		}
		<-room
	}
	return errors.Join(g.Wait(), s.CloseSend())
}
