package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/dispute"
	"github.com/caretaker-school/caretaker/collector/subject"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// DisputeQueries are the questions about recorded facts that are disputed.
type DisputeQueries interface {
	Disputes(ctx context.Context, school posture.SchoolID, query view.DisputeQuery, now time.Time) (view.DisputePage, error)
	Dispute(ctx context.Context, school posture.SchoolID, id string, now time.Time) (view.Dispute, error)
	OpenDisputes(ctx context.Context, school posture.SchoolID, now time.Time) (n int, due string, err error)
}

// Disputes records that a fact is disputed, and what is answered. What cannot be
// done as things stand is a decision.RefusedError.
type Disputes interface {
	RaiseDispute(ctx context.Context, school posture.SchoolID, by string, told dispute.Told, change dispute.Change, words string) (view.Dispute, error)
	AnswerDispute(ctx context.Context, school posture.SchoolID, by, id string, outcome dispute.Outcome, words string) (view.Dispute, error)
}

func disputeRoutes() []route {
	const list, of, mine = "/schools/{school}/privacy/disputes", "/schools/{school}/devices/{device}/disputes", "/schools/{school}/mine/disputes"
	return []route{
		{"GET " + list, atSchool, access.DisputeFacts, viewing.Disputes, (*site).disputes},
		{"POST " + list, atSchool, access.DisputeFacts, viewing.Disputes, (*site).raiseDispute},
		{"GET " + list + "/{dispute}", atSchool, access.DisputeFacts, viewing.Disputes, (*site).dispute},
		{"POST " + list + "/{dispute}/answer", atSchool, access.AnswerDisputes, viewing.Disputes, (*site).answerDispute},
		{"GET " + of, atSchool, access.DisputeFacts, viewing.Device, (*site).deviceDispute},
		{"POST " + of, atSchool, access.DisputeFacts, viewing.Device, (*site).raiseDeviceDispute},
		{"GET " + mine, atSchool, access.ReadOwn, viewing.Nobody, (*site).ownDispute},
		{"POST " + mine, atSchool, access.ReadOwn, viewing.Nobody, (*site).raiseOwnDispute},
	}
}

func disputesAddress(school posture.SchoolID) string { return privacyAddress(school) + "/disputes" }

// disputeRow is a dispute as pages show it.
type disputeRow struct {
	view.Dispute
	AboutWords string
	What       string // what it is about: a laptop by its tag
	Laptop     string // address of it; "" if it is about none
	Address    string // of its own page; "" for who may not read that
	Who        string // who says so; "" for who may not know
	State      string
	Late       bool
	SaidAt     *moment
	AnsweredAt *moment
}

// newDisputeRow makes a dispute's line. Names are for those who may read disputes.
func newDisputeRow(v visit, d view.Dispute, at clockwork) disputeRow {
	row := disputeRow{
		Dispute: d, AboutWords: d.About.Words(), SaidAt: at.moment(d.Raised), AnsweredAt: at.moment(d.Answered.At),
		What: d.Asset, State: d.Outcome.Words(),
	}
	if d.Rule != "" {
		row.AboutWords += ": " + d.Rule
	}
	if row.What == "" {
		row.What = d.Hostname
	}
	if d.Device != "" && v.account.May(v.school.ID, access.ReadDevices) {
		row.Laptop = deviceAddress(v.school.ID, d.Device)
	}
	if d.Open() {
		row.State, row.Late = dueWords(d.Due, v.now.In(at.zone))
	}
	if v.account.May(v.school.ID, access.DisputeFacts) {
		row.Address = disputesAddress(v.school.ID) + "/" + d.ID
		row.Who = d.By
		if d.For != "" {
			row.Who = d.For + ", recorded by " + d.By
		}
	} else {
		row.By, row.For, row.Answered.By = "", "", ""
	}
	return row
}

