package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Admitter records what a school decides about the enrolments of its devices.
type Admitter interface {
	// Admit records a change and returns the entry that holds it.
	Admit(ctx context.Context, school posture.SchoolID, d decision.Decision, c admission.Change) (entry uint64, err error)
	// Revoke has a device known no more, from its next message on.
	Revoke(ctx context.Context, school posture.SchoolID, d decision.Decision, device posture.DeviceID) (entry uint64, err error)
	// Renewals lists the devices that wait for their renewal to be approved.
	Renewals(ctx context.Context, school posture.SchoolID) (Renewals, error)
	// TwoMachines lists the devices to whose name more than one machine answers.
	TwoMachines(ctx context.Context, school posture.SchoolID) (view.TwoMachines, error)
}

// SameQueries are the questions about enrolments that may be one computer.
type SameQueries interface {
	Same(ctx context.Context, school posture.SchoolID, device posture.DeviceID, all bool, now time.Time) (view.SameList, error)
}

// Renewals are the devices of a school that wait for somebody to approve the
// renewal of their certificate.
type Renewals struct {
	School  posture.SchoolID `json:"school"`
	Days    int              `json:"days"` // after its end in which a certificate is renewed without anybody
	Waiting []Renewal        `json:"waiting"`
}

// Renewal is one that waits.
type Renewal struct {
	Device      posture.DeviceID `json:"device"`
	Hostname    string           `json:"hostname"`
	AssetTag    string           `json:"assetTag,omitempty"`
	Ended       time.Time        `json:"ended"`       // its certificate
	Since       time.Time        `json:"since"`       // when it first asked since the collector was started
	Last        time.Time        `json:"last"`        // when it last asked
	LastContact time.Time        `json:"lastContact"` // when it last reported
}

func admissionRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/schools/{school}/renewals", right: access.ReadDevices, shows: viewing.Devices,
			words: "The laptops whose certificate ended so long ago that somebody has to approve its renewal.",
			gives: Renewals{}, serve: (*door).renewals,
		},
		{
			method: http.MethodGet, path: "/schools/{school}/same-hardware", right: access.ReadDevices, shows: viewing.Devices,
			words: "Enrolments that may be one laptop that was set up anew: their firmware says the same. Nothing follows until somebody says so.",
			gives: view.SameList{}, serve: (*door).sameHardware,
			params: []param{{name: "all", words: "those too that somebody said are not one", one: []string{"true"}}},
		},
		{
			method: http.MethodGet, path: "/schools/{school}/two-machines", right: access.ReadDevices, shows: viewing.Devices,
			words: "The laptops to whose name two machines answer, such as after a disk was copied, and the machines that ask who they are. Neither is believed until they are told apart, by their firmware or by somebody.",
			gives: view.TwoMachines{}, serve: (*door).twoMachines,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/enrolments", right: access.AdmitDevices,
			words: "Records what was decided about enrolments: that a renewal is approved, for how many days after its end a certificate is renewed without anybody, whether two enrolments are one laptop, or which of two machines that answer to one name keeps it.",
			takes: NewAdmission{}, gives: Recorded{}, serve: (*door).admit,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/devices/{device}/revocation", right: access.AdmitDevices,
			words: "Has a laptop known no more, from its next message on. What it said stays.",
			takes: NewRevocation{}, gives: Recorded{}, serve: (*door).revoke,
		},
	}
}

// NewAdmission is a decision about enrolments as a caller gives it.
type NewAdmission struct {
	Change admission.Change `json:"change"`
	Reason string           `json:"reason"`
}

// NewRevocation is a revocation as a caller gives it. The reason is kept for
// good: it names nobody.
type NewRevocation struct {
	Reason string `json:"reason"`
}

func (d *door) renewals(r *http.Request, v visit) (any, error) {
	return d.Admissions.Renewals(r.Context(), v.school.ID)
}

func (d *door) twoMachines(r *http.Request, v visit) (any, error) {
	return d.Admissions.TwoMachines(r.Context(), v.school.ID)
}

func (d *door) sameHardware(r *http.Request, v visit) (any, error) {
	return d.Queries.Same(r.Context(), v.school.ID, "", v.params.first("all") != "", v.now)
}

func (d *door) admit(r *http.Request, v visit) (any, error) {
	var asked NewAdmission
	if err := readBody(r, &asked); err != nil {
		return nil, err
	}
	if err := asked.Change.Check(); err != nil {
		return nil, bad("%s", err.Error())
	}
	made := decision.Decision{Kind: decision.Admission, By: v.account.Name, At: v.now, Reason: asked.Reason}
	if err := made.CheckNew(); err != nil {
		return nil, bad("%s", err.Error())
	}
	entry, err := d.Admissions.Admit(r.Context(), v.school.ID, made, asked.Change)
	return admitted(entry, err)
}

func (d *door) revoke(r *http.Request, v visit) (any, error) {
	var asked NewRevocation
	if err := readBody(r, &asked); err != nil {
		return nil, err
	}
	made := decision.Decision{Kind: decision.Revoke, By: v.account.Name, At: v.now, Reason: asked.Reason}
	if err := made.CheckNew(); err != nil {
		return nil, bad("%s", err.Error())
	}
	entry, err := d.Admissions.Revoke(r.Context(), v.school.ID, made, posture.DeviceID(r.PathValue("device")))
	return admitted(entry, err)
}

func admitted(entry uint64, err error) (any, error) {
	if refused, ok := errors.AsType[*decision.RefusedError](err); ok {
		return nil, &problem{Status: http.StatusConflict, Detail: refused.Error()}
	}
	return Recorded{Entry: entry}, err
}
