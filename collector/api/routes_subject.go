package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/subject"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// SubjectQueries are the questions about requests of people who ask what is kept
// about them.
type SubjectQueries interface {
	Requests(ctx context.Context, school posture.SchoolID, now time.Time) ([]subject.Request, error)
	Request(ctx context.Context, school posture.SchoolID, id string, now time.Time) (subject.Request, error)
}

// Subjects follows such requests, and gathers what is kept. What cannot be done as
// things stand is a decision.RefusedError.
type Subjects interface {
	// RecordRequest records a change; a request that is received is given its
	// identifier.
	RecordRequest(ctx context.Context, school posture.SchoolID, d decision.Decision) (subject.Request, error)
	SubjectPeople(ctx context.Context, school posture.SchoolID) (People, error)
	MakeExport(ctx context.Context, school posture.SchoolID, by, request string, people, accounts []string) (subject.Request, error)
	ReadExport(ctx context.Context, school posture.SchoolID, request string) (Export, error)
}

// Request is a request with its clock at the time of asking.
type Request struct {
	subject.Request
	Clock subject.Clock `json:"clock"`
	Words string        `json:"words"` // the clock in a sentence
}

// NewRequest returns a request with its clock.
func NewRequest(r subject.Request, now time.Time) Request {
	if r.ID == "" {
		return Request{}
	}
	return Request{r, r.Clock(now), r.Words(now)}
}

// NewRequests does so for a list.
func NewRequests(list []subject.Request, now time.Time) []Request {
	out := make([]Request, 0, len(list))
	for _, r := range list {
		out = append(out, NewRequest(r, now))
	}
	return out
}

// RequestList is a list of requests.
type RequestList struct {
	Requests []Request `json:"requests"`
}

// People are the names under which a school may keep something about somebody.
type People struct {
	People   []string `json:"people"`   // in its register
	Accounts []string `json:"accounts"` // of its accounts
}

// Export is what was gathered for a request.
type Export struct {
	Request   string    `json:"request"`
	At        time.Time `json:"at"`
	By        string    `json:"by"`
	Digest    string    `json:"digest"` // SHA-256 of the file
	Lines     int       `json:"lines"`  // things that it lists
	Forgotten bool      `json:"forgotten,omitempty"`
	File      []byte    `json:"file,omitempty"` // the same bytes each time; none once forgotten
}

// NewRequestChange is what somebody records of a request.
type NewRequestChange struct {
	Change subject.Change `json:"change"`
	Reason string         `json:"reason"`
}

// NewExport says whose data are gathered: every name under which they are kept.
type NewExport struct {
	People   []string `json:"people"`
	Accounts []string `json:"accounts"`
}

func subjectRoutes() []route {
	const at = "/schools/{school}/subject-requests"
	return []route{
		{
			method: http.MethodGet, path: at, right: access.RecordRequests, shows: viewing.Requests,
			words: "The requests of people who ask what is kept about them, each with the day by which it is to be answered.",
			gives: RequestList{}, serve: (*door).requests,
		},
		{
			method: http.MethodPost, path: at, right: access.RecordRequests,
			words: "Records that somebody asked what is kept about them, in whatever words.", takes: NewRequestChange{}, gives: Request{}, serve: (*door).receiveRequest,
		},
		{
			method: http.MethodGet, path: at + "/people", right: access.AnswerRequests, shows: viewing.Register,
			words: "The names under which the school may keep something about somebody.", gives: People{}, serve: (*door).requestPeople,
		},
		{
			method: http.MethodGet, path: at + "/{person}", right: access.RecordRequests, shows: viewing.Person,
			words: "One request, by its identifier, with all that was recorded of it.", gives: Request{}, serve: (*door).request,
		},
		{
			method: http.MethodPost, path: at + "/{person}/changes", right: access.AnswerRequests,
			words: "Records what became of a request.", takes: NewRequestChange{}, gives: Request{}, serve: (*door).changeRequest,
		},
		{
			method: http.MethodPost, path: at + "/{person}/exports", right: access.AnswerRequests,
			words: "Gathers what is kept about whoever asked. It is forgotten after the time that the school keeps exports.", takes: NewExport{}, gives: Request{}, serve: (*door).makeExport,
		},
		{
			method: http.MethodGet, path: at + "/{person}/export", right: access.AnswerRequests, shows: viewing.Person,
			words: "What was gathered last for a request.", gives: Export{}, serve: (*door).export,
		},
	}
}

func (d *door) requests(r *http.Request, v visit) (any, error) {
	list, err := d.Queries.Requests(r.Context(), v.school.ID, v.now)
	return RequestList{NewRequests(list, v.now)}, err
}

func (d *door) request(r *http.Request, v visit) (any, error) {
	one, err := d.Queries.Request(r.Context(), v.school.ID, r.PathValue("person"), v.now)
	return NewRequest(one, v.now), err
}

func (d *door) requestPeople(r *http.Request, v visit) (any, error) {
	return d.Subjects.SubjectPeople(r.Context(), v.school.ID)
}

func (d *door) receiveRequest(r *http.Request, v visit) (any, error) {
	return d.recordRequest(r, v, "")
}

func (d *door) changeRequest(r *http.Request, v visit) (any, error) {
	return d.recordRequest(r, v, r.PathValue("person"))
}

func (d *door) recordRequest(r *http.Request, v visit, id string) (any, error) {
	var asked NewRequestChange
	if err := readBody(r, &asked); err != nil {
		return nil, err
	}
	if (asked.Change.What == subject.Receive) != (id == "") {
		return nil, bad("a request is received once, and changed by its own address")
	}
	asked.Change.ID = id
	made := decision.Decision{Kind: decision.Subject, By: v.account.Name, At: v.now, Reason: asked.Reason, Request: &asked.Change}
	one, err := d.Subjects.RecordRequest(r.Context(), v.school.ID, made)
	return refusedOr(NewRequest(one, v.now), err)
}

func (d *door) makeExport(r *http.Request, v visit) (any, error) {
	var asked NewExport
	if err := readBody(r, &asked); err != nil {
		return nil, err
	}
	one, err := d.Subjects.MakeExport(r.Context(), v.school.ID, v.account.Name, r.PathValue("person"), asked.People, asked.Accounts)
	return refusedOr(NewRequest(one, v.now), err)
}

func (d *door) export(r *http.Request, v visit) (any, error) {
	return d.Subjects.ReadExport(r.Context(), v.school.ID, r.PathValue("person"))
}

// refusedOr answers, or says why something cannot be done as things stand.
func refusedOr(answer any, err error) (any, error) {
	if refused, ok := errors.AsType[*decision.RefusedError](err); ok {
		return nil, &problem{Status: http.StatusConflict, Detail: refused.Error()}
	}
	return answer, err
}