// dueWords says until when something is to be answered.
func dueWords(due string, today time.Time) (words string, late bool) {
	last, err := time.ParseInLocation(time.DateOnly, due, today.Location())
	if err != nil {
		return "Not answered yet", false
	}
	day := today.Format(time.DateOnly)
	left := int(last.Sub(startOf(today)).Hours()+12) / 24
	switch {
	case due < day:
		return "Not answered: it was due by the end of " + subject.Day(due), true
	case due == day:
		return "To be answered today", false
	}
	return "To be answered by the end of " + subject.Day(due) + ": " + count(left, "day") + " left", false
}

// startOf is when a day begins.
func startOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, t.Location())
}

// disputesPage lists what is disputed.
type disputesPage struct {
	Privacy     string
	Rows        []disputeRow
	Next, First string
	Form        disputeForm
	Done        string
}

// disputeForm is the form in which somebody says what is wrong.
type disputeForm struct {
	Action  string
	Abouts  []choice
	Laptop  bool // it asks which
	Person  bool // it asks on whose behalf
	Typed   disputeTyped
	Wrong   []wrong
	Heading string
}

type disputeTyped struct{ About, Laptop, For, Words string }

// abouts are what can be disputed, as a form offers it. Of a laptop each rule that
// finds something on it is offered by its title.
func abouts(chosen string, findings []view.Finding, may func(dispute.About) bool) (list []choice) {
	list = append(list, choice{"", "Choose what is wrong", chosen == ""})
	for _, a := range dispute.Abouts() {
		if a != dispute.Rule && may(a) {
			list = append(list, choice{string(a), a.Words(), chosen == string(a)})
		}
	}
	seen := map[string]bool{}
	for _, f := range findings {
		if f.Standing == view.NotFor || seen[f.Rule] {
			continue
		}
		seen[f.Rule] = true
		key := string(dispute.Rule) + ":" + f.Rule
		list = append(list, choice{key, "What a rule found: " + f.Title + " (" + f.Rule + ")", chosen == key})
	}
	return list
}

// readDispute reads a form, and says what is wrong with it.
func readDispute(w http.ResponseWriter, r *http.Request) (typed disputeTyped, change dispute.Change, bad []wrong, err error) {
	words, err := readReason(w, r)
	if err != nil {
		return typed, change, nil, err
	}
	typed = disputeTyped{r.PostForm.Get("about"), bounded(r.PostForm.Get("laptop")), bounded(onOneLine(r.PostForm.Get("for"))), words}
	about, rule, _ := strings.Cut(typed.About, ":")
	change = dispute.Change{What: dispute.Raise, About: dispute.About(about), Rule: rule}
	if !slices.Contains(dispute.Abouts(), change.About) {
		bad = append(bad, wrong{"about", "Choose what is wrong."})
	}
	if words == "" {
		bad = append(bad, wrong{"dispute-words", "Say what is wrong, and how it is instead."})
	} else if err := (dispute.Text{Words: words}).Check(); err != nil {
		bad = append(bad, wrong{"dispute-words", sentence(err.Error())})
	}
	return typed, change, bad, nil
}

func (s *site) disputes(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showDisputes(w, r, v, disputeTyped{Laptop: bounded(r.URL.Query().Get("laptop"))}, nil)
}

func (s *site) showDisputes(w http.ResponseWriter, r *http.Request, v visit, typed disputeTyped, bad []wrong) error {
	q := r.URL.Query()
	found, err := s.Queries.Disputes(r.Context(), v.school.ID, view.DisputeQuery{After: q.Get("after"), Limit: someDevices}, v.now)
	if err != nil {
		return err
	}
	page := disputesPage{
		Privacy: privacyAddress(v.school.ID), Done: disputeDone(q.Get("done")),
		Form: disputeForm{
			Action: disputesAddress(v.school.ID), Laptop: true, Person: true, Typed: typed, Wrong: bad, Heading: "Record one",
			Abouts: abouts(typed.About, nil, func(dispute.About) bool { return true }),
		},
	}
	for _, d := range found.Disputes {
		page.Rows = append(page.Rows, newDisputeRow(v, d, s.clockwork(v)))
	}
	page.Next, page.First = turn(disputesAddress(v.school.ID), q, q.Get("after"), found.Next)
	return s.write(w, statusOf(bad), "disputes", s.page(v, titleOf("Disputed facts", bad), "privacy"), page)
}

