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
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/caretaker-school/caretaker/agent/route"
	"github.com/caretaker-school/caretaker/agent/tpm"
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

// ErrRefused means that the school does not admit this laptop with this token:
// asking again with the same one is of no use.
var ErrRefused = errors.New("the school does not admit this laptop")

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
	// Others are authorities of the school that this one vouched for, or one of
	// them, DER: the school replaces its authority before it ends.
	Others    [][]byte `json:"others,omitempty"`
	SchoolKey string   `json:"schoolKey"` // as note verifiers write it
	MediaKey  []byte   `json:"mediaKey"`
	// Told is the hash of the key by which this machine asked who it is, if two
	// answered to its name and it was told that it is the device; else "".
	Told string `json:"told,omitempty"`
}

// Options says how to enrol. State, Hostname, Platform and Clock are required.
type Options struct {
	Token    string // "" asks again for a laptop that waits
	State    string // folder
	Hostname string
	Platform posture.Platform
	Hardware Hardware
	Built    time.Time // when this program was built, as far as known
	Clock    clock.Clock
	Routes   *route.Routes // to the collector; nil goes straight
	TPM      *tpm.TPM      // in which the key is made, if it can be; nil makes it in a file
	// InFile is told why the key is in a file, if there was a TPM to ask; nil is not.
	InFile func(reason error)
}

// Hardware is what a laptop says of its computer when it asks to be admitted.
// What is not known is empty.
type Hardware struct {
	Manufacturer, Model string
	Serial              string // normalised; it is hidden before it is said
}

// callWithin bounds one call to the collector.
const callWithin = 30 * time.Second

// Enroll exchanges a token for an identity and stores it. Called again after
// it was interrupted at any moment, it ends with the same device. A token that
// was kept for later is taken away once the school has answered. If somebody has
// to approve the laptop first, it returns a *WaitingError.
func Enroll(ctx context.Context, o Options) (*Device, error) {
	d, err := exchange(ctx, o)
	if err = o.settle(err); err != nil {
		return nil, err
	}
	return d, nil
}

func exchange(ctx context.Context, o Options) (*Device, error) {
	with, err := o.asks()
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
	key, err := makeKey(filepath.Join(o.State, keyFile), o.TPM, o.InFile)
	if err != nil {
		return nil, err
	}
	request, err := key.Request()
	if err != nil {
		return nil, err
	}
	answer, err := with.ask(ctx, o, request)
	if err != nil {
		if asked, ok := errors.AsType[*refusedError](err); ok && asked.code == codes.AlreadyExists {
			// Another laptop that waits has the code of this key: the next one has another.
			err = errors.Join(err, durable.Remove(filepath.Join(o.State, keyFile)))
		}
		if asked, ok := errors.AsType[*refusedError](err); ok && (asked.code == codes.PermissionDenied || asked.code == codes.InvalidArgument) {
			return nil, fmt.Errorf("enrol: %w: %w", ErrRefused, asked)
		}
		return nil, fmt.Errorf("enrol: %w", err)
	}
	if answer.GetWaiting() != nil {
		return nil, with.wait(o, key, answer)
	}
	d, err := accept(with.token, key, answer, o)
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
func (a asking) ask(ctx context.Context, o Options, request []byte) (*pb.EnrollResponse, error) {
	token := a.token
	config := identity.PinnedConfig(token.School, token.Fingerprint, identity.NewTrusted(o.Built))
	var unreached []error
	for _, address := range token.Addresses {
		var answer *pb.EnrollResponse
		err := caller{o.Routes, config, o.Clock}.call(ctx, address, func(ctx context.Context, conn *grpc.ClientConn) error {
			var err error
			answer, err = pb.NewEnrolmentClient(conn).Enroll(ctx, &pb.EnrollRequest{
				TokenId: token.ID, TokenSecret: a.secret(), CertificateRequest: request,
				Platform: string(o.Platform), Hostname: wire.Visible(o.Hostname, 256), AgentVersion: release.Version(),
				Claim: a.claim, Manufacturer: wire.Visible(o.Hardware.Manufacturer, 128), Model: wire.Visible(o.Hardware.Model, 128),
				Serial: a.hide(o.Hardware.Serial),
			})
			return err
		})
		if err == nil {
			return answer, nil
		}
		err = fmt.Errorf("%s: %w", address, err)
		if refuses(err) {
			return nil, err
		}
		unreached = append(unreached, err)
	}
	return nil, errors.Join(unreached...)
}

// refuses reports whether it is the school that said no, so that no other address
// need be asked. What could not be reached, or has no time, says nothing.
func refuses(err error) bool {
	asked, ok := errors.AsType[*refusedError](err)
	return ok && slices.Contains([]codes.Code{codes.PermissionDenied, codes.InvalidArgument, codes.FailedPrecondition}, asked.code)
}

// caller is what it takes to call a collector.
type caller struct {
	routes *route.Routes
	config *tls.Config
	clock  clock.Clock
}

// call opens a connection, makes one call on it and closes it.
func (c caller) call(ctx context.Context, address string, do func(context.Context, *grpc.ClientConn) error) (err error) {
	way, err := c.routes.Open(ctx, address, c.config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, way.Close()) }()
	conn, err := way.Client(address, c.config,
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(wire.Codec{}), grpc.MaxCallRecvMsgSize(wire.MaxMessage)), grpc.WithDisableServiceConfig())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	late, stop := c.clock.After(callWithin)
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
		return &refusedError{s.Code(), wire.Visible(s.Message(), 500)}
	}
	return err
}

