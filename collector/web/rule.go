package web

import (
	"net/http"
	"slices"

	"github.com/caretaker-school/caretaker/collector/view"
)

// rulePage is one rule of the school's policy and where it is broken.
type rulePage struct {
	view.RuleCount
	Bar      bar
	Legend   []standingWords
	Breaches []breachRow
	Next     string
	First    string
}

func (s *site) rule(w http.ResponseWriter, r *http.Request, v visit) error {
	o, err := s.Queries.Overview(r.Context(), v.school.ID, v.now)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(o.Rules, func(c view.RuleCount) bool { return c.Rule == r.PathValue("rule") })
	if i < 0 {
		return errNoPage
	}
	rule := o.Rules[i]
	body := rulePage{RuleCount: rule, Bar: newBar(rule.Met, rule.NotMet, rule.NotProven, rule.Exempt), Legend: legend()}
	q := r.URL.Query()
	query := view.BreachQuery{Rule: rule.Rule, After: q.Get("after")}
	found, err := s.Queries.Breaches(r.Context(), v.school.ID, query, v.now)
	if err != nil {
		return err
	}
	c := s.clockwork(v)
	for _, b := range found.Breaches {
		body.Breaches = append(body.Breaches, newBreachRow(v.school.ID, b, c))
	}
	body.Next, body.First = turn(ruleAddress(v.school.ID, rule.Rule), q, query.After, found.Next)
	title := visible(rule.Rule) + " " + visible(rule.Title)
	return s.write(w, http.StatusOK, "rule", s.page(v, title, "overview"), body)
}
