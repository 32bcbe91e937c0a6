package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/restricted"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// ErrPassphrase says that a passphrase is not that of a senior who may ask, and
// not why.
var ErrPassphrase = errors.New("this is not the passphrase of a senior of this school")

// Unlock is who asks about restricted incidents: an account, and the passphrase
// of its key. It is never logged, and kept no longer than it takes to answer.
type Unlock struct {
	Account    access.Account
	Passphrase string
}

// Confidant is what is done and asked about restricted incidents. To whoever is
// not named for one it does not exist. That somebody looks is recorded before
// they see anything.
type Confidant interface {
	SeniorKeys(ctx context.Context, school posture.SchoolID) ([]SeniorKey, error)
	// MakeSeniorKey makes a key for an account. Its passphrase is told this once.
	MakeSeniorKey(ctx context.Context, school posture.SchoolID, account access.Account) (made SeniorKey, passphrase string, err error)
	Confided(ctx context.Context, school posture.SchoolID, who Unlock) ([]restricted.Told, error)
	Confide(ctx context.Context, school posture.SchoolID, who Unlock, name string) (restricted.Told, error)
	// Act does something, or asks for what takes two, and returns which incident it
	// is about. What cannot be done as things stand is a decision.RefusedError.
	Act(ctx context.Context, school posture.SchoolID, who Unlock, d Deed) (name string, err error)
}

// SeniorKey is a key with which a senior reads and signs restricted incidents.
type SeniorKey struct {
	Name string // of the account
	Code string
	Made time.Time
	By   string // who had it made
}

// Deed is what a senior does about a restricted incident.
type Deed struct {
	Do       string // as the API has it: open, agree, decline, record, close, reopen, hold, lift, name or remove
	Incident string
	Words    string
	Change   *incident.Change
	Seniors  []string // codes
	Concerns []string // names
	Device   posture.DeviceID
	Medium   string
}

// confidedPage is what a senior sees before and after they have given their
// passphrase: keys, and the incidents for which they are named.
type confidedPage struct {
	Address  string
	Own      []keyRow
	Others   []keyRow
	Unlocked bool
	Rows     []confidedRow
	Made     *keyRow // a key that was made just now
	Secret   string  // its passphrase, told this once
	Wrong    []wrong
}

type keyRow struct {
	SeniorKey
	Made *moment
}

// confidedRow is a restricted incident as the list has it.
type confidedRow struct {
	ID, Address, Kind, Words, State, Due string
	Asked                                string
	Over                                 bool
}

func restrictedAddress(school posture.SchoolID) string { return schoolAddress(school) + "/restricted" }

func (s *site) confided(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showConfided(w, r, v, http.StatusOK, confidedPage{})
}

func (s *site) showConfided(w http.ResponseWriter, r *http.Request, v visit, status int, page confidedPage) error {
	keys, err := s.Restricted.SeniorKeys(r.Context(), v.school.ID)
	if err != nil {
		return err
	}
	c := s.clockwork(v)
	page.Address = restrictedAddress(v.school.ID)
	for _, k := range keys {
		row := keyRow{k, c.moment(k.Made)}
		if access.SameName(k.Name, v.account.Name) {
			page.Own = append(page.Own, row)
		} else {
			page.Others = append(page.Others, row)
		}
	}
	title := "Restricted incidents"
	title = titleOf(title, page.Wrong)
	return s.write(w, status, "restricted", s.page(v, title, "restricted"), page)
}

// unlock reads who asks from a form. A browser that tries one passphrase after
// another is slowed down: each takes the collector's memory for a moment.
func (s *site) unlock(w http.ResponseWriter, r *http.Request, v visit) (Unlock, *wrong, error) {
	f, err := form(w, r, maxReport)
	if err != nil {
		return Unlock{}, nil, err
	}
	who := Unlock{v.account, strings.TrimSpace(f.Get("passphrase"))}
	switch {
	case who.Passphrase == "":
		return who, &wrong{"passphrase", "Type the passphrase of your key."}, nil
	case s.unlocks.Take(v.account.ID) > 0:
		return who, &wrong{"passphrase", "That were many in a short time. Wait a minute."}, nil
	}
	return who, nil, nil
}