// refusedError is what the collector, or gRPC in its place, answered.
type refusedError struct {
	code  codes.Code
	words string
}

func (e *refusedError) Error() string { return e.words }

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
	d.tpm = o.TPM
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
// built, as far as known. It asks no TPM: whether a key that is kept in one can be
// used is for Device.Usable to say.
func Load(state string, built time.Time) (*Device, error) {
	return LoadWith(state, built, tpm.System())
}

// LoadWith is Load with another TPM than this computer's.
func LoadWith(state string, built time.Time, of *tpm.TPM) (*Device, error) {
	file := filepath.Join(state, identityFile)
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNotEnrolled
	}
	if err != nil {
		return nil, fmt.Errorf("load the laptop's identity: %w", err)
	}
	key, err := loadKey(filepath.Join(state, keyFile), of)
	if err != nil {
		return nil, unreadable(state, err)
	}
	var id Identity
	if err := json.Unmarshal(data, &id); err != nil {
		return nil, unreadable(file, fmt.Errorf("load the laptop's identity from %s: %w", file, err))
	}
	d, err := newDevice(state, id, key, identity.NewTrusted(built, told(state)))
	if own, missing := loadKey(filepath.Join(state, partKeyFile), of); err != nil && missing == nil {
		// It is a device of its own since a moment ago, and takes its key next.
		d, err = newDevice(state, id, own, identity.NewTrusted(built, told(state)))
	}
	if err != nil {
		return nil, unreadable(file, fmt.Errorf("load the laptop's identity from %s: %w", file, err))
	}
	d.tpm = of
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
	if err := issued(id, certificate.Leaf); err != nil {
		return nil, err
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

// issued reports whether a certificate is by an authority of the school.
func issued(id Identity, c *x509.Certificate) (err error) {
	for _, der := range append([][]byte{id.Authority}, id.Others...) {
		authority, parsed := x509.ParseCertificate(der)
		if parsed != nil {
			return fmt.Errorf("read the school's authority: %w", parsed)
		}
		if err = c.CheckSignatureFrom(authority); err == nil {
			return nil
		}
	}
	return fmt.Errorf("the certificate is not by the school's authority: %w", err)
}

const mediaKeySize = 32
