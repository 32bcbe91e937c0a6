package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/web"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// RevokeArguments have a device known no more.
type RevokeArguments struct {
	School string `json:"school"`
	Device string `json:"device"` // identifier or host name
	Reason string `json:"reason"` // kept as long as the ledger: it names nobody
}

// RenewalArguments approve a renewal, or set the window.
type RenewalArguments struct {
	School string `json:"school"`
	Device string `json:"device,omitempty"` // identifier or host name
	Days   int    `json:"days,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// SameArguments ask which enrolments may be one computer, or decide about two.
type SameArguments struct {
	School  string         `json:"school"`
	Device  string         `json:"device,omitempty"`  // the newer one: identifier or host name
	Earlier string         `json:"earlier,omitempty"` // if more than one is proposed
	All     bool           `json:"all,omitempty"`     // those too that somebody said are not one
	What    admission.What `json:"what,omitempty"`
	Reason  string         `json:"reason,omitempty"`
}

// AdmissionAnswer is what was decided about an enrolment.
type AdmissionAnswer struct {
	School   posture.SchoolID `json:"school"`
	Device   posture.DeviceID `json:"device,omitempty"`
	Hostname string           `json:"hostname,omitempty"`
	Earlier  posture.DeviceID `json:"earlier,omitempty"`
	Entry    uint64           `json:"entry"` // of the ledger
}

// mostRevokedFor bounds the reason of a revocation, which is kept for good.
const mostRevokedFor = 200

// Revoke implements api.Admitter. It goes by the roster and waits for nothing that
// is shown: a key that somebody copied is not to count for that long.
func (c *collector) Revoke(ctx context.Context, id posture.SchoolID, d decision.Decision, device posture.DeviceID) (entry uint64, err error) {
	s, err := c.school(string(id))
	if err != nil {
		return 0, err
	}
	defer c.show(ctx, s)
	refused := func(why string) error { return &decision.RefusedError{Why: why} }
	switch known, ok := s.roster.Device(device); {
	case !ok:
		return 0, view.ErrNotFound
	case known.Revoked:
		return 0, refused("this device was revoked already")
	case len(d.Reason) > mostRevokedFor:
		return 0, refused(fmt.Sprintf("the reason of a revocation is kept for good: write at most %d bytes, and name nobody", mostRevokedFor))
	}
	return s.admitted(ctx, c.clock.Now(), device, func(salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
		section, err := decision.Encode(d, salts[0])
		return []proof.Section{section}, err
	}, &roster.Revocation{Device: device, Reason: d.Reason})
}

// Admit implements api.Admitter.
func (c *collector) Admit(ctx context.Context, id posture.SchoolID, d decision.Decision, change admission.Change) (entry uint64, err error) {
	s, err := c.school(string(id))
	if err != nil {
		return 0, err
	}
	c.keeping.Lock()
	defer c.keeping.Unlock()
	defer c.show(ctx, s)
	var revokes *roster.Revocation
	var told map[posture.DeviceID]bool
	subject := change.Device
	switch change.What {
	case admission.Approve, admission.Refuse:
		err = &decision.RefusedError{Why: "a laptop that waits to be admitted is decided about by its code"}
	case admission.ApproveRenewal:
		err = s.approvable(change.Device)
	case admission.TellApart:
		err = c.tellable(s, change)
	case admission.SameHardware, admission.OtherHardware:
		subject = change.Earlier
		if err = c.followed(ctx, s); err == nil {
			err = c.comparable(ctx, s, change)
		}
		if change.What == admission.SameHardware {
			revokes = &roster.Revocation{Device: change.Earlier, Reason: "set up anew as " + string(change.Device)}
			if err == nil {
				told, err = c.movesAside(ctx, id, change.Earlier, change.Device)
			}
		}
	}
	if err != nil {
		return 0, err
	}
	entry, err = s.admitted(ctx, c.clock.Now(), subject, func(salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
		return decision.AdmissionSections(d, change, salts)
	}, revokes)
	if err == nil {
		err = c.tell(ctx, s, told)
	}
	return entry, err
}

// approvable says why a renewal cannot be approved.
func (s *school) approvable(device posture.DeviceID) error {
	standing, ok := s.roster.Standing(device)
	switch {
	case !ok:
		return view.ErrNotFound
	case standing.Revoked:
		return &decision.RefusedError{Why: "this device was revoked: it has to be enrolled again"}
	case standing.Lost:
		return &decision.RefusedError{Why: "this device is lost: it is given nothing until it is recorded as found"}
	}
	return nil
}

// comparable says why two enrolments cannot be said to be one computer, or not.
// What is recorded meanwhile can make a decision void: folding it in asks again.
func (c *collector) comparable(ctx context.Context, s *school, change admission.Change) error {
	list, err := c.view.Queries().Same(ctx, s.ID, change.Device, true, c.clock.Now())
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list.Same, func(s view.Same) bool { return s.Device == change.Device && s.Earlier == change.Earlier })
	refused := func(why string) error { return &decision.RefusedError{Why: why} }
	newer, _ := s.roster.Standing(change.Device)
	switch {
	case i < 0:
		return refused("nothing that these two enrolments say of their hardware is the same: a host name or a filler proves nothing")
	case change.What == admission.OtherHardware:
		return nil
	case list.Same[i].Both:
		return refused("the earlier one was heard from after the newer one had enrolled: these are two computers, or one whose disk was copied. Find both; refuse this, or revoke the one that should not be there")
	case list.Same[i].Lost:
		return refused("the earlier one is lost: record first that it was found")
	case newer.Lost:
		return refused("the newer one is lost: record first that it was found")
	}
	return nil
}

// admitted records a decision about a device, and has intake know of it before
// anybody is told: it counts for the device's next message.
func (s *school) admitted(ctx context.Context, now time.Time, subject posture.DeviceID, sections func([2][proof.SaltSize]byte) ([]proof.Section, error), revokes *roster.Revocation) (entry uint64, err error) {
	var salts [2][proof.SaltSize]byte
	for i := range salts {
		if _, err := rand.Read(salts[i][:]); err != nil {
			return 0, fmt.Errorf("salt a decision: %w", err)
		}
	}
	made, err := sections(salts)
	if err != nil {
		return 0, err
	}
	if revokes != nil {
		section, err := roster.Section(roster.SectionRevocation, proof.Kept, *revokes)
		if err != nil {
			return 0, err
		}
		made = append([]proof.Section{section}, made...)
	}
	at, err := s.append(ctx, roster.Maker{School: s.ID, Intake: intakeName}.Entry(proof.KindDecision, string(subject), now, made...))
	if err != nil {
		return 0, err
	}
	return uint64(at), s.roster.CatchUp(ctx)
}

// Renewals implements api.Admitter.
func (c *collector) Renewals(ctx context.Context, id posture.SchoolID) (api.Renewals, error) {
	s, err := c.school(string(id))
	if err != nil {
		return api.Renewals{}, err
	}
	answer := api.Renewals{School: s.ID, Days: int(s.roster.RenewalWindow() / (24 * time.Hour)), Waiting: []api.Renewal{}}
	if c.desks == nil {
		return answer, nil
	}
	for _, w := range c.desks.Waiting(s.ID) {
		one := api.Renewal{Device: w.Device, Ended: w.Ended, Since: w.Since, Last: w.Last}
		d, err := c.view.Queries().Device(ctx, s.ID, w.Device, c.clock.Now())
		if err != nil && !errors.Is(err, view.ErrNotFound) {
			return answer, err
		}
		one.Hostname, one.AssetTag, one.LastContact = d.Hostname, d.AssetTag, d.LastContact
		answer.Waiting = append(answer.Waiting, one)
	}
	return answer, nil
}

// WaitingRenewals implements web.Admitter.
func (c *collector) WaitingRenewals(ctx context.Context, id posture.SchoolID) (list []web.WaitingRenewal, days int, err error) {
	r, err := c.Renewals(ctx, id)
	for _, one := range r.Waiting {
		list = append(list, web.WaitingRenewal{
			Device: one.Device, Hostname: one.Hostname, AssetTag: one.AssetTag, Ended: one.Ended, Last: one.Last, LastContact: one.LastContact,
		})
	}
	return list, r.Days, err
}

func (c *collector) renewals(ctx context.Context, a RenewalArguments) (api.Renewals, error) {
	s, err := c.school(a.School)
	if err != nil {
		return api.Renewals{}, err
	}
	return c.Renewals(ctx, s.ID)
}

// decides makes the decision of whoever stands at the console.
func (c *collector) decides(kind decision.Kind, reason, otherwise string) (decision.Decision, error) {
	d := decision.Decision{Kind: kind, By: operator(), At: c.clock.Now(), Reason: cmp.Or(strings.TrimFunc(reason, unicode.IsSpace), otherwise)}
	return d, d.CheckNew()
}

func (c *collector) revoke(ctx context.Context, a RevokeArguments) (AdmissionAnswer, error) {
	s, err := c.school(a.School)
	if err != nil {
		return AdmissionAnswer{}, err
	}
	asked, id := ListArguments{School: a.School, Device: a.Device}, posture.DeviceID(a.Device)
	if _, known := s.roster.Device(id); !known { // by a name, which is shown
		if err := c.followed(ctx, s); err != nil {
			return AdmissionAnswer{}, err
		}
		device, err := c.device(ctx, asked)
		if err != nil {
			return AdmissionAnswer{}, err
		}
		id = device.ID
	}
	device, _ := c.device(ctx, asked) // by its identifier it is revoked whether it is shown yet or not
	d, err := c.decides(decision.Revoke, a.Reason, "")
	if err != nil {
		return AdmissionAnswer{}, err
	}
	entry, err := c.Revoke(ctx, s.ID, d, id)
	return AdmissionAnswer{School: s.ID, Device: id, Hostname: device.Hostname, Entry: entry}, err
}

func (c *collector) approveRenewal(ctx context.Context, a RenewalArguments) (AdmissionAnswer, error) {
	s, err := c.deciding(ctx, a.School)
	if err != nil {
		return AdmissionAnswer{}, err
	}
	device, err := c.device(ctx, ListArguments{School: a.School, Device: a.Device})
	if err != nil {
		return AdmissionAnswer{}, err
	}
	d, err := c.decides(decision.Admission, a.Reason, "")
	if err != nil {
		return AdmissionAnswer{}, err
	}
	entry, err := c.Admit(ctx, s.ID, d, admission.Change{What: admission.ApproveRenewal, Device: device.ID})
	return AdmissionAnswer{School: s.ID, Device: device.ID, Hostname: device.Hostname, Entry: entry}, err
}

func (c *collector) setWindow(ctx context.Context, a RenewalArguments) (AdmissionAnswer, error) {
	s, err := c.school(a.School)
	if err != nil {
		return AdmissionAnswer{}, err
	}
	d, err := c.decides(decision.Admission, a.Reason, "the window for renewal was set")
	if err != nil {
		return AdmissionAnswer{}, err
	}
	entry, err := c.Admit(ctx, s.ID, d, admission.Change{What: admission.SetWindow, Days: a.Days})
	return AdmissionAnswer{School: s.ID, Entry: entry}, err
}

func (c *collector) same(ctx context.Context, a SameArguments) (view.SameList, error) {
	s, err := c.record(a.School)
	if err != nil {
		return view.SameList{}, err
	}
	return c.view.Queries().Same(ctx, s.id, "", a.All, c.clock.Now())
}

// decideSame decides about the one proposal that is meant.
func (c *collector) decideSame(ctx context.Context, a SameArguments) (AdmissionAnswer, error) {
	s, err := c.deciding(ctx, a.School)
	if err != nil {
		return AdmissionAnswer{}, err
	}
	list, err := c.view.Queries().Same(ctx, s.ID, "", true, c.clock.Now())
	if err != nil {
		return AdmissionAnswer{}, err
	}
	var meant []view.Same
	for _, one := range list.Same {
		if (string(one.Device) == a.Device || strings.EqualFold(one.Hostname, a.Device)) && (a.Earlier == "" || string(one.Earlier) == a.Earlier) {
			meant = append(meant, one)
		}
	}
	switch len(meant) {
	case 0:
		return AdmissionAnswer{}, fmt.Errorf("nobody proposes that %q is an earlier laptop: see device same list --all", a.Device)
	case 1:
	default:
		return AdmissionAnswer{}, fmt.Errorf("%d proposals are about %q: give the identifiers of the newer one, and of the earlier one with --earlier", len(meant), a.Device)
	}
	d, err := c.decides(decision.Admission, a.Reason, "")
	if err != nil {
		return AdmissionAnswer{}, err
	}
	change := admission.Change{What: a.What, Device: meant[0].Device, Earlier: meant[0].Earlier}
	entry, err := c.Admit(ctx, s.ID, d, change)
	return AdmissionAnswer{School: s.ID, Device: change.Device, Hostname: meant[0].Hostname, Earlier: change.Earlier, Entry: entry}, err
}