func disputeDone(done string) string {
	switch done {
	case "raised":
		return "Recorded. The data-protection officer or the head answers within a month. What is recorded stays as it is until then, and both are shown."
	case "answered":
		return "Recorded: this is the school’s answer."
	}
	return ""
}

// raiseDispute records what somebody says, about a laptop or about a person's
// record.
func (s *site) raiseDispute(w http.ResponseWriter, r *http.Request, v visit) error {
	typed, change, bad, err := readDispute(w, r)
	if err != nil {
		return err
	}
	if typed.Laptop != "" {
		meant, _, err := s.called(r.Context(), v, typed.Laptop)
		switch {
		case err != nil:
			return err
		case len(meant) == 1:
			change.Device = meant[0].ID
		case len(meant) > 1:
			bad = append(bad, wrong{"laptop", "Several laptops have this name: say it on the page of the one that is meant."})
		default:
			change.Asset = typed.Laptop // what is registered and no laptop
		}
	} else if typed.For == "" {
		bad = append(bad, wrong{"laptop", "Say about which laptop it is, or for whom."})
	}
	if change.About.OfLaptop() && typed.Laptop == "" {
		bad = append(bad, wrong{"laptop", "Say about which laptop it is."})
	}
	if len(bad) == 0 {
		if bad, err = s.raise(r, v, dispute.Told{For: typed.For}, change, typed.Words); err != nil {
			return err
		}
	}
	if len(bad) > 0 {
		return s.showDisputes(w, r, v, typed, bad)
	}
	http.Redirect(w, r, disputesAddress(v.school.ID)+"?done=raised", http.StatusSeeOther)
	return nil
}

// raise records a dispute under the name of whoever is signed in, or says why it
// cannot be.
func (s *site) raise(r *http.Request, v visit, told dispute.Told, change dispute.Change, words string) (bad []wrong, err error) {
	if err := told.Check(); err != nil {
		return []wrong{{"for", sentence(err.Error())}}, nil
	}
	_, err = s.Disputes.RaiseDispute(r.Context(), v.school.ID, v.account.Name, told, change, words)
	if isRefusal(err) {
		return []wrong{{"about", sentence(err.Error())}}, nil
	}
	return nil, err
}

// disputeFormPage is the form alone, about one laptop.
type disputeFormPage struct {
	Form       disputeForm
	Back, Name string
	Rows       []disputeRow
}

func (s *site) deviceDispute(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showDeviceDispute(w, r, v, disputeTyped{About: r.URL.Query().Get("about")}, nil)
}

func (s *site) showDeviceDispute(w http.ResponseWriter, r *http.Request, v visit, typed disputeTyped, bad []wrong) error {
	d, err := s.Queries.Device(r.Context(), v.school.ID, posture.DeviceID(r.PathValue("device")), v.now)
	if err != nil {
		return err
	}
	back := deviceAddress(v.school.ID, d.ID)
	page := disputeFormPage{Back: back, Form: disputeForm{
		Action: back + "/disputes", Person: true, Typed: typed, Wrong: bad,
		Abouts: abouts(typed.About, d.Findings, func(a dispute.About) bool { return a != dispute.Uses }),
	}}
	page.Name, _ = names(d.Hostname, d.AssetTag, d.ID)
	if page.Rows, err = s.disputesOf(r.Context(), v, d.ID); err != nil {
		return err
	}
	return s.write(w, statusOf(bad), "dispute-form", s.page(v, titleOf("Something is wrong about "+visible(page.Name), bad), "devices"), page)
}

// mostDisputes is how many disputes about one laptop its page shows.
const mostDisputes = 20

// disputesOf are the disputes about a laptop, the newest first.
func (s *site) disputesOf(ctx context.Context, v visit, id posture.DeviceID) (rows []disputeRow, err error) {
	found, err := s.Queries.Disputes(ctx, v.school.ID, view.DisputeQuery{Device: id, Limit: mostDisputes}, v.now)
	for _, d := range found.Disputes {
		rows = append(rows, newDisputeRow(v, d, s.clockwork(v)))
	}
	return rows, err
}

