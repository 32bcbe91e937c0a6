// Package enroll is a laptop's first contact with its school: it makes the
// key that never leaves the laptop, exchanges a token for a certificate, keeps
// what the school signed, and renews the certificate by itself.
//
// It takes nothing that is not signed by the school that the token names, and
// it never reports anything.
package enroll

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/release"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// ErrNotEnrolled means that the state folder belongs to no school yet.
var ErrNotEnrolled = errors.New("this laptop is not enrolled: ask the school's technician for a token, then run caretaker-agent enroll --token")

// ErrEnrolled means that the state folder belongs to a school already.
var ErrEnrolled = errors.New("this laptop is enrolled already")

// The files in the state folder. The identity is written last: without it the
// laptop is not enrolled, and enrolling again uses the same key.
const (
	keyFile      = "device.key.pem"
	identityFile = "identity.json"
	toldFile     = "told.json"
)

// Identity is who a laptop is to its school.
type Identity struct {
	School      posture.SchoolID `json:"school"`
	SchoolName  string           `json:"schoolName"`
	Device      posture.DeviceID `json:"device"`
	Addresses   []string         `json:"addresses"`   // of the collector
	Certificate []byte           `json:"certificate"` // DER
	Authority   []byte           `json:"authority"`   // DER
	SchoolKey   string           `json:"schoolKey"`   // as note verifiers write it
	MediaKey    []byte           `json:"mediaKey"`
}

// Options says how to enrol. Token, State, Hostname, Platform and Clock are
// required.
type Options struct {
	Token    string
	State    string // folder
	Hostname string
	Platform posture.Platform
	Built    time.Time // when this program was built, as far as known
	Clock    clock.Clock
}

// callWithin bounds one call to the collector.
const callWithin = 30 * time.Second

// Enroll exchanges a token for an identity and stores it. Called again after
// it was interrupted at any moment, it ends with the same device.
func Enroll(ctx context.Context, o Options) (*Device, error) {
	token, err := identity.ParseToken(o.Token)
	if err != nil {
		return nil, err
	}
	switch known, err := Load(o.State, o.Built); {
	case err == nil:
		return nil, fmt.Errorf("%w with %s", ErrEnrolled, known.SchoolName)
	case !errors.Is(err, ErrNotEnrolled):
		return nil, err
	}
	if err := durable.MakePrivate(o.State); err != nil {
		return nil, fmt.Errorf("make the state folder: %w", err)
	}
	key, err := identity.MakeDeviceKey(filepath.Join(o.State, keyFile))
	if err != nil {
		return nil, err
	}
	request, err := key.Request()
	if err != nil {
		return nil, err
	}
	answer, err := ask(ctx, token, o, request)
	if err != nil {
		return nil, fmt.Errorf("enrol: %w", err)
	}
	d, err := accept(token, key, answer, o)
	if err != nil {
		return nil, fmt.Errorf("enrol: what the collector answered cannot be used: %w", err)
	}
	if err := d.keep(answer); err != nil {
		return nil, fmt.Errorf("enrol: %w", err)
	}
	return d, nil
}

// ask calls the collector's addresses in turn until one answers. A refusal is
// an answer.
func ask(ctx context.Context, token identity.Token, o Options, request []byte) (*pb.EnrollResponse, error) {
	config := identity.PinnedConfig(token.School, token.Fingerprint, identity.NewTrusted(o.Built))
	var unreached []error
	for _, address := range token.Addresses {
		var answer *pb.EnrollResponse
		err := call(ctx, address, config, o.Clock, func(ctx context.Context, conn *grpc.ClientConn) error {
			var err error
			answer, err = pb.NewEnrolmentClient(conn).Enroll(ctx, &pb.EnrollRequest{
				TokenId: token.ID, TokenSecret: token.Secret[:], CertificateRequest: request,
				Platform: string(o.Platform), Hostname: wire.Visible(o.Hostname, 256), AgentVersion: release.Version(),
			})
			return err
		})
		if err == nil {
			return answer, nil
		}
		unreached = append(unreached, fmt.Errorf("%s: %w", address, err))
	}
	return nil, errors.Join(unreached...)
}

// call opens a connection, makes one call on it and closes it.
func call(ctx context.Context, address string, config *tls.Config, c clock.Clock, do func(context.Context, *grpc.ClientConn) error) (err error) {
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(wire.Codec{}), grpc.MaxCallRecvMsgSize(wire.MaxMessage)), grpc.WithDisableServiceConfig())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	late, stop := c.After(callWithin)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- do(ctx, conn) }()
	select {
	case err = <-ended:
	case <-late:
		cancel()
		return errors.Join(errors.New("it did not answer in time"), <-ended)
	}
	if s, ok := status.FromError(err); ok && err != nil {
		return errors.New(wire.Visible(s.Message(), 500))
	}
	return err
}

