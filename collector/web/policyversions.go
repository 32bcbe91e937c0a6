package web

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// versionsPage lists the policies that a school put in force.
type versionsPage struct {
	All         string
	Rows        []versionRow
	Choices     []choice // what can be compared
	Total       int
	Next, First string
	Shipped     bool // the school has put none in force
}

// versionRow is one of them.
type versionRow struct {
	policyHead
	Before string // address of what changed from the one before it
	Unread string
}

// mostVersions is how many versions a page lists.
const mostVersions = 50

func (s *site) policyVersions(w http.ResponseWriter, r *http.Request, v visit) error {
	life, err := s.Policies.Life(r.Context(), v.school.ID, v.now)
	if err != nil {
		return err
	}
	page := versionsPage{All: policyAddress(v.school.ID), Total: len(life.Versions), Shipped: len(life.Versions) == 0}
	c := s.clockwork(v)
	after, _ := strconv.Atoi(r.URL.Query().Get("after"))
	after = min(max(after, 0), len(life.Versions))
	shown := life.Versions[after:]
	if len(shown) > mostVersions {
		shown = shown[:mostVersions]
		page.Next = page.All + "/versions?after=" + strconv.Itoa(after+mostVersions)
	}
	if after > 0 {
		page.First = page.All + "/versions"
	}
	for i, one := range shown {
		row := newVersionRow(v.school.ID, one, c)
		if i+after+1 < len(life.Versions) {
			row.Before = compareAddress(v.school.ID, life.Versions[i+after+1].Number, one.Number)
		}
		page.Rows = append(page.Rows, row)
		if one.Unread == "" {
			n := strconv.FormatUint(one.Number, 10)
			page.Choices = append(page.Choices, choice{Key: n, Words: "Version " + n})
		}
	}
	return s.write(w, http.StatusOK, "policy-versions", s.page(v, "Versions of the policy", "policy"), page)
}

func newVersionRow(school posture.SchoolID, one PolicyVersion, c clockwork) versionRow {
	row := versionRow{Unread: one.Unread, policyHead: policyHead{Number: one.Number, Title: one.Title, Count: one.Rules, At: c.moment(one.At), Address: versionAddress(school, one.Number)}}
	if how := one.How; how != nil {
		row.By, row.Drafter, row.Approver, row.Unapproved = how.By, how.Drafter, how.Approver, how.Unapproved
		row.ApprovedOn, row.ReviewBy = dayWords(how.ApprovedOn), dayWords(how.ReviewBy)
		row.Looser, row.Unclear = itemsWords(how.Looser), itemsWords(how.Unclear)
	}
	return row
}

func compareAddress(school posture.SchoolID, from, to uint64) string {
	return policyAddress(school) + "/compare?from=" + strconv.FormatUint(from, 10) + "&to=" + strconv.FormatUint(to, 10)
}

// policyVersion shows a policy that was in force, and what would change by going
// back to it.
func (s *site) policyVersion(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showVersion(w, r, v, http.StatusOK, policyPage{})
}

func (s *site) showVersion(w http.ResponseWriter, r *http.Request, v visit, status int, page policyPage) error {
	text, err := s.versionText(r.Context(), v, r.PathValue("number"))
	if err != nil {
		return err
	}
	life, err := s.Policies.Life(r.Context(), v.school.ID, v.now)
	if err != nil {
		return err
	}
	s.fillPolicy(&page, r, v, text)
	page.InForce, page.Two = life.Number == page.Number, life.Approvers > 1
	if !page.InForce {
		changes, err := s.Policies.Differ(r.Context(), v.school.ID, 0, page.Number)
		if err != nil {
			return err
		}
		page.Changes = newChangeLines(changes)
	}
	title := "Version " + strconv.FormatUint(page.Number, 10) + " of the policy"
	title = titleOf(title, page.Wrong)
	return s.write(w, status, "policy-version", s.page(v, title, "policy"), page)
}

// comparePage is what changed between two policies of a school.
type comparePage struct {
	All      string
	From, To policyHead
	Lines    []changeLine
	Froms    []choice
	Tos      []choice
}

