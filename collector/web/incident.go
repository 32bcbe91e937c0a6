package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
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
	Wrong     []wrong
	Form      incidentTyped
	Done      string
	Contacts  contacts
}

// incidentTyped is what was typed on the page of an incident. The page is one form
// with a button for each of its parts, so that whichever is sent brings what was
// typed in the others, and loses none of it.
type incidentTyped struct{ url.Values }

// fieldsOf are the fields of the part that a change was typed in, that of its words
// first.
func fieldsOf(c incident.Change, thing string) []string {
	switch c.What {
	case incident.Found:
		return []string{"words-found-" + thing}
	case incident.Tell:
		a := string(c.Audience)
		return []string{"words-tell-" + a, "answer-" + a, "day-" + a, "time-" + a}
	case incident.Close, incident.Reopen:
		return []string{"words-" + string(c.What), "outcome"}
	}
	return []string{"words-note", "what", "whom"} // one part takes notes, lessons and whom somebody spoke to
}

// without is what is left to be sent once a part was recorded.
func (t incidentTyped) without(fields []string) incidentTyped {
	rest := url.Values{}
	for name, values := range t.Values {
		if !slices.Contains(fields, name) && slices.ContainsFunc([]string{"words-", "answer-", "day-", "time-", "what", "whom", "outcome"}, func(p string) bool { return strings.HasPrefix(name, p) }) {
			rest[name] = values
		}
	}
	return incidentTyped{rest}
}

// Any reports whether something was typed, and not only chosen, in fields whose
// names begin so.
func (t incidentTyped) Any(beginnings ...string) bool {
	for name, values := range t.Values {
		typed := !strings.HasPrefix(name, "answer-") && name != "what" && name != "outcome" && strings.TrimSpace(strings.Join(values, "")) != ""
		if typed && slices.ContainsFunc(beginnings, func(b string) bool { return strings.HasPrefix(name, b) }) {
			return true
		}
	}
	return false
}

// Words is what was typed in a field.
func (t incidentTyped) Words(field string) string { return onOneLine(t.Get(field)) }

// Answers are the answers about an audience to choose from.
func (p incidentPage) Answers(audience string) []choice {
	list := []choice{{"yes", "They are told", false}, {"no", "They are not told", false}, {"not-yet", "It cannot be said yet", false}}
	return chosenOf(list, p.Form.Get("answer-"+audience))
}

// Sorts are what can be added to its course.
func (p incidentPage) Sorts() []choice {
	list := []choice{{string(incident.Note), "A note", false}, {string(incident.Spoke), "Somebody was spoken to", false}, {string(incident.Lesson), "Something was learnt", false}}
	return chosenOf(list, p.Form.Get("what"))
}

// Outcomes are what it can have come to.
func (p incidentPage) Outcomes() (list []choice) {
	for _, o := range incident.Outcomes() {
		list = append(list, choice{Key: string(o), Words: capital(outcomeWords(o))})
	}
	return chosenOf(list, p.Form.Get("outcome"))
}

func chosenOf(list []choice, key string) []choice {
	for i := range list {
		list[i].Chosen = list[i].Key == key
	}
	return list
}

// TellOpen reports whether the part about an audience is shown open: something is
// typed in it, or wrong with it.
func (p incidentPage) TellOpen(audience string) bool {
	return p.open("words-tell-"+audience, "day-"+audience, "time-"+audience)
}

// AddOpen is TellOpen for what is added to its course.
func (p incidentPage) AddOpen() bool { return p.open("words-note", "whom") }

// EndOpen is TellOpen for closing it, and opening it again.
func (p incidentPage) EndOpen() bool { return p.open("words-close", "words-reopen") }

func (p incidentPage) open(fields ...string) bool {
	return p.Form.Any(fields...) || slices.ContainsFunc(p.Wrong, func(w wrong) bool { return slices.Contains(fields, w.Field) })
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
	done := ""
	if r.URL.Query().Has("done") {
		done = "Recorded."
	}
	return s.showIncident(w, r, v, incidentTyped{}, done, nil)
}

