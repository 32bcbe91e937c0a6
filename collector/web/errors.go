package web

import (
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/view"
)

var (
	errNoPage    = errors.New("no such page")
	errNotYours  = errors.New("not for this role")
	errElsewhere = errors.New("sent from another site")
	errHandled   = errors.New("said already")
	errNothing   = errors.New("nothing of the school can be shown")
)

// trouble is an error as a person is told of it.
type trouble struct {
	status int
	Title  string
	Words  []string
}

// troubleOf turns an error into words that give nothing away.
func troubleOf(err error) trouble {
	var tooMany *access.TooManyError
	switch {
	case errors.Is(err, errNoPage), errors.Is(err, view.ErrNotFound):
		return trouble{http.StatusNotFound, "This page does not exist", []string{
			"The address may be mistyped, or what it named is no longer there.",
		}}
	case errors.Is(err, errNothing):
		return trouble{http.StatusServiceUnavailable, "Nothing of this school can be shown yet", []string{
			"The collector has not yet worked in anything of this school's record. Reload this page in a minute.",
		}}
	case errors.Is(err, errNotYours):
		return trouble{http.StatusForbidden, "This page is not for your role", []string{
			"Your account is known at this school, but its role does not include pages about named devices.",
			"If you need them for your work, ask whoever looks after Caretaker at the school.",
		}}
	case errors.Is(err, errElsewhere):
		return trouble{http.StatusForbidden, "This request came from another site", []string{
			"Your browser says that a different site sent it, so nothing was done. Go back to Caretaker and try again there.",
		}}
	case errors.As(err, &tooMany):
		return trouble{http.StatusTooManyRequests, "Too many attempts", []string{
			"Too many attempts to sign in were made from this network. Wait a minute and try again.",
		}}
	case errors.Is(err, access.ErrBusy):
		return trouble{http.StatusServiceUnavailable, "Too many people are signing in", []string{
			"Wait a moment and try again.",
		}}
	}
	return trouble{http.StatusInternalServerError, "Something went wrong", []string{
		"The page could not be made. What happened has been written to the collector's log.",
		"What laptops report is recorded all the same.",
	}}
}

// fail answers with an error page. It is the one place that logs one.
func (s *site) fail(w http.ResponseWriter, r *http.Request, v visit, err error) {
	t := troubleOf(err)
	if t.status == http.StatusInternalServerError && !errors.Is(err, errHandled) {
		if r.Context().Err() != nil {
			return // nobody is waiting for the answer
		}
		s.Logger.Error("page failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	var tooMany *access.TooManyError
	if errors.As(err, &tooMany) {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(tooMany.RetryAfter.Seconds()))))
	}
	p := s.page(v, t.Title, "")
	if err := s.write(w, t.status, "error", p, t); err != nil {
		s.Logger.Error("error page failed", "path", r.URL.Path, "error", err)
		http.Error(w, t.Title, t.status)
	}
}