func (s *site) comparePolicies(w http.ResponseWriter, r *http.Request, v visit) error {
	life, err := s.Policies.Life(r.Context(), v.school.ID, v.now)
	if err != nil {
		return err
	}
	last := func(n int) string { // of the versions, where the address names none
		if n < len(life.Versions) {
			return strconv.FormatUint(life.Versions[n].Number, 10)
		}
		return strconv.FormatUint(life.Number, 10)
	}
	q := r.URL.Query()
	from, err := s.versionText(r.Context(), v, cmp.Or(q.Get("from"), last(1)))
	if err != nil {
		return err
	}
	to, err := s.versionText(r.Context(), v, cmp.Or(q.Get("to"), last(0)))
	if err != nil {
		return err
	}
	changes, err := s.Policies.Differ(r.Context(), v.school.ID, from.Policy.Number, to.Policy.Number)
	if err != nil {
		return err
	}
	c := s.clockwork(v)
	page := comparePage{All: policyAddress(v.school.ID), From: newPolicyHead(v.school.ID, from, c), To: newPolicyHead(v.school.ID, to, c), Lines: newChangeLines(changes)}
	for _, one := range life.Versions[:min(len(life.Versions), 4*mostVersions)] {
		if n := strconv.FormatUint(one.Number, 10); one.Unread == "" {
			page.Froms = append(page.Froms, choice{n, "Version " + n, one.Number == from.Policy.Number})
			page.Tos = append(page.Tos, choice{n, "Version " + n, one.Number == to.Policy.Number})
		}
	}
	title := "From version " + strconv.FormatUint(from.Policy.Number, 10) + " to " + strconv.FormatUint(to.Policy.Number, 10)
	return s.write(w, http.StatusOK, "policy-compare", s.page(v, title, "policy"), page)
}

// rollBack puts the text of an earlier policy in force again, or makes a draft of it
// where that takes two people.
func (s *site) rollBack(w http.ResponseWriter, r *http.Request, v visit) error {
	terms, bad, err := readTerms(w, r, "back")
	if err != nil {
		return err
	}
	text, err := s.versionText(r.Context(), v, r.PathValue("number"))
	if err != nil {
		return err
	}
	page := policyPage{Form: termsForm(terms), Wrong: bad}
	if len(page.Wrong) > 0 {
		return s.showVersion(w, r, v, http.StatusUnprocessableEntity, page)
	}
	to := policyAddress(v.school.ID) + "?done=published"
	if r.PostForm.Get("do") == "draft" {
		name := "back-to-" + strconv.FormatUint(text.Policy.Number, 10)
		err = s.Policies.Propose(r.Context(), v.school.ID, name, text.Source, v.account.Name, terms.Reason)
		to = draftAddress(v.school.ID, name) + "?done=drafted"
	} else {
		_, err = s.Policies.RollBack(r.Context(), v.school.ID, text.Policy.Number, terms, v.account.Name)
	}
	if isRefusal(err) {
		page.Wrong = append(page.Wrong, wrong{"back-reason", sentence(err.Error())})
		return s.showVersion(w, r, v, http.StatusUnprocessableEntity, page)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// readTerms reads on which day the school agreed to a policy, and what else is asked
// where one is put in force. The fields' ids begin with a word.
func readTerms(w http.ResponseWriter, r *http.Request, begin string) (t PolicyTerms, bad []wrong, err error) {
	if t.Reason, err = readReason(w, r); err != nil {
		return t, nil, err
	}
	t.ApprovedOn, t.ReviewBy = bounded(r.PostForm.Get(begin+"-approved")), bounded(r.PostForm.Get(begin+"-review"))
	for _, day := range []struct{ field, text string }{{"approved", t.ApprovedOn}, {"review", t.ReviewBy}} {
		if day.text != "" && !isDay(day.text) {
			bad = append(bad, wrong{begin + "-" + day.field, "Enter a day, such as 22 November 2026, or leave it empty."})
		}
	}
	if t.Reason == "" {
		bad = append(bad, wrong{begin + "-reason", "Say in a few words why, so that it can be understood next year."})
	}
	return t, bad, nil
}

// mayDraft reports whether whoever looks may draft a policy.
func mayDraft(v visit) bool { return v.account.May(v.school.ID, access.DraftPolicy) }

// inForceFirst lists what there is to begin with: the policy in force, then the
// drafts.
func inForceFirst(life PolicyLife, chosen string) []choice {
	list := []choice{{"", "The policy in force", chosen == ""}}
	for _, d := range life.Drafts {
		list = append(list, choice{d.Name, "The draft " + d.Name, chosen == d.Name})
	}
	return slices.Clip(list)
}
