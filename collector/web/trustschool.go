package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
)

// heldPage is a school against the baseline of its trust: who loosened what.
type heldPage struct {
	TrustStanding
	Address   string
	TrustAt   string // address of the trust's page, for those who may have it
	PolicyAt  string
	JoinedOn  *moment
	LeftOn    *moment
	Head      *baselineHead
	SinceWhen *moment
	Rows      []looseRow
	More      []changeLine // in what it asks more
	Past      []allowedRow
	MayKeep   bool
	Drafts    []choice // of the school's policy, that ask less
	Done      string
	Wrong     []wrong
	Until     string
	Reason    string
	EndReason string
	Name      string // of a trust, as it was typed
	Chosen    []string
	Of        string // the draft that is meant; "": the policy in force
	Days      int
}

// looseRow is one thing in which a school asks less.
type looseRow struct {
	Item, Label, Words, Cause string
	Unclear                   bool
	Since                     *moment
	Allowed                   *allowedRow
	Chosen                    bool
}

// allowedRow is a permission that something asks less.
type allowedRow struct {
	Item, Label, Words, By, Reason, EndedBy string
	At, Until                               *moment
}

func (s *site) heldTo(w http.ResponseWriter, r *http.Request, v visit) error {
	page := heldPage{}
	if r.URL.Query().Get("done") != "" {
		page.Done = "Recorded."
	}
	return s.showHeld(w, r, v, http.StatusOK, page)
}

func (s *site) showHeld(w http.ResponseWriter, r *http.Request, v visit, status int, page heldPage) error {
	standing, err := s.Trusts.Standing(r.Context(), v.school.ID, v.now)
	if err != nil {
		return err
	}
	c := s.clockwork(v)
	page.TrustStanding, page.Address, page.PolicyAt = standing, baselineAddress(v.school.ID), policyAddress(v.school.ID)
	page.MayKeep = v.account.May(v.school.ID, access.KeepBaseline)
	if page.MayKeep && standing.Trust != "" {
		page.TrustAt = trustAddress(standing.Trust)
	}
	page.JoinedOn, page.LeftOn, page.SinceWhen = c.moment(standing.Joined), c.moment(standing.LeftAt), c.moment(standing.Since)
	if standing.Baseline != nil {
		page.Head = newBaselineHead(standing.Baseline.Number, standing, c)
	}
	for _, l := range standing.Looser {
		page.Rows = append(page.Rows, newLooseRow(l, page.Chosen, c))
	}
	page.More = newChangeLines(standing.Stricter)
	for _, a := range slices.Backward(standing.Allowed) {
		if !a.Runs(v.now) {
			page.Past = append(page.Past, *newAllowedRow(a, c))
		}
	}
	if page.MayKeep {
		life, err := s.Policies.Life(r.Context(), v.school.ID, v.now)
		if err != nil {
			return err
		}
		page.Drafts = append(page.Drafts, choice{"", "The policy in force", page.Of == ""})
		for _, d := range life.Drafts {
			if len(d.Below) > 0 {
				page.Drafts = append(page.Drafts, choice{d.Name, "The draft " + d.Name + ", which asks less in " + strings.Join(itemsWords(d.Below), ", "), page.Of == d.Name})
			}
		}
		if page.Until == "" {
			page.Until = v.now.In(s.Location).AddDate(0, 0, 28).Format(time.DateOnly)
		}
	}
	title := "The trust’s baseline"
	title = titleOf(title, page.Wrong)
	return s.write(w, status, "baseline", s.page(v, title, "policy"), page)
}

func newLooseRow(l TrustLoosening, chosen []string, c clockwork) looseRow {
	row := looseRow{Item: l.Item, Label: itemWords(l.Item), Words: l.Words, Unclear: l.Unclear, Since: c.moment(l.Since), Chosen: slices.Contains(chosen, l.Item)}
	switch {
	case l.Raised > 0:
		row.Cause = "the trust’s baseline " + number64(l.Raised) + " asks more than the one before"
	case l.Policy > 0 && l.By != "":
		row.Cause = "version " + number64(l.Policy) + " of the school’s policy, published by " + l.By
	}
	if l.Allowed != nil {
		row.Allowed = newAllowedRow(*l.Allowed, c)
	}
	return row
}

func newAllowedRow(a decision.Allowance, c clockwork) *allowedRow {
	return &allowedRow{Item: a.Item, Label: itemWords(a.Item), Words: a.Words, By: a.By, Reason: a.Reason, EndedBy: a.EndedBy, At: c.moment(a.At), Until: c.end(a.Ends())}
}

