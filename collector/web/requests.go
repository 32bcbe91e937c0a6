package web

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/subject"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// SubjectQueries tells of requests of people who ask what is kept about them.
type SubjectQueries interface {
	Requests(ctx context.Context, school posture.SchoolID, now time.Time) ([]subject.Request, error)
	Request(ctx context.Context, school posture.SchoolID, id string, now time.Time) (subject.Request, error)
}

// Subjects follows such requests, and gathers what is kept. What cannot be done as
// things stand is a decision.RefusedError.
type Subjects interface {
	RecordRequest(ctx context.Context, school posture.SchoolID, d decision.Decision) (subject.Request, error)
	// SubjectNames lists the names that the register and the accounts of a school
	// have of people.
	SubjectNames(ctx context.Context, school posture.SchoolID) (people, accounts []string, err error)
	MakeExport(ctx context.Context, school posture.SchoolID, by, request string, people, accounts []string) (subject.Request, error)
	// ExportFile returns the file of what was gathered last for a request; kept is
	// false once it is forgotten.
	ExportFile(ctx context.Context, school posture.SchoolID, request string) (file []byte, kept bool, err error)
}

// requestsPage lists who asked.
type requestsPage struct {
	Address string
	Rows    []requestRow
	Hows    []choice
	Form    requestForm
	Wrong   []wrong
}

// requestRow is a request as it is listed.
type requestRow struct {
	ID, Name, How, On, Address, Words string
	Late, Open                        bool
}

// requestForm is a request as it is typed.
type requestForm struct {
	Name, How, On, Words string
}

func requestAddress(school posture.SchoolID, id string) string {
	address := schoolAddress(school) + "/privacy/requests"
	if id != "" {
		address += "/" + id
	}
	return address
}

func howWords(h subject.How) string {
	switch h {
	case subject.Spoken:
		return "In words, spoken"
	case subject.Letter:
		return "By letter"
	case subject.Mail:
		return "By mail"
	case subject.Another:
		return "In another way, or by somebody for them"
	}
	return "Not known"
}

func newRequestRow(school posture.SchoolID, r subject.Request, now time.Time) requestRow {
	return requestRow{
		ID: r.ID, Name: r.Name, How: howWords(r.How), On: subject.Day(r.On), Address: requestAddress(school, r.ID), Words: capital(r.Words(now)),
		Late: r.Clock(now).Late, Open: r.Ended == "",
	}
}

func (s *site) requests(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showRequests(w, r, v, http.StatusOK, requestForm{How: string(subject.Spoken), On: v.now.In(s.Location).Format(time.DateOnly)}, nil)
}

func (s *site) showRequests(w http.ResponseWriter, r *http.Request, v visit, status int, form requestForm, bad []wrong) error {
	list, err := s.Queries.Requests(r.Context(), v.school.ID, v.now)
	if err != nil {
		return err
	}
	page := requestsPage{Address: requestAddress(v.school.ID, ""), Form: form, Wrong: bad}
	for _, one := range list {
		page.Rows = append(page.Rows, newRequestRow(v.school.ID, one, v.now))
	}
	for _, h := range subject.Hows() {
		page.Hows = append(page.Hows, choice{string(h), howWords(h), string(h) == form.How})
	}
	title := "Requests of people for their data"
	title = titleOf(title, bad)
	return s.write(w, status, "requests", s.page(v, title, "privacy"), page)
}

// receiveRequest records that somebody asked.
func (s *site) receiveRequest(w http.ResponseWriter, r *http.Request, v visit) error {
	words, err := readReason(w, r)
	if err != nil {
		return err
	}
	form := requestForm{Name: bounded(r.PostForm.Get("name")), How: r.PostForm.Get("how"), On: bounded(r.PostForm.Get("on")), Words: words}
	change := subject.Change{What: subject.Receive, Name: form.Name, How: subject.How(form.How), On: form.On, Zone: s.Location.String()}
	var bad []wrong
	if form.Name == "" {
		bad = append(bad, wrong{"name", "Enter who asked."})
	}
	if _, err := time.Parse(time.DateOnly, form.On); err != nil || form.On > v.now.In(s.Location).Format(time.DateOnly) {
		bad = append(bad, wrong{"on", "Enter the day on which they asked, today or before."})
	}
	if words == "" {
		bad = append(bad, wrong{"words", "Say in a few words what they asked for, and whom they asked."})
	}
	if len(bad) == 0 {
		made, err := s.Subjects.RecordRequest(r.Context(), v.school.ID, decision.Decision{Kind: decision.Subject, By: v.account.Name, At: v.now, Reason: words, Request: &change})
		switch {
		case isRefusal(err):
			bad = append(bad, wrong{"name", sentence(err.Error())})
		case err != nil:
			return err
		default:
			http.Redirect(w, r, requestAddress(v.school.ID, made.ID), http.StatusSeeOther)
			return nil
		}
	}
	return s.showRequests(w, r, v, http.StatusUnprocessableEntity, form, bad)
}

