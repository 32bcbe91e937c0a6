package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/subject"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Admitter records what a school decides about the enrolments of its devices.
// What cannot be recorded as things stand is a decision.RefusedError.
type Admitter interface {
	// Admit records a change and returns the entry that holds it.
	Admit(ctx context.Context, school posture.SchoolID, d decision.Decision, c admission.Change) (entry uint64, err error)
	// Revoke has a device known no more, from its next message on.
	Revoke(ctx context.Context, school posture.SchoolID, d decision.Decision, device posture.DeviceID) (entry uint64, err error)
	// WaitingRenewals lists the devices whose renewal somebody has to approve, and
	// says for how many days after its end a certificate is renewed without anybody.
	WaitingRenewals(ctx context.Context, school posture.SchoolID) (list []WaitingRenewal, days int, err error)
	// TwoMachines lists the devices to whose name more than one machine answers.
	TwoMachines(ctx context.Context, school posture.SchoolID) (view.TwoMachines, error)
}

// WaitingRenewal is a device that waits for the renewal of its certificate to be
// approved.
type WaitingRenewal struct {
	Device      posture.DeviceID
	Hostname    string
	AssetTag    string
	Ended       time.Time // its certificate
	Last        time.Time // when it last asked
	LastContact time.Time // when it last reported
}

// SameQueries are the questions about enrolments that may be one computer.
type SameQueries interface {
	Same(ctx context.Context, school posture.SchoolID, device posture.DeviceID, all bool, now time.Time) (view.SameList, error)
}

// enrolmentsPage is what has to be decided about enrolments.
type enrolmentsPage struct {
	Devices  string // address of the list of devices
	Days     int    // after its end in which a certificate is renewed without anybody
	Renewals []renewalRow
	Two      []twoRow
	Same     []sameRow
	Refused  []sameRow
	MayAdmit bool
	Done     string
	Typed    string
	Wrong    []wrong
}

// renewalRow is a laptop that waits to be let in again.
type renewalRow struct {
	Name, Address      string
	Form               string // address that approves
	Field              string // of the reason
	Ended, Last, Heard *moment
}

// sameRow is two enrolments that may be one computer.
type sameRow struct {
	view.Same
	Newer, Older    string // names
	NewerAt         string // addresses
	OlderAt         string
	Enrolled, Heard *moment
	Confirm, Refuse string // addresses; "" if that cannot be
	Field           string // of the reason
	RefusedBy       string
	RefusedAt       *moment
}

func enrolmentsAddress(school posture.SchoolID) string { return schoolAddress(school) + "/enrolments" }

func (s *site) enrolments(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showEnrolments(w, r, v, http.StatusOK, "", nil)
}

func (s *site) showEnrolments(w http.ResponseWriter, r *http.Request, v visit, status int, typedWords string, bad []wrong) error {
	c := s.clockwork(v)
	page := enrolmentsPage{
		Devices: schoolAddress(v.school.ID) + "/devices", MayAdmit: v.account.May(v.school.ID, access.AdmitDevices),
		Done: doneWords(r.URL.Query().Get("done")), Typed: typedWords, Wrong: bad,
	}
	waiting, days, err := s.Admissions.WaitingRenewals(r.Context(), v.school.ID)
	if err != nil {
		return err
	}
	page.Days = days
	for _, one := range waiting {
		page.Renewals = append(page.Renewals, newRenewalRow(v.school.ID, one, c))
	}
	two, err := s.Admissions.TwoMachines(r.Context(), v.school.ID)
	if err != nil {
		return err
	}
	for _, one := range two.Devices {
		page.Two = append(page.Two, newTwoRow(v.school.ID, one, c))
	}
	list, err := s.Queries.Same(r.Context(), v.school.ID, "", true, v.now)
	if err != nil {
		return err
	}
	for _, one := range list.Same {
		row := newSameRow(v.school.ID, one, c)
		if one.Refused != nil {
			page.Refused = append(page.Refused, row)
			continue
		}
		page.Same = append(page.Same, row)
	}
	title := "Laptops of one name, set up anew, or long away"
	title = titleOf(title, bad)
	return s.write(w, status, "enrolments", s.page(v, title, "devices"), page)
}

func newRenewalRow(school posture.SchoolID, one WaitingRenewal, c clockwork) renewalRow {
	name := one.AssetTag
	if name == "" {
		name = one.Hostname
	}
	if name == "" {
		name = string(one.Device)
	}
	return renewalRow{
		Name: name, Address: deviceAddress(school, one.Device), Form: enrolmentsAddress(school) + "/renewals/" + url.PathEscape(string(one.Device)),
		Field: "renewal-" + string(one.Device), Ended: c.moment(one.Ended), Last: c.moment(one.Last), Heard: c.moment(one.LastContact),
	}
}