// accept checks the collector's answer against the token: the same school, its
// authority, a certificate for our key.
func accept(token identity.Token, key *identity.DeviceKey, a *pb.EnrollResponse, o Options) (*Device, error) {
	if hash := proof.Digest(sha256.Sum256(a.GetAuthority())); hash != token.Fingerprint {
		return nil, errors.New("its authority is not the one that the token names")
	}
	d, err := newDevice(o.State, Identity{
		School: posture.SchoolID(a.GetSchool()), SchoolName: wire.Visible(a.GetSchoolName(), 256), Device: posture.DeviceID(a.GetDevice()),
		Addresses: token.Addresses, Certificate: a.GetCertificate(), Authority: a.GetAuthority(), SchoolKey: a.GetSchoolKey(),
		MediaKey: a.GetMediaKey(),
	}, key, identity.NewTrusted(o.Built))
	if err != nil {
		return nil, err
	}
	if d.Verifier.School != token.School {
		return nil, fmt.Errorf("it is of school %s, and the token is of %s", d.Verifier.School, token.School)
	}
	return d, nil
}

// keep stores what was answered, the identity last.
func (d *Device) keep(a *pb.EnrollResponse) error {
	for kind, signed := range map[string]*pb.SignedDocument{Policy: a.GetPolicy(), Assignment: a.GetAssignment()} {
		if signed == nil {
			continue
		}
		if _, err := d.Take(kind, signed.GetDocument()); err != nil && !errors.Is(err, ErrNotNewer) {
			return err
		}
	}
	return d.writeIdentity()
}

func (d *Device) writeIdentity() error {
	d.mu.Lock()
	data, err := json.MarshalIndent(d.Identity, "", "  ")
	d.mu.Unlock()
	if err != nil {
		return fmt.Errorf("store the laptop's identity: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(d.state, identityFile), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("store the laptop's identity: %w", err)
	}
	return nil
}

// Load reads the identity in a state folder. built is when this program was
// built, as far as known.
func Load(state string, built time.Time) (*Device, error) {
	file := filepath.Join(state, identityFile)
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNotEnrolled
	}
	if err != nil {
		return nil, fmt.Errorf("load the laptop's identity: %w", err)
	}
	key, err := identity.LoadDeviceKey(filepath.Join(state, keyFile))
	if err != nil {
		return nil, unreadable(state, err)
	}
	var id Identity
	if err := json.Unmarshal(data, &id); err != nil {
		return nil, unreadable(file, fmt.Errorf("load the laptop's identity from %s: %w", file, err))
	}
	d, err := newDevice(state, id, key, identity.NewTrusted(built, told(state)))
	if err != nil {
		return nil, unreadable(file, fmt.Errorf("load the laptop's identity from %s: %w", file, err))
	}
	return d, nil
}

// unreadable says what to do about a state that is there and damaged. With
// the same key, enrolling gives the same device; without it, what lies in the
// folder is of no use to the new one.
func unreadable(move string, err error) error {
	if errors.Is(err, os.ErrPermission) {
		return err
	}
	return fmt.Errorf("%w; restore the file from a copy, or move %s away and enrol again with a new token", err, move)
}

// newDevice checks that all parts of an identity belong together.
func newDevice(state string, id Identity, key *identity.DeviceKey, trusted *identity.Trusted) (*Device, error) {
	certificate, err := key.Certificate(id.Certificate)
	if err != nil {
		return nil, err
	}
	authority, err := x509.ParseCertificate(id.Authority)
	if err != nil {
		return nil, fmt.Errorf("read the school's authority: %w", err)
	}
	if err := certificate.Leaf.CheckSignatureFrom(authority); err != nil {
		return nil, fmt.Errorf("the certificate is not by the school's authority: %w", err)
	}
	school, device, err := identity.CertificateDevice(certificate.Leaf)
	if err != nil {
		return nil, err
	}
	verifier, err := identity.ParseSchoolVerifier(id.SchoolKey)
	if err != nil {
		return nil, err
	}
	switch {
	case school != id.School || device != id.Device:
		return nil, fmt.Errorf("the certificate names %s of %s, not %.70q of %.70q", device, school, string(id.Device), string(id.School))
	case verifier.School != id.School:
		return nil, fmt.Errorf("the school's key is of %s, not of %.70q", verifier.School, string(id.School))
	case len(id.MediaKey) != mediaKeySize:
		return nil, fmt.Errorf("the key for media has %d bytes, not %d", len(id.MediaKey), mediaKeySize)
	case len(id.Addresses) == 0:
		return nil, errors.New("no address of the collector is known")
	}
	return &Device{Identity: id, Verifier: verifier, Key: key, Trusted: trusted, state: state, certificate: certificate}, nil
}

const mediaKeySize = 32
