package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// baselineTextPage is the form in which the text of a baseline is proposed or put in
// force.
type baselineTextPage struct {
	Trust, Address string
	Text           string
	Rows           int
	Faults         []textFault
	Reason         string
	Follow         bool
	Checked        bool
	Changes        []changeLine
	Whole          bool // whoever looks has a say at every school of the trust
	Schools        int
	Wrong          []wrong
	Number         uint64 // of the baseline in force
	Of             string // whose draft it is
}

func (s *site) baselineText(w http.ResponseWriter, r *http.Request, v visit) error {
	trust, list, _, all, err := s.members(r, v)
	if err != nil {
		return err
	}
	page := baselineTextPage{Trust: trust, Whole: all, Schools: len(list)}
	newest, number := newestBaseline(list)
	if page.Number = number; newest != nil {
		page.Text = string(newest.Source)
	} else if text, err := s.Policies.Policy(r.Context(), list[0].ID, 0); err == nil {
		page.Text = string(text.Source)
	}
	if digest := r.URL.Query().Get("draft"); digest != "" {
		found := false
		for _, m := range list {
			for _, d := range m.Drafts {
				if d.Source != nil && digestOf(d.Source) == digest && !found {
					found, page.Text, page.Of = true, string(d.Source), d.By
				}
			}
		}
		if !found {
			return errNoPage
		}
		weighed, err := s.Trusts.WeighBaseline(r.Context(), trust, []byte(page.Text))
		if err != nil {
			return err
		}
		page.Checked, page.Changes = true, newChangeLines(weighed.Changes)
	}
	return s.showBaselineText(w, v, http.StatusOK, page)
}

func (s *site) showBaselineText(w http.ResponseWriter, v visit, status int, page baselineTextPage) error {
	page.Address = trustAddress(page.Trust)
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
	page := baselineTextPage{Trust: trust, Whole: all, Schools: len(list), Text: text, Reason: strings.TrimSpace(f.Get("reason")), Follow: f.Get("follow") == "yes"}
	_, page.Number = newestBaseline(list)
	weighed, err := s.Trusts.WeighBaseline(r.Context(), trust, []byte(text))
	if unsound, ok := errors.AsType[*UnsoundPolicyError](err); ok {
		page.take(unsound.Faults)
		return s.showBaselineText(w, v, http.StatusUnprocessableEntity, page)
	}
	if err != nil {
		return err
	}
	page.Checked, page.Changes = true, newChangeLines(weighed.Changes)
	do := f.Get("do")
	switch {
	case do != "draft" && do != "publish":
		return s.showBaselineText(w, v, http.StatusOK, page)
	case !all:
		page.Wrong = append(page.Wrong, wrong{"baseline-reason", "It takes somebody who has a say at every school of the trust."})
	case page.Reason == "":
		page.Wrong = append(page.Wrong, wrong{"baseline-reason", "Say in a few words why, so that it can be understood next year."})
	}
	if len(page.Wrong) > 0 {
		return s.showBaselineText(w, v, http.StatusUnprocessableEntity, page)
	}
	b := TrustText{Source: []byte(text), Follow: page.Follow, Reason: page.Reason}
	var records []TrustRecord
	if do == "draft" {
		records, err = s.Trusts.ProposeBaseline(r.Context(), trust, b, v.account.Name, at)
	} else {
		records, err = s.Trusts.PublishBaseline(r.Context(), trust, b, v.account.Name, at)
	}
	if isRefusal(err) {
		page.Wrong = append(page.Wrong, wrong{"baseline-reason", sentence(err.Error())})
		return s.showBaselineText(w, v, http.StatusUnprocessableEntity, page)
	}
	if err != nil {
		return err
	}
	if do == "publish" { // what became of it at each school is said this once
		return s.showTrust(w, r, v, trustPage{Records: records})
	}
	http.Redirect(w, r, trustAddress(trust)+"?"+url.Values{"done": {"drafted"}}.Encode(), http.StatusSeeOther)
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