// requestPage is one request.
type requestPage struct {
	requestRow
	Waiting, MayAnswer, Proven bool
	Lines                      []actLine
	Exports                    []actLine
	Export                     string // address of what was gathered last; "" if nothing was
	People, Accounts           []choice
	More                       int // names that are not listed: somebody looks for part of one
	Search                     string
	Changes                    []choice
	Typed                      typedChange
	Wrong                      []wrong
}

// typedChange is what becomes of a request, as it is typed.
type typedChange struct{ What, On, Months, Words string }

func (s *site) request(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showRequest(w, r, v, http.StatusOK, typedChange{On: v.now.In(s.Location).Format(time.DateOnly)}, nil)
}

// courseWords says what can be recorded of a request.
func courseWords(w subject.What) string {
	switch w {
	case subject.Receive:
		return "Somebody asked"
	case subject.AskProof:
		return "They were asked who they are: the month waits"
	case subject.Identified:
		return "It is known who they are"
	case subject.Extend:
		return "It takes longer, and they were told why"
	case subject.Export:
		return "What is kept was gathered"
	case subject.Answered:
		return "They have the answer"
	case subject.Refused:
		return "It was refused, and they were told why"
	case subject.Withdrawn:
		return "They do not want it any more"
	}
	return "Not known"
}

// mostNames is how many names of people one page offers.
const mostNames = 200

func (s *site) showRequest(w http.ResponseWriter, r *http.Request, v visit, status int, typed typedChange, bad []wrong) error {
	one, err := s.Queries.Request(r.Context(), v.school.ID, r.PathValue("person"), v.now)
	if err != nil {
		return err
	}
	c := s.clockwork(v)
	page := requestPage{
		requestRow: newRequestRow(v.school.ID, one, v.now), Waiting: one.Clock(v.now).Waiting, MayAnswer: v.account.May(v.school.ID, access.AnswerRequests),
		Proven: one.Proof != "", Typed: typed, Wrong: bad, Search: bounded(r.URL.Query().Get("q")),
	}
	for _, t := range one.Taken {
		title := courseWords(t.What)
		if t.On != "" {
			title += ", " + subject.Day(t.On)
		}
		page.Lines = append(page.Lines, actLine{Title: title, Words: t.Words, By: t.By, At: c.moment(t.At)})
	}
	if len(one.Exports()) > 0 && page.MayAnswer {
		page.Export = page.Address + "/export"
	}
	for _, what := range subject.Whats()[1:] {
		page.Changes = append(page.Changes, choice{string(what), courseWords(what), string(what) == typed.What})
	}
	if page.MayAnswer && page.Open {
		if err := s.offerNames(r, v, one, &page); err != nil {
			return err
		}
	}
	title := "Request " + one.ID
	title = titleOf(title, bad)
	return s.write(w, status, "request", s.page(v, title, "privacy"), page)
}

// offerNames offers the names among which whoever asked is chosen.
func (s *site) offerNames(r *http.Request, v visit, one subject.Request, page *requestPage) error {
	people, accounts, err := s.Subjects.SubjectNames(r.Context(), v.school.ID)
	if err != nil {
		return err
	}
	_ = r.ParseForm() // what was chosen and did not do is chosen still
	offer := func(all []string, field string) (list []choice) {
		for _, name := range all {
			if !strings.Contains(strings.ToLower(name), strings.ToLower(page.Search)) {
				continue
			}
			if len(list) == mostNames {
				page.More++
				continue
			}
			list = append(list, choice{name, name, slices.Contains(r.PostForm[field], name) || strings.EqualFold(name, one.Name)})
		}
		return list
	}
	page.People, page.Accounts = offer(people, "person"), offer(accounts, "account")
	return nil
}