func newSameRow(school posture.SchoolID, one view.Same, c clockwork) sameRow {
	row := sameRow{
		Same: one, Newer: one.Hostname, Older: one.AssetTag, NewerAt: deviceAddress(school, one.Device), OlderAt: deviceAddress(school, one.Earlier),
		Enrolled: c.moment(one.EnrolledAt), Heard: c.moment(one.LastContact), Field: "same-" + string(one.Device) + "-" + string(one.Earlier),
	}
	if row.Older == "" {
		row.Older = one.EarlierHostname
	}
	row.Agree, row.Differ = numbersOf(one.Agree), numbersOf(one.Differ)
	at := enrolmentsAddress(school) + "/same/" + url.PathEscape(string(one.Device)) + "/" + url.PathEscape(string(one.Earlier))
	if !one.Both && !one.Lost {
		row.Confirm = at + "/confirmation"
	}
	row.Refuse = at + "/refusal"
	if one.Refused != nil {
		row.RefusedBy, row.RefusedAt = one.Refused.By, c.moment(one.Refused.At)
	}
	return row
}

// numbersOf names the numbers of a computer as its label does.
func numbersOf(kinds []string) (list []string) {
	words := map[string]string{
		"system-uuid": "system UUID", "system-serial": "serial number", "board-serial": "serial number of the board", "chassis-serial": "serial number of the case",
	}
	for _, k := range kinds {
		list = append(list, cmp.Or(words[k], k))
	}
	return list
}

// approveRenewal lets a laptop in again whose certificate ended long ago.
func (s *site) approveRenewal(w http.ResponseWriter, r *http.Request, v visit) error {
	device := posture.DeviceID(r.PathValue("device"))
	return s.admits(w, r, v, "renewal-"+string(device), admission.Change{What: admission.ApproveRenewal, Device: device}, "renewal")
}

// answerSame says whether two enrolments are one computer.
func answerSame(what admission.What) func(*site, http.ResponseWriter, *http.Request, visit) error {
	return func(s *site, w http.ResponseWriter, r *http.Request, v visit) error {
		change := admission.Change{What: what, Device: posture.DeviceID(r.PathValue("device")), Earlier: posture.DeviceID(r.PathValue("earlier"))}
		return s.admits(w, r, v, "same-"+string(change.Device)+"-"+string(change.Earlier), change, string(what))
	}
}

// admits records a decision about an enrolment, and leads back to the page of all
// that are to be made.
func (s *site) admits(w http.ResponseWriter, r *http.Request, v visit, field string, change admission.Change, done string) error {
	reason, err := readReason(w, r)
	if err != nil {
		return err
	}
	if _, err := s.Queries.Device(r.Context(), v.school.ID, change.Device, v.now); err != nil {
		return err
	}
	made := decision.Decision{Kind: decision.Admission, By: v.account.Name, At: v.now, Reason: reason}
	bad := wrongReason(made, field)
	if bad == nil {
		if err := change.Check(); err != nil {
			return errNoPage
		}
		if _, err := s.Admissions.Admit(r.Context(), v.school.ID, made, change); isRefusal(err) {
			bad = &wrong{field, sentence(err.Error())}
		} else if err != nil {
			return err
		}
	}
	if bad != nil {
		return s.showEnrolments(w, r, v, http.StatusUnprocessableEntity, reason, []wrong{*bad})
	}
	s.pending.forget(v.school.ID)
	http.Redirect(w, r, enrolmentsAddress(v.school.ID)+"?done="+url.QueryEscape(done), http.StatusSeeOther)
	return nil
}

// wrongReason says what is wrong with the reason of a decision; nil if nothing
// is.
func wrongReason(made decision.Decision, field string) *wrong {
	if made.Reason == "" {
		return &wrong{field, "Say in a few words why, so that it can be understood next year."}
	}
	if err := made.CheckNew(); err != nil {
		return &wrong{field, sentence(err.Error())}
	}
	return nil
}

// revocationPage says what follows if a laptop is known no more, and takes the
// decision.
type revocationPage struct {
	Name, Device string // what it is called, and the address of its page
	Form         string
	Revoked      *moment
	Lost         bool
	Heard        *moment
	Typed        string
	Wrong        []wrong
}

func (s *site) revocation(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showRevocation(w, r, v, http.StatusOK, "", nil)
}

func (s *site) showRevocation(w http.ResponseWriter, r *http.Request, v visit, status int, typedWords string, bad []wrong) error {
	d, err := s.Queries.Device(r.Context(), v.school.ID, posture.DeviceID(r.PathValue("device")), v.now)
	if err != nil {
		return err
	}
	c := s.clockwork(v)
	page := revocationPage{
		Name: deviceNames(d.Device), Device: deviceAddress(v.school.ID, d.ID), Form: deviceAddress(v.school.ID, d.ID) + "/revocation",
		Revoked: c.moment(d.RevokedAt), Lost: d.Lost != nil, Heard: c.moment(d.LastContact), Typed: typedWords, Wrong: bad,
	}
	title := "Know " + page.Name + " no more"
	title = titleOf(title, bad)
	return s.write(w, status, "revocation", s.page(v, title, "devices"), page)
}