// listConfided shows a senior the incidents for which they are named.
func (s *site) listConfided(w http.ResponseWriter, r *http.Request, v visit) error {
	who, bad, err := s.unlock(w, r, v)
	if err != nil {
		return err
	}
	page := confidedPage{}
	if bad == nil {
		list, err := s.Restricted.Confided(r.Context(), v.school.ID, who)
		switch {
		case errors.Is(err, ErrPassphrase):
			bad = &wrong{"passphrase", sentence(ErrPassphrase.Error())}
		case err != nil:
			return err
		}
		for _, t := range list {
			page.Rows = append(page.Rows, newConfidedRow(v.school.ID, t))
		}
	}
	if bad != nil {
		page.Wrong = []wrong{*bad}
		return s.showConfided(w, r, v, http.StatusUnprocessableEntity, page)
	}
	page.Unlocked = true
	return s.showConfided(w, r, v, http.StatusOK, page)
}

func newConfidedRow(school posture.SchoolID, t restricted.Told) confidedRow {
	row := confidedRow{
		ID: t.ID, Address: restrictedAddress(school) + "/" + t.ID, Kind: kindWords(t.Incident.Kind), Words: actWords(t.Incident.Opened),
		State: caseWords(t.State), Due: t.Due, Over: t.Over,
	}
	if t.Asked != nil {
		row.Asked = askedFor(t.Asked.Asked) + ", which a second senior has not answered"
	}
	return row
}

func caseWords(s restricted.State) string {
	switch s {
	case restricted.Proposed:
		return "Not open yet: a second senior has to agree"
	case restricted.Opened:
		return "Open"
	case restricted.Closed:
		return "Closed"
	case restricted.Dropped:
		return "Never opened"
	}
	return "Not known"
}

func askedFor(a restricted.Asked) string {
	switch a {
	case restricted.Open:
		return "To open it was asked"
	case restricted.Close:
		return "To close it was asked"
	case restricted.Reopen:
		return "To open it again was asked"
	case restricted.Lift:
		return "To lift a hold was asked"
	case restricted.Remove:
		return "To remove somebody was asked"
	}
	return "Something was asked"
}

// makeKey makes a key for whoever has signed in, and tells its passphrase this
// once, on the page that answers.
func (s *site) makeKey(w http.ResponseWriter, r *http.Request, v visit) error {
	if _, err := form(w, r, maxForm); err != nil {
		return err
	}
	made, passphrase, err := s.Restricted.MakeSeniorKey(r.Context(), v.school.ID, v.account)
	if err != nil {
		return err
	}
	return s.showConfided(w, r, v, http.StatusOK, confidedPage{Made: &keyRow{made, s.clockwork(v).moment(made.Made)}, Secret: passphrase})
}

// casePage is one restricted incident. Before the passphrase is given it says
// nothing, not even that there is such an incident.
type casePage struct {
	Address   string
	ID        string
	List      string // address of all of them
	Unlocked  bool
	Done      bool
	KindWords string
	State     string
	Due       string
	Over      bool
	Told72    bool
	About     []string // names of those whom it concerns
	Words     string
	Seniors   []restricted.Senior
	Asked     string // what waits for a second senior
	AskedBy   string
	AskedAt   *moment
	AskedFor  string // why
	AskedOn   string // what it is about
	Happened  []actLine
	Aware     []actLine
	Tell      []tellLine
	Things    []string
	Spoken    []actLine
	Notes     []actLine
	Lessons   []actLine
	Closings  []actLine
	Holds     []actLine
	Looks     []actLine
	Deeds     []choice // what may be done, with its address as key
	Wrong     []wrong
}

func (s *site) confidedCase(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.askForCase(w, r, v, http.StatusOK, nil)
}

// askForCase asks for the passphrase, whatever there is at the address.
func (s *site) askForCase(w http.ResponseWriter, r *http.Request, v visit, status int, bad []wrong) error {
	page := casePage{Address: restrictedAddress(v.school.ID) + "/" + r.PathValue("case"), List: restrictedAddress(v.school.ID), Wrong: bad, Done: r.URL.Query().Get("done") != ""}
	title := "A restricted incident"
	title = titleOf(title, bad)
	return s.write(w, status, "restricted-case", s.page(v, title, "restricted"), page)
}

