package web

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// policyPage is a school's policy in plain words: the one in force, or another.
type policyPage struct {
	policyHead
	All        string // address of the policy's pages
	Parameters []parameterRow
	Rules      []policyRuleRow // a part of them, if there are many
	InForce    bool

	Next, First string // of the rules

	// Of the one in force alone.
	Judged     *view.Judged
	Behind     string // address of the laptops that judge by an older one
	Drafts     []draftLine
	Versions   int
	Approvers  int
	OneAskedBy string
	Trust      string
	Baseline   uint64
	BaselineAt string

	// Of another.
	Changes []changeLine // from the one in force

	MayDraft, MayApprove, MayRead bool
	Two                           bool // it takes two people to publish
	Done                          string
	Wrong                         []wrong
	Form                          termsForm
	Approvals                     string // how many people were typed
}

// policyHead is what a policy is called, and how it came to be.
type policyHead struct {
	Number                 uint64
	Title, Name            string
	Count                  int // of its rules
	At                     *moment
	By, Drafter, Approver  string
	ApprovedAt             *moment
	ApprovedOn, ReviewBy   string
	ReviewDue, Unapproved  bool
	Reason                 string
	Looser, Unclear, Below []string
	Address, File          string
	Shipped                bool
}

// parameterRow is one choice of a policy.
type parameterRow struct {
	Label, Name, Words string
	Items              []string
	More               int // items that are not listed
}

// policyRuleRow is a rule as a policy's page shows it.
type policyRuleRow struct {
	ID, Title   string
	Severity    posture.Severity
	Asks, Fails string
	OfWhom      string
	AtSchool    bool
	Grace       string
	Worse       []string
	Age         string // how old facts may be
	Reads       []parameterRow
	Groups      bool
	Clauses     []string
	When        string
	Require     string
	Remedy      string
	Since       string
	SinceAt     *moment
	Unsure      bool
	Address     string
}

// draftLine is a draft in a list.
type draftLine struct {
	Name, Title, Address, By, State string
	At                              *moment
}

// changeLine is one difference between two policies.
type changeLine struct{ Item, Words, Way, WayWords string }

// termsForm is what is typed where a policy is put in force.
type termsForm struct{ ApprovedOn, ReviewBy, Reason string }

func policyAddress(school posture.SchoolID) string { return schoolAddress(school) + "/policy" }

func versionAddress(school posture.SchoolID, number uint64) string {
	return policyAddress(school) + "/versions/" + strconv.FormatUint(number, 10)
}

func draftAddress(school posture.SchoolID, name string) string {
	return policyAddress(school) + "/drafts/" + url.PathEscape(name)
}

func (s *site) policy(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showPolicy(w, r, v, http.StatusOK, policyPage{Done: policyDone(r.URL.Query().Get("done"))})
}

// showPolicy shows the policy in force.
func (s *site) showPolicy(w http.ResponseWriter, r *http.Request, v visit, status int, page policyPage) error {
	text, err := s.Policies.Policy(r.Context(), v.school.ID, 0)
	if err != nil {
		return err
	}
	life, err := s.Policies.Life(r.Context(), v.school.ID, v.now)
	if err != nil {
		return err
	}
	judged, err := s.Queries.Judged(r.Context(), v.school.ID, v.now)
	if err != nil && !errors.Is(err, view.ErrNotFound) {
		return err
	}
	page.InForce, page.Judged = true, &judged
	s.fillPolicy(&page, r, v, text)
	page.ReviewDue, page.Behind = life.ReviewDue, schoolAddress(v.school.ID)+"/devices?policy=older"
	page.Approvers, page.OneAskedBy, page.Two = life.Approvers, life.OneAskedBy, life.Approvers > 1
	page.Versions, page.Trust, page.Baseline, page.BaselineAt = len(life.Versions), life.Trust, life.Baseline, schoolAddress(v.school.ID)+"/baseline"
	c := s.clockwork(v)
	for _, d := range life.Drafts {
		page.Drafts = append(page.Drafts, newDraftLine(v.school.ID, d, c))
	}
	title := "Policy"
	title = titleOf(title, page.Wrong)
	return s.write(w, status, "policy", s.page(v, title, "policy"), page)
}