func (s *site) raiseDeviceDispute(w http.ResponseWriter, r *http.Request, v visit) error {
	typed, change, bad, err := readDispute(w, r)
	if err != nil {
		return err
	}
	change.Device = posture.DeviceID(r.PathValue("device"))
	if len(bad) == 0 {
		if bad, err = s.raise(r, v, dispute.Told{For: typed.For}, change, typed.Words); err != nil {
			return err
		}
	}
	if len(bad) > 0 {
		return s.showDeviceDispute(w, r, v, typed, bad)
	}
	http.Redirect(w, r, deviceAddress(v.school.ID, change.Device)+"?done=raised#disputes", http.StatusSeeOther)
	return nil
}

// ownDispute is the form about what is one's own: a laptop that the register says
// one has or, without, what else it says of whoever is signed in.
func (s *site) ownDispute(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showOwnDispute(w, r, v, r.URL.Query().Get("laptop"), disputeTyped{}, nil)
}

// ownLaptopOf is the laptop with a tag, if the register says that whoever is signed
// in has it; nil for no tag.
func (s *site) ownLaptopOf(ctx context.Context, v visit, tag string) (*view.Registered, error) {
	if tag == "" {
		return nil, nil //nolint:nilnil // it is about no laptop
	}
	own, err := s.own(ctx, v)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(own, func(a view.Registered) bool { return strings.EqualFold(a.Tag, tag) })
	if i < 0 {
		return nil, errNoPage
	}
	return &own[i], nil
}

func (s *site) showOwnDispute(w http.ResponseWriter, r *http.Request, v visit, tag string, typed disputeTyped, bad []wrong) error {
	a, err := s.ownLaptopOf(r.Context(), v, tag)
	if err != nil {
		return err
	}
	address := schoolAddress(v.school.ID) + "/mine"
	page := disputeFormPage{Back: address, Form: disputeForm{Action: address + "/disputes", Typed: typed, Wrong: bad}}
	title := "Something about you is wrong"
	may := func(about dispute.About) bool { return !about.OfLaptop() }
	var findings []view.Finding
	if a != nil {
		page.Name, title = a.Tag, "Something is wrong about "+visible(a.Tag)
		page.Form.Action += "?" + url.Values{"laptop": {a.Tag}}.Encode()
		if a.Device != "" {
			may = func(about dispute.About) bool { return about != dispute.Uses }
			d, err := s.Queries.Device(r.Context(), v.school.ID, a.Device, v.now)
			if err != nil && !isMissing(err) {
				return err
			}
			findings = d.Findings
		}
	}
	page.Form.Abouts = abouts(typed.About, findings, may)
	return s.write(w, statusOf(bad), "dispute-form", s.page(v, titleOf(title, bad), "mine"), page)
}

func (s *site) raiseOwnDispute(w http.ResponseWriter, r *http.Request, v visit) error {
	typed, change, bad, err := readDispute(w, r)
	if err != nil {
		return err
	}
	tag := r.URL.Query().Get("laptop")
	a, err := s.ownLaptopOf(r.Context(), v, tag)
	if err != nil {
		return err
	}
	if a != nil {
		change.Device, change.Asset = a.Device, a.Tag
	}
	if change.About.OfLaptop() && change.Device == "" && len(bad) == 0 {
		bad = append(bad, wrong{"about", "Choose what is wrong."})
	}
	if len(bad) == 0 {
		if bad, err = s.raise(r, v, dispute.Told{Own: true}, change, typed.Words); err != nil {
			return err
		}
	}
	if len(bad) > 0 {
		return s.showOwnDispute(w, r, v, tag, typed, bad)
	}
	http.Redirect(w, r, schoolAddress(v.school.ID)+"/mine?done=raised#disputes", http.StatusSeeOther)
	return nil
}

