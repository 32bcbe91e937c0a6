package web

import (
	"encoding/hex"
	"errors"
	"net/http"
	"strings"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
)

// draftPage is a text that is proposed as the school's policy.
type draftPage struct {
	draftLine
	All             string
	Reason          string
	Digest          string
	Rules           int
	Looser, Unclear []string
	Below           []PolicyFault // as things stand now
	Changes         []changeLine
	Approvals       []approvalLine
	Source          string
	Unsound         []PolicyFault // a text that this version does not take any more
	Two             bool
	MayDraft        bool
	MayApprove      bool
	MayPublish      bool
	WhyNot          string // why whoever looks may not approve it
	WhyUnpublished  string
	Done            string
	Wrong           []wrong
	Form            termsForm
	Days            string
	Trust           string
}

type approvalLine struct {
	By, Reason string
	At         *moment
}

func (s *site) policyDraft(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showDraft(w, r, v, http.StatusOK, draftPage{Done: policyDone(r.URL.Query().Get("done"))})
}

func (s *site) showDraft(w http.ResponseWriter, r *http.Request, v visit, status int, page draftPage) error {
	d, source, err := s.Policies.Draft(r.Context(), v.school.ID, r.PathValue("draft"))
	if err != nil {
		return err
	}
	life, err := s.Policies.Life(r.Context(), v.school.ID, v.now)
	if err != nil {
		return err
	}
	c := s.clockwork(v)
	page.draftLine, page.All = newDraftLine(v.school.ID, d, c), policyAddress(v.school.ID)
	page.Reason, page.Digest, page.Rules, page.Source, page.Trust = d.Reason, hex.EncodeToString(d.Digest[:]), d.Rules, string(source), life.Trust
	for _, a := range d.Approvals {
		page.Approvals = append(page.Approvals, approvalLine{a.By, a.Reason, c.moment(a.At)})
	}
	weighed, err := s.Policies.Weigh(r.Context(), v.school.ID, source)
	if unsound, ok := errors.AsType[*UnsoundPolicyError](err); ok {
		page.Unsound = unsound.Faults
	} else if err != nil {
		return err
	}
	page.Changes, page.Below = newChangeLines(weighed.Changes), weighed.Below
	page.Looser, page.Unclear = itemsWords(weighed.Looser), itemsWords(weighed.Unclear)
	page.Two = life.Approvers > 1
	page.mayDecide(v, d)
	title := "Draft " + d.Name
	title = titleOf(title, page.Wrong)
	return s.write(w, status, "policy-draft", s.page(v, title, "policy"), page)
}

// mayDecide says what whoever looks may do with a draft, and why not.
func (p *draftPage) mayDecide(v visit, d decision.Draft) {
	p.MayDraft = mayDraft(v)
	own := breach.SamePerson(d.By, v.account.Name)
	may, approved := v.account.May(v.school.ID, access.ApprovePolicy), len(d.Approvals) > 0
	for _, a := range d.Approvals {
		if breach.SamePerson(a.By, v.account.Name) {
			own = true
		}
	}
	p.MayApprove = may && !own && len(p.Unsound) == 0
	switch {
	case own && approved:
		p.WhyNot = ""
	case own:
		p.WhyNot = "You drafted it: somebody else has to approve it."
	case !may:
		p.WhyNot = "It is approved by the head or an administrator."
	}
	p.MayPublish = p.MayDraft && len(p.Unsound) == 0 && len(p.Below) == 0 && (approved || !p.Two)
	switch {
	case len(p.Below) > 0:
		p.WhyUnpublished = "It asks less than the trust does, and is not allowed to: it cannot be put in force."
	case p.Two && !approved:
		p.WhyUnpublished = "It can be put in force once a second person has approved it."
	}
}

// draftFile gives a draft's text as a file.
func (s *site) draftFile(w http.ResponseWriter, r *http.Request, v visit) error {
	d, source, err := s.Policies.Draft(r.Context(), v.school.ID, r.PathValue("draft"))
	if err != nil {
		return err
	}
	return giveText(w, "policy-draft-"+d.Name+".yaml", source)
}

// decideDraft approves the text of a draft that was read, or takes the draft back.
func decideDraft(kind decision.Kind) func(*site, http.ResponseWriter, *http.Request, visit) error {
	field, done := "approve-reason", "approved"
	if kind == decision.WithdrawPolicy {
		field, done = "withdraw-reason", "withdrawn"
	}
	return func(s *site, w http.ResponseWriter, r *http.Request, v visit) error {
		reason, err := readReason(w, r)
		if err != nil {
			return err
		}
		name := r.PathValue("draft")
		page := draftPage{Form: termsForm{Reason: reason}}
		about := &decision.Policy{Draft: name}
		if raw, err := hex.DecodeString(r.PostForm.Get("digest")); err == nil && len(raw) == len(about.Digest) {
			copy(about.Digest[:], raw)
		} else { // nobody approves what they were not shown
			page.Wrong = append(page.Wrong, wrong{field, "The form did not say which text you read: read it here, and try again."})
		}
		if reason == "" {
			page.Wrong = append(page.Wrong, wrong{field, "Say in a few words why, so that it can be understood next year."})
		}
		if len(page.Wrong) > 0 {
			return s.showDraft(w, r, v, http.StatusUnprocessableEntity, page)
		}
		err = s.Policies.Decide(r.Context(), v.school.ID, decision.Decision{
			Kind: kind, By: v.account.Name, At: v.now, Reason: reason, Policy: about,
		})
		if isRefusal(err) {
			page.Wrong = append(page.Wrong, wrong{field, sentence(err.Error())})
			return s.showDraft(w, r, v, http.StatusUnprocessableEntity, page)
		}
		if err != nil {
			return err
		}
		to := draftAddress(v.school.ID, name)
		if kind == decision.WithdrawPolicy {
			to = policyAddress(v.school.ID)
		}
		http.Redirect(w, r, to+"?done="+done, http.StatusSeeOther)
		return nil
	}
}

// publishDraft puts a draft in force.
func (s *site) publishDraft(w http.ResponseWriter, r *http.Request, v visit) error {
	terms, bad, err := readTerms(w, r, "publish")
	if err != nil {
		return err
	}
	page := draftPage{Form: termsForm(terms), Wrong: bad}
	if len(bad) == 0 {
		_, err := s.Policies.Publish(r.Context(), v.school.ID, r.PathValue("draft"), terms, v.account.Name)
		if err == nil {
			http.Redirect(w, r, policyAddress(v.school.ID)+"?done=published", http.StatusSeeOther)
			return nil
		}
		if !isRefusal(err) {
			return err
		}
		page.Wrong = append(page.Wrong, wrong{"publish-reason", sentence(err.Error())})
	}
	return s.showDraft(w, r, v, http.StatusUnprocessableEntity, page)
}

// Lines is the text of the draft, line by line.
func (p draftPage) Lines() []string { return strings.Split(p.Source, "\n") }
