package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// mostTrialDays bounds the days over which a preview looks back from a page.
const mostTrialDays = 180

// trialDays reads for how many days back reports are judged; 0 for none.
func trialDays(typed string) int {
	n, err := strconv.Atoi(bounded(typed))
	if err != nil {
		return 0
	}
	return min(max(n, 0), mostTrialDays)
}

// trialPage is a preview: how far it is, or what it found.
type trialPage struct {
	All, Address string
	Of           string // what is tried
	Back         string // address of that
	Save         string // address at which a text that is no draft becomes one
	By           string
	Begun        *moment
	Working      bool
	Waiting      bool
	Done, Total  int
	Percent      int
	Failed       string
	Days         int

	*trialFound
}

// trialFound is what a preview found.
type trialFound struct {
	view.Preview
	Made     *moment
	Rows     []trialRow
	Same     int // rules of which nothing changes
	Rule     *trialRow
	Laptops  []trialDevice
	More     int // devices of the rule that are not listed
	History  *view.PreviewHistory
	HistoryF *moment
}

// trialRow is what a preview found of one rule.
type trialRow struct {
	view.PreviewRule
	Address string // of the laptops on which something changes
	State   string // "new" or "goes"
}

// trialDevice is a laptop on which breaches open or close.
type trialDevice struct {
	Name, Address string
	Things        []trialThing
	More          int
}

type trialThing struct{ What, Words, Status string }

func trialAddress(school posture.SchoolID, id string) string {
	return policyAddress(school) + "/previews/" + url.PathEscape(id)
}

// tryPolicy begins a preview of a draft, or of an earlier policy.
func (s *site) tryPolicy(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	refused := func(words string) error {
		const title = "No preview was begun"
		return s.write(w, http.StatusUnprocessableEntity, "error", s.page(v, title, "policy"), trouble{http.StatusUnprocessableEntity, title, []string{words}})
	}
	what := PolicyTrial{Draft: bounded(f.Get("draft")), Days: trialDays(f.Get("days"))}
	if what.Draft == "" {
		if what.Number, err = numberOf(f.Get("number")); err != nil {
			return refused("The form did not say what is to be tried: go back to the draft or the version, and try again.")
		}
	}
	return s.beginTrial(w, r, v, what, refused)
}

// beginTrial begins a preview and leads to it; refused says why there is none.
func (s *site) beginTrial(w http.ResponseWriter, r *http.Request, v visit, what PolicyTrial, refused func(words string) error) error {
	what.By = v.account.Name
	id, err := s.Policies.Try(r.Context(), v.school.ID, what)
	if isRefusal(err) {
		return refused(sentence(err.Error()))
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, trialAddress(v.school.ID, id), http.StatusSeeOther)
	return nil
}

// policyTrial shows how far a preview is, and what it found.
func (s *site) policyTrial(w http.ResponseWriter, r *http.Request, v visit) error {
	id := r.PathValue("preview")
	trial, err := s.Policies.Trial(v.school.ID, id)
	if err != nil {
		return err
	}
	c := s.clockwork(v)
	page := trialPage{
		All: policyAddress(v.school.ID), Address: trialAddress(v.school.ID, id), By: trial.By, Begun: c.moment(trial.Begun), Days: trial.Days,
		Working: !trial.Ended, Done: trial.Done, Total: trial.Total, Failed: sentence(trial.Failed),
	}
	page.Waiting = page.Working && trial.Total == 0
	if trial.Total > 0 {
		page.Percent = 100 * trial.Done / trial.Total
	}
	switch {
	case trial.Draft != "":
		page.Of, page.Back = "the draft "+trial.Draft, draftAddress(v.school.ID, trial.Draft)
	case trial.Number > 0:
		page.Of, page.Back = "version "+strconv.FormatUint(trial.Number, 10), versionAddress(v.school.ID, trial.Number)
	default:
		page.Of = "a text that is no draft yet"
		if mayDraft(v) {
			page.Save = page.All + "/text?preview=" + url.QueryEscape(id)
		}
	}
	title := "Preview of " + page.Of
	p := s.page(v, title, "policy")
	if trial.Found != nil {
		page.trialFound, err = newTrialFound(v.school.ID, page.Address, r.URL.Query().Get("rule"), *trial.Found, c)
		if err != nil {
			return err
		}
	}
	if !page.Working {
		return s.write(w, http.StatusOK, "policy-preview", p, page)
	}
	seen, err := trialLooks(trial)
	if err != nil {
		return err
	}
	p.Live = page.Address + "/changes?seen=" + hex.EncodeToString(seen[:])
	return s.writeScripted(w, http.StatusOK, "policy-preview", "live.js", p, page)
}

