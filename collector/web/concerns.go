package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/concern"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// ConcernQueries are the questions about what people reported.
type ConcernQueries interface {
	Concerns(ctx context.Context, school posture.SchoolID, query view.ConcernQuery, now time.Time) (view.ConcernPage, error)
	Concern(ctx context.Context, school posture.SchoolID, id string, now time.Time) (view.Concern, error)
	WaitingConcerns(ctx context.Context, school posture.SchoolID, now time.Time) (n int, since time.Time, err error)
	ConcernAddress(ctx context.Context, school posture.SchoolID, now time.Time) (view.ConcernAddress, error)
}

// concernsPage lists what people reported, and what waits to be looked at first.
type concernsPage struct {
	Incidents   string // address of the register of incidents
	Address     string
	Waiting     []concernRow
	More        int // that wait beyond those
	Rows        []concernRow
	Next, First string
	MayRecord   bool
	Done        string
	Typed       string
	Wrong       []wrong
}

// concernRow is a report as pages list it.
type concernRow struct {
	view.Concern
	Begins   string // of what was told
	Address  string
	KindIs   string
	Raised   *moment
	State    string
	Incident string // address of the incident that was opened because of it
}

// concernPage is one report, and what may be done about it.
type concernPage struct {
	concernRow
	Aside     *moment
	Matches   []nameMatch // laptops that have just the name that was typed
	Alike     bool        // some have a name that holds it
	MayRecord bool
	Open      string // address that opens an incident
	SetAside  string
	Kinds     []choice
	Aware     typed
	AwareAt   *moment
	Typed     string
	Wrong     []wrong
}

// nameMatch is a laptop that somebody named.
type nameMatch struct{ Name, Address string }

func concernsAddress(school posture.SchoolID) string { return incidentAddress(school, "") + "/reports" }

func newConcernRow(school posture.SchoolID, c view.Concern, at clockwork) concernRow {
	row := concernRow{Concern: c, Begins: beginningOf(c.Words), Address: concernsAddress(school) + "/" + c.ID, KindIs: kindOfReport(c.Kind), Raised: at.moment(c.Raised)}
	switch {
	case c.Case != "":
		row.State, row.Incident = "Incident "+c.Incident, incidentAddress(school, c.Incident)
	case !c.Waiting():
		row.State = "Set aside"
	default:
		row.State = "Not yet looked at"
	}
	return row
}

// mostListed is how much of what was told a list shows, in characters.
const mostListed = 240

// beginningOf shortens what was told for a list.
func beginningOf(words string) string {
	if r := []rune(words); len(r) > mostListed {
		return strings.TrimSpace(string(r[:mostListed])) + " …"
	}
	return words
}

func (s *site) concerns(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showConcerns(w, r, v, http.StatusOK, "", nil)
}

func (s *site) showConcerns(w http.ResponseWriter, r *http.Request, v visit, status int, typedWords string, bad []wrong) error {
	q, c := r.URL.Query(), s.clockwork(v)
	page := concernsPage{
		Incidents: incidentAddress(v.school.ID, ""), Address: concernsAddress(v.school.ID), MayRecord: v.account.May(v.school.ID, access.RecordIncidents),
		Done: doneWords(q.Get("done")), Typed: typedWords, Wrong: bad,
	}
	if q.Get("after") == "" {
		waiting, err := s.Queries.Concerns(r.Context(), v.school.ID, view.ConcernQuery{Waiting: true}, v.now)
		if err != nil {
			return err
		}
		for _, one := range waiting.Concerns {
			page.Waiting = append(page.Waiting, newConcernRow(v.school.ID, one, c))
		}
		if waiting.Next != "" {
			n, _, err := s.Queries.WaitingConcerns(r.Context(), v.school.ID, v.now)
			if err != nil {
				return err
			}
			page.More = n - len(page.Waiting)
		}
	}
	all, err := s.Queries.Concerns(r.Context(), v.school.ID, view.ConcernQuery{After: q.Get("after")}, v.now)
	if err != nil {
		return err
	}
	for _, one := range all.Concerns {
		if !one.Waiting() {
			page.Rows = append(page.Rows, newConcernRow(v.school.ID, one, c))
		}
	}
	page.Next, page.First = turn(page.Address, q, q.Get("after"), all.Next)
	title := "Reported without signing in"
	title = titleOf(title, bad)
	return s.write(w, status, "concerns", s.page(v, title, "incidents"), page)
}

// setAside sets reports aside: those that were ticked, or the one whose page it
// was sent from.
func (s *site) setAside(w http.ResponseWriter, r *http.Request, v visit) error {
	reason, err := readReason(w, r)
	if err != nil {
		return err
	}
	references := r.PostForm["reference"]
	var bad *wrong
	change := concern.Change{What: concern.SetAside, IDs: references}
	made := decision.Decision{Kind: decision.Concern, By: v.account.Name, At: v.now, Reason: reason}
	switch {
	case reason == "":
		bad = &wrong{"aside-reason", "Say in a few words what came of looking, such as “rung back: it was in the cupboard”."}
	case len(references) == 0:
		bad = &wrong{"aside-reason", "Tick what is set aside."}
	case change.Check() != nil:
		bad = &wrong{"aside-reason", sentence(change.Check().Error())}
	case made.CheckNew() != nil:
		bad = &wrong{"aside-reason", sentence(made.CheckNew().Error())}
	default:
		if _, err := s.Concerns.SetConcernsAside(r.Context(), v.school.ID, made, references); isRefusal(err) {
			bad = &wrong{"aside-reason", sentence(err.Error())}
		} else if err != nil {
			return err
		}
	}
	if bad == nil {
		http.Redirect(w, r, concernsAddress(v.school.ID)+"?done=aside", http.StatusSeeOther)
		return nil
	}
	if len(references) == 1 && r.PostForm.Get("from") == "one" {
		return s.showConcern(w, r, v, references[0], http.StatusUnprocessableEntity, reason, []wrong{*bad})
	}
	return s.showConcerns(w, r, v, http.StatusUnprocessableEntity, reason, []wrong{*bad})
}

