package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// baselineTextPage is the form in which the text of a baseline is proposed or put in
// force.
type baselineTextPage struct {
	baselineProposal
	Text   string
	Rows   int
	Faults []textFault
	Of     string // whose draft it is
}

func (s *site) baselineText(w http.ResponseWriter, r *http.Request, v visit) error {
	trust, list, _, all, err := s.members(r, v)
	if err != nil {
		return err
	}
	page := baselineTextPage{baselineProposal: newBaselineProposal(trust, list, all, nil)}
	draft := r.URL.Query().Get("draft")
	source, of, err := s.baselineBase(r, list, draft)
	if err != nil {
		return err
	}
	if page.Text, page.Of = string(source), of; draft != "" {
		weighed, err := s.Trusts.WeighBaseline(r.Context(), trust, []byte(page.Text))
		if err != nil {
			return err
		}
		page.weigh(weighed, list)
	}
	return s.showBaselineText(w, v, http.StatusOK, page)
}

// baselineBase is the text that a form begins with: that of a draft, named by its
// digest, or of the baseline in force, or, while there is none, the policy of a
// school.
func (s *site) baselineBase(r *http.Request, list []member, draft string) (source []byte, of string, err error) {
	if draft == "" {
		if newest, _ := newestBaseline(list); newest != nil {
			return newest.Source, "", nil
		}
		text, err := s.Policies.Policy(r.Context(), list[0].ID, 0)
		return text.Source, "", err
	}
	for _, m := range list {
		for _, d := range m.Drafts {
			if d.Source != nil && digestOf(d.Source) == draft {
				return d.Source, d.By, nil
			}
		}
	}
	return nil, "", errNoPage
}

func (s *site) showBaselineText(w http.ResponseWriter, v visit, status int, page baselineTextPage) error {
	page.Rows = min(max(12, strings.Count(page.Text, "\n")+2), 40)
	title := "The text of the baseline"
	title = titleOf(title, page.Wrong)
	return s.write(w, status, "trust-text", s.page(v, title, "trusts"), page)
}

// typedBaseline checks, proposes or puts in force a text as the baseline of a trust.
func (s *site) typedBaseline(w http.ResponseWriter, r *http.Request, v visit) error {
	f, text, err := readText(w, r)
	if err != nil {
		return err
	}
	trust, list, at, all, err := s.members(r, v)
	if err != nil {
		return err
	}
	page := baselineTextPage{Text: text}
	page.baselineProposal = newBaselineProposal(trust, list, all, f)
	weighed, err := s.Trusts.WeighBaseline(r.Context(), trust, []byte(text))
	if unsound, ok := errors.AsType[*UnsoundPolicyError](err); ok {
		page.take(unsound.Faults)
		return s.showBaselineText(w, v, http.StatusUnprocessableEntity, page)
	}
	if err != nil {
		return err
	}
	page.weigh(weighed, list)
	return s.proposeBaseline(w, r, v, &page.baselineProposal, f, []byte(text), at, func(status int) error {
		return s.showBaselineText(w, v, status, page)
	})
}

// baselineProposal is what the two forms that make a baseline have in common.
type baselineProposal struct {
	Trust, Address string
	Reason         string
	Follow         bool
	Checked        bool
	Changes        []changeLine
	Would          []wouldBelow
	Whole          bool // whoever looks has a say at every school of the trust
	Schools        int
	Wrong          []wrong
	Number         uint64 // of the baseline in force
}

// wouldBelow is a school that would ask less than what is proposed.
type wouldBelow struct {
	Name, Address, Unknown string
	Items                  []string
}

func newBaselineProposal(trust string, list []member, all bool, f url.Values) baselineProposal {
	p := baselineProposal{Trust: trust, Address: trustAddress(trust), Whole: all, Schools: len(list), Reason: strings.TrimSpace(f.Get("reason")), Follow: f.Get("follow") == "yes"}
	_, p.Number = newestBaseline(list)
	return p
}

// weigh says what a text would change, and which of these schools would ask less.
func (p *baselineProposal) weigh(weighed WeighedPolicy, list []member) {
	p.Checked, p.Changes, p.Would = true, newChangeLines(weighed.Changes), nil
	for _, at := range weighed.At {
		for _, m := range list {
			if m.ID == at.School {
				p.Would = append(p.Would, wouldBelow{m.Name, baselineAddress(m.ID), at.Unknown, itemsWords(at.Looser)})
			}
		}
	}
}

// proposeBaseline does with a sound text what was asked: show what it changes,
// propose it, or put it in force.
func (s *site) proposeBaseline(
	w http.ResponseWriter, r *http.Request, v visit, p *baselineProposal, f url.Values, source []byte, at []posture.SchoolID, show func(status int) error,
) error {
	do := f.Get("do")
	switch {
	case do != "draft" && do != "publish":
		return show(http.StatusOK)
	case !p.Whole:
		p.Wrong = append(p.Wrong, wrong{"baseline-reason", "It takes somebody who has a say at every school of the trust."})
	case p.Reason == "":
		p.Wrong = append(p.Wrong, wrong{"baseline-reason", "Say in a few words why, so that it can be understood next year."})
	}
	if len(p.Wrong) > 0 {
		return show(http.StatusUnprocessableEntity)
	}
	b := TrustText{Source: source, Follow: p.Follow, Reason: p.Reason}
	var records []TrustRecord
	var err error
	if do == "draft" {
		records, err = s.Trusts.ProposeBaseline(r.Context(), p.Trust, b, v.account.Name, at)
	} else {
		records, err = s.Trusts.PublishBaseline(r.Context(), p.Trust, b, v.account.Name, at)
	}
	if isRefusal(err) {
		p.Wrong = append(p.Wrong, wrong{"baseline-reason", sentence(err.Error())})
		return show(http.StatusUnprocessableEntity)
	}
	if err != nil {
		return err
	}
	if do == "publish" { // what became of it at each school is said this once
		return s.showTrust(w, r, v, trustPage{Records: records})
	}
	http.Redirect(w, r, trustAddress(p.Trust)+"?"+url.Values{"done": {"drafted"}}.Encode(), http.StatusSeeOther)
	return nil
}

// take puts what is wrong with the text on the page.
func (p *baselineTextPage) take(faults []PolicyFault) {
	written := strings.Split(p.Text, "\n")
	for _, fault := range faults {
		one := textFault{PolicyFault: fault}
		if fault.Line > 0 && fault.Line <= len(written) {
			one.Written = cut(strings.TrimRight(written[fault.Line-1], "\r"), 160)
		}
		p.Faults = append(p.Faults, one)
		p.Wrong = append(p.Wrong, wrong{"text", fmt.Sprintf("Line %d: %s", fault.Line, sentence(fault.Words))})
	}
}
