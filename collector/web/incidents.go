package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// IncidentKeeper records what becomes known of incidents.
type IncidentKeeper interface {
	// KeepIncident records a change of an incident, by its number or identifier
	// (none if it is opened), and returns its number. What cannot be recorded as
	// things stand is a decision.RefusedError.
	KeepIncident(ctx context.Context, school posture.SchoolID, name string, d decision.Decision, c incident.Change) (number string, err error)
}

// incidentsPage is the incident register.
type incidentsPage struct {
	Address   string
	Rows      []incidentRow
	States    []choice
	All       string
	Next      string
	First     string
	Reports   string  // address of what people reported without signing in
	Waiting   int     // of that, what nobody has looked at yet
	Since     *moment // when the first of it was reported
	MayRecord bool
	Kinds     []choice
	Form      incidentForm
	Wrong     []wrong
	Contacts  contacts
}

// incidentRow is an incident as the register lists it.
type incidentRow struct {
	Number, Kind, Words, Address string
	State                        string
	Opened                       *moment
	Due                          string
	Over, Closed                 bool
	Things                       []string
}

// incidentForm is an incident as it is typed.
type incidentForm struct {
	Kind            incident.Kind
	Words, Device   string
	Concern         string // reference of the report because of which it is opened
	Happened, Aware typed
}

func (s *site) incidents(w http.ResponseWriter, r *http.Request, v visit) error {
	// What the page that led here knows is filled in.
	q, local := r.URL.Query(), v.now.In(s.Location)
	form := incidentForm{
		Device: bounded(q.Get("device")), Happened: typed{bounded(q.Get("day")), bounded(q.Get("time"))},
		Aware: typed{local.Format(time.DateOnly), local.Format("15:04")},
	}
	if q.Has("aware-day") {
		form.Aware = typed{bounded(q.Get("aware-day")), bounded(q.Get("aware-time"))}
	}
	return s.showIncidents(w, r, v, http.StatusOK, form, nil)
}

func (s *site) showIncidents(w http.ResponseWriter, r *http.Request, v visit, status int, form incidentForm, bad []wrong) error {
	q, c := r.URL.Query(), s.clockwork(v)
	page := incidentsPage{
		Address: incidentAddress(v.school.ID, ""), Form: form, Wrong: bad, MayRecord: v.account.May(v.school.ID, access.RecordIncidents),
	}
	page.All = page.Address
	var err error
	if page.Contacts, err = s.contactsOf(r.Context(), v); err != nil {
		return err
	}
	state := view.IncidentState(q.Get("state"))
	for _, o := range []choice{{"", "All", false}, {string(view.IncidentOpen), "Open", false}, {string(view.IncidentClosed), "Closed", false}} {
		o.Chosen = o.Key == string(state)
		page.States = append(page.States, o)
	}
	page.Kinds = kindChoices(form.Kind)
	if err := s.awaiting(r.Context(), v, &page); err != nil {
		return err
	}
	if state != view.IncidentOpen && state != view.IncidentClosed {
		state = ""
	}
	found, err := s.Queries.Incidents(r.Context(), v.school.ID, view.IncidentQuery{State: state, After: q.Get("after")}, v.now)
	if err != nil {
		return err
	}
	for _, i := range found.Incidents {
		page.Rows = append(page.Rows, newIncidentRow(v.school.ID, i, c))
	}
	page.Next, page.First = turn(page.All, q, q.Get("after"), found.Next)
	title := "Incidents"
	title = titleOf(title, bad)
	return s.write(w, status, "incidents", s.page(v, title, "incidents"), page)
}

// awaiting says what people reported that nobody has looked at yet.
func (s *site) awaiting(ctx context.Context, v visit, page *incidentsPage) error {
	n, since, err := s.Queries.WaitingConcerns(ctx, v.school.ID, v.now)
	page.Reports, page.Waiting, page.Since = concernsAddress(v.school.ID), n, s.clockwork(v).moment(since)
	return err
}

func kindChoices(chosen incident.Kind) (list []choice) {
	for _, k := range incident.Kinds() {
		list = append(list, choice{string(k), kindWords(k), k == chosen})
	}
	return list
}

func newIncidentRow(school posture.SchoolID, i view.Incident, c clockwork) incidentRow {
	row := incidentRow{
		Number: i.Number, Kind: kindWords(i.Kind), Words: actWords(i.Opened), Address: incidentAddress(school, i.Number), Opened: c.moment(i.Opened.Recorded),
		Due: i.Due, Over: i.Over, Closed: i.Closed, State: "Open",
	}
	if i.Closed {
		row.State = "Closed"
	}
	for _, l := range i.Links {
		row.Things = append(row.Things, linkWords(l.Link, i.Names))
	}
	return row
}

// linkWords names a thing that an incident is linked to, as people call it.
func linkWords(l incident.Link, names []view.IncidentName) string {
	for _, n := range names {
		if n.Device == l.Device {
			name := n.Hostname
			if n.AssetTag != "" {
				name = n.AssetTag
			}
			if name == "" {
				break
			}
			if l.What == incident.Breach {
				return l.Rule + " on " + name
			}
			return name
		}
	}
	return l.Words()
}

func incidentAddress(school posture.SchoolID, number string) string {
	address := schoolAddress(school) + "/incidents"
	if number != "" {
		address += "/" + number
	}
	return address
}

