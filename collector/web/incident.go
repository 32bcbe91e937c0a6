package web

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/view"
)

// incidentPage is everything that was recorded about one incident, and what
// people may record.
type incidentPage struct {
	view.Incident
	Address   string
	KindWords string
	Happened  []actLine
	Aware     []actLine
	Told      []tellLine
	Things    []thingLine
	Spoken    []actLine
	Notes     []actLine
	Lessons   []actLine
	Closings  []actLine
	Told72    bool // the regulator was told, or will not be
	MayRecord bool
	MayDecide bool
	Outcomes  []choice
	Answers   []choice
	Wrong     []wrong
	Typed     string
	Now       typed
	Contacts  contacts
}

// actLine is something that was recorded, with who recorded it and when.
type actLine struct {
	Title, Words, By string
	At               *moment
}

// tellLine is what was decided about an audience.
type tellLine struct {
	Audience, Key, Words string
	Lines                []actLine
}

// thingLine is a thing that the incident is linked to.
type thingLine struct {
	Words, Address, Evidence string
	Lost                     string // since when it is lost; "" if it is not
	Number                   int
}

func (s *site) incident(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showIncident(w, r, v, http.StatusOK, "", nil)
}

func (s *site) showIncident(w http.ResponseWriter, r *http.Request, v visit, status int, typedWords string, bad []wrong) error {
	i, err := s.Queries.Incident(r.Context(), v.school.ID, r.PathValue("incident"), v.now)
	if err != nil {
		return err
	}
	c := s.clockwork(v)
	local := v.now.In(s.Location)
	page := incidentPage{
		Incident: i, Address: incidentAddress(v.school.ID, i.Number), KindWords: kindWords(i.Kind), Wrong: bad, Typed: typedWords,
		MayRecord: v.account.May(v.school.ID, access.RecordIncidents), MayDecide: v.account.May(v.school.ID, access.DecideIncidents),
		Now: typed{local.Format(time.DateOnly), local.Format("15:04")},
	}
	if page.Contacts, err = s.contactsOf(r.Context(), v); err != nil {
		return err
	}
	for _, h := range i.Happened {
		page.Happened = append(page.Happened, lineOf("It happened "+h.When.String(), h.Act, c).beside(i.Opened))
	}
	for _, a := range i.Aware {
		page.Aware = append(page.Aware, lineOf("The school became aware "+a.When.String(), a.Act, c).beside(i.Opened))
	}
	for _, a := range incident.Audiences() {
		page.Told = append(page.Told, tellOf(i.Incident, a, c))
	}
	t, decided := i.Told(incident.Regulator)
	page.Told72 = decided && (t.Answer == incident.No || t.Told != nil)
	for n, l := range i.Links {
		line := thingLine{Words: capital(linkWords(l.Link, i.Names)), Number: n}
		if l.Device != "" {
			line.Address = deviceAddress(v.school.ID, l.Device)
		}
		if since, lost := l.Lost(); lost {
			line.Lost = since.String()
		}
		if l.What == incident.Device && v.account.May(v.school.ID, access.ReadEvidence) {
			line.Evidence = line.Address + "/evidence?" + evidenceQuery(i.Incident).Encode()
		}
		page.Things = append(page.Things, line)
	}
	for _, k := range i.Contacts {
		page.Spoken = append(page.Spoken, lineOf(capital(k.Whom)+", "+k.When.String(), k.Act, c))
	}
	page.Notes, page.Lessons = linesOf(i.Notes, c), linesOf(i.Lessons, c)
	for _, k := range i.Closings {
		title := "Closed: " + outcomeWords(k.Outcome)
		if k.Again {
			title = "Opened again"
		}
		page.Closings = append(page.Closings, lineOf(title, k.Act, c))
	}
	for _, o := range incident.Outcomes() {
		page.Outcomes = append(page.Outcomes, choice{Key: string(o), Words: outcomeWords(o)})
	}
	page.Answers = []choice{{"yes", "They are told", false}, {"no", "They are not told", false}, {"not-yet", "It cannot be said yet", false}}
	title := "Incident " + i.Number + ": " + lowerFirst(page.KindWords)
	title = titleOf(title, bad)
	return s.write(w, status, "incident", s.page(v, title, "incidents"), page)
}

func lineOf(title string, a incident.Act, c clockwork) actLine {
	return actLine{Title: title, Words: actWords(a), By: a.By, At: c.moment(a.Recorded)}
}

// beside leaves out what was written if that stands above already.
func (l actLine) beside(opened incident.Act) actLine {
	if l.Words == actWords(opened) {
		l.Words = ""
	}
	return l
}

func linesOf(acts []incident.Act, c clockwork) (lines []actLine) {
	for _, a := range acts {
		lines = append(lines, lineOf("", a, c))
	}
	return lines
}