// ownDisputes are what whoever is signed in said is wrong, or somebody for them:
// about the laptops that they have, and about no laptop.
func (s *site) ownDisputes(ctx context.Context, v visit, laptops []view.Registered) (rows []disputeRow, err error) {
	var found []view.Dispute
	for _, a := range laptops {
		if a.Device == "" {
			continue
		}
		page, err := s.Queries.Disputes(ctx, v.school.ID, view.DisputeQuery{Device: a.Device, Limit: mostDisputes}, v.now)
		if err != nil {
			return nil, err
		}
		found = append(found, page.Disputes...)
	}
	page, err := s.Queries.Disputes(ctx, v.school.ID, view.DisputeQuery{Limit: 500}, v.now)
	if err != nil {
		return nil, err
	}
	for _, d := range page.Disputes {
		if !slices.ContainsFunc(found, func(o view.Dispute) bool { return o.ID == d.ID }) {
			found = append(found, d)
		}
	}
	for _, d := range found {
		if d.Own && breach.SamePerson(d.By, v.account.Name) || d.For != "" && breach.SamePerson(d.For, v.account.Name) {
			rows = append(rows, newDisputeRow(v, d, s.clockwork(v)))
		}
	}
	return rows, nil
}

// disputePage is one dispute, and the form that answers it.
type disputePage struct {
	disputeRow
	Disputes  string // address of the list
	MayAnswer bool
	OwnWords  bool // whoever looks said it themselves, and so does not answer
	Outcomes  []choice
	Typed     string
	Wrong     []wrong
	Done      string
}

func (s *site) dispute(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showDispute(w, r, v, "", "", nil)
}

func (s *site) showDispute(w http.ResponseWriter, r *http.Request, v visit, outcome, typed string, bad []wrong) error {
	d, err := s.Queries.Dispute(r.Context(), v.school.ID, r.PathValue("dispute"), v.now)
	if err != nil {
		return err
	}
	page := disputePage{
		disputeRow: newDisputeRow(v, d, s.clockwork(v)), Disputes: disputesAddress(v.school.ID), Typed: typed, Wrong: bad,
		OwnWords: breach.SamePerson(d.By, v.account.Name), Done: disputeDone(r.URL.Query().Get("done")),
	}
	page.MayAnswer = d.Open() && !page.OwnWords && v.account.May(v.school.ID, access.AnswerDisputes)
	page.Outcomes = []choice{{"", "Choose the answer", outcome == ""}}
	for o, words := range map[dispute.Outcome]string{dispute.Upheld: "Upheld: it was recorded wrongly", dispute.NotUpheld: "Not upheld: it stands as it is"} {
		page.Outcomes = append(page.Outcomes, choice{string(o), words, outcome == string(o)})
	}
	slices.SortFunc(page.Outcomes, func(a, b choice) int { return -strings.Compare(b.Key, a.Key) })
	return s.write(w, statusOf(bad), "dispute", s.page(v, titleOf("Dispute "+d.ID, bad), "privacy"), page)
}

func (s *site) answerDispute(w http.ResponseWriter, r *http.Request, v visit) error {
	words, err := readReason(w, r)
	if err != nil {
		return err
	}
	outcome := r.PostForm.Get("outcome")
	var bad []wrong
	if !slices.Contains(dispute.Outcomes(), dispute.Outcome(outcome)) {
		bad = append(bad, wrong{"outcome", "Choose whether it is upheld."})
	}
	if words == "" {
		bad = append(bad, wrong{"answer-words", "Say what was done or, if it is not upheld, why it stands."})
	}
	if len(bad) == 0 {
		_, err := s.Disputes.AnswerDispute(r.Context(), v.school.ID, v.account.Name, r.PathValue("dispute"), dispute.Outcome(outcome), words)
		switch {
		case isRefusal(err):
			bad = append(bad, wrong{"answer-words", sentence(err.Error())})
		case err != nil:
			return err
		default:
			http.Redirect(w, r, disputesAddress(v.school.ID)+"/"+r.PathValue("dispute")+"?done=answered", http.StatusSeeOther)
			return nil
		}
	}
	return s.showDispute(w, r, v, outcome, words, bad)
}
