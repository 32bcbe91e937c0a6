package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// ExemptionQueries are the questions about exemptions.
type ExemptionQueries interface {
	Exemptions(ctx context.Context, school posture.SchoolID, query view.ExemptionQuery, now time.Time) (view.ExemptionPage, error)
	Exemption(ctx context.Context, school posture.SchoolID, id string, now time.Time) (view.Exemption, error)
}

func exemptionRoutes() []route {
	const one = "/schools/{school}/exemptions/{exemption}"
	return []route{
		{
			method: http.MethodGet, path: "/schools/{school}/exemptions", right: access.ReadDevices, shows: viewing.Exemptions,
			words: "A page of a school's exemptions from rules, the newest first.", gives: view.ExemptionPage{}, serve: (*door).exemptions,
			params: []param{
				{name: "state", words: "only exemptions of these states", one: stateWords(), many: true},
				{name: "rule", words: "only exemptions from this rule"},
				{name: "device", words: "only exemptions for this device, or for a breach of it"},
				afterParam, limitParam,
			},
		},
		{
			method: http.MethodGet, path: one, right: access.ReadDevices, shows: viewing.Exemptions,
			words: "One exemption.", gives: view.Exemption{}, serve: (*door).exemption,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/exemptions", right: access.AskExemptions,
			words: "Asks for an exemption from a rule, for one breach, a device, a group or the whole school. Nothing is exempt until another person approves it.",
			takes: NewExemption{}, gives: AskedExemption{}, serve: (*door).askExemption,
		},
		{
			method: http.MethodPost, path: one + "/approval", right: access.ApproveExemptions,
			words: "Approves what another account asked for. It holds from then on.",
			takes: NewAnswer{}, gives: Recorded{}, serve: answers(decision.Exempt),
		},
		{
			method: http.MethodPost, path: one + "/refusal", right: access.AskExemptions,
			words: "Refuses an exemption that was asked for. Who asked may refuse it too, and so take it back.",
			takes: NewAnswer{}, gives: Recorded{}, serve: answers(decision.RefuseExemption),
		},
		{
			method: http.MethodPost, path: one + "/end", right: access.AskExemptions,
			words: "Takes an exemption back before its end.",
			takes: NewAnswer{}, gives: Recorded{}, serve: answers(decision.EndExemption),
		},
	}
}

func stateWords() (words []string) {
	for _, s := range view.ExemptionStates() {
		words = append(words, string(s))
	}
	return words
}

// NewExemption is what somebody asks for. Who asks is whose key it is.
type NewExemption struct {
	Scope  breach.Scope `json:"scope"`
	Until  time.Time    `json:"until"` // the first moment at which it no longer holds; within 366 days
	Reason string       `json:"reason"`
}

// AskedExemption is an exemption that was asked for.
type AskedExemption struct {
	ID    string `json:"id"`
	Entry uint64 `json:"entry"` // of the school's ledger
}

// NewAnswer is why somebody approves, refuses or ends an exemption.
type NewAnswer struct {
	Reason string `json:"reason"`
}

func (d *door) exemptions(r *http.Request, v visit) (any, error) {
	query := view.ExemptionQuery{
		Rule: v.params.first("rule"), Device: posture.DeviceID(v.params.first("device")),
		After: v.params.first("after"), Limit: v.params.limit(),
	}
	for _, s := range v.params["state"] {
		query.States = append(query.States, view.ExemptionState(s))
	}
	return d.Queries.Exemptions(r.Context(), v.school.ID, query, v.now)
}

func (d *door) exemption(r *http.Request, v visit) (any, error) {
	return d.Queries.Exemption(r.Context(), v.school.ID, r.PathValue("exemption"), v.now)
}

func (d *door) askExemption(r *http.Request, v visit) (any, error) {
	var asked NewExemption
	if err := readBody(r, &asked); err != nil {
		return nil, err
	}
	made := decision.Ask(decision.NewExemptionID(), asked.Scope, asked.Until, v.account.Name, asked.Reason, v.now)
	if err := made.CheckNew(); err != nil {
		return nil, bad("%s", err.Error())
	}
	recorded, err := d.exempt(r, v, made)
	return AskedExemption{ID: made.Exemption.ID, Entry: recorded.Entry}, err
}

// answers returns what serves a decision about an exemption that was asked for.
func answers(kind decision.Kind) func(*door, *http.Request, visit) (any, error) {
	return func(d *door, r *http.Request, v visit) (any, error) {
		var answer NewAnswer
		if err := readBody(r, &answer); err != nil {
			return nil, err
		}
		id := r.PathValue("exemption")
		if err := decision.About(decision.RefuseExemption, id, v.account.Name, answer.Reason, v.now).CheckNew(); err != nil {
			return nil, bad("%s", err.Error())
		}
		if kind == decision.RefuseExemption && !v.account.May(v.school.ID, access.ApproveExemptions) {
			e, err := d.Queries.Exemption(r.Context(), v.school.ID, id, v.now)
			if err != nil {
				return nil, err
			}
			if !breach.SamePerson(e.Asked.By, v.account.Name) {
				return nil, &problem{Status: http.StatusForbidden, Detail: "this key may not " + string(access.ApproveExemptions) + " at this school"}
			}
		}
		return d.exempt(r, v, decision.About(kind, id, v.account.Name, answer.Reason, v.now))
	}
}

// exempt records a decision about an exemption.
func (d *door) exempt(r *http.Request, v visit, made decision.Decision) (Recorded, error) {
	entry, err := d.Decider.Decide(r.Context(), v.school.ID, made)
	if refused, ok := errors.AsType[*decision.RefusedError](err); ok {
		return Recorded{}, &problem{Status: http.StatusConflict, Detail: refused.Error()}
	}
	return Recorded{Entry: entry}, err
}
