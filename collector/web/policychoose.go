package web

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// The bounds of the forms that hold a policy. A text has at most 256 KiB, and a form
// writes some of its characters as three.
const (
	maxPolicyForm = 1 << 20
	maxListed     = 64 << 10 // bytes of one list, as it is typed
)

// choosePage is the form in which a school's choices make a draft of its policy.
type choosePage struct {
	proposal
	choices
}

// choices are those of a policy in a form.
type choices struct {
	Fields []chooseField
	Graces []graceField
	MaxAge field
}

// proposal is what the two forms that make a draft have in common.
type proposal struct {
	All     string // address of the policy's pages
	Address string // of the form
	Base    string // the draft that it begins with; "" is the policy in force
	Digest  string // of that text, so that it is known if it has changed
	Bases   []choice
	Name    field // of the draft
	Reason  field
	Days    string
	Wrong   []wrong
	Checked bool // it is a policy, and this is what it would change
	Changes []changeLine
	Looser  []string
	Unclear []string
	Below   []PolicyFault
	Trust   string
	Two     bool
}

// chooseField is one parameter in the form.
type chooseField struct {
	field
	Options []choice
	Lines   bool // a list, one item a line
	Rows    int
}

// graceField is one rule in the form.
type graceField struct {
	field
	Rule, Title string
	Severity    posture.Severity
}

// begun is what a form begins with.
type begun struct {
	policy *policy.Policy // nil if the text is none any more
	source []byte
	maxAge time.Duration // how old facts may be, unless a rule says otherwise; 0: any age
}

// base returns what a form begins with: the policy in force, or a draft.
func (s *site) base(r *http.Request, v visit, p *proposal) (b begun, err error) {
	life, err := s.Policies.Life(r.Context(), v.school.ID, v.now)
	if err != nil {
		return b, err
	}
	p.All, p.Two, p.Trust, p.Bases = policyAddress(v.school.ID), life.Approvers > 1, life.Trust, inForceFirst(life, p.Base)
	if p.Base == "" {
		text, err := s.Policies.Policy(r.Context(), v.school.ID, 0)
		if err == nil && text.Source == nil {
			err = errNoPage
		}
		return begun{text.Policy, text.Source, text.MaxAge}, err
	}
	if _, b.source, err = s.Policies.Draft(r.Context(), v.school.ID, p.Base); err != nil {
		return b, err
	}
	weighed, err := s.Policies.Weigh(r.Context(), v.school.ID, b.source)
	b.policy, b.maxAge = weighed.Policy, weighed.MaxAge
	return b, err
}

func (s *site) choosePolicy(w http.ResponseWriter, r *http.Request, v visit) error {
	page := choosePage{proposal: proposal{Base: bounded(r.URL.Query().Get("from"))}}
	b, err := s.base(r, v, &page.proposal)
	if err != nil {
		return err
	}
	page.Digest = digestOf(b.source)
	page.fill(b.policy, page.asItIs(b, v), nil)
	return s.write(w, http.StatusOK, "policy-choose", s.page(v, "Choose what the policy asks", "policy"), page)
}

// asItIs is the form as it would be typed to change nothing.
func (p *proposal) asItIs(b begun, v visit) url.Values {
	f := b.asItIs()
	f.Set("name", cmp.Or(p.Base, v.now.Format("2006-01-02")))
	return f
}

// asItIs are the choices as they would be typed to change nothing.
func (b begun) asItIs() url.Values {
	f := url.Values{"maxage": {ageTyped(b.maxAge)}}
	for _, q := range b.policy.Parameters {
		f.Set(fieldID("param", q.Name), typedParameter(q))
	}
	for _, rule := range b.policy.Rules {
		f.Set(fieldID("grace", rule.ID), graceTyped(rule))
	}
	return f
}

// ageTyped is how old facts may be, as it is typed; nothing for any age.
func ageTyped(age time.Duration) string {
	if age == 0 {
		return ""
	}
	return exactly(age)
}

// typedParameter is a parameter's value as it is typed.
func typedParameter(p policy.Parameter) string {
	switch p.Kind {
	case policy.TextsParameter:
		return strings.Join(p.Texts, "\n")
	case policy.FlagParameter:
		if p.Flag {
			return "true"
		}
		return "false"
	case policy.TextParameter:
		return p.Text
	default:
		words, _ := chosenWords(p)
		return words
	}
}

