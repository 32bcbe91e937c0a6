package enroll

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// What a machine is told that asks who it is.
var (
	errOneName = status.Error(codes.FailedPrecondition, "another machine answers to this laptop's name: the school's technician has to say which is which")
	errCopied  = status.Error(codes.FailedPrecondition, "this laptop's state comes from another computer: the school's technician has to approve it as a laptop of its own")
	errCrowd   = status.Error(codes.ResourceExhausted, "too many machines ask who they are at this moment: try again later")
)

// claims are what machines ask that answer to one name. They are kept in memory:
// whoever waits asks again.
type claims struct {
	of map[posture.DeviceID][]claim
	n  int
}

type claim struct {
	admission.Claimant
	machine roster.Machine
}

// Bounds of what is remembered of those that ask.
const (
	mostClaims      = 2_000
	mostClaimsOfOne = 32
)

// take notes what a machine asks and returns the others with the same name, and
// whether it could be noted.
func (c *claims) take(one claim) (others []claim, news, ok bool) {
	if c.of == nil {
		c.of = map[posture.DeviceID][]claim{}
	}
	all := c.of[one.Device]
	at := slices.IndexFunc(all, func(o claim) bool { return o.Key == one.Key })
	switch {
	case at >= 0:
		one.Since = all[at].Since
		all[at] = one
	case c.n >= mostClaims || len(all) >= mostClaimsOfOne:
		return nil, false, false
	default:
		c.of[one.Device] = append(all, one)
		c.n++
	}
	for _, o := range c.of[one.Device] {
		if o.Key != one.Key {
			others = append(others, o)
		}
	}
	return others, at < 0, true
}

func (c *claims) drop(device posture.DeviceID, key string) {
	before := len(c.of[device])
	c.of[device] = slices.DeleteFunc(c.of[device], func(o claim) bool { return o.Key == key })
	c.n -= before - len(c.of[device])
	if len(c.of[device]) == 0 {
		delete(c.of, device)
	}
}

// Part says who a machine is that has a device's key and asks by a key of its
// own. The one whose firmware is the device's keeps the name; where that does not
// tell, and of every other, somebody has to say it.
func (s *Service) Part(ctx context.Context, who identity.Peer, in *pb.PartRequest) (*pb.PartResponse, error) {
	d, err := s.desk(who.School, status.Error(codes.PermissionDenied, "this school is not served here"))
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	if err := d.Roster.CatchUp(ctx); err != nil {
		s.log.Error("who a machine is cannot be read", "school", who.School, "device", who.Device, "error", err)
		return nil, errRecord
	}
	device, ok := d.Roster.Device(who.Device)
	switch {
	case !ok:
		return nil, status.Error(codes.PermissionDenied, "this device is not known here: enrol it again")
	case device.Lost:
		return nil, errPaused
	case !d.pace.renew(now):
		return nil, errBusy
	}
	key, err := identity.CheckRequest(in.GetCertificateRequest())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if device.Key == nil || key.Equal(device.Key) {
		return nil, status.Error(codes.InvalidArgument, "the request is for the key that two machines have: it must be for a new one")
	}
	if known, ok := d.Roster.Holder(key); ok {
		return s.parted(ctx, d, known) // asked again after a lost answer
	}
	one, err := newClaim(who, key, in, d.Roster.Machine(who.Device), now)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return s.tell(ctx, d, device, one, key, in, now)
}

func newClaim(who identity.Peer, key *ecdsa.PublicKey, in *pb.PartRequest, known roster.Machine, now time.Time) (claim, error) {
	platform := posture.Platform(in.GetPlatform())
	if platform != posture.Linux && platform != posture.MacOS && platform != posture.Windows {
		return claim{}, fmt.Errorf("%.40q is not a platform that this collector knows", in.GetPlatform())
	}
	hash, err := identity.KeyFingerprint(key)
	if err != nil {
		return claim{}, err
	}
	code, err := identity.ShortCode(who.School, key)
	if err != nil {
		return claim{}, err
	}
	c := claim{Claimant: admission.Claimant{
		Device: who.Device, Key: hex.EncodeToString(hash[:]), Code: code, Hostname: wire.Visible(in.GetHostname(), 256),
		Platform: platform, Moved: in.GetMoved(), Since: now, Last: now,
	}, machine: roster.ParseMachine(in.GetMachine())}
	c.Agree, c.Differ = known.Compare(c.machine)
	return c, nil
}

// tell answers a machine: by what was decided, else by its firmware, else that
// it has to wait.
func (s *Service) tell(ctx context.Context, d *desk, device roster.Device, one claim, key *ecdsa.PublicKey, in *pb.PartRequest, now time.Time) (*pb.PartResponse, error) {
	switch {
	case device.Revoked && !d.Roster.MayPart(device.ID, one.Key):
		return nil, errRevoked
	case d.Roster.Keeps(device.ID, one.Key) && !device.Doubted:
		return s.keeps(d, device, one), nil
	case d.Roster.MayPart(device.ID, one.Key):
		return s.part(ctx, d, device, one, key, in, now)
	}
	d.mu.Lock()
	others, news, ok := d.claims.take(one)
	d.mu.Unlock()
	if !ok {
		return nil, errCrowd
	}
	if news {
		s.log.Warn("a machine asks who it is", "school", d.School.ID, "device", device.ID, "code", one.Code, "moved", one.Moved)
	}
	if device.Doubted && !one.Moved && original(d.Roster.Machine(device.ID), one, others) {
		if err := s.settle(ctx, d, device, one, now); err != nil {
			s.log.Error("which machine keeps a name could not be recorded", "school", d.School.ID, "device", device.ID, "error", err)
			return nil, errRecord
		}
		if device, ok = d.Roster.Device(device.ID); ok && d.Roster.Keeps(device.ID, one.Key) {
			return s.keeps(d, device, one), nil
		}
	}
	if one.Moved {
		return nil, errCopied
	}
	return nil, errOneName
}

