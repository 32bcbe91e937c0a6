package web

import (
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
)

var (
	errNoPage    = errors.New("no such page")
	errNotYours  = errors.New("not for this role")
	errElsewhere = errors.New("sent from another site")
	errHandled   = errors.New("said already")
	errStale     = errors.New("signed in too long ago")
	errCrowded   = errors.New("too many pages are open")
	errBefore    = errors.New("before the school's record begins")
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
	case errors.Is(err, viewing.ErrUnrecorded):
		return trouble{http.StatusServiceUnavailable, "This cannot be shown at present", []string{
			"Who looks at a laptop, or at what concerns people, is recorded before it is shown. That cannot be recorded now, so it is not shown to anybody.",
			"The school’s first page says what is wrong with the record. When that is mended, reload this page.",
		}}
	case errors.Is(err, errBefore):
		return trouble{http.StatusNotFound, "Nothing was recorded by then", []string{
			"The school's record begins later than the day that was asked about, so nothing is proven of it.",
		}}
	case errors.Is(err, errNotYours):
		return trouble{http.StatusForbidden, "This page is not for your role", []string{
			"Your account is known at this school, but its role does not include this page.",
			"If you need it for your work, ask whoever looks after Caretaker at the school.",
		}}
	case errors.Is(err, errElsewhere):
		return trouble{http.StatusForbidden, "This request came from another site", []string{
			"Your browser says that a different site sent it, so nothing was done. Go back to Caretaker and try again there.",
		}}
	case closed(err):
		return trouble{http.StatusServiceUnavailable, "Nobody can sign in at present", []string{
			"The collector cannot read its accounts, so it lets nobody in. Its log, and caretaker-collector status, say what is wrong and what to do.",
			"What laptops report is recorded all the same.",
		}}
	case errors.Is(err, errStale):
		return trouble{http.StatusForbidden, "Sign in again first", []string{
			"You signed in more than 15 minutes ago. To change how you sign in, sign out and sign in again: a window left open must not be enough.",
		}}
	case errors.Is(err, access.ErrStale):
		return trouble{http.StatusUnprocessableEntity, "This page was open for too long", []string{
			"Nothing was done. Go back to the page before it, reload that, and try again.",
		}}
	case errors.Is(err, access.ErrProvider):
		return trouble{http.StatusBadGateway, "The sign-on service did not answer as it should", []string{
			"It may be out of order, or it said no. What happened has been written to the collector’s log.",
			"You can sign in with your name and password, or with a passkey, all the same.",
		}}
	case errors.Is(err, access.ErrStranger):
		return trouble{http.StatusForbidden, "No account here is linked to that one", []string{
			"The sign-on service knows you, and that alone opens nothing here.",
			"Sign in with your name and password once, and link the service under “Your account”. Without an account, ask whoever looks after Caretaker at your school.",
		}}
	case errors.Is(err, access.ErrLinked):
		return trouble{http.StatusConflict, "That one is linked to another account", []string{
			"Nothing was changed. Unlink it from the other account first.",
		}}
	case errors.Is(err, access.ErrNeeded):
		return trouble{http.StatusConflict, "Your role needs a second step", []string{
			"This is the last one, and your role must have one. Set up another first, then take this one away.",
		}}
	case errors.Is(err, access.ErrNoProvider):
		return trouble{http.StatusNotFound, "There is no such sign-on service", []string{"It may have been removed. Sign in with your name and password."}}
	case errors.As(err, &tooMany):
		return trouble{http.StatusTooManyRequests, "Too many attempts", []string{
			"Too many attempts to sign in were made from this network or this browser. Wait a while and try again: how long depends on how many there were.",
			"A passkey and the school’s sign-on service work all the same.",
		}}
	case errors.Is(err, errCrowded):
		return trouble{http.StatusServiceUnavailable, "Too many pages are open", []string{
			"This page does not update itself now. Reload it to see what has changed.",
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

// closed reports whether nobody is let in because the accounts cannot be read.
func closed(err error) bool {
	_, ok := errors.AsType[*access.UnreadableError](err)
	return ok
}

// fail answers with an error page. It is the one place that logs one.
func (s *site) fail(w http.ResponseWriter, r *http.Request, v visit, err error) {
	t := troubleOf(err)
	if (t.status == http.StatusInternalServerError || errors.Is(err, viewing.ErrUnrecorded)) && !errors.Is(err, errHandled) {
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