// allowLooser lets a school ask less in some things, for a time.
func (s *site) allowLooser(w http.ResponseWriter, r *http.Request, v visit) error {
	reason, err := readReason(w, r)
	if err != nil {
		return err
	}
	f := r.PostForm
	page := heldPage{Until: bounded(f.Get("until")), Reason: reason, Chosen: f["item"], Of: bounded(f.Get("draft"))}
	items := page.Chosen
	if page.Of != "" { // of a draft everything in which it asks less is meant
		d, _, err := s.Policies.Draft(r.Context(), v.school.ID, page.Of)
		if err != nil {
			return err
		}
		items = d.Below
	}
	until, err := time.ParseInLocation(time.DateOnly, page.Until, s.Location)
	if err != nil {
		page.Wrong = append(page.Wrong, wrong{"until", "Enter the last day on which it holds, such as 18 December 2026."})
	}
	if reason == "" {
		page.Wrong = append(page.Wrong, wrong{"allow-reason", "Say why the school may ask less until then."})
	}
	if len(items) == 0 {
		page.Wrong = append(page.Wrong, wrong{"items", "Choose in what the school may ask less."})
	}
	if len(page.Wrong) == 0 {
		err := s.Trusts.Allow(r.Context(), v.school.ID, TrustAllowance{Draft: page.Of, Items: items, Until: until.AddDate(0, 0, 1), Reason: reason}, v.account.Name)
		if err == nil {
			return s.heldDone(w, r, v)
		}
		if !isRefusal(err) {
			return err
		}
		page.Wrong = append(page.Wrong, wrong{"allow-reason", sentence(err.Error())})
	}
	return s.showHeld(w, r, v, http.StatusUnprocessableEntity, page)
}

func (s *site) heldDone(w http.ResponseWriter, r *http.Request, v visit) error {
	http.Redirect(w, r, baselineAddress(v.school.ID)+"?done=yes", http.StatusSeeOther)
	return nil
}

// endLooser takes back that something may ask less.
func (s *site) endLooser(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.decideTrust(w, r, v, "end-reason", func(f url.Values, t *decision.Trust, standing TrustStanding) (decision.Kind, *wrong) {
		t.Name, t.Item = standing.Trust, f.Get("item")
		return decision.EndLooser, nil
	})
}

// membership says that a school joins a trust, or leaves it.
func (s *site) membership(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.decideTrust(w, r, v, "member-reason", func(f url.Values, t *decision.Trust, standing TrustStanding) (decision.Kind, *wrong) {
		if standing.Trust != "" {
			t.Name = standing.Trust
			return decision.LeaveTrust, nil
		}
		t.Name = strings.Join(strings.Fields(f.Get("trust")), " ")
		name, members, err := s.Trusts.Members(r.Context(), t.Name)
		switch {
		case t.Name == "":
			return decision.JoinTrust, &wrong{"trust", "Enter the name of the trust."}
		case err != nil:
			return decision.JoinTrust, &wrong{"trust", "Which schools belong to it cannot be read now."}
		}
		for _, m := range members {
			if !v.account.May(m, access.KeepBaseline) { // nothing could be decided for the whole of it any more
				return decision.JoinTrust, &wrong{"trust", "It takes somebody who has a say at every school of that trust."}
			}
		}
		if name != "" {
			t.Name = name
		}
		return decision.JoinTrust, nil
	})
}

// decideTrust records a decision about a school and its trust.
func (s *site) decideTrust(w http.ResponseWriter, r *http.Request, v visit, field string, about func(f url.Values, t *decision.Trust, standing TrustStanding) (decision.Kind, *wrong)) error {
	reason, err := readReason(w, r)
	if err != nil {
		return err
	}
	standing, err := s.Trusts.Standing(r.Context(), v.school.ID, v.now)
	if err != nil {
		return err
	}
	page := heldPage{EndReason: reason, Name: bounded(r.PostForm.Get("trust"))}
	d := decision.Decision{By: v.account.Name, At: v.now, Reason: reason, Trust: &decision.Trust{}}
	kind, bad := about(r.PostForm, d.Trust, standing)
	d.Kind = kind
	if bad != nil {
		page.Wrong = append(page.Wrong, *bad)
	}
	if reason == "" {
		page.Wrong = append(page.Wrong, wrong{field, "Say in a few words why, so that it can be understood next year."})
	}
	if len(page.Wrong) == 0 {
		err := s.Trusts.Decide(r.Context(), v.school.ID, d)
		if err == nil {
			return s.heldDone(w, r, v)
		}
		if !isRefusal(err) {
			return err
		}
		page.Wrong = append(page.Wrong, wrong{field, sentence(err.Error())})
	}
	return s.showHeld(w, r, v, http.StatusUnprocessableEntity, page)
}
