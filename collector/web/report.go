package web

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/concern"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// ErrFull says that too much waits to be looked at for more to be taken.
var ErrFull = errors.New("too many reports wait to be looked at")

// ConcernKeeper records what people report without signing in, and what comes of
// it. What cannot be recorded as things stand is a decision.RefusedError.
type ConcernKeeper interface {
	// SchoolAt returns the school that has an address for reports now, or
	// view.ErrNotFound.
	SchoolAt(ctx context.Context, address string) (posture.SchoolID, error)
	// RaiseConcern records what somebody tells, and returns the reference under
	// which it is. It is on disk then. If too much waits already it is ErrFull.
	RaiseConcern(ctx context.Context, school posture.SchoolID, d decision.Decision, kind concern.Kind) (reference string, err error)
	// SetConcernsAside records that nothing follows of reports.
	SetConcernsAside(ctx context.Context, school posture.SchoolID, d decision.Decision, references []string) (entry uint64, err error)
	// RenewConcernAddress gives the school another address for reports.
	RenewConcernAddress(ctx context.Context, school posture.SchoolID, d decision.Decision) (entry uint64, err error)
}

// turnstiles let so many reports through. Whoever floods one network's share
// leaves that of others; together, strangers leave that of whoever has signed
// in.
type turnstiles struct {
	near   *access.Turns // each address
	wide   *access.Turns // each neighbourhood of addresses
	all    *access.Turns // each school
	inside *access.Turns // each account
}

func newTurnstiles(c clock.Clock) turnstiles {
	return turnstiles{
		near: access.NewTurns(c, 8, 5*time.Minute), wide: access.NewTurns(c, 30, 2*time.Minute),
		all: access.NewTurns(c, 100, 3*time.Minute), inside: access.NewTurns(c, 20, time.Minute),
	}
}

// wait lets a report of a school through, or says how long it has to wait. by is
// the account at the school; "" for a stranger.
func (t turnstiles) wait(school posture.SchoolID, address, by string) time.Duration {
	if by != "" {
		return t.inside.Take(by)
	}
	if wait := t.near.Take(access.Network(address)); wait > 0 {
		return wait
	}
	if wait := t.wide.Take(neighbourhood(address)); wait > 0 {
		return wait
	}
	return t.all.Take(string(school))
}

// neighbourhood is the addresses around an address that one who has many of them
// is likely to have.
func neighbourhood(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	ip = ip.Unmap().WithZone("")
	bits := 48
	if ip.Is4() {
		bits = 24
	}
	return netip.PrefixFrom(ip, bits).Masked().String()
}

// reportPage is where people of a school report without signing in.
type reportPage struct {
	School  string
	Address string // of the form
	Form    reportForm
	Kinds   []choice
	Ring    ring
	As      string // the account under which it is reported, if somebody has signed in
	Fields  []collectedSection
	Wrong   []wrong
}

// maxReport is the most that is read of a report, in bytes: a few times what it
// may hold, so that who writes too much is told so and keeps what they wrote.
const maxReport = 64 << 10

// reportForm is a report as it is typed.
type reportForm struct {
	Kind               concern.Kind
	Thing, From, Reach string
	Words              string
}

// takenPage says what follows.
type takenPage struct {
	School    string
	Reference string
	Address   string // of the form
	Ring      ring
}

// ring is whom to ring about a loss, as far as the school has said.
type ring struct{ Who, Phone, After string }

// Known reports whether there is a number to ring.
func (r ring) Known() bool { return r.Phone != "" || r.After != "" }

// kindOfReport names what is reported, as somebody who reports it would.
func kindOfReport(k concern.Kind) string {
	switch k {
	case concern.Lost:
		return "A laptop or a stick is lost"
	case concern.Stolen:
		return "A laptop or a stick was stolen"
	case concern.Suspicious:
		return "Something looks suspicious"
	case concern.FoundStick:
		return "I found a stick"
	}
	return "Not known"
}

// reportingTo returns the school whose address for reports it is.
func (s *site) reportingTo(r *http.Request) (view.School, error) {
	address, err := concern.ParseAddress(r.PathValue("address"))
	if err != nil {
		return view.School{}, errNoPage
	}
	id, err := s.Concerns.SchoolAt(r.Context(), address)
	if err != nil {
		return view.School{}, err
	}
	schools, err := s.Queries.Schools(r.Context())
	if err != nil {
		return view.School{}, err
	}
	i := slices.IndexFunc(schools, func(o view.School) bool { return o.ID == id })
	if i < 0 {
		return view.School{}, errNoPage
	}
	return schools[i], nil
}

func reportAddress(address string) string { return "/report/" + strings.ToLower(address) }

// ring returns whom to ring at a school.
func (s *site) ring(ctx context.Context, school posture.SchoolID, now time.Time) (ring, error) {
	p, err := s.Queries.Particulars(ctx, school, now)
	return ring{p.Loss.Who, p.Loss.Phone, p.Loss.After}, err
}

func (s *site) reportPage(w http.ResponseWriter, r *http.Request, v visit) error {
	school, err := s.reportingTo(r)
	if err != nil {
		return err
	}
	return s.showReport(w, r, v, school, http.StatusOK, reportForm{Thing: bounded(r.URL.Query().Get("thing"))}, nil)
}

