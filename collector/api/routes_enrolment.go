package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// PendingKeeper knows which laptops wait to be admitted, and records what is
// decided about them. What cannot be asked for is a *decision.RefusedError.
type PendingKeeper interface {
	Pending(ctx context.Context, school posture.SchoolID) ([]admission.Pending, error)
	DecidePending(ctx context.Context, school posture.SchoolID, d decision.Decision, what admission.What, codes []string) ([]admission.Decided, error)
}

// PendingEnrolments are the laptops of a school that wait to be admitted, and
// those that were refused of late.
type PendingEnrolments struct {
	Pending []admission.Pending `json:"pending"`
}

// NewPendingDecision says about which laptops is decided, and why.
type NewPendingDecision struct {
	Codes  []string `json:"codes"`            // that the laptops show
	Reason string   `json:"reason,omitempty"` // of a refusal, which the laptop is told; it may be left out of an approval
}

// DecidedEnrolments is what became of each.
type DecidedEnrolments struct {
	Decided []admission.Decided `json:"decided"`
}

func enrolmentRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/schools/{school}/enrolments/waiting", right: access.ReadDevices, shows: viewing.Devices,
			words: "The laptops that wait to be admitted, and those that were refused of late. What they say of themselves, nobody has proved. Asset is the tag of what the register had with the serial number that one said, for who reads the register.",
			gives: PendingEnrolments{}, serve: (*door).pending,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/enrolments/waiting/approval", right: access.AdmitDevices,
			words: "Admits laptops that wait, by the codes that they show. Each gets its certificate when it asks next; what cannot be decided is said and stops no other. Asset is the tag of what one is from now on, by its serial number; untied says why it is not.",
			takes: NewPendingDecision{}, gives: DecidedEnrolments{}, serve: decidePending(admission.Approve),
		},
		{
			method: http.MethodPost, path: "/schools/{school}/enrolments/waiting/refusal", right: access.AdmitDevices,
			words: "Refuses laptops that wait. They are told why.",
			takes: NewPendingDecision{}, gives: DecidedEnrolments{}, serve: decidePending(admission.Refuse),
		},
	}
}

func (d *door) pending(r *http.Request, v visit) (any, error) {
	list, err := d.Waiting.Pending(r.Context(), v.school.ID)
	if !v.account.May(v.school.ID, access.ReadRegister) {
		for i, p := range list {
			list[i] = p.WithoutRegister()
		}
	}
	return PendingEnrolments{Pending: list}, err
}

func decidePending(what admission.What) func(*door, *http.Request, visit) (any, error) {
	return func(d *door, r *http.Request, v visit) (any, error) {
		var asked NewPendingDecision
		if err := readBody(r, &asked); err != nil {
			return nil, err
		}
		if asked.Reason == "" && what == admission.Approve {
			asked.Reason = "its code was compared"
		}
		made := decision.Decision{Kind: decision.Admission, By: v.account.Name, At: v.now, Reason: asked.Reason}
		if err := made.CheckNew(); err != nil {
			return nil, bad("%s", err.Error())
		}
		done, err := d.Waiting.DecidePending(r.Context(), v.school.ID, made, what, asked.Codes)
		if refused, ok := errors.AsType[*decision.RefusedError](err); ok {
			return nil, bad("%s", refused.Error())
		}
		return DecidedEnrolments{Decided: done}, err
	}
}