func (s *site) concern(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showConcern(w, r, v, r.PathValue("reference"), http.StatusOK, "", nil)
}

func (s *site) showConcern(w http.ResponseWriter, r *http.Request, v visit, typedReference string, status int, typedWords string, bad []wrong) error {
	reference, err := concern.ParseReference(typedReference)
	if err != nil {
		return errNoPage
	}
	one, err := s.Queries.Concern(r.Context(), v.school.ID, reference, v.now)
	if err != nil {
		return err
	}
	c := s.clockwork(v)
	page := concernPage{
		concernRow: newConcernRow(v.school.ID, one, c), Aside: c.moment(one.Aside.At), MayRecord: v.account.May(v.school.ID, access.RecordIncidents),
		Open: incidentAddress(v.school.ID, ""), SetAside: concernsAddress(v.school.ID) + "/aside", Typed: typedWords, Wrong: bad,
		Aware: s.typedOf(one.Raised), AwareAt: c.moment(one.Raised),
	}
	page.Kinds = kindChoices(one.Kind.Incident())
	if one.Thing != "" {
		meant, alike, err := s.called(r.Context(), v, one.Thing)
		if err != nil {
			return err
		}
		page.Alike = len(meant) == 0 && len(alike) > 0
		for _, d := range meant {
			page.Matches = append(page.Matches, nameMatch{deviceNames(d), deviceAddress(v.school.ID, d.ID)})
		}
	}
	title := "Report " + one.ID
	title = titleOf(title, bad)
	return s.write(w, status, "concern", s.page(v, title, "incidents"), page)
}

// deviceNames is what a laptop is called, by its sticker first.
func deviceNames(d view.Device) string {
	switch {
	case d.AssetTag == "":
		return d.Hostname
	case strings.EqualFold(d.AssetTag, d.Hostname):
		return d.AssetTag
	}
	return d.AssetTag + " (" + d.Hostname + ")"
}

// posterPage is the address at which people of the school report: to renew it,
// and to print it.
type posterPage struct {
	School   string
	Address  string // whole, for people to type; "" if there is none yet
	Shown    string // the same without what nobody types
	Picture  qrPicture
	Since    *moment
	By       string
	MayRenew bool
	Ring     ring
	Form     string // address that renews
	Poster   string
	Settings bool // that it is not printed but looked at
	Wrong    []wrong
	Typed    string
	Done     string
}

func (s *site) poster(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showPoster(w, r, v, "poster", "Poster", http.StatusOK, "", nil)
}

func (s *site) concernAddress(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showPoster(w, r, v, "concern-address", "Where people report", http.StatusOK, "", nil)
}

func (s *site) showPoster(w http.ResponseWriter, r *http.Request, v visit, template, title string, status int, typedWords string, bad []wrong) error {
	c := s.clockwork(v)
	page := posterPage{
		School: v.school.Name, MayRenew: v.account.May(v.school.ID, access.RenewAddress), Form: incidentAddress(v.school.ID, "") + "/address",
		Poster: incidentAddress(v.school.ID, "") + "/poster", Typed: typedWords, Wrong: bad, Done: doneWords(r.URL.Query().Get("done")),
	}
	a, err := s.Queries.ConcernAddress(r.Context(), v.school.ID, v.now)
	switch {
	case errors.Is(err, view.ErrNotFound):
	case err != nil:
		return err
	default:
		whole := s.origin(r)
		whole.Path = reportAddress(a.Address)
		page.Address, page.Shown, page.Since, page.By = whole.String(), whole.Host+whole.Path, c.moment(a.Since), a.By
		if page.Picture, err = draw(page.Address); err != nil {
			return err
		}
	}
	if page.Ring, err = s.ring(r.Context(), v.school.ID, v.now); err != nil {
		return err
	}
	title = titleOf(title, bad)
	return s.write(w, status, template, s.page(v, title, "incidents"), page)
}

// origin is where this site is, as the browser that asks knows it.
func (s *site) origin(r *http.Request) *url.URL {
	u := &url.URL{Scheme: "http", Host: r.Host}
	if s.TLS {
		u.Scheme = "https"
	}
	return u
}

func (s *site) renewAddress(w http.ResponseWriter, r *http.Request, v visit) error {
	reason, err := readReason(w, r)
	if err != nil {
		return err
	}
	made := decision.Decision{Kind: decision.Concern, By: v.account.Name, At: v.now, Reason: reason}
	if reason == "" {
		made.Reason = "an address for reports"
	}
	if err := made.CheckNew(); err != nil {
		return s.showPoster(w, r, v, "concern-address", "Where people report", http.StatusUnprocessableEntity, reason, []wrong{{"renew-reason", sentence(err.Error())}})
	}
	if _, err := s.Concerns.RenewConcernAddress(r.Context(), v.school.ID, made); err != nil {
		return err
	}
	http.Redirect(w, r, incidentAddress(v.school.ID, "")+"/address?done=address", http.StatusSeeOther)
	return nil
}