func newDraftLine(school posture.SchoolID, d decision.Draft, c clockwork) draftLine {
	line := draftLine{Name: d.Name, Title: d.Title, Address: draftAddress(school, d.Name), By: d.By, At: c.moment(d.At), State: "waits for a second person"}
	if n := len(d.Approvals); n > 0 {
		line.State = "approved by " + d.Approvals[n-1].By
	}
	return line
}

// Of a policy of many rules or long lists a page shows a part at a time.
const (
	mostPolicyRules = 50
	mostListedItems = 200
)

// fillPolicy puts a policy into the words of its page.
func (s *site) fillPolicy(page *policyPage, r *http.Request, v visit, text PolicyText) {
	c := s.clockwork(v)
	page.policyHead = newPolicyHead(v.school.ID, text, c)
	page.All = policyAddress(v.school.ID)
	page.MayDraft, page.MayApprove = v.account.May(v.school.ID, access.DraftPolicy), v.account.May(v.school.ID, access.ApprovePolicy)
	rows := map[string]parameterRow{}
	for _, p := range text.Policy.Parameters {
		words, items := chosenWords(p)
		shown := items[:min(len(items), mostListedItems)]
		rows[p.Name] = parameterRow{Label: parameterLabel(p.Name), Name: p.Name, Words: words, Items: shown, More: len(items) - len(shown)}
		page.Parameters = append(page.Parameters, rows[p.Name])
	}
	q, rules, next := r.URL.Query(), text.Policy.Rules, ""
	from, _ := strconv.Atoi(q.Get("after"))
	if rules = rules[min(max(from, 0), len(rules)):]; len(rules) > mostPolicyRules {
		rules, next = rules[:mostPolicyRules], strconv.Itoa(max(from, 0)+mostPolicyRules)
	}
	page.Next, page.First = turn(r.URL.Path, q, q.Get("after"), next)
	for _, rule := range rules {
		row := newPolicyRule(v.school.ID, rule, text.Rules[rule.ID], c)
		for _, name := range text.Rules[rule.ID].Reads {
			row.Reads = append(row.Reads, rows[name])
		}
		page.Rules = append(page.Rules, row)
	}
}

func newPolicyHead(school posture.SchoolID, text PolicyText, c clockwork) policyHead {
	h := policyHead{
		Number: text.Policy.Number, Title: text.Policy.Title, Name: text.Policy.Name, Count: len(text.Policy.Rules), At: c.moment(text.At),
		Shipped: text.Policy.Number == 0, Address: versionAddress(school, text.Policy.Number),
	}
	if text.Source != nil {
		h.File = h.Address + "/file"
	}
	if how := text.How; how != nil {
		h.By, h.Drafter, h.Approver, h.ApprovedAt = how.By, how.Drafter, how.Approver, c.moment(how.ApprovedAt)
		h.ApprovedOn, h.ReviewBy, h.Unapproved = dayWords(how.ApprovedOn), dayWords(how.ReviewBy), how.Unapproved
		h.Looser, h.Unclear, h.Below = itemsWords(how.Looser), itemsWords(how.Unclear), itemsWords(how.Below)
	}
	return h
}

func itemsWords(items []string) (words []string) {
	for _, i := range items {
		words = append(words, itemWords(i))
	}
	return words
}

// dayWords is a day as people write it; as it is if it is none.
func dayWords(day string) string {
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	return at.Format("2 January 2006")
}

