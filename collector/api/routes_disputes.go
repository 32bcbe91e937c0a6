package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/dispute"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// DisputeQueries are the questions about recorded facts that are disputed.
type DisputeQueries interface {
	Disputes(ctx context.Context, school posture.SchoolID, query view.DisputeQuery, now time.Time) (view.DisputePage, error)
	Dispute(ctx context.Context, school posture.SchoolID, id string, now time.Time) (view.Dispute, error)
}

// Disputes records that a fact is disputed, and what is answered. What cannot be
// done as things stand is a decision.RefusedError.
type Disputes interface {
	RaiseDispute(ctx context.Context, school posture.SchoolID, by string, told dispute.Told, change dispute.Change, words string) (view.Dispute, error)
	AnswerDispute(ctx context.Context, school posture.SchoolID, by, id string, outcome dispute.Outcome, words string) (view.Dispute, error)
}

// NewDispute is what of the record somebody says is wrong, and why.
type NewDispute struct {
	About  dispute.About    `json:"about"`
	Rule   string           `json:"rule,omitempty"`
	Device posture.DeviceID `json:"device,omitempty"`
	Asset  string           `json:"asset,omitempty"` // tag of what is no laptop
	For    string           `json:"for,omitempty"`   // on whose behalf, by name
	Words  string           `json:"words"`
}

// DisputeAnswer is what is answered.
type DisputeAnswer struct {
	Outcome dispute.Outcome `json:"outcome"`
	Words   string          `json:"words"` // what was done, or why it stands
}

func disputeRoutes() []route {
	const at = "/schools/{school}/disputes"
	return []route{
		{
			method: http.MethodGet, path: at, right: access.DisputeFacts, shows: viewing.Disputes,
			words: "A page of recorded facts of which somebody says that they are wrong: those that wait for an answer first, by when it is due.",
			gives: view.DisputePage{}, serve: (*door).disputes,
			params: []param{
				{name: "open", words: "only what waits for an answer", one: []string{"true"}},
				{name: "device", words: "only what is about this device, by its identifier"},
				afterParam, limitParam,
			},
		},
		{
			method: http.MethodPost, path: at, right: access.DisputeFacts,
			words: "Records that a fact is said to be wrong, beside it and never in its place. Evidence about the device shows the words, and not who wrote them.",
			takes: NewDispute{}, gives: view.Dispute{}, serve: (*door).raiseDispute,
		},
		{
			method: http.MethodGet, path: at + "/{dispute}", right: access.DisputeFacts, shows: viewing.Disputes,
			words: "What somebody says is wrong, and what was answered.", gives: view.Dispute{}, serve: (*door).dispute,
		},
		{
			method: http.MethodPost, path: at + "/{dispute}/answer", right: access.AnswerDisputes,
			words: "Answers a dispute: upheld with what was done, or not with the reason. Nobody answers what they dispute themselves.",
			takes: DisputeAnswer{}, gives: view.Dispute{}, serve: (*door).answerDispute,
		},
	}
}

func (d *door) disputes(r *http.Request, v visit) (any, error) {
	return d.Queries.Disputes(r.Context(), v.school.ID, view.DisputeQuery{
		Device: posture.DeviceID(v.params.first("device")), Open: v.params.first("open") != "", After: v.params.first("after"), Limit: v.params.limit(),
	}, v.now)
}

func (d *door) dispute(r *http.Request, v visit) (any, error) {
	return d.Queries.Dispute(r.Context(), v.school.ID, r.PathValue("dispute"), v.now)
}

func (d *door) raiseDispute(r *http.Request, v visit) (any, error) {
	var asked NewDispute
	if err := readBody(r, &asked); err != nil {
		return nil, err
	}
	change := dispute.Change{About: asked.About, Rule: asked.Rule, Device: asked.Device, Asset: asked.Asset}
	one, err := d.Disputes.RaiseDispute(r.Context(), v.school.ID, v.account.Name, dispute.Told{For: asked.For}, change, asked.Words)
	return one, disputeProblem(err)
}

func (d *door) answerDispute(r *http.Request, v visit) (any, error) {
	var asked DisputeAnswer
	if err := readBody(r, &asked); err != nil {
		return nil, err
	}
	one, err := d.Disputes.AnswerDispute(r.Context(), v.school.ID, v.account.Name, r.PathValue("dispute"), asked.Outcome, asked.Words)
	return one, disputeProblem(err)
}

func disputeProblem(err error) error {
	if refused, ok := errors.AsType[*decision.RefusedError](err); ok {
		return &problem{Status: http.StatusConflict, Detail: refused.Error()}
	}
	return err
}
