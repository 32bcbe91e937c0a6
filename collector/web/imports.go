package web

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// importPage is the form by which a list is tried, what it would change, and what
// is wrong with it.
type importPage struct {
	Nav         []menuLink
	Address     string
	Columns     []string
	AsOf        typed
	Wrong       []wrong
	Bad         []register.Wrong // with the list
	File        string
	Plan        *planShown
	Trial       string // the list that was tried
	Changed     bool   // the register is not what it was when the list was tried first
	Days        string // for which lists count, as typed
	Lasts       int
	DaysAddress string
}

// planShown is what a list would change, as far as a page shows it.
type planShown struct {
	register.Plan
	AsOf      *moment
	Edits     []register.Edit
	MoreEdits int
	News      []string
	MoreNews  int
	Ties      []register.Tied
	MoreTies  int
	Unknowns  []register.Tied
	MoreUn    int
	Assets    int // that are changed
	Nothing   bool
}

// mostShown bounds each list of what would change.
const mostShown = 100

// trial is a list that was tried, and what it would have changed then.
type trial struct {
	id      string
	account string
	school  posture.SchoolID
	file    string
	source  []byte
	asOf    time.Time
	sum     [sha256.Size]byte // of the plan
	at      time.Time
}

// trials keeps lists from when they are tried until they are imported: for a while,
// one for each account, and not more than there is room for.
type trials struct {
	mu   sync.Mutex // guards kept
	kept []trial    // oldest first
}

// Bounds of what is kept of lists that were tried.
const (
	trialLasts = 30 * time.Minute
	mostTrials = 4 * register.MostList // bytes
)

// put keeps a list, and gives it a name that nobody can guess.
func (t *trials) put(one trial) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	one.id = rand.Text()
	t.kept = slices.DeleteFunc(t.kept, func(o trial) bool { return o.account == one.account || one.at.Sub(o.at) >= trialLasts })
	t.kept = append(t.kept, one)
	for size := t.size(); size > mostTrials && len(t.kept) > 1; size = t.size() {
		t.kept = slices.Delete(t.kept, 0, 1)
	}
	return one.id
}

func (t *trials) size() (n int) {
	for _, one := range t.kept {
		n += len(one.source)
	}
	return n
}

// take returns the list that an account tried at a school, and keeps it no more.
func (t *trials) take(id, account string, school posture.SchoolID, now time.Time) (trial, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.kept, func(o trial) bool { return o.id == id && o.account == account && o.school == school })
	if i < 0 {
		return trial{}, false
	}
	one := t.kept[i]
	t.kept = slices.Delete(t.kept, i, i+1)
	return one, now.Sub(one.at) < trialLasts
}

func (s *site) importForm(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showImport(w, r, v, http.StatusOK, importPage{})
}

func (s *site) showImport(w http.ResponseWriter, r *http.Request, v visit, status int, page importPage) error {
	page.Nav, page.Address, page.Columns = registerNav(v, "import"), registerAddress(v.school.ID)+"/import", register.Columns()
	page.DaysAddress = registerAddress(v.school.ID) + "/lists-last"
	lasts, err := s.Register.ListsLast(r.Context(), v.school.ID, v.now)
	if err != nil && !isMissing(err) {
		return err
	}
	page.Lasts = int(lasts / (24 * time.Hour))
	title := "Import a list of devices"
	if len(page.Wrong)+len(page.Bad) > 0 {
		title = "Error: " + title
	}
	return s.write(w, status, "import", s.page(v, title, "register"), page)
}

// tryImport says what a list would change, and everything that is wrong with it. It
// records nothing.
func (s *site) tryImport(w http.ResponseWriter, r *http.Request, v visit) error {
	u, err := readUpload(w, r, "file", register.MostList)
	if err != nil {
		return err
	}
	page := importPage{AsOf: typedOf(u.fields, "as-of"), File: oneLine(u.name)}
	asOf, bad := s.happened(page.AsOf, "as-of")
	switch {
	case u.long:
		bad = append(bad, wrong{"file", fmt.Sprintf("The file has more than %d MiB. Import it in parts.", register.MostList>>20)})
	case len(u.data) == 0:
		bad = append(bad, wrong{"file", "Choose the file that the spreadsheet saved as CSV."})
	}
	if page.Wrong = bad; len(bad) == 0 {
		one := trial{account: v.account.ID, school: v.school.ID, file: page.File, source: u.data, asOf: asOf, at: v.now}
		if one.asOf.IsZero() {
			one.asOf = v.now.UTC()
		}
		if err := s.tryList(r, v, &page, &one); err != nil {
			return err
		}
	}
	status := http.StatusOK
	if page.Plan == nil {
		status = http.StatusUnprocessableEntity
	}
	return s.showImport(w, r, v, status, page)
}