// changeRequest records what became of a request.
func (s *site) changeRequest(w http.ResponseWriter, r *http.Request, v visit) error {
	words, err := readReason(w, r)
	if err != nil {
		return err
	}
	typed := typedChange{What: r.PostForm.Get("what"), On: bounded(r.PostForm.Get("on")), Months: r.PostForm.Get("months"), Words: words}
	change := subject.Change{ID: r.PathValue("person"), What: subject.What(typed.What), On: typed.On}
	if change.What == subject.Extend {
		change.Months = map[string]int{"1": 1, "2": 2}[typed.Months]
	}
	var bad []wrong
	if _, err := time.Parse(time.DateOnly, typed.On); err != nil {
		bad = append(bad, wrong{"on", "Enter the day on which it was so."})
	}
	if words == "" {
		bad = append(bad, wrong{"words", "Write a few words for the record."})
	}
	if len(bad) == 0 {
		_, err := s.Subjects.RecordRequest(r.Context(), v.school.ID, decision.Decision{Kind: decision.Subject, By: v.account.Name, At: v.now, Reason: words, Request: &change})
		switch {
		case isRefusal(err):
			bad = append(bad, wrong{"what", sentence(err.Error())})
		case err != nil:
			return err
		default:
			http.Redirect(w, r, requestAddress(v.school.ID, change.ID), http.StatusSeeOther)
			return nil
		}
	}
	return s.showRequest(w, r, v, http.StatusUnprocessableEntity, typed, bad)
}

// makeExport gathers what is kept about whoever was chosen.
func (s *site) makeExport(w http.ResponseWriter, r *http.Request, v visit) error {
	if _, err := readReason(w, r); err != nil {
		return err
	}
	id := r.PathValue("person")
	_, err := s.Subjects.MakeExport(r.Context(), v.school.ID, v.account.Name, id, r.PostForm["person"], r.PostForm["account"])
	today := typedChange{On: v.now.In(s.Location).Format(time.DateOnly)}
	switch {
	case len(r.PostForm["person"])+len(r.PostForm["account"]) == 0:
		return s.showRequest(w, r, v, http.StatusUnprocessableEntity, today, []wrong{{"names", "Choose every name under which the school has them."}})
	case isRefusal(err):
		return s.showRequest(w, r, v, http.StatusUnprocessableEntity, today, []wrong{{"names", sentence(err.Error())}})
	case err != nil:
		return err
	}
	http.Redirect(w, r, requestAddress(v.school.ID, id)+"/export", http.StatusSeeOther)
	return nil
}

// exportPage is what was gathered about a person, to be read and printed.
type exportPage struct {
	subject.Sheet
	Address, Back string
	Made          *moment
	Names         string
	Parts         []exportPart
	Counts        []string
	Never         []string
	Elsewhere     []string
	Contacts      contacts
	Regulator     string
	Forgotten     bool
}

// exportPart is a part of what was gathered, as far as a page shows it.
type exportPart struct {
	subject.Part
	More int // rows that are in the file alone
}

// mostExported is how many rows of a part a page shows: what is longer is in the
// file.
const mostExported = 100

func exportParts(sheet subject.Sheet) (list []exportPart) {
	for _, p := range sheet.Parts() {
		one := exportPart{Part: p, More: max(0, len(p.Rows)-mostExported)}
		one.Rows = p.Rows[:len(p.Rows)-one.More]
		list = append(list, one)
	}
	return list
}

func (s *site) export(w http.ResponseWriter, r *http.Request, v visit) error {
	id := r.PathValue("person")
	file, kept, err := s.Subjects.ExportFile(r.Context(), v.school.ID, id)
	if err != nil {
		return err
	}
	page := exportPage{Back: requestAddress(v.school.ID, id), Address: requestAddress(v.school.ID, id) + "/export/file", Forgotten: !kept}
	if kept {
		if page.Sheet, err = subject.Decode(file); err != nil {
			return err
		}
		page.Parts, page.Counts, page.Never, page.Elsewhere = exportParts(page.Sheet), page.Sheet.Counts(), subject.Never(), subject.Elsewhere()
		page.Made = s.clockwork(v).moment(page.Sheet.Made)
		page.Names = strings.Join(slices.Concat(page.People, page.Accounts), ", ")
	}
	p, err := s.Queries.Particulars(r.Context(), v.school.ID, v.now)
	if err != nil {
		return err
	}
	page.Regulator = p.Regulator
	if page.Contacts, err = s.contactsOf(r.Context(), v); err != nil {
		return err
	}
	return s.write(w, http.StatusOK, "export", s.page(v, "What is kept about a person: request "+id, "privacy"), page)
}

// exportFile sends the bytes that were gathered.
func (s *site) exportFile(w http.ResponseWriter, r *http.Request, v visit) error {
	id := r.PathValue("person")
	file, kept, err := s.Subjects.ExportFile(r.Context(), v.school.ID, id)
	if err != nil {
		return err
	}
	if !kept {
		return view.ErrNotFound
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="request-`+id+`.json"`)
	_, err = w.Write(file)
	return err
}
