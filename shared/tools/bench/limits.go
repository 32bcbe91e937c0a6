package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/caretaker-school/caretaker/collector/enroll"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// limitTakes is how long a limit that has no end of its own is measured.
const limitTakes = 3 * time.Second

// verifications returns how many signatures of a device can be checked in a
// second with every core that there is.
func verifications() (float64, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return 0, fmt.Errorf("make a key: %w", err)
	}
	hash := sha256.Sum256([]byte("a report"))
	signature, err := ecdsa.SignASN1(rand.Reader, key, hash[:])
	if err != nil {
		return 0, fmt.Errorf("sign: %w", err)
	}
	var done atomic.Int64
	var g errgroup.Group
	began := time.Now()
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			for time.Since(began) < limitTakes {
				if !ecdsa.VerifyASN1(&key.PublicKey, hash[:], signature) {
					return errors.New("check a signature: a good one is called bad")
				}
				done.Add(1)
			}
			return nil
		})
	}
	err = g.Wait()
	return float64(done.Load()) / time.Since(began).Seconds(), err
}

// appends returns how many records of a size can be appended to one plain file
// in a second by writers that each wait until theirs is synced, with one sync
// for all that wait.
func appends(dir string, writers, size int) (rate float64, err error) {
	f, err := os.Create(filepath.Join(dir, "plain"))
	if err != nil {
		return 0, fmt.Errorf("make a plain file: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	waiting := make(chan chan error, writers)
	var stopped atomic.Bool
	var done atomic.Int64
	var writing sync.WaitGroup
	began := time.Now()
	for range writers {
		writing.Go(func() {
			synced := make(chan error, 1)
			for !stopped.Load() {
				waiting <- synced
				if <-synced != nil {
					return
				}
				done.Add(1)
			}
		})
	}
	record := make([]byte, size)
	var batch []chan error
	for time.Since(began) < limitTakes && err == nil {
		batch, err = appendBatch(f, batch[:0], waiting, record)
	}
	rate = float64(done.Load()) / time.Since(began).Seconds()
	stopped.Store(true)
	ended := make(chan struct{})
	go func() { writing.Wait(); close(ended) }()
	for {
		select {
		case w := <-waiting:
			w <- errors.New("it is over")
		case <-ended:
			return rate, err
		}
	}
}

// appendBatch writes and syncs a record for each that waits.
func appendBatch(f *os.File, batch []chan error, waiting <-chan chan error, record []byte) ([]chan error, error) {
	batch = append(batch, <-waiting)
	for chances := 0; chances < 8; {
		select {
		case next := <-waiting:
			batch = append(batch, next)
		default:
			chances++
			runtime.Gosched()
		}
	}
	bytes := make([]byte, 0, len(batch)*len(record))
	for range batch {
		bytes = append(bytes, record...)
	}
	_, err := f.Write(bytes)
	if err == nil {
		err = durable.SyncData(f)
	}
	for _, w := range batch {
		w <- err
	}
	if err != nil {
		return batch, fmt.Errorf("append to a plain file: %w", err)
	}
	return batch, nil
}

// acknowledger answers every message of a stream and does nothing else.
type acknowledger struct{ pb.UnimplementedUplinkServer }

// Connect implements the Uplink service.
func (acknowledger) Connect(s pb.Uplink_ConnectServer) error {
	if _, err := s.Recv(); err != nil {
		return err
	}
	answer := &pb.CollectorMessage{Message: &pb.CollectorMessage_Welcome{Welcome: &pb.Welcome{WireVersion: wire.Version}}}
	for n := uint64(1); ; n++ {
		if err := s.Send(answer); err != nil {
			return err
		}
		if _, err := s.Recv(); err != nil {
			return nil //nolint:nilerr // the laptop has said all that it had to say
		}
		answer = &pb.CollectorMessage{Message: &pb.CollectorMessage_Acknowledge{Acknowledge: &pb.Acknowledge{Sequence: n}}}
	}
}

// streams returns how many messages of a size the school's laptops can get
// acknowledged in a second over streams with mutual TLS, if nothing is done
// with them.
func (s *school) streams(ctx context.Context, n, messages, size int) (rate float64, err error) {
	schools, err := enroll.LoadSchools(s.data)
	if err != nil {
		return 0, err
	}
	find := func(id posture.SchoolID) (*identity.Authority, bool) {
		return schools[0].Authority, schools[0].ID == id
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(identity.ServerConfig(find, clock.System{}))), grpc.ForceServerCodecV2(wire.Codec{}),
		grpc.ReadBufferSize(0), grpc.WriteBufferSize(4<<10), grpc.InitialWindowSize(256<<10), grpc.InitialConnWindowSize(512<<10))
	pb.RegisterUplinkServer(server, acknowledger{})
	door, err := new(net.ListenConfig).Listen(ctx, "tcp", s.address)
	if err != nil {
		return 0, fmt.Errorf("listen for bare streams: %w", err)
	}
	var g errgroup.Group
	g.Go(func() error { return server.Serve(door) })
	a, err := s.run(ctx, n, "streams", "--messages", fmt.Sprint(messages), "--size", fmt.Sprint(size))
	server.Stop()
	if err := errors.Join(err, g.Wait()); err != nil {
		return 0, err
	}
	return float64(n*messages) / a.Seconds, nil
}