// tryList puts on the page what a list would change, and keeps the list until it is
// imported.
func (s *site) tryList(r *http.Request, v visit, page *importPage, one *trial) error {
	plan, _, err := s.RegisterKeeper.ImportRegister(r.Context(), v.school.ID, s.importing(v), one.source, one.asOf, true)
	if list, is := errors.AsType[*register.WrongError](err); is {
		page.Bad = list.List
		return nil
	}
	if isRefusal(err) {
		page.Wrong = append(page.Wrong, wrong{"as-of-day", sentence(err.Error())})
		return nil
	}
	if err != nil {
		return err
	}
	page.Plan = newPlanShown(plan, s.clockwork(v).moment(one.asOf))
	if page.Plan.Nothing {
		return nil
	}
	if one.sum, err = planSum(plan); err != nil {
		return err
	}
	page.Trial = s.tried.put(*one)
	return nil
}

func (s *site) importing(v visit) decision.Decision {
	return decision.Decision{Kind: decision.Register, By: v.account.Name, At: v.now, Reason: register.ImportReason}
}

// planSum is what a plan is known by: what would be recorded, and what was shown.
func planSum(p register.Plan) (sum [sha256.Size]byte, err error) {
	data, err := json.Marshal([]any{p, p.Change})
	if err != nil {
		return sum, fmt.Errorf("tell one plan of an import from another: %w", err)
	}
	return sha256.Sum256(data), nil
}

// recordImport imports the list that was tried, if it would still change what was
// shown.
func (s *site) recordImport(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	one, ok := s.tried.take(f.Get("trial"), v.account.ID, v.school.ID, v.now)
	if !ok {
		return s.showImport(w, r, v, http.StatusUnprocessableEntity, importPage{Wrong: []wrong{
			{"file", "Nothing was recorded: the list was tried too long ago, or another was since. Choose it again."},
		}})
	}
	page, was := importPage{File: one.file}, one.sum
	one.at = v.now
	if err := s.tryList(r, v, &page, &one); err != nil {
		return err
	}
	if page.Plan == nil || page.Plan.Nothing || !bytes.Equal(one.sum[:], was[:]) {
		page.Changed = true
		return s.showImport(w, r, v, http.StatusConflict, page)
	}
	s.tried.take(page.Trial, v.account.ID, v.school.ID, v.now)
	plan, _, err := s.RegisterKeeper.ImportRegister(r.Context(), v.school.ID, s.importing(v), one.source, one.asOf, false)
	if err != nil {
		return err
	}
	done := "import"
	if plan.Nothing() {
		done = "unchanged"
	}
	http.Redirect(w, r, registerAddress(v.school.ID)+"?done="+done, http.StatusSeeOther)
	return nil
}

func newPlanShown(p register.Plan, asOf *moment) *planShown {
	tags := map[string]bool{}
	for _, e := range p.Changed {
		tags[register.Key(e.Tag)] = true
	}
	shown := planShown{Plan: p, AsOf: asOf, Assets: len(tags), Nothing: p.Nothing()}
	shown.Edits, shown.MoreEdits = first(p.Changed)
	shown.News, shown.MoreNews = first(p.New)
	shown.Ties, shown.MoreTies = first(p.Tied)
	shown.Unknowns, shown.MoreUn = first(p.Unknown)
	return &shown
}

// first is as much of a list as a page shows, and how many there are beyond.
func first[T any](list []T) (shown []T, more int) {
	n := min(len(list), mostShown)
	return list[:n], len(list) - n
}

// setListsLast says for how long lists of devices that no agent covers count.
func (s *site) setListsLast(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	page := importPage{Days: bounded(f.Get("days"))}
	days, err := strconv.Atoi(page.Days)
	if err == nil {
		err = s.keep(r, v, register.Change{What: register.ListsLast, Days: days}, "")
	} else {
		err = faultError{errors.New("enter a number of days")}
	}
	if mended(err) {
		page.Wrong = []wrong{{"days", sentence(err.Error())}}
		return s.showImport(w, r, v, http.StatusUnprocessableEntity, page)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, registerAddress(v.school.ID)+"?done=lists", http.StatusSeeOther)
	return nil
}

// columnWords says what a column of a list holds.
func columnWords(column string) string {
	return map[string]string{
		"tag": "The asset tag, which tells devices apart. Upper and lower case are the same.", "what": "Make and model.",
		"class": "SS, SM, AU, ST, SF or VI, or the class in full.", "group": "Such as Year 4 trolley.",
		"bought": "A day, as 2026-09-01 or 01/09/2026.", "retired": "The day from which it is not in use.",
		"host": "The host name of the enrolled laptop that it is.", "managed": "What looks after a device that can have no agent, such as Google Admin.",
		"encrypted": "What that says of its storage: yes, no or by default.", "enrolled": "Whether the school’s settings are in force on it: yes or no.",
		"seen": "The day on which what manages it last heard of it.", "serial": "Its serial number, as its maker gives it.",
	}[column]
}
