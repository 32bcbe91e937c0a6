package enroll

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// Desk is where one school's devices enrol.
type Desk struct {
	School *School
	Roster *roster.Roster // nil if Shut
	Ledger appender       // nil if Shut
	Assets Assets         // nil: the school has no register
	// Shut says, in words for who enrols, why nothing can be recorded for the
	// school now.
	Shut string
}

// Service answers the Enrolment service for all schools. Which school is
// meant, the TLS connection says.
type Service struct {
	pb.UnimplementedEnrolmentServer
	clock  clock.Clock
	log    *slog.Logger
	intake string

	mu    sync.RWMutex // guards desks
	desks map[posture.SchoolID]*desk
}

// desk is a Desk at work.
type desk struct {
	Desk
	pace    pace
	pending *pendings
	// registering holds whoever is asked about who may be admitted by the register.
	registering chan struct{}

	mu        sync.Mutex           // guards all below
	admitting map[string]*entering // by the device's key
	waiting   map[posture.DeviceID]Waiting
	claims    claims
}

// NewService returns the service. intake names this collector in entries.
func NewService(desks []Desk, intake string, c clock.Clock, log *slog.Logger) *Service {
	s := &Service{clock: c, log: log, intake: intake, desks: map[posture.SchoolID]*desk{}}
	for _, d := range desks {
		s.Put(d)
	}
	return s
}

// Put has a school's devices enrol at a desk from now on, in place of the one
// that the school had.
func (s *Service) Put(d Desk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.desks[d.School.ID] = &desk{
		Desk: d, pace: newPace(), pending: openPendings(d.School.Dir, s.log), registering: make(chan struct{}, 1),
		admitting: map[string]*entering{}, waiting: map[posture.DeviceID]Waiting{},
	}
}

// desk returns a school's desk, or what its devices are told if there is none
// that is open.
func (s *Service) desk(school posture.SchoolID, none error) (*desk, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	d, ok := s.desks[school]
	if !ok {
		return nil, none
	}
	if d.Shut != "" {
		return nil, status.Error(codes.Unavailable, d.Shut)
	}
	return d, nil
}

// What people whose token is refused read.
var (
	errToken   = status.Error(codes.PermissionDenied, "this token is not valid here: ask the school's technician for a new one")
	errEnded   = status.Error(codes.PermissionDenied, "this token has ended: ask the school's technician for a new one")
	errUsed    = status.Error(codes.PermissionDenied, "this token was used as often as it may be: ask the school's technician for a new one")
	errRevoked = status.Error(codes.PermissionDenied, "this device was revoked by the school: ask its technician")
	errBusy    = status.Error(codes.ResourceExhausted, "too many devices are enrolling at this moment: try again in a minute")
	errRecord  = status.Error(codes.Unavailable, "the collector could not record the enrolment: try again later")
)

// Enroll implements the Enrolment service.
func (s *Service) Enroll(ctx context.Context, in *pb.EnrollRequest) (*pb.EnrollResponse, error) {
	school, err := schoolOf(ctx)
	if err != nil {
		return nil, status.Error(codes.Unauthenticated, "the connection does not say for which school it is")
	}
	d, err := s.desk(school, errToken)
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	if in.GetTokenId() == "" {
		return s.again(ctx, d, in, now)
	}
	token, ok := d.check(in)
	if !ok {
		return nil, errToken
	}
	if !d.pace.allow(token.ID, now) {
		return nil, errBusy
	}
	welcome(ctx)
	key, err := identity.CheckRequest(in.GetCertificateRequest())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	says, err := tells(in)
	if err != nil {
		return nil, err
	}
	out, err := s.enrol(ctx, d, token, key, says, now)
	if err != nil {
		if _, ok := status.FromError(err); ok {
			return nil, err
		}
		s.log.Error("enrolment failed", "school", school, "token", token.ID, "error", err)
		return nil, errRecord
	}
	return out, nil
}

// enrol admits a device by its token, or has it wait.
func (s *Service) enrol(ctx context.Context, d *desk, token roster.Token, key *ecdsa.PublicKey, says told, now time.Time) (*pb.EnrollResponse, error) {
	if out, err := s.ask(ctx, d, token, key, says, now); out != nil || err != nil {
		return out, err
	}
	device, err := s.admit(ctx, d, token, key, says, now)
	if err != nil {
		return nil, err
	}
	return d.answer(ctx, device, s.log)
}

func schoolOf(ctx context.Context) (posture.SchoolID, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return "", errors.New("the call has no peer")
	}
	caller, ok := p.AuthInfo.(interface{ Peer() identity.Peer })
	if !ok {
		return "", errors.New("the call did not come through the door that checks who calls")
	}
	return caller.Peer().School, nil
}