func (s *site) showReport(w http.ResponseWriter, r *http.Request, v visit, school view.School, status int, form reportForm, bad []wrong) error {
	page := reportPage{School: school.Name, Address: reportAddress(r.PathValue("address")), Form: form, Fields: s.fields, Wrong: bad, As: reportsAs(v, school)}
	page.Kinds = append(page.Kinds, choice{"", "Choose", form.Kind == ""})
	for _, k := range concern.Kinds() {
		page.Kinds = append(page.Kinds, choice{string(k), kindOfReport(k), k == form.Kind})
	}
	var err error
	if page.Ring, err = s.ring(r.Context(), school.ID, v.now); err != nil {
		return err
	}
	title := "Report something lost or suspicious – " + school.Name
	title = titleOf(title, bad)
	return s.write(w, status, "report", s.page(v, title, "report"), page)
}

// reportsAs is the account under which a visitor reports to a school; "" for a
// stranger.
func reportsAs(v visit, school view.School) string {
	if v.known && v.account.Belongs(school.ID) {
		return v.account.Name
	}
	return ""
}

// report takes a report. What it answers does not hang on whether the school has
// such a laptop: that is asked only by whoever reads it.
func (s *site) report(w http.ResponseWriter, r *http.Request, v visit) error {
	school, err := s.reportingTo(r)
	if err != nil {
		return err
	}
	f, err := form(w, r, maxReport)
	if err != nil {
		return err
	}
	typed := reportForm{
		Kind: concern.Kind(f.Get("kind")), Words: onOneLine(f.Get("reason")),
		Thing: strings.TrimSpace(f.Get("thing")), From: strings.TrimSpace(f.Get("from")), Reach: strings.TrimSpace(f.Get("reach")),
	}
	made := decision.Decision{
		Kind: decision.Concern, By: decision.NotSignedIn, At: v.now, Reason: typed.Words,
		Concern: &concern.Told{Thing: typed.Thing, From: typed.From, Reach: typed.Reach},
	}
	by := reportsAs(v, school)
	if by != "" {
		made.By = by
	}
	if bad := typed.problems(made); len(bad) > 0 {
		return s.showReport(w, r, v, school, http.StatusUnprocessableEntity, typed, bad)
	}
	if wait := s.reports.wait(school.ID, addressOf(r), by); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		return s.showReport(w, r, v, school, http.StatusTooManyRequests, typed, []wrong{{"words", tooManyWords(wait)}})
	}
	reference, err := s.Concerns.RaiseConcern(r.Context(), school.ID, made, typed.Kind)
	switch {
	case errors.Is(err, ErrFull):
		return s.showReport(w, r, v, school, http.StatusServiceUnavailable, typed, []wrong{{"words", "So many reports wait to be looked at that yours could not be taken. Ring the school instead, or sign in and report it then."}})
	case err != nil:
		s.Logger.Error("a report could not be recorded", "school", school.ID, "error", err)
		return s.showReport(w, r, v, school, http.StatusServiceUnavailable, typed, []wrong{{"words", "Your report could not be recorded just now. Ring the school instead, or try again in a few minutes."}})
	}
	http.Redirect(w, r, reportAddress(r.PathValue("address"))+"/"+reference, http.StatusSeeOther)
	return nil
}

func tooManyWords(wait time.Duration) string {
	minutes := int(math.Ceil(wait.Minutes()))
	return fmt.Sprintf("Many reports have come in a short time, so yours was not taken. Ring the school, or send this again in %s. Whoever has an account can sign in and report it at once.", count(minutes, "minute"))
}

// problems says what is wrong with a report.
func (f reportForm) problems(made decision.Decision) (bad []wrong) {
	if !slices.Contains(concern.Kinds(), f.Kind) {
		bad = append(bad, wrong{"kind", "Choose what it is about."})
	}
	for _, l := range []struct {
		id   string
		told concern.Told
	}{{"thing", concern.Told{Thing: f.Thing}}, {"from", concern.Told{From: f.From}}, {"reach", concern.Told{Reach: f.Reach}}} {
		if err := l.told.Check(); err != nil {
			bad = append(bad, wrong{l.id, sentence(err.Error())})
		}
	}
	switch {
	case f.Words == "":
		bad = append(bad, wrong{"words", "Say in a few words what happened, and when and where it was last seen."})
	case len([]rune(f.Words)) > concern.MostWords:
		bad = append(bad, wrong{"words", fmt.Sprintf("Say it in at most %s characters.", number(concern.MostWords))})
	case len(bad) == 0:
		if err := made.CheckNew(); err != nil {
			bad = append(bad, wrong{"words", sentence(err.Error())})
		}
	}
	return bad
}

// reportTaken says what follows of a report. It shows the reference that the
// address names and asks nothing about it: what became of a report only the
// school sees.
func (s *site) reportTaken(w http.ResponseWriter, r *http.Request, v visit) error {
	school, err := s.reportingTo(r)
	if err != nil {
		return err
	}
	reference, err := concern.ParseReference(r.PathValue("reference"))
	if err != nil {
		return errNoPage
	}
	page := takenPage{School: school.Name, Reference: reference, Address: reportAddress(r.PathValue("address"))}
	if page.Ring, err = s.ring(r.Context(), school.ID, v.now); err != nil {
		return err
	}
	return s.write(w, http.StatusOK, "report-taken", s.page(v, "Your report was taken – "+school.Name, "report"), page)
}
