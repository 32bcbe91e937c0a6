package enroll

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// refusing is a collector that says no to everything.
type refusing struct {
	pb.UnimplementedEnrolmentServer
	pb.UnimplementedUplinkServer
}

func (refusing) Enroll(context.Context, *pb.EnrollRequest) (*pb.EnrollResponse, error) {
	return nil, status.Error(codes.PermissionDenied, "this token has ended")
}

func (refusing) Renew(context.Context, *pb.RenewRequest) (*pb.RenewResponse, error) {
	return nil, status.Error(codes.FailedPrecondition, "the school's technician must approve its renewal")
}

// TestARefusalIsAnAnswerAtWhicheverAddress: a laptop knows of several addresses, of
// which some cannot be reached. What the school says at another is told as what it
// is: that it does not admit the laptop, or that its renewal waits for approval.
func TestARefusalIsAnAnswerAtWhicheverAddress(t *testing.T) {
	authority, err := identity.NewAuthority(t.TempDir(), "hollybank", clock.System{}.Now())
	if err != nil {
		t.Fatal(err)
	}
	config := identity.ServerConfig(func(posture.SchoolID) (*identity.Authority, bool) { return authority, true }, clock.System{})
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(config)), grpc.ForceServerCodecV2(wire.Codec{}))
	pb.RegisterEnrolmentServer(server, refusing{})
	pb.RegisterUplinkServer(server, refusing{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() { server.Stop(); <-served }()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	addresses := []string{closed.Addr().String(), listener.Addr().String()}

	token, err := identity.NewToken(addresses, "hollybank", authority.Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	_, err = Enroll(t.Context(), Options{Token: token.String(), State: filepath.Join(state, "new"), Hostname: "hb-lt-014", Platform: posture.Linux, Clock: clock.System{}})
	if !errors.Is(err, ErrRefused) {
		t.Errorf("a token that has ended: %v", err)
	}

	key, err := identity.MakeDeviceKey(filepath.Join(state, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	request, err := key.Request()
	if err != nil {
		t.Fatal(err)
	}
	public, err := identity.CheckRequest(request)
	if err != nil {
		t.Fatal(err)
	}
	der, err := authority.Issue("d1", public, clock.System{}.Now())
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := key.Certificate(der)
	if err != nil {
		t.Fatal(err)
	}
	d := &Device{
		Identity: Identity{School: "hollybank", Device: "d1", Addresses: addresses, Certificate: der, Authority: authority.Certificate.Raw},
		Key:      key, Trusted: identity.NewTrusted(), state: state, certificate: certificate,
	}
	if err := d.Renew(t.Context(), clock.System{}); !errors.Is(err, ErrWaits) {
		t.Errorf("a renewal that waits: %v", err)
	}
}