func kindWords(k incident.Kind) string {
	switch k {
	case incident.LostDevice:
		return "Lost laptop"
	case incident.LostStick:
		return "Lost stick or disk"
	case incident.FoundStick:
		return "Found stick or disk"
	case incident.Disclosure:
		return "Somebody learnt what they should not"
	case incident.Other:
		return "Something else"
	}
	return "Not known"
}

// actWords is what somebody wrote, or that it was forgotten.
func actWords(a incident.Act) string {
	if a.Forgotten {
		return "What was written was forgotten on purpose."
	}
	return a.Words
}

// openIncident records a new incident.
func (s *site) openIncident(w http.ResponseWriter, r *http.Request, v visit) error {
	words, err := readReason(w, r)
	if err != nil {
		return err
	}
	f := r.PostForm
	form := incidentForm{
		Kind: incident.Kind(bounded(f.Get("kind"))), Words: words, Device: strings.TrimSpace(bounded(f.Get("device"))),
		Happened: typed{bounded(f.Get("day")), bounded(f.Get("time"))}, Aware: typed{bounded(f.Get("aware-day")), bounded(f.Get("aware-time"))},
	}
	form.Concern = bounded(f.Get("concern"))
	change := incident.Change{What: incident.Open, Kind: form.Kind, Concern: form.Concern}
	var bad []wrong
	if words == "" {
		bad = append(bad, wrong{"words", "Say what happened, without names of children."})
	}
	if change.Aware = s.momentOf(form.Aware); change.Aware == nil {
		bad = append(bad, wrong{"aware-day", "Enter the day and the time at which the school became aware."})
	}
	if err := s.awareAsReported(r.Context(), v, form, &change); err != nil {
		return err
	}
	if change.Happened = s.momentOf(form.Happened); change.Happened == nil && form.Happened != (typed{}) {
		bad = append(bad, wrong{"day", "Enter the day and the time at which it happened, or leave both empty."})
	}
	if form.Device != "" {
		link, words, err := s.lostLink(r.Context(), v, form.Device, change.Kind)
		if err != nil {
			return err
		}
		if words != "" {
			bad = append(bad, wrong{"device", words})
		} else {
			change.Links = append(change.Links, link)
		}
	}
	number := ""
	if len(bad) == 0 {
		if number, err = s.keepIncident(r, v, "", words, change); isRefusal(err) || isFault(err) {
			bad = append(bad, wrong{"words", sentence(err.Error())})
		} else if err != nil {
			return err
		}
	}
	if len(bad) > 0 {
		return s.showIncidents(w, r, v, http.StatusUnprocessableEntity, form, bad)
	}
	http.Redirect(w, r, incidentAddress(v.school.ID, number), http.StatusSeeOther)
	return nil
}

// awareAsReported has a school become aware at the very moment of a report, if
// what is typed is that to the minute.
func (s *site) awareAsReported(ctx context.Context, v visit, form incidentForm, change *incident.Change) error {
	if form.Concern == "" {
		return nil
	}
	one, err := s.Queries.Concern(ctx, v.school.ID, form.Concern, v.now)
	if err != nil {
		return err
	}
	if form.Aware == s.typedOf(one.Raised) {
		aware := incident.NewMoment(one.Raised, s.Location.String())
		change.Aware = &aware
	}
	return nil
}

// typedOf is how a moment is typed.
func (s *site) typedOf(t time.Time) typed {
	local := t.In(s.Location)
	return typed{local.Format(time.DateOnly), local.Format("15:04")}
}

// lostLink is the laptop that a form names, or what is wrong with the name.
func (s *site) lostLink(ctx context.Context, v visit, name string, kind incident.Kind) (link incident.Link, words string, err error) {
	meant, alike, err := s.called(ctx, v, name)
	switch {
	case err != nil:
		return link, "", err
	case len(meant) == 1:
		return incident.Link{What: incident.Device, Device: meant[0].ID, Lost: kind == incident.LostDevice}, "", nil
	case len(meant) > 1:
		return link, "More than one laptop has that name. Enter the asset tag of the one that is meant.", nil
	case len(alike) > 0:
		return link, "No laptop has just that tag or name, and some have one that holds it. Enter all of it.", nil
	}
	return link, "No laptop of this school has that tag or name. Leave it empty, and name it in words.", nil
}

// momentOf reads what was typed; nil if that is no moment.
func (s *site) momentOf(t typed) *incident.Moment {
	at, ok := t.moment(s.Location)
	if !ok {
		return nil
	}
	m := incident.NewMoment(at, s.Location.String())
	return &m
}

// faultError is what is wrong with what was typed.
type faultError struct{ error }

func isFault(err error) bool {
	_, is := errors.AsType[faultError](err)
	return is
}

// keepIncident checks and records a change of an incident under the account of
// who is signed in.
func (s *site) keepIncident(r *http.Request, v visit, name, words string, c incident.Change) (number string, err error) {
	made := decision.Decision{Kind: decision.Incident, By: v.account.Name, At: v.now, Reason: words}
	if err := made.CheckNew(); err != nil {
		return "", faultError{err}
	}
	whole := c
	whole.ID = "in-0" // which the collector gives
	if err := whole.Check(); err != nil {
		return "", faultError{err}
	}
	return s.Incidents.KeepIncident(r.Context(), v.school.ID, name, made, c)
}