func (s *site) showIncident(w http.ResponseWriter, r *http.Request, v visit, form incidentTyped, done string, bad []wrong) error {
	i, err := s.Queries.Incident(r.Context(), v.school.ID, r.PathValue("incident"), v.now)
	if err != nil {
		return err
	}
	c := s.clockwork(v)
	page := incidentPage{
		Incident: i, Address: incidentAddress(v.school.ID, i.Number), KindWords: kindWords(i.Kind), Wrong: bad, Form: form, Done: done,
		MayRecord: v.account.May(v.school.ID, access.RecordIncidents), MayDecide: v.account.May(v.school.ID, access.DecideIncidents),
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
	title := "Incident " + i.Number + ": " + lowerFirst(page.KindWords)
	title = titleOf(title, bad)
	return s.write(w, statusOf(bad), "incident", s.page(v, title, "incidents"), page)
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

// changeIncident records what one part of the form says of an incident, and keeps
// what was typed in the others. read makes the change of it, or says what is wrong.
func changeIncident(read func(*site, *http.Request, view.Incident) (incident.Change, *wrong)) func(*site, http.ResponseWriter, *http.Request, visit) error {
	return func(s *site, w http.ResponseWriter, r *http.Request, v visit) error {
		f, err := form(w, r, maxForm)
		if err != nil {
			return err
		}
		i, err := s.Queries.Incident(r.Context(), v.school.ID, r.PathValue("incident"), v.now)
		if err != nil {
			return err
		}
		c, bad := read(s, r, i)
		fields, sent := fieldsOf(c, bounded(f.Get("thing"))), incidentTyped{f}
		words := sent.Words(fields[0])
		if bad == nil && words == "" {
			bad = &wrong{fields[0], "Write a few words, without names of children."}
		}
		if bad == nil && !recorded(i.Incident, c, v.account.Name, words) {
			if _, err := s.keepIncident(r, v, i.Number, words, c); isRefusal(err) || isFault(err) {
				bad = &wrong{fields[0], sentence(err.Error())}
			} else if err != nil {
				return err
			}
		}
		if bad != nil {
			return s.showIncident(w, r, v, sent.without(nil), "", []wrong{*bad})
		}
		if rest := sent.without(fields); rest.Any("words-", "day-", "time-", "whom") {
			return s.showIncident(w, r, v, rest, "Recorded. What you typed elsewhere on this page is still there, and is not recorded yet.", nil)
		}
		http.Redirect(w, r, incidentAddress(v.school.ID, i.Number)+"?done", http.StatusSeeOther)
		return nil
	}
}

// recorded reports whether the last that was recorded of its kind is this very
// change: a page that follows a form can be loaded again, which sends it twice.
func recorded(i incident.Incident, c incident.Change, by, words string) bool {
	var last incident.Act
	switch c.What {
	case incident.Note:
		last = lastOf(i.Notes, func(a incident.Act) incident.Act { return a })
	case incident.Lesson:
		last = lastOf(i.Lessons, func(a incident.Act) incident.Act { return a })
	case incident.Spoke:
		last = lastOf(i.Contacts, func(k incident.Contact) incident.Act { return k.Act })
	case incident.Tell:
		list := i.Regulator
		if c.Audience == incident.Individuals {
			list = i.Individuals
		}
		last = lastOf(list, func(t incident.Telling) incident.Act {
			if t.Answer != c.Answer || (t.Told == nil) != (c.Told == nil) {
				return incident.Act{}
			}
			return t.Act
		})
	}
	return last.By == by && last.Words == words
}

func lastOf[T any](list []T, act func(T) incident.Act) (last incident.Act) {
	if n := len(list); n > 0 {
		last = act(list[n-1])
	}
	return last
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
	c := incident.Change{What: incident.Tell, Audience: incident.Audience(f.Get("audience"))}
	of := "-" + bounded(string(c.Audience))
	c.Answer = incident.Answer(f.Get("answer" + of))
	at := typed{bounded(f.Get("day" + of)), bounded(f.Get("time" + of))}
	if c.Answer != incident.Yes || at == (typed{}) {
		return c, nil
	}
	if c.Told = s.momentOf(at); c.Told == nil {
		return c, &wrong{"day" + of, "Enter the day and the time at which they were told, or leave both empty."}
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