// fill puts what was typed into the form.
func (p *choosePage) fill(pol *policy.Policy, f url.Values, bad []wrong) {
	p.Wrong = bad
	p.proposal.fill(f)
	p.choices.fill(pol, f, bad)
}

// fill puts what was chosen into the fields.
func (p *choices) fill(pol *policy.Policy, f url.Values, bad []wrong) {
	p.MaxAge = newField(bad, "maxage", "How old facts may be, unless a rule says otherwise", "text", f.Get("maxage"), "Such as 7 days. Older facts prove nothing, and the rule is not proven.")
	for _, q := range pol.Parameters {
		id := fieldID("param", q.Name)
		one := chooseField{field: newField(bad, id, parameterLabel(q.Name), "text", f.Get(id), parameterWords[q.Name].hint)}
		switch {
		case q.Kind == policy.TextsParameter:
			one.Lines, one.Rows = true, min(max(3, strings.Count(one.Value, "\n")+2), 12)
		case q.Kind == policy.FlagParameter:
			one.Options = []choice{{"true", "Yes", one.Value == "true"}, {"false", "No", one.Value == "false"}}
		case len(q.Choices) > 0:
			for _, c := range q.Choices {
				one.Options = append(one.Options, choice{c, choiceWords(q.Name, c), c == one.Value})
			}
		case q.Kind == policy.DurationParameter && one.Hint == "":
			one.Hint = "Such as 10 minutes, 24 hours or 14 days."
		}
		p.Fields = append(p.Fields, one)
	}
	// What every school has to choose comes before what it may leave as it is.
	slices.SortStableFunc(p.Fields, func(a, b chooseField) int { return cmp.Compare(min(len(b.Options), 1), min(len(a.Options), 1)) })
	for _, rule := range pol.Rules {
		id := fieldID("grace", rule.ID)
		p.Graces = append(p.Graces, graceField{field: newField(bad, id, "Time to put "+visible(rule.ID)+" right", "text", f.Get(id), ""), Rule: rule.ID, Title: rule.Title, Severity: rule.Severity})
	}
}

func (p *proposal) fill(f url.Values) {
	p.Name = newField(p.Wrong, "name", "Name of the draft", "text", f.Get("name"), "Such as autumn-2026. Another text under the name of a draft takes its place, and is not approved.")
	p.Reason = newTextArea(p.Wrong, "propose-reason", "Why", strings.TrimSpace(f.Get("reason")), "Whoever approves it reads this.")
	p.Days = f.Get("days")
}

// chosenPolicy checks, tries or drafts what was chosen.
func (s *site) chosenPolicy(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxPolicyForm)
	if err != nil {
		return err
	}
	page := choosePage{proposal: proposal{Base: bounded(f.Get("base")), Digest: f.Get("digest")}}
	b, err := s.base(r, v, &page.proposal)
	if err != nil {
		return err
	}
	var bad []wrong
	if digestOf(b.source) != page.Digest {
		bad = append(bad, wrong{"name", "The text that you began with has changed meanwhile. Look at every field before you go on: what you typed is kept."})
		page.Digest = digestOf(b.source)
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
	if len(bad) == 0 && f.Get("do") == "text" {
		return s.showText(w, v, http.StatusOK, page.proposal, f, string(amended))
	}
	again := func(status int, bad []wrong) error {
		page.fill(b.policy, f, bad)
		title := "Choose what the policy asks"
		if len(bad) > 0 {
			title = "Error: " + title
		}
		return s.write(w, status, "policy-choose", s.page(v, title, "policy"), page)
	}
	if len(bad) > 0 {
		return again(http.StatusUnprocessableEntity, bad)
	}
	return s.propose(w, r, v, &page.proposal, f, amended, again)
}