func (s *site) showCase(w http.ResponseWriter, r *http.Request, v visit) error {
	who, bad, err := s.unlock(w, r, v)
	if err != nil {
		return err
	}
	if bad != nil {
		return s.askForCase(w, r, v, http.StatusUnprocessableEntity, []wrong{*bad})
	}
	t, err := s.Restricted.Confide(r.Context(), v.school.ID, who, r.PathValue("case"))
	switch {
	case errors.Is(err, ErrPassphrase):
		return s.askForCase(w, r, v, http.StatusUnprocessableEntity, []wrong{{"passphrase", sentence(ErrPassphrase.Error())}})
	case isRefusal(err):
		return s.askForCase(w, r, v, http.StatusUnprocessableEntity, []wrong{{"passphrase", sentence(err.Error())}})
	case err != nil:
		return err
	}
	return s.write(w, http.StatusOK, "restricted-case", s.page(v, "Restricted incident "+t.ID, "restricted"), s.newCasePage(r.Context(), v, t))
}

func (s *site) newCasePage(ctx context.Context, v visit, t restricted.Told) casePage {
	c, i := s.clockwork(v), t.Incident
	page := casePage{
		Address: restrictedAddress(v.school.ID) + "/" + t.ID, List: restrictedAddress(v.school.ID), ID: t.ID, Unlocked: true, KindWords: kindWords(i.Kind),
		State: caseWords(t.State), Due: t.Due, Over: t.Over, About: t.Concerns, Words: actWords(i.Opened), Seniors: t.Seniors,
		Notes: linesOf(i.Notes, c), Lessons: linesOf(i.Lessons, c),
	}
	if a := t.Asked; a != nil {
		page.Asked, page.AskedBy, page.AskedAt, page.AskedFor = askedFor(a.Asked), a.By, c.moment(a.At), a.Words
		if page.AskedOn = a.Whom; a.On != nil {
			page.AskedOn = s.subjectWords(ctx, v, *a.On)
		}
	}
	for _, h := range i.Happened {
		page.Happened = append(page.Happened, lineOf("It happened "+h.When.String(), h.Act, c).beside(i.Opened))
	}
	for _, a := range i.Aware {
		page.Aware = append(page.Aware, lineOf("The school became aware "+a.When.String(), a.Act, c).beside(i.Opened))
	}
	for _, a := range incident.Audiences() {
		page.Tell = append(page.Tell, tellOf(i, a, c))
	}
	told, decided := i.Told(incident.Regulator)
	page.Told72 = decided && (told.Answer == incident.No || told.Told != nil)
	for _, l := range i.Links {
		words := l.Link.Words()
		if l.What == incident.Device {
			words = s.subjectWords(ctx, v, restricted.Subject{Device: l.Device})
		}
		page.Things = append(page.Things, capital(words))
	}
	for _, k := range i.Contacts {
		page.Spoken = append(page.Spoken, lineOf(capital(k.Whom)+", "+k.When.String(), k.Act, c))
	}
	for _, k := range i.Closings {
		title := "Closed: " + outcomeWords(k.Outcome)
		if k.Again {
			title = "Opened again"
		}
		page.Closings = append(page.Closings, lineOf(title, k.Act, c))
	}
	for _, h := range t.Holds {
		page.Holds = append(page.Holds, actLine{capital(s.subjectWords(ctx, v, h.On)), h.Words, h.By, c.moment(h.Since)})
	}
	for _, l := range t.Views {
		page.Looks = append(page.Looks, actLine{Title: lookedAt(l.What), By: l.By, At: c.moment(l.At)})
	}
	for _, d := range deeds {
		if d.when(t) {
			page.Deeds = append(page.Deeds, choice{Key: page.Address + "/" + d.name, Words: d.title})
		}
	}
	return page
}

// subjectWords names what is held as people call it. What cannot be looked up is
// named as it was recorded.
func (s *site) subjectWords(ctx context.Context, v visit, on restricted.Subject) string {
	if on.Device == "" {
		return on.Words()
	}
	d, err := s.Queries.Device(ctx, v.school.ID, on.Device, v.now)
	if err != nil {
		return on.Words()
	}
	return "the laptop " + deviceNames(d.Device)
}

func lookedAt(what string) string {
	switch what {
	case "list":
		return "Saw it listed"
	case "held":
		return "Looked at what is held"
	}
	return "Read it"
}
