package enroll

import (
	"cmp"
	"context"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// errPaused is what a lost laptop is told, whoever has it.
var errPaused = status.Error(codes.PermissionDenied, "this device's certificate is not renewed at present: ask the school's technician")

// Renew returns a new certificate for an enrolled device. The peer has proved
// that it holds the key of a certificate of the school, which may have ended;
// it gets one for the same key and no other. Once the school's window is over
// too, somebody has to approve it: until then the device is told that it waits.
func (s *Service) Renew(_ context.Context, who identity.Peer, request []byte) ([]byte, error) {
	d, err := s.desk(who.School, status.Error(codes.PermissionDenied, "this school is not served here"))
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	device, ok := d.Roster.Device(who.Device)
	switch {
	case !ok:
		return nil, status.Error(codes.PermissionDenied, "this device is not known here: enrol it again")
	case device.Revoked:
		return nil, errRevoked
	case device.Lost, device.Doubted:
		return nil, errPaused
	case !d.pace.renew(now):
		return nil, errBusy
	}
	key, err := identity.CheckRequest(request)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if device.Key == nil || !key.Equal(device.Key) {
		return nil, status.Error(codes.PermissionDenied, "the request is for another key than the device enrolled with")
	}
	if window := d.Roster.RenewalWindow(); !renewable(who.Until, now, window, d.Roster.RenewalApproved(who.Device)) {
		if d.wait(who, now) {
			s.log.Warn("renewal waits for approval", "school", who.School, "device", who.Device, "ended", who.Until)
		}
		return nil, status.Errorf(codes.FailedPrecondition,
			"this device's certificate ended on %s, more than %d days ago: the school's technician must approve its renewal",
			who.Until.UTC().Format("2 January 2006"), int(window/(24*time.Hour)))
	}
	certificate, err := d.School.Authority.Issue(who.Device, key, now)
	if err != nil {
		s.log.Error("renewal failed", "school", who.School, "device", who.Device, "error", err)
		return nil, status.Error(codes.Internal, "the collector could not issue the certificate")
	}
	d.waitNoMore(who.Device)
	s.log.Info("certificate renewed", "school", who.School, "device", who.Device)
	return certificate, nil
}

// renewable reports whether a certificate that ends, or ended, at a time may be
// renewed: for as long as the school's window is open after it, or when
// somebody has approved it since, for a while.
func renewable(ends, now time.Time, window time.Duration, approved time.Time) bool {
	return !now.After(ends.Add(window)) || approved.After(ends) && now.Before(approved.Add(admission.ApprovalLasts))
}

// Waiting is a device that asked for renewal too late, and waits for somebody
// to approve it.
type Waiting struct {
	Device posture.DeviceID
	Ended  time.Time // its certificate
	Since  time.Time // when it first asked since this collector started
	Last   time.Time // when it last asked
}

// mostWaiting bounds how many are remembered. Others are told the same, and
// show when there is room: they ask again.
const mostWaiting = 10_000

// wait notes that a device waits, and reports whether that is news.
func (d *desk) wait(who identity.Peer, now time.Time) (news bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w, known := d.waiting[who.Device]
	if !known {
		if len(d.waiting) >= mostWaiting {
			return false
		}
		w = Waiting{Device: who.Device, Since: now}
	}
	w.Ended, w.Last = who.Until, now
	d.waiting[who.Device] = w
	return !known
}

func (d *desk) waitNoMore(id posture.DeviceID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.waiting, id)
}

// Waiting returns the devices of a school that wait for somebody to approve
// their renewal, the longest first.
func (s *Service) Waiting(school posture.SchoolID) []Waiting {
	s.mu.RLock()
	d, ok := s.desks[school]
	s.mu.RUnlock()
	if !ok || d.Shut != "" {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]Waiting, 0, len(d.waiting))
	for _, w := range d.waiting {
		if still(d.Roster, w) {
			list = append(list, w)
		}
	}
	slices.SortFunc(list, func(a, b Waiting) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Device, b.Device))
	})
	return list
}

// still reports whether a device waits that once did: the school may have
// approved it, opened its window, or know it no more.
func still(r *roster.Roster, w Waiting) bool {
	s, ok := r.Standing(w.Device)
	return ok && !s.Revoked && !renewable(w.Ended, w.Last, r.RenewalWindow(), r.RenewalApproved(w.Device))
}
