package web

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
)

// ruleAsk is the form in which somebody asks that a group, or the whole school, may
// fail a rule for a time.
type ruleAsk struct {
	May    bool
	Scopes []choice
	Until  string
	Reason string
	Done   string
	Wrong  []wrong
}

// wholeSchool stands for the school in the form: no group is called so, for groups
// have no commas.
const wholeSchool = ",school"

// newRuleAsk is the form as it stands, or as it was sent.
func (s *site) newRuleAsk(r *http.Request, v visit, sent url.Values) (ruleAsk, error) {
	ask := ruleAsk{May: v.account.May(v.school.ID, access.AskExemptions), Done: doneWords(r.URL.Query().Get("done"))}
	if !ask.May {
		return ask, nil
	}
	groups, err := s.Queries.GroupSizes(r.Context(), v.school.ID, v.now)
	if err != nil {
		return ask, err
	}
	chosen := wholeSchool
	ask.Until = v.now.In(s.Location).AddDate(0, 0, 28).Format(time.DateOnly)
	if sent != nil {
		chosen, ask.Until = sent.Get("of"), bounded(sent.Get("until"))
	}
	ask.Scopes = append(ask.Scopes, choice{wholeSchool, "Every laptop of the school", chosen == wholeSchool})
	for _, g := range groups {
		ask.Scopes = append(ask.Scopes, choice{g.Name, "The group " + g.Name + ", " + count(g.Devices, "laptop"), chosen == g.Name})
	}
	return ask, nil
}

// askForRule asks for an exemption from a rule for a group, or for all.
func (s *site) askForRule(w http.ResponseWriter, r *http.Request, v visit) error {
	reason, err := readReason(w, r)
	if err != nil {
		return err
	}
	ask, err := s.newRuleAsk(r, v, r.PostForm)
	if err != nil {
		return err
	}
	ask.Reason = reason
	until, err := time.ParseInLocation(time.DateOnly, ask.Until, s.Location)
	if err != nil {
		ask.Wrong = append(ask.Wrong, wrong{"until", "Enter the last day on which it holds, such as 18 December 2026."})
	}
	if reason == "" {
		ask.Wrong = append(ask.Wrong, wrong{"ask-reason", "Say why the rule cannot be met until then."})
	}
	scope := breach.Scope{Rule: r.PathValue("rule"), Of: breach.WholeSchool}
	if of := r.PostForm.Get("of"); of != wholeSchool {
		scope.Of, scope.Group = breach.OneGroup, of
		if !slices.ContainsFunc(ask.Scopes, func(c choice) bool { return c.Key == of }) {
			ask.Wrong = append(ask.Wrong, wrong{"of", "Choose for whom it is."})
		}
	}
	if len(ask.Wrong) > 0 {
		return s.showRule(w, r, v, http.StatusUnprocessableEntity, &ask)
	}
	asked := decision.Ask(decision.NewExemptionID(), scope, until.AddDate(0, 0, 1), v.account.Name, reason, v.now)
	if err := asked.CheckNew(); err != nil {
		ask.Wrong = append(ask.Wrong, wrong{"until", sentence(err.Error())})
		return s.showRule(w, r, v, http.StatusUnprocessableEntity, &ask)
	}
	if _, err := s.Decider.Decide(r.Context(), v.school.ID, asked); isRefusal(err) {
		ask.Wrong = append(ask.Wrong, wrong{"ask-reason", refusalWords(err, "")})
		return s.showRule(w, r, v, http.StatusUnprocessableEntity, &ask)
	} else if err != nil {
		return err
	}
	http.Redirect(w, r, ruleAddress(v.school.ID, scope.Rule)+"?done="+string(decision.AskExemption), http.StatusSeeOther)
	return nil
}

// exemptionsFrom are the exemptions from a rule that wait or hold, of whatever they
// are for.
func (s *site) exemptionsFrom(r *http.Request, v visit, rule string) (rows []exemptionRow, err error) {
	found, err := s.Queries.Exemptions(r.Context(), v.school.ID, view.ExemptionQuery{
		Rule: rule, States: []view.ExemptionState{view.ExemptionAsked, view.ExemptionApproved}, Limit: someDevices,
	}, v.now)
	for _, e := range found.Exemptions {
		rows = append(rows, newExemptionRow(v, e, s.clockwork(v)))
	}
	return rows, err
}
