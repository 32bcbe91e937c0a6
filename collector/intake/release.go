package intake

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/publisher"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// Runs is what a device says of the agent on it.
type Runs struct {
	Version string
	System  string // for which it takes releases; "" if it takes none
	Untaken string // the version that it tried last and that does not run
	Why     string // why none is taken; "" if nothing is amiss
}

// Releases are the releases of the agent that are handed on. Why an answer is an
// error is told to the device in one sentence if it is ErrNotNow or ErrNoPart, and
// to the log else.
type Releases interface {
	// Heard is told what a device says of its agent.
	Heard(school posture.SchoolID, device posture.DeviceID, r Runs)
	// Offered returns which version is offered to a device now, "" for none, and
	// within what time it is to come for it.
	Offered(ctx context.Context, school posture.SchoolID, device posture.DeviceID) (version string, within time.Duration, err error)
	// Metadata returns what the publisher signed of a version, of its roots those
	// after a number.
	Metadata(version string, root uint64) (publisher.Metadata, error)
	// Part returns a part of its program for a system; ErrNoPart if there is none.
	Part(ctx context.Context, version, system string, offset uint64) ([]byte, error)
}

// ErrNotNow means that a release is not given at this moment, and that asking
// again later is right.
var ErrNotNow = errors.New("as much is under way as may be: ask again in a while")

// ErrNoPart means that the release has no such part: for that system, or so far in.
var ErrNoPart = errors.New("this release has no such part")

// runs passes on what a device says of its agent.
func (s *session) runs(h *pb.Hello) {
	if r := s.school.in.o.Releases; r != nil {
		r.Heard(s.school.ID, s.id, Runs{
			Version: wire.Visible(h.GetAgentVersion(), 64), System: wire.Visible(h.GetSystem(), 32),
			Untaken: wire.Visible(h.GetUpdate().GetVersion(), 64), Why: wire.Visible(h.GetUpdate().GetReason(), 300),
		})
	}
}

// offer returns what tells the device that a release is offered to it, if one is.
func (s *session) offer() []*pb.CollectorMessage {
	s.mu.Lock()
	takes := s.hello.GetSystem() != ""
	s.mu.Unlock()
	if s.school.in.o.Releases == nil || !takes {
		return nil
	}
	version, within, err := s.school.in.o.Releases.Offered(s.stream.Context(), s.school.ID, s.id)
	if err != nil {
		s.school.in.o.Log.Error("release not offered", "school", s.school.ID, "device", s.id, "error", err)
	}
	if version == "" || err != nil {
		return nil
	}
	return []*pb.CollectorMessage{{Message: &pb.CollectorMessage_ReleaseOffered{
		ReleaseOffered: &pb.ReleaseOffered{Version: version, WithinSeconds: uint32(within / time.Second)},
	}}}
}

// Tell has the connected devices of a school told what is offered to them now.
func (in *Intake) Tell(id posture.SchoolID) {
	if s, ok := in.find(id); ok {
		s.tell(wants{documents: true})
	}
}

// offered returns who asks about releases, and which is offered to them. A device
// that is lost or left as it is, or is two, is given none.
func (in *Intake) offered(ctx context.Context) (version string, err error) {
	v, err := caller(ctx)
	if err != nil {
		return "", err
	}
	sc, ok := in.find(v.who.School)
	if !ok || sc.Shut != "" || in.o.Releases == nil {
		return "", status.Error(codes.Unavailable, "this collector hands on no releases now")
	}
	standing, ok := sc.Roster.Standing(v.who.Device)
	if !ok || standing.Revoked || v.who.Expired(in.o.Clock.Now()) {
		return "", status.Error(codes.PermissionDenied, "this device is not known here")
	}
	if standing.Lost || standing.Doubted || sc.Still != nil && sc.Still(v.who.Device) {
		return "", nil
	}
	version, _, err = in.o.Releases.Offered(ctx, v.who.School, v.who.Device)
	return version, in.releaseError(err)
}

// releaseError is an error as a device is told it.
func (in *Intake) releaseError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrNotNow):
		return status.Error(codes.ResourceExhausted, ErrNotNow.Error())
	case errors.Is(err, ErrNoPart):
		return status.Error(codes.OutOfRange, ErrNoPart.Error())
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(err).Err()
	}
	in.o.Log.Error("release not handed on", "error", err)
	return status.Error(codes.Unavailable, "the collector could not read the release: try again later")
}

// Release implements the Uplink service.
func (in *Intake) Release(ctx context.Context, m *pb.ReleaseRequest) (*pb.ReleaseResponse, error) {
	version, err := in.offered(ctx)
	if err != nil || version == "" {
		return &pb.ReleaseResponse{}, err
	}
	given, err := in.o.Releases.Metadata(version, m.GetRoot())
	if err != nil {
		return nil, in.releaseError(err)
	}
	return &pb.ReleaseResponse{Version: version, Roots: given.Roots, Timestamp: given.Timestamp, Snapshot: given.Snapshot, Targets: given.Targets}, nil
}

// ReleasePart implements the Uplink service.
func (in *Intake) ReleasePart(ctx context.Context, m *pb.ReleasePartRequest) (*pb.ReleasePartResponse, error) {
	version, err := in.offered(ctx)
	if err != nil {
		return nil, err
	}
	if version == "" || version != m.GetVersion() {
		return nil, status.Error(codes.FailedPrecondition, "this release is not offered to this device now")
	}
	data, err := in.o.Releases.Part(ctx, version, m.GetSystem(), m.GetOffset())
	if err != nil {
		return nil, in.releaseError(err)
	}
	return &pb.ReleasePartResponse{Data: data}, nil
}
