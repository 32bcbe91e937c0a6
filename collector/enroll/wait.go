package enroll

import (
	"context"
	"crypto/ecdsa"
	"net"
	"net/netip"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// told is what a device says of itself when it asks, within bounds and such that
// it can be shown.
type told struct {
	Platform                               posture.Platform
	Hostname, Manufacturer, Model, Version string
	Claim                                  proof.Digest     // zero: it has none, and keeps its token
	Code                                   string           // of a device that waited
	From                                   posture.DeviceID // whose name it had before it was told apart
	Serial                                 []byte           // hidden with the token; empty: it has none
	Asset                                  string           // tag of the asset that it is once it is admitted
	Tie                                    tying            // by whoever approved that; nil: by whoever made the token
}

func tells(in *pb.EnrollRequest) (told, error) {
	t := told{
		Platform: posture.Platform(in.GetPlatform()), Hostname: wire.Visible(in.GetHostname(), 256), Version: wire.Visible(in.GetAgentVersion(), 64),
		Manufacturer: wire.Visible(in.GetManufacturer(), 128), Model: wire.Visible(in.GetModel(), 128),
	}
	if t.Platform != posture.Linux && t.Platform != posture.MacOS && t.Platform != posture.Windows {
		return told{}, status.Errorf(codes.InvalidArgument, "%.40q is not a platform that this collector knows", in.GetPlatform())
	}
	switch t.Serial = in.GetSerial(); len(t.Serial) {
	case 0, serialSize:
	default:
		return told{}, status.Errorf(codes.InvalidArgument, "what hides a serial number has %d bytes, not %d", len(t.Serial), serialSize)
	}
	switch len(in.GetClaim()) {
	case identity.SecretSize:
		t.Claim = identity.HashSecret(in.GetClaim())
	case 0:
	default:
		return told{}, status.Errorf(codes.InvalidArgument, "a claim has %d bytes, not %d", identity.SecretSize, len(in.GetClaim()))
	}
	return t, nil
}

// errUnasked is what a device is told that asks with its claim and is not known.
var errUnasked = status.Error(codes.PermissionDenied,
	"the school knows nothing any more of this laptop's asking to be admitted: nobody approved it within 14 days, or its collector was restored from a copy; enrol it again with a new token")

// again answers a device that asks with its claim in place of a token. One that
// was approved is given what was made then; a stranger costs a hash, or his turn
// among strangers.
func (s *Service) again(ctx context.Context, d *desk, in *pb.EnrollRequest, now time.Time) (*pb.EnrollResponse, error) {
	if len(in.GetClaim()) != identity.SecretSize {
		return nil, errToken
	}
	claim := identity.HashSecret(in.GetClaim())
	waits := d.pending.claimed(claim)
	if waits == nil && !d.pace.claims.AllowN(now, 1) {
		return nil, errBusy
	}
	key, err := identity.CheckRequest(in.GetCertificateRequest())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if err := d.Roster.CatchUp(ctx); err != nil {
		s.log.Error("enrolment failed", "school", d.School.ID, "error", err)
		return nil, errRecord
	}
	if known, ok := d.Roster.Holder(key); ok {
		return s.collect(ctx, d, known, claim)
	}
	if waits == nil {
		return nil, errUnasked
	}
	welcome(ctx)
	own, err := waits.key()
	if err != nil || !own.Equal(key) || !now.Before(waits.Ends) {
		return nil, errUnasked
	}
	return d.waits(d.pending.heard(waits, now, place(ctx)), true)
}

// collect gives a device that was approved its certificate.
func (s *Service) collect(ctx context.Context, d *desk, known roster.Device, claim proof.Digest) (*pb.EnrollResponse, error) {
	enrolment, err := d.Roster.Enrolment(ctx, known)
	switch {
	case err != nil:
		s.log.Error("enrolment could not be answered", "school", d.School.ID, "device", known.ID, "error", err)
		return nil, errRecord
	case enrolment.Claim == (proof.Digest{}) || !identity.SameHash(enrolment.Claim, claim):
		return nil, errUnasked
	case known.Revoked:
		return nil, errRevoked
	case known.Lost:
		return nil, errPaused
	}
	welcome(ctx)
	return d.answer(ctx, known, s.log)
}

// waits is what a device is told that waits, or was refused.
func (d *desk) waits(p admission.Pending, claim bool) (*pb.EnrollResponse, error) {
	switch {
	case !p.Refused.IsZero():
		return nil, status.Errorf(codes.PermissionDenied, "the school refused on %s to admit this laptop, whose code is %s: %s", p.Refused.UTC().Format("2 January 2006"), p.Code, p.RefusedFor)
	case !claim: // an older agent, which asks again with its token
		return nil, status.Errorf(codes.Unavailable, "this laptop waits until the school's technician approves it, on the page \"Waiting to be admitted\"; its code there is %s. Ask again then, with the same token", p.Code)
	}
	reason := whyWaits
	if p.Why != whyWaits {
		reason = whyAsLaptop
	}
	return &pb.EnrollResponse{
		School: string(d.School.ID), SchoolName: d.School.Name, Waiting: &pb.Waiting{UntilUnixMs: p.Ends.UnixMilli(), Reason: reason},
	}, nil
}

// ask has a device wait if its token does not admit it at once. It returns
// nothing if it is to be admitted now.
func (s *Service) ask(ctx context.Context, d *desk, token roster.Token, key *ecdsa.PublicKey, t told, now time.Time) (*pb.EnrollResponse, error) {
	if token.Way == "" || token.Way == admission.AtOnce {
		return nil, nil
	}
	if err := d.Roster.CatchUp(ctx); err != nil {
		return nil, err
	}
	if _, known := d.Roster.Holder(key); known {
		return nil, nil // asked again after a lost answer, or approved: admitting it does nothing new
	}
	code, err := identity.ShortCode(d.School.ID, key)
	if err != nil {
		return nil, err
	}
	point, err := key.Bytes()
	if err != nil {
		return nil, err
	}
	asked := applicant{Key: point, Pending: admission.Pending{Code: code, Why: whyWaits}}
	switch token.Way {
	case admission.ByRegister:
		leave, err := d.queue(ctx)
		if err != nil {
			return nil, err
		}
		defer leave()
		if _, known := d.Roster.Holder(key); known {
			return nil, nil // it asked twice, and was admitted meanwhile
		}
		isNew, err := d.isNew(ctx, token, code, point, now)
		if err != nil {
			return nil, err
		}
		if isNew {
			if err = s.registered(ctx, d, token, key, &asked, t, now); err != nil || asked.Why == "" {
				return nil, err
			}
		}
	case admission.OnApproval:
		isNew, err := d.isNew(ctx, token, code, point, now)
		if err != nil {
			return nil, err
		}
		if isNew {
			s.recognise(ctx, d, token, &asked, t, now)
		}
	}
	return s.wait(ctx, d, token, asked, t, now)
}

// isNew reports whether a laptop asks for the first time, and may.
func (d *desk) isNew(ctx context.Context, token roster.Token, code string, point []byte, now time.Time) (bool, error) {
	d.pending.changing.Lock()
	defer d.pending.changing.Unlock()
	d.sweep(now)
	waits, twin := d.pending.of(code, point)
	if waits != nil || twin {
		return false, nil
	}
	return true, d.welcomes(ctx, token, now)
}

// wait has a laptop wait: asked is its key and its code, and why it is not admitted
// at once.
func (s *Service) wait(ctx context.Context, d *desk, token roster.Token, asked applicant, t told, now time.Time) (*pb.EnrollResponse, error) {
	d.pending.changing.Lock()
	defer d.pending.changing.Unlock()
	d.sweep(now)
	code := asked.Code
	waits, twin := d.pending.of(code, asked.Key)
	switch {
	case twin:
		s.log.Warn("two laptops that ask to be admitted have one code", "school", d.School.ID, "code", code)
		return nil, errCollision
	case waits == nil:
		if err := d.welcomes(ctx, token, now); err != nil {
			return nil, err
		}
		waits = newcomer(token, asked, t, now)
		if err := d.pending.store(waits); err != nil {
			return nil, err
		}
		s.log.Info("a laptop waits to be admitted", "school", d.School.ID, "code", code, "token", token.ID)
	case t.Claim != (proof.Digest{}) && waits.Claim != t.Claim: // it lost what it had, but for its key
		waits = d.pending.copy(waits)
		waits.Claim = t.Claim
		if err := d.pending.store(waits); err != nil {
			return nil, err
		}
	}
	return d.waits(d.pending.heard(waits, now, place(ctx)), t.Claim != (proof.Digest{}))
}

// Why a laptop is not admitted at once: as people at the school read it of a token
// that admits on approval alone, and as a laptop is told that the register did not
// admit. What the register has is not told to whoever asks.
const (
	whyWaits    = "this token admits a laptop when somebody has approved it"
	whyAsLaptop = "the school's register does not admit it by itself, so somebody has to approve it"
)

// welcomes says why nobody new may wait who asks with a token. pending.changing is
// held.
func (d *desk) welcomes(ctx context.Context, token roster.Token, now time.Time) error {
	_, used, _ := d.Roster.Token(token.ID)
	switch {
	case !now.Before(token.Ends), d.Roster.TokenOver(token.ID):
		return errEnded
	case used >= token.Uses:
		return errUsed
	case !d.pending.room(token.ID, token.Uses, place(ctx)):
		return errRoom
	}
	return nil
}

// newcomer returns who waits from now on.
func newcomer(token roster.Token, asked applicant, t told, now time.Time) *applicant {
	return &applicant{Key: asked.Key, Claim: t.Claim, AssetEntry: asked.AssetEntry, Pending: admission.Pending{
		Code: asked.Code, Token: token.ID, Platform: t.Platform, Hostname: t.Hostname, Manufacturer: t.Manufacturer, Model: t.Model, AgentVersion: t.Version,
		Why: asked.Why, Asset: asked.Asset, Asked: now.UTC(), Ends: now.Add(PendingLasts).UTC(),
	}}
}

// place is the network from which somebody asks, as far as one household or one
// school has it to itself; "" if that is not known. It is counted, never stored.
func place(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return ""
	}
	host, _, err := net.SplitHostPort(p.Addr.String())
	if err != nil {
		return ""
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return ""
	}
	address = address.Unmap().WithZone("")
	bits := 32
	if address.Is6() {
		bits = 64
	}
	prefix, err := address.Prefix(bits)
	if err != nil {
		return ""
	}
	return prefix.String()
}
