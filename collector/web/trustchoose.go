package web

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// baselineChoosePage is the form in which a trust's choices make a baseline, and that
// in which it allows that schools ask less.
type baselineChoosePage struct {
	baselineProposal
	choices
	Draft  string // that it begins with, by its digest; "": the baseline in force
	Digest string // of that text, so that it is known if it has changed
	Of     string // whose draft it is
	Loose  []looseSchool
	Until  string
	Why    string // it is allowed that schools ask less
	Done   string
}

// looseSchool is a school in what it asks less than the baseline.
type looseSchool struct {
	Name, Address string
	Items         []looseItem
}

type looseItem struct {
	Value, Label, Words string
	Allowed             *allowedRow
	Chosen              bool
}

// between parts a school from one of its items in the form: no identifier of a
// school has it.
const between = "/"

func (s *site) chooseBaseline(w http.ResponseWriter, r *http.Request, v visit) error {
	trust, list, _, all, err := s.members(r, v)
	if err != nil {
		return err
	}
	page := baselineChoosePage{baselineProposal: newBaselineProposal(trust, list, all, nil), Draft: bounded(r.URL.Query().Get("draft"))}
	if r.URL.Query().Get("done") != "" {
		page.Done = "Recorded at each school: it may ask less until then."
	}
	b, err := s.baselineBegun(r, &page, list)
	if err != nil {
		return err
	}
	page.fill(b.policy, b.asItIs(), nil)
	return s.showBaselineChoices(w, v, http.StatusOK, page, list, nil)
}

// baselineBegun is what the form begins with.
func (s *site) baselineBegun(r *http.Request, page *baselineChoosePage, list []member) (b begun, err error) {
	if b.source, page.Of, err = s.baselineBase(r, list, page.Draft); err != nil {
		return b, err
	}
	if b.source == nil {
		return b, errNoPage
	}
	page.Digest = digestOf(b.source)
	weighed, err := s.Trusts.WeighBaseline(r.Context(), page.Trust, b.source)
	b.policy, b.maxAge = weighed.Policy, weighed.MaxAge
	if page.Draft != "" && err == nil {
		page.weigh(weighed, list)
	}
	return b, err
}

func (s *site) showBaselineChoices(w http.ResponseWriter, v visit, status int, page baselineChoosePage, list []member, items []string) error {
	c := s.clockwork(v)
	if page.Until == "" {
		page.Until = v.now.In(s.Location).AddDate(0, 0, 28).Format(time.DateOnly)
	}
	for _, m := range list {
		one := looseSchool{Name: m.Name, Address: baselineAddress(m.ID)}
		for _, l := range m.Looser {
			item := looseItem{Value: string(m.ID) + between + l.Item, Label: itemWords(l.Item), Words: l.Words}
			item.Chosen = slices.Contains(items, item.Value)
			if l.Allowed != nil {
				item.Allowed = newAllowedRow(*l.Allowed, c)
			}
			one.Items = append(one.Items, item)
		}
		if len(one.Items) > 0 {
			page.Loose = append(page.Loose, one)
		}
	}
	return s.write(w, status, "trust-choose", s.page(v, titleOf("Choose what the baseline asks", page.Wrong), "trusts"), page)
}

// chosenBaseline checks, proposes or puts in force what was chosen.
func (s *site) chosenBaseline(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxPolicyForm)
	if err != nil {
		return err
	}
	trust, list, at, all, err := s.members(r, v)
	if err != nil {
		return err
	}
	page := baselineChoosePage{baselineProposal: newBaselineProposal(trust, list, all, f), Draft: bounded(f.Get("draft"))}
	b, err := s.baselineBegun(r, &page, list)
	if err != nil {
		return err
	}
	var bad []wrong
	if f.Get("digest") != page.Digest {
		bad = append(bad, wrong{"maxage", "The text that you began with has changed meanwhile. Look at every field before you go on: what you typed is kept."})
	}
	amend, more := amendment(b, f)
	bad = append(bad, more...)
	var amended []byte
	if len(bad) == 0 {
		if amended, err = s.Policies.Amend(b.source, amend); err != nil {
			if bad, err = chosenFaults(b.policy, err); err != nil {
				return err
			}
		}
	}
	show := func(status int) error {
		page.fill(b.policy, f, page.Wrong)
		return s.showBaselineChoices(w, v, status, page, list, nil)
	}
	if len(bad) > 0 {
		page.Wrong, page.Checked = bad, false
		return show(http.StatusUnprocessableEntity)
	}
	weighed, err := s.Trusts.WeighBaseline(r.Context(), trust, amended)
	if err != nil {
		return err
	}
	page.weigh(weighed, list)
	if f.Get("do") == "text" {
		return s.showBaselineText(w, v, http.StatusOK, baselineTextPage{baselineProposal: page.baselineProposal, Text: string(amended)})
	}
	return s.proposeBaseline(w, r, v, &page.baselineProposal, f, amended, at, show)
}

// allowAtSchools lets schools of a trust ask less in some things, for a time.
func (s *site) allowAtSchools(w http.ResponseWriter, r *http.Request, v visit) error {
	reason, err := readReason(w, r)
	if err != nil {
		return err
	}
	trust, list, _, all, err := s.members(r, v)
	if err != nil {
		return err
	}
	f := r.PostForm
	page := baselineChoosePage{baselineProposal: newBaselineProposal(trust, list, all, nil), Until: bounded(f.Get("until")), Why: reason}
	until, err := time.ParseInLocation(time.DateOnly, page.Until, s.Location)
	if err != nil {
		page.Wrong = append(page.Wrong, wrong{"until", "Enter the last day on which it holds, such as 18 December 2026."})
	}
	if reason == "" {
		page.Wrong = append(page.Wrong, wrong{"allow-reason", "Say why the school may ask less until then."})
	}
	wanted := map[posture.SchoolID][]string{}
	for _, chosen := range f["item"] {
		school, item, _ := strings.Cut(chosen, between)
		if slices.ContainsFunc(list, func(m member) bool { return string(m.ID) == school }) && item != "" {
			wanted[posture.SchoolID(school)] = append(wanted[posture.SchoolID(school)], item)
		}
	}
	if len(wanted) == 0 {
		page.Wrong = append(page.Wrong, wrong{"items", "Choose in what a school may ask less."})
	}
	if len(page.Wrong) == 0 {
		err := s.allowEach(r, v, list, wanted, TrustAllowance{Until: until.AddDate(0, 0, 1), Reason: reason}, &page)
		if err != nil {
			return err
		}
	}
	if len(page.Wrong) == 0 {
		http.Redirect(w, r, page.Address+"/choose?done=allowed#loose", http.StatusSeeOther)
		return nil
	}
	b, err := s.baselineBegun(r, &page, list)
	if err != nil {
		return err
	}
	page.fill(b.policy, b.asItIs(), nil)
	return s.showBaselineChoices(w, v, http.StatusUnprocessableEntity, page, list, f["item"])
}

// allowEach allows what is wanted school by school. What is refused at one does not
// take back what was recorded at another, and is said.
func (s *site) allowEach(r *http.Request, v visit, list []member, wanted map[posture.SchoolID][]string, a TrustAllowance, page *baselineChoosePage) error {
	for _, m := range list {
		if a.Items = wanted[m.ID]; len(a.Items) == 0 {
			continue
		}
		err := s.Trusts.Allow(r.Context(), m.ID, a, v.account.Name)
		if isRefusal(err) {
			page.Wrong = append(page.Wrong, wrong{"allow-reason", "Not recorded at " + m.Name + ": " + err.Error() + "."})
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}