func (s *site) revoke(w http.ResponseWriter, r *http.Request, v visit) error {
	reason, err := readReason(w, r)
	if err != nil {
		return err
	}
	device := posture.DeviceID(r.PathValue("device"))
	if _, err := s.Queries.Device(r.Context(), v.school.ID, device, v.now); err != nil {
		return err
	}
	made := decision.Decision{Kind: decision.Revoke, By: v.account.Name, At: v.now, Reason: reason}
	bad := wrongReason(made, "reason")
	if bad == nil {
		if _, err := s.Admissions.Revoke(r.Context(), v.school.ID, made, device); isRefusal(err) {
			bad = &wrong{"reason", sentence(err.Error())}
		} else if err != nil {
			return err
		}
	}
	if bad != nil {
		return s.showRevocation(w, r, v, http.StatusUnprocessableEntity, reason, []wrong{*bad})
	}
	http.Redirect(w, r, deviceAddress(v.school.ID, device), http.StatusSeeOther)
	return nil
}

// toDecide is something that waits for a person, as the overview says it.
type toDecide struct{ Words, Address string }

// To find enrolments that may be one laptop takes going through the numbers of
// all, so what was found is shown again for a while.
const pendingLasts = 5 * time.Minute

// pendings keeps how many proposals there were, by school.
type pendings struct {
	mu   sync.Mutex // guards kept
	kept map[posture.SchoolID]*keptPending
}

// keptPending is how many there were at one school.
type keptPending struct {
	mu sync.Mutex // held while they are looked for: one at a time for a school
	at time.Time
	n  int
}

func (p *pendings) of(school posture.SchoolID) *keptPending {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kept == nil {
		p.kept = map[posture.SchoolID]*keptPending{}
	}
	if p.kept[school] == nil {
		p.kept[school] = &keptPending{}
	}
	return p.kept[school]
}

// forget has them looked for anew.
func (p *pendings) forget(school posture.SchoolID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.kept, school)
}

// proposals counts the enrolments of a school that may be one laptop with an
// earlier one, as there were at most a few minutes ago.
func (s *site) proposals(ctx context.Context, school posture.SchoolID, now time.Time) (int, error) {
	k := s.pending.of(school)
	k.mu.Lock()
	defer k.mu.Unlock()
	if age := now.Sub(k.at); !k.at.IsZero() && age >= 0 && age < pendingLasts {
		return k.n, nil
	}
	list, err := s.Queries.Same(ctx, school, "", false, now)
	if err != nil {
		return 0, err
	}
	k.at, k.n = now, len(list.Same)
	return k.n, nil
}

// toDecide lists what waits for somebody to decide and that whoever looks may
// see.
func (s *site) toDecide(ctx context.Context, v visit) (list []toDecide, err error) {
	if v.account.May(v.school.ID, access.ReadIncidents) {
		n, since, err := s.Queries.WaitingConcerns(ctx, v.school.ID, v.now)
		if err != nil && !errors.Is(err, view.ErrNotFound) {
			return nil, err
		}
		if n > 0 {
			list = append(list, toDecide{count(n, "report") + " without sign-in not yet looked at, the first made " + s.clockwork(v).moment(since).Text, concernsAddress(v.school.ID)})
		}
	}
	if v.account.May(v.school.ID, access.AnswerDisputes) {
		n, due, err := s.Queries.OpenDisputes(ctx, v.school.ID, v.now)
		if err != nil && !errors.Is(err, view.ErrNotFound) {
			return nil, err
		}
		if n > 0 {
			list = append(list, toDecide{count(n, "disputed fact") + " to be answered, the first by " + subject.Day(due), disputesAddress(v.school.ID)})
		}
	}
	if n, err := s.waitingCount(ctx, v.school.ID); err != nil {
		s.Logger.Warn("who waits to be admitted is not known", "school", v.school.ID, "reason", err)
		list = append(list, toDecide{"It is not known whether a laptop waits to be admitted", waitingAddress(v.school.ID)})
	} else if n > 0 {
		list = append(list, toDecide{count(n, "laptop") + " waiting to be admitted", waitingAddress(v.school.ID)})
	}
	waiting, _, err := s.Admissions.WaitingRenewals(ctx, v.school.ID)
	if n := len(waiting); err != nil {
		s.Logger.Warn("who waits to be let in again is not known", "school", v.school.ID, "reason", err)
		list = append(list, toDecide{"It is not known whether a laptop waits to be let in again", enrolmentsAddress(v.school.ID)})
	} else if n > 0 {
		list = append(list, toDecide{count(n, "laptop") + " back after a long time, to be let in again or not", enrolmentsAddress(v.school.ID)})
	}
	if two, err := s.twoToDecide(ctx, v); err != nil && !errors.Is(err, view.ErrNotFound) {
		return nil, err
	} else if two != nil {
		list = append(list, *two)
	}
	n, err := s.proposals(ctx, v.school.ID, v.now)
	if err != nil && !errors.Is(err, view.ErrNotFound) {
		return nil, err
	}
	if n > 0 {
		list = append(list, toDecide{count(n, "laptop") + " that may be an earlier one, set up anew", enrolmentsAddress(v.school.ID)})
	}
	return list, nil
}