func tellOf(i incident.Incident, a incident.Audience, c clockwork) tellLine {
	line, list := tellLine{Audience: "The regulator", Key: string(a)}, i.Regulator
	if a == incident.Individuals {
		line.Audience, list = "The people concerned", i.Individuals
	}
	line.Words = "Nobody has decided yet whether to tell them."
	for _, t := range list {
		words := "to be told"
		switch {
		case t.Told != nil:
			words = "told " + t.Told.String()
		case t.Answer == incident.No:
			words = "not to be told"
		case t.Answer == incident.NotYet:
			words = "cannot be said yet"
		}
		line.Words = capital(words)
		line.Lines = append(line.Lines, lineOf(capital(words), t.Act, c))
	}
	return line
}

// evidenceQuery asks for evidence of the moment at which an incident happened.
func evidenceQuery(i incident.Incident) url.Values {
	q := url.Values{}
	if n := len(i.Aware); n > 0 {
		q.Set("aware", i.Aware[n-1].When.At.Format(time.RFC3339))
		q.Set("at", q.Get("aware"))
	}
	if n := len(i.Happened); n > 0 {
		q.Set("at", i.Happened[n-1].When.At.Format(time.RFC3339))
	}
	return q
}

func outcomeWords(o incident.Outcome) string {
	switch o {
	case incident.Internal:
		return "the school dealt with it"
	case incident.Authority:
		return "the local authority or the trust has it"
	case incident.Police:
		return "the police have it"
	case incident.Nothing:
		return "it was no incident"
	}
	return "not known"
}

// changeIncident records what a form says of an incident. read makes the change
// of the form, or says what is wrong with it.
func changeIncident(read func(*site, *http.Request, view.Incident) (incident.Change, *wrong)) func(*site, http.ResponseWriter, *http.Request, visit) error {
	return func(s *site, w http.ResponseWriter, r *http.Request, v visit) error {
		words, err := readReason(w, r)
		if err != nil {
			return err
		}
		i, err := s.Queries.Incident(r.Context(), v.school.ID, r.PathValue("incident"), v.now)
		if err != nil {
			return err
		}
		c, bad := read(s, r, i)
		field := "words-" + string(c.What)
		switch c.What {
		case incident.Tell:
			field += "-" + string(c.Audience)
		case incident.Found:
			field += "-" + bounded(r.PostForm.Get("thing"))
		case incident.Lesson, incident.Spoke: // one form takes them
			field = "words-" + string(incident.Note)
		}
		if bad == nil && words == "" {
			bad = &wrong{field, "Write a few words, without names of children."}
		}
		if bad == nil {
			if _, err := s.keepIncident(r, v, i.Number, words, c); isRefusal(err) || isFault(err) {
				bad = &wrong{field, sentence(err.Error())}
			} else if err != nil {
				return err
			}
		}
		if bad != nil {
			return s.showIncident(w, r, v, http.StatusUnprocessableEntity, words, []wrong{*bad})
		}
		http.Redirect(w, r, incidentAddress(v.school.ID, i.Number), http.StatusSeeOther)
		return nil
	}
}

// readNote reads a note, a lesson or whom somebody spoke to.
func readNote(_ *site, r *http.Request, _ view.Incident) (incident.Change, *wrong) {
	switch c := (incident.Change{What: incident.What(r.PostForm.Get("what"))}); c.What {
	case incident.Lesson:
		return c, nil
	case incident.Spoke:
		c.Whom = bounded(r.PostForm.Get("whom"))
		if c.Whom == "" {
			return c, &wrong{"whom", "Say with whom: an organisation or a role."}
		}
		return c, nil
	}
	return incident.Change{What: incident.Note}, nil
}

// readFound reads that something that was lost was found.
func readFound(_ *site, r *http.Request, i view.Incident) (incident.Change, *wrong) {
	c := incident.Change{What: incident.Found}
	n, err := strconv.Atoi(r.PostForm.Get("thing"))
	if err != nil || n < 0 || n >= len(i.Links) {
		return c, &wrong{"words-found", "Choose what was found."}
	}
	c.Links = []incident.Link{i.Links[n].Link}
	c.Links[0].Lost = false
	return c, nil
}

// readTelling reads whether an audience is told.
func readTelling(s *site, r *http.Request, _ view.Incident) (incident.Change, *wrong) {
	f := r.PostForm
	c := incident.Change{What: incident.Tell, Audience: incident.Audience(f.Get("audience")), Answer: incident.Answer(f.Get("answer"))}
	at := typed{bounded(f.Get("day")), bounded(f.Get("time"))}
	if c.Answer != incident.Yes || at == (typed{}) {
		return c, nil
	}
	if c.Told = s.momentOf(at); c.Told == nil {
		return c, &wrong{"day-" + string(c.Audience), "Enter the day and the time at which they were told, or leave both empty."}
	}
	return c, nil
}

// readClosing reads what an incident came to.
func readClosing(_ *site, r *http.Request, i view.Incident) (incident.Change, *wrong) {
	if i.Closed {
		return incident.Change{What: incident.Reopen}, nil
	}
	return incident.Change{What: incident.Close, Outcome: incident.Outcome(r.PostForm.Get("outcome"))}, nil
}