// newTrialFound puts what a preview found into the words of its page: all rules, or
// the laptops of one.
func newTrialFound(school posture.SchoolID, address, rule string, found view.Preview, c clockwork) (*trialFound, error) {
	out := &trialFound{Preview: found, Made: c.moment(found.At), History: found.History}
	if found.History != nil {
		out.HistoryF = c.moment(found.History.From)
	}
	for _, one := range found.Rules {
		row := trialRow{PreviewRule: one}
		switch {
		case one.New:
			row.State = "new"
		case one.Gone:
			row.State = "goes"
		}
		if one.Touched > 0 {
			row.Address = address + "?" + url.Values{"rule": {one.Rule}}.Encode()
		}
		if rule == one.Rule {
			out.Rule = &row
		}
		if one.New || one.Gone || one.Before != one.After || one.Opens+one.Closes+one.Graver+one.Milder > 0 {
			out.Rows = append(out.Rows, row)
		} else {
			out.Same++
		}
	}
	if rule == "" {
		return out, nil
	}
	if out.Rule == nil {
		return nil, errNoPage
	}
	for _, d := range out.Rule.Listed {
		out.Laptops = append(out.Laptops, newTrialDevice(school, d))
	}
	out.More = out.Rule.Touched - len(out.Laptops)
	return out, nil
}

func newTrialDevice(school posture.SchoolID, d view.PreviewDevice) trialDevice {
	row := trialDevice{Address: deviceAddress(school, d.ID), More: d.Opens + d.Closes - len(d.Breaches)}
	row.Name, _ = names(d.Hostname, "", d.ID)
	for _, b := range d.Breaches {
		thing := trialThing{What: subjectLabel(b.Subject, b.Message), Words: b.Message, Status: "opens"}
		switch {
		case b.Closes:
			thing.Status = "closes"
		case b.Status == breach.Pending:
			thing.Status = "opens after its grace"
		}
		row.Things = append(row.Things, thing)
	}
	return row
}

// stopTrial gives a preview up.
func (s *site) stopTrial(w http.ResponseWriter, r *http.Request, v visit) error {
	if _, err := form(w, r, maxForm); err != nil {
		return err
	}
	id := r.PathValue("preview")
	if _, err := s.Policies.Trial(v.school.ID, id); err != nil {
		return err
	}
	s.Policies.StopTrial(v.school.ID, id)
	http.Redirect(w, r, trialAddress(v.school.ID, id), http.StatusSeeOther)
	return nil
}

// trialEvery is how often an open page of a preview is looked at.
const trialEvery = time.Second

// trialChanges tells an open page that a preview went on, also if it did between the
// making of the page and the asking.
func (s *site) trialChanges(w http.ResponseWriter, r *http.Request, v visit) error {
	id := r.PathValue("preview")
	seen, err := hex.DecodeString(r.URL.Query().Get("seen"))
	first := err == nil && len(seen) == sha256.Size
	return s.stream(w, r, v, trialEvery, func(context.Context, visit) ([sha256.Size]byte, error) {
		trial, err := s.Policies.Trial(v.school.ID, id)
		if err != nil {
			return [sha256.Size]byte{}, err
		}
		if first {
			first = false
			return [sha256.Size]byte(seen), nil
		}
		return trialLooks(trial)
	})
}

// trialLooks sums up how far a preview is.
func trialLooks(trial PolicyTrial) ([sha256.Size]byte, error) {
	trial.Found, trial.Source = nil, nil // once it is found nothing of it changes
	body, err := json.Marshal(trial)
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("sum up how far a preview is: %w", err)
	}
	return sha256.Sum256(body), nil
}