// welcome tells the door that the caller brought a good token and no longer
// gives way to newer strangers.
func welcome(ctx context.Context) {
	if p, ok := peer.FromContext(ctx); ok {
		if caller, ok := p.AuthInfo.(interface{ Welcome() }); ok {
			caller.Welcome()
		}
	}
}

// check finds the token and compares its secret. An unknown token costs the
// same as a wrong secret and is told the same.
func (d *desk) check(in *pb.EnrollRequest) (roster.Token, bool) {
	token, _, known := d.Roster.Token(in.GetTokenId())
	same := identity.SameHash(identity.HashSecret(in.GetTokenSecret()), token.Hash)
	return token, known && same && len(in.GetTokenSecret()) == identity.SecretSize
}

// record appends the enrolment and the device's first assignment. It ends only
// when it is recorded or not, even if the device has gone: its use of the token
// must be counted or not.
func (s *Service) record(ctx context.Context, d *desk, id posture.DeviceID, token roster.Token, key *ecdsa.PublicKey, says told, now time.Time) error {
	made, err := s.entries(d, id, token, key, says, now)
	if err != nil {
		return err
	}
	_, err = d.Ledger.Append(context.WithoutCancel(ctx), made...)
	return err
}

// entries are the enrolment of a device and its first assignment, and which asset it
// is if the register admitted it.
func (s *Service) entries(d *desk, id posture.DeviceID, token roster.Token, key *ecdsa.PublicKey, says told, now time.Time) ([]ledger.Entry, error) {
	certificate, err := d.School.Authority.Issue(id, key, now)
	if err != nil {
		return nil, err
	}
	maker := roster.Maker{School: d.School.ID, Intake: s.intake}
	enrolment, err := roster.Section(roster.SectionEnrolment, proof.Kept, roster.Enrolment{
		Device: id, Certificate: certificate, Token: token.ID, Ownership: token.Ownership,
		Platform: says.Platform, AgentVersion: says.Version, Code: says.Code, Claim: says.Claim, From: says.From, Asset: says.Asset,
	})
	if err != nil {
		return nil, err
	}
	system, err := systemSection(says)
	if err != nil {
		return nil, err
	}
	assignment, _, err := maker.Assignment(d.School.Key, roster.Assignment{
		Device: id, Assignment: policy.Assignment{Number: 1, Ownership: token.Ownership, Groups: token.Groups, PersonalUse: token.PersonalUse, MediaKey: 1},
	}, now)
	if err != nil {
		return nil, err
	}
	tied, err := s.tied(d, id, token, says, now)
	return append([]ledger.Entry{maker.Entry(proof.KindEnrolment, string(id), now, enrolment, system), assignment}, tied...), err
}

// systemSection holds what little a device says of itself when it enrols, in
// the form in which reports say it.
func systemSection(says told) (proof.Section, error) {
	about := posture.System{Hostname: says.Hostname, Platform: says.Platform}
	if says.Manufacturer != "" {
		about.Manufacturer = posture.Read(says.Manufacturer)
	}
	if says.Model != "" {
		about.Model = posture.Read(says.Model)
	}
	bodies, err := wire.EncodeFacts(posture.Facts{System: posture.Found("enrolment", about)}, nil)
	if err != nil {
		return proof.Section{}, err
	}
	for _, b := range bodies {
		if b.Name == wire.System {
			return roster.RawSection(b.Name, b.Class, b.Data)
		}
	}
	return proof.Section{}, errors.New("the section of the system is missing")
}

// answer tells an admitted device all that it needs.
func (d *desk) answer(ctx context.Context, device roster.Device, log *slog.Logger) (*pb.EnrollResponse, error) {
	out := &pb.EnrollResponse{
		School: string(d.School.ID), SchoolName: d.School.Name, Device: string(device.ID),
		Authority: d.School.Authority.Certificate.Raw, MediaKey: d.School.MediaKey,
	}
	fill := func() error {
		enrolment, err := d.Roster.Enrolment(ctx, device)
		if err != nil {
			return err
		}
		out.Certificate = enrolment.Certificate
		out.SchoolKey = d.Roster.Verifier().String()
		assignment, err := d.Roster.AssignmentDocument(ctx, device.ID)
		if err != nil {
			return err
		}
		out.Assignment = document(assignment)
		published, err := d.Roster.PolicyDocument(ctx)
		out.Policy = document(published)
		return err
	}
	if err := fill(); err != nil {
		log.Error("enrolment could not be answered", "school", d.School.ID, "device", device.ID, "error", err)
		return nil, errRecord
	}
	return out, nil
}

func document(signed []byte) *pb.SignedDocument {
	if signed == nil {
		return nil
	}
	return &pb.SignedDocument{Document: signed}
}