func newPolicyRule(school posture.SchoolID, r policy.Rule, said PolicyRule, c clockwork) policyRuleRow {
	row := policyRuleRow{
		ID: r.ID, Title: r.Title, Severity: r.Severity, Asks: inGeneral(r.Met, r.For), Fails: inGeneral(r.NotMet, r.For), OfWhom: ofWhom(r),
		AtSchool: r.Side == policy.AtSchool, Grace: graceWords(graceTyped(r)), Worse: worsening(r), Groups: said.Groups, Clauses: r.Clauses,
		When: said.When, Require: said.Require, Remedy: r.Remediation, SinceAt: c.moment(said.SinceAt), Unsure: said.Unsure, Address: ruleAddress(school, r.ID),
		Since: "the policy that is shipped",
	}
	if r.MaxAge > 0 {
		row.Age = exactly(r.MaxAge)
	}
	if said.Since > 0 {
		row.Since = "version " + strconv.FormatUint(said.Since, 10)
	}
	return row
}

func newChangeLines(list []PolicyChange) (lines []changeLine) {
	for _, c := range list {
		line := changeLine{Item: changeItem(c), Words: differenceWords(c), Way: "either"}
		switch c.Way {
		case "tighter":
			line.Way, line.WayWords = "tighter", "asks more"
		case "looser":
			line.Way, line.WayWords = "looser", "asks less"
		}
		lines = append(lines, line)
	}
	return lines
}

// numberOf reads the number of a policy in an address.
func numberOf(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, errNoPage
	}
	return n, nil
}

// versionText is the policy of the number in an address; 0 is the one that is
// shipped, while the school has none of its own.
func (s *site) versionText(ctx context.Context, v visit, text string) (PolicyText, error) {
	n, err := numberOf(text)
	if err != nil {
		return PolicyText{}, err
	}
	found, err := s.Policies.Policy(ctx, v.school.ID, n)
	if err == nil && found.Policy.Number != n {
		err = errNoPage // 0 asks for the one in force
	}
	return found, err
}

// policyFile gives a policy's text as a file.
func (s *site) policyFile(w http.ResponseWriter, r *http.Request, v visit) error {
	text, err := s.versionText(r.Context(), v, r.PathValue("number"))
	if err == nil && text.Source == nil {
		err = errNoPage
	}
	if err != nil {
		return err
	}
	return giveText(w, "policy-"+r.PathValue("number")+".yaml", text.Source)
}

// giveText gives a text as a file that no browser shows as a page.
func giveText(w http.ResponseWriter, name string, text []byte) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	_, err := w.Write(text)
	return err
}

// policyDone says what was done by the form that led to a page; "" for nothing.
func policyDone(done string) string {
	switch done {
	case "published":
		return "In force from now on. Laptops that are switched on take it within minutes."
	case "drafted":
		return "Recorded as a draft. Nothing changes until it is published."
	case "approved":
		return "Recorded: you approved this text."
	case "withdrawn":
		return "The draft is taken back."
	case "approvers":
		return "Recorded."
	}
	return ""
}

// setApprovers says how many people it takes to put a policy in force.
func (s *site) setApprovers(w http.ResponseWriter, r *http.Request, v visit) error {
	reason, err := readReason(w, r)
	if err != nil {
		return err
	}
	page := policyPage{Approvals: bounded(r.PostForm.Get("approvers")), Form: termsForm{Reason: reason}}
	n, err := strconv.Atoi(page.Approvals)
	if err != nil || n < 1 || n > 2 {
		page.Wrong = append(page.Wrong, wrong{"approvers", "Choose one person or two."})
	}
	if reason == "" {
		page.Wrong = append(page.Wrong, wrong{"approvers-reason", "Say in a few words why, so that it can be understood next year."})
	}
	if len(page.Wrong) == 0 {
		err := s.Policies.Decide(r.Context(), v.school.ID, decision.Decision{
			Kind: decision.SetApprovers, By: v.account.Name, At: v.now, Reason: reason, Policy: &decision.Policy{Approvers: n},
		})
		if err == nil {
			http.Redirect(w, r, policyAddress(v.school.ID)+"?done=approvers", http.StatusSeeOther)
			return nil
		}
		if !isRefusal(err) {
			return err
		}
		page.Wrong = append(page.Wrong, wrong{"approvers-reason", sentence(err.Error())})
	}
	return s.showPolicy(w, r, v, http.StatusUnprocessableEntity, page)
}
