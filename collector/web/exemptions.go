package web

import (
	"errors"
	"net/http"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
)

// exemptionsPage lists a school's exemptions from rules.
type exemptionsPage struct {
	Waiting     []exemptionRow // for somebody to approve or refuse
	More        bool           // others wait behind these
	Rows        []exemptionRow // the others
	All         string
	Next, First string
	Done        string
	Wrong       []wrong
}

// exemptionRow is an exemption as pages show it.
type exemptionRow struct {
	view.Exemption
	Address    string // of what is decided about it
	Matter     string // address of the rule on the device, if it is for one
	Of         string // what it covers
	StateWords string
	AskedAt    *moment
	EndsAt     *moment
	ApprovedAt *moment
	RefusedAt  *moment
	TakenAt    *moment
	MayApprove bool
	MayRefuse  bool
	MayEnd     bool
	WhyNot     string // why whoever looks may not approve it
}

// answeredRow is an exemption with the form that answers it, and what is wrong there.
type answeredRow struct {
	exemptionRow
	Wrong []wrong
}

// mostExemptions bounds how many of those that wait, and of the others, are on one
// page.
const mostExemptions = 30

func (s *site) exemptions(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.exemptionList(w, r, v, http.StatusOK, nil)
}

func (s *site) exemptionList(w http.ResponseWriter, r *http.Request, v visit, status int, bad []wrong) error {
	q, c := r.URL.Query(), s.clockwork(v)
	page := exemptionsPage{All: schoolAddress(v.school.ID) + "/exemptions", Done: doneWords(q.Get("done")), Wrong: bad}
	query := view.ExemptionQuery{After: q.Get("after"), Limit: mostExemptions}
	if query.After == "" {
		waiting, err := s.Queries.Exemptions(r.Context(), v.school.ID, view.ExemptionQuery{States: []view.ExemptionState{view.ExemptionAsked}, Limit: mostExemptions}, v.now)
		if err != nil {
			return err
		}
		page.More = waiting.Next != ""
		for _, e := range waiting.Exemptions {
			page.Waiting = append(page.Waiting, newExemptionRow(v, e, c))
		}
	}
	query.States = []view.ExemptionState{view.ExemptionApproved, view.ExemptionEnded, view.ExemptionRefused}
	found, err := s.Queries.Exemptions(r.Context(), v.school.ID, query, v.now)
	if err != nil {
		return err
	}
	for _, e := range found.Exemptions {
		page.Rows = append(page.Rows, newExemptionRow(v, e, c))
	}
	page.Next, page.First = turn(page.All, q, query.After, found.Next)
	if err := errors.Join(s.nameSubjects(r.Context(), v, page.Waiting), s.nameSubjects(r.Context(), v, page.Rows)); err != nil {
		return err
	}
	title := "Exemptions"
	title = titleOf(title, bad)
	return s.write(w, status, "exemptions", s.page(v, title, "exemptions"), page)
}

func newExemptionRow(v visit, e view.Exemption, c clockwork) exemptionRow {
	row := exemptionRow{
		Exemption: e, Address: schoolAddress(v.school.ID) + "/exemptions/" + e.ID, StateWords: exemptionWords(e.State),
		AskedAt: c.moment(e.Asked.At), EndsAt: c.end(e.Until), ApprovedAt: c.moment(e.Approved.At), RefusedAt: c.moment(e.Refused.At), TakenAt: c.moment(e.Ended.At),
	}
	switch e.Scope.Of {
	case breach.OneGroup:
		row.Of = "the group " + e.Scope.Group
	case breach.WholeSchool:
		row.Of = "the whole school"
	default:
		row.Of, _ = names(e.Hostname, e.AssetTag, e.Scope.Device)
		if e.Scope.Of == breach.OneBreach {
			row.Of += ": " + subjectKindWords(e.Scope)
		}
		row.Matter = matterAddress(v.school.ID, e.Scope.Device, e.Scope.Rule)
	}
	own := breach.SamePerson(e.Asked.By, v.account.Name)
	may := v.account.May(v.school.ID, access.ApproveExemptions)
	asks := v.account.May(v.school.ID, access.AskExemptions)
	if e.State == view.ExemptionAsked {
		row.MayApprove, row.MayRefuse = may && !own, may || own && asks
		switch {
		case own:
			row.WhyNot = "You asked for it: somebody else has to approve it."
		case !may:
			row.WhyNot = "It is approved by the data-protection officer or the head."
		}
	}
	row.MayEnd = asks && e.State == view.ExemptionApproved
	return row
}

func subjectKindWords(s breach.Scope) string {
	if s.Subject == "" {
		return s.Kind
	}
	return s.Kind + " " + s.Subject
}

func exemptionWords(s view.ExemptionState) string {
	switch s {
	case view.ExemptionApproved:
		return "In force"
	case view.ExemptionRefused:
		return "Refused"
	case view.ExemptionEnded:
		return "Ended"
	}
	return "Waiting for somebody to approve it"
}

// answerExemption approves, refuses or ends an exemption.
func answerExemption(kind decision.Kind) func(*site, http.ResponseWriter, *http.Request, visit) error {
	return func(s *site, w http.ResponseWriter, r *http.Request, v visit) error {
		reason, err := readReason(w, r)
		if err != nil {
			return err
		}
		id := r.PathValue("exemption")
		e, err := s.Queries.Exemption(r.Context(), v.school.ID, id, v.now)
		if err != nil {
			return err
		}
		row := newExemptionRow(v, e, s.clockwork(v))
		field := "reason-" + id
		switch {
		case reason == "":
			return s.exemptionList(w, r, v, http.StatusUnprocessableEntity, []wrong{{field, "Say in a few words why, so that it can be understood next year."}})
		case kind == decision.RefuseExemption && !row.MayRefuse && e.State == view.ExemptionAsked:
			return errNotYours
		}
		made := decision.About(kind, id, v.account.Name, reason, v.now)
		if kind != decision.Exempt { // what is approved is filled in from what was asked
			if err := made.CheckNew(); err != nil {
				return s.exemptionList(w, r, v, http.StatusUnprocessableEntity, []wrong{{field, sentence(err.Error())}})
			}
		}
		if _, err := s.Decider.Decide(r.Context(), v.school.ID, made); isRefusal(err) {
			return s.exemptionList(w, r, v, http.StatusUnprocessableEntity, []wrong{{field, refusalWords(err, "")}})
		} else if err != nil {
			return err
		}
		http.Redirect(w, r, schoolAddress(v.school.ID)+"/exemptions?done="+string(kind), http.StatusSeeOther)
		return nil
	}
}
