package api

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
)

// problem is an answer that is none, as RFC 9457 writes it.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

// Error implements error.
func (p *problem) Error() string { return p.Detail }

// Problems that say no more than they must.
var (
	errNoKey   = &problem{Status: http.StatusUnauthorized, Detail: "give a key, as in: Authorization: Bearer ctp1-…"}
	errBadKey  = &problem{Status: http.StatusUnauthorized, Detail: "the key is wrong, has ended or was taken back"}
	errNoKeys  = &problem{Status: http.StatusServiceUnavailable, Detail: "no key works at present: the collector's log says why"}
	errNothing = &problem{Status: http.StatusNotFound, Detail: "there is nothing at this address, or not for this key"}
)

// fail answers with what is wrong. What is not the caller's doing is told to
// the log, and the caller learns only that it happened.
func (d *door) fail(w http.ResponseWriter, r *http.Request, err error) {
	p, ok := errors.AsType[*problem](err)
	switch {
	case ok:
	case errors.Is(err, view.ErrNotFound):
		p = errNothing
	case errors.Is(err, viewing.ErrUnrecorded):
		d.Logger.Error("who looks could not be recorded", "path", r.URL.Path, "error", err)
		p = &problem{Status: http.StatusServiceUnavailable, Detail: viewing.ErrUnrecorded.Error()}
	default:
		d.Logger.Error("a question could not be answered", "method", r.Method, "path", r.URL.Path, "error", err)
		p = &problem{Status: http.StatusInternalServerError, Detail: "the collector could not answer; its log says why"}
	}
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="Caretaker"`)
	}
	body, err := json.Marshal(problem{Title: http.StatusText(p.Status), Status: p.Status, Detail: p.Detail})
	if err != nil {
		body = []byte(`{"status":500}`)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // who asked has gone if this fails
}