// original reports whether a machine is the one that the device was when it
// first reported, by the numbers in its firmware, and no other says that of
// itself.
func original(known roster.Machine, one claim, others []claim) bool {
	return known.Same(one.machine) && !slices.ContainsFunc(others, func(o claim) bool { return known.Same(o.machine) })
}

// settle records that a machine keeps the name, by its firmware.
func (s *Service) settle(ctx context.Context, d *desk, device roster.Device, one claim, now time.Time) error {
	maker := roster.Maker{School: d.School.ID, Intake: s.intake}
	entry, err := maker.Doubt(roster.Doubt{Device: device.ID, What: roster.DoubtSettled, Keeps: one.Key, Agree: one.Agree}, now)
	if err != nil {
		return err
	}
	if _, err := d.Ledger.Append(context.WithoutCancel(ctx), entry); err != nil {
		return err
	}
	s.log.Info("a machine keeps a device's name by the numbers in its firmware", "school", d.School.ID, "device", device.ID, "code", one.Code)
	return d.Roster.CatchUp(context.WithoutCancel(ctx))
}

// keeps tells a machine that it is the device, and where its reports go on.
func (s *Service) keeps(d *desk, device roster.Device, one claim) *pb.PartResponse {
	d.mu.Lock()
	d.claims.drop(device.ID, one.Key)
	d.mu.Unlock()
	return &pb.PartResponse{Keeps: true, Recorded: device.Last, Hash: device.Hash[:]}
}

// part admits a machine as a device of its own, under the terms that the device
// has whose name it had.
func (s *Service) part(ctx context.Context, d *desk, device roster.Device, one claim, key *ecdsa.PublicKey, in *pb.PartRequest, now time.Time) (*pb.PartResponse, error) {
	failed := func(err error) (*pb.PartResponse, error) {
		s.log.Error("a machine could not be admitted as a device of its own", "school", d.School.ID, "device", device.ID, "error", err)
		return nil, errRecord
	}
	document, err := d.Roster.AssignmentDocument(ctx, device.ID)
	if err != nil {
		return failed(err)
	}
	terms, err := roster.OpenAssignment(d.Roster.Verifier(), document)
	if err != nil {
		return failed(err)
	}
	point, err := key.Bytes()
	if err != nil {
		return failed(err)
	}
	asked, err := tells(&pb.EnrollRequest{Platform: in.GetPlatform(), Hostname: in.GetHostname(), AgentVersion: in.GetAgentVersion()})
	if err != nil {
		return nil, err
	}
	asked.From = device.ID
	like := roster.Token{Ownership: terms.Ownership, PersonalUse: terms.PersonalUse, Groups: terms.Groups}
	mine, wait := d.reservePart(string(point))
	if mine == nil {
		select {
		case <-wait:
			return nil, errBusy // it is being admitted: it asks again and is known
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer d.release(string(point), mine)
	id := posture.DeviceID("d" + random(16))
	if err := s.record(ctx, d, id, like, key, asked, now); err != nil {
		return failed(err)
	}
	if err := d.Roster.CatchUp(context.WithoutCancel(ctx)); err != nil {
		return failed(err)
	}
	known, ok := d.Roster.Device(id)
	if !ok {
		return failed(fmt.Errorf("device %s was recorded and is not in the roster", id))
	}
	s.log.Info("device enrolled", "school", d.School.ID, "device", id, "from", device.ID)
	d.mu.Lock()
	d.claims.drop(device.ID, one.Key)
	d.mu.Unlock()
	return s.parted(ctx, d, known)
}

// reservePart has a key admitted once.
func (d *desk) reservePart(name string) (mine *entering, wait <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if same, under := d.admitting[name]; under {
		return nil, same.done
	}
	mine = &entering{done: make(chan struct{})}
	d.admitting[name] = mine
	return mine, nil
}

// parted tells a machine that it is a device of its own.
func (s *Service) parted(ctx context.Context, d *desk, device roster.Device) (*pb.PartResponse, error) {
	switch {
	case device.Revoked:
		return nil, errRevoked
	case device.Lost:
		return nil, errPaused
	}
	own, err := d.answer(ctx, device, s.log)
	if err != nil {
		return nil, err
	}
	return &pb.PartResponse{Own: own}, nil
}

// Claimants returns the machines of a school that ask who they are: of one
// device, or of all.
func (s *Service) Claimants(school posture.SchoolID, device posture.DeviceID) []admission.Claimant {
	s.mu.RLock()
	d, ok := s.desks[school]
	s.mu.RUnlock()
	if !ok || d.Shut != "" {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []admission.Claimant
	for id, all := range d.claims.of {
		for _, c := range all {
			if device != "" && id != device || d.Roster.MayPart(id, c.Key) || d.Roster.Keeps(id, c.Key) {
				continue // it was decided about, and is told when it asks again
			}
			list = append(list, c.Claimant)
		}
	}
	slices.SortFunc(list, func(a, b admission.Claimant) int {
		return cmp.Or(cmp.Compare(a.Device, b.Device), a.Since.Compare(b.Since), cmp.Compare(a.Key, b.Key))
	})
	return list
}