// amendment is what was typed otherwise than it is. What cannot be understood is
// said at its field.
func amendment(b begun, f url.Values) (a PolicyAmendment, bad []wrong) {
	a = PolicyAmendment{Parameters: map[string]string{}, Lists: map[string][]string{}, Graces: map[string]string{}}
	if typed := f.Get("maxage"); typed != ageTyped(b.maxAge) {
		written, ok := writtenSpan(typed)
		if !ok || written == "0" {
			bad = append(bad, wrong{"maxage", "Write a span of time, such as 7 days."})
		}
		a.MaxAge = written
	}
	for _, q := range b.policy.Parameters {
		id := fieldID("param", q.Name)
		typed := strings.TrimSpace(strings.ReplaceAll(f.Get(id), "\r\n", "\n"))
		switch {
		case !f.Has(id), typed == typedParameter(q):
		case q.Kind == policy.TextsParameter:
			if a.Lists[q.Name] = lines(typed); len(typed) > maxListed {
				bad = append(bad, wrong{id, "The list is too long."})
			}
		case q.Kind == policy.DurationParameter:
			written, ok := writtenSpan(typed)
			if !ok || written == "0" || strings.Contains(written, " ") {
				bad = append(bad, wrong{id, "Write a span of time, such as 10 minutes, 24 hours or 14 days."})
			}
			a.Parameters[q.Name] = written
		default:
			a.Parameters[q.Name] = strings.ReplaceAll(typed, ",", "")
		}
	}
	for _, rule := range b.policy.Rules {
		id := fieldID("grace", rule.ID)
		typed := f.Get(id)
		if !f.Has(id) || typed == graceTyped(rule) {
			continue
		}
		written, ok := writtenSpan(typed)
		if !ok {
			bad = append(bad, wrong{id, "Write a span of time, such as 24 hours, 7 days, 7 school days or 4 hours online, or none."})
		}
		a.Graces[rule.ID] = written
	}
	return a, bad
}

// lines are the items of a list that was typed one a line, each once.
func lines(typed string) (items []string) {
	for line := range strings.Lines(typed) {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(items, line) {
			items = append(items, line)
		}
	}
	return items
}

// chosenFaults says at which fields of the form an amended text is no policy.
func chosenFaults(pol *policy.Policy, err error) (bad []wrong, _ error) {
	unsound, ok := errors.AsType[*UnsoundPolicyError](err)
	if !ok {
		return nil, err
	}
	for _, fault := range unsound.Faults {
		id := "name"
		if name, ok := strings.CutPrefix(fault.Where, "parameter "); ok {
			id = fieldID("param", name)
		} else if rest, ok := strings.CutPrefix(fault.Where, "rule "); ok {
			rule, _, _ := strings.Cut(rest, ", ")
			if _, there := pol.Rule(rule); there {
				id = fieldID("grace", rule)
			}
		}
		bad = append(bad, wrong{id, sentence(fault.Words)})
	}
	return bad, nil
}

// propose does with a sound text what was asked: weigh it, try it, or draft it.
func (s *site) propose(w http.ResponseWriter, r *http.Request, v visit, p *proposal, f url.Values, source []byte, again func(status int, bad []wrong) error) error {
	switch f.Get("do") {
	case "preview":
		return s.beginTrial(w, r, v, PolicyTrial{Source: source, Days: trialDays(f.Get("days"))}, func(words string) error {
			return again(http.StatusUnprocessableEntity, []wrong{{"days", words}})
		})
	case "draft":
		var bad []wrong
		if f.Get("name") == "" {
			bad = append(bad, wrong{"name", "Give the draft a name, such as autumn-2026."})
		}
		reason := strings.TrimSpace(f.Get("reason"))
		if reason == "" {
			bad = append(bad, wrong{"propose-reason", "Say in a few words why, so that whoever approves it knows."})
		}
		if len(bad) > 0 {
			return again(http.StatusUnprocessableEntity, bad)
		}
		err := s.Policies.Propose(r.Context(), v.school.ID, f.Get("name"), source, v.account.Name, reason)
		if refused, ok := errors.AsType[*decision.RefusedError](err); ok {
			return again(http.StatusUnprocessableEntity, []wrong{{"name", sentence(refused.Error())}})
		}
		if err != nil {
			return err
		}
		http.Redirect(w, r, draftAddress(v.school.ID, f.Get("name"))+"?done=drafted", http.StatusSeeOther)
		return nil
	}
	weighed, err := s.Policies.Weigh(r.Context(), v.school.ID, source)
	if err != nil {
		return err
	}
	p.Checked, p.Changes, p.Below = true, newChangeLines(weighed.Changes), weighed.Below
	p.Looser, p.Unclear = itemsWords(weighed.Looser), itemsWords(weighed.Unclear)
	return again(http.StatusOK, nil)
}
