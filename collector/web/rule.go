package web

import (
	"context"
	"net/http"
	"slices"

	"github.com/caretaker-school/caretaker/collector/view"
)

// rulePage is one rule of the school's policy, the devices by how they stand
// on it, and where it is broken.
type rulePage struct {
	ruleRow
	Legend     []standingWords
	Stands     []standPart
	Breaches   []breachRow
	Exemptions []exemptionRow
	Ask        ruleAsk
	Policy     string // address of the policy in force
	Next       string
	First      string
}

// standPart is the devices that stand in one way.
type standPart struct {
	Standing standingWords
	Count    int
	Words    string // which devices these are
	Address  string // of all of them
	Rows     []deviceRow
}

// someDevices is how many devices of each standing a rule's page names.
const someDevices = 10

func (s *site) rule(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showRule(w, r, v, http.StatusOK, nil)
}

// showRule shows a rule, with what was sent of the form on its page, if anything.
func (s *site) showRule(w http.ResponseWriter, r *http.Request, v visit, status int, sent *ruleAsk) error {
	o, err := s.Queries.Overview(r.Context(), v.school.ID, v.now)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(o.Rules, func(c view.RuleCount) bool { return c.Rule == r.PathValue("rule") })
	if i < 0 {
		return errNoPage
	}
	rule := o.Rules[i]
	body := rulePage{ruleRow: newRuleRow(v.school.ID, rule), Legend: legend(), Policy: policyAddress(v.school.ID)}
	q := r.URL.Query()
	query := view.BreachQuery{Rule: rule.Rule, After: q.Get("after")}
	if query.After == "" {
		if body.Stands, err = s.stands(r.Context(), v, body.ruleRow); err != nil {
			return err
		}
	}
	found, err := s.Queries.BreachGroups(r.Context(), v.school.ID, query, v.now)
	if err != nil {
		return err
	}
	c := s.clockwork(v)
	for _, g := range found.Groups {
		body.Breaches = append(body.Breaches, newBreachRow(v.school.ID, g, c))
	}
	body.Next, body.First = turn(ruleAddress(v.school.ID, rule.Rule), q, query.After, found.Next)
	if body.Exemptions, err = s.exemptionsFrom(r, v, rule.Rule); err != nil {
		return err
	}
	if body.Ask, err = s.newRuleAsk(r, v, nil); err != nil {
		return err
	}
	title := visible(rule.Rule) + " " + visible(rule.Title)
	if sent != nil {
		body.Ask = *sent
		return s.write(w, status, "rule", s.page(v, "Error: "+title, "overview"), body)
	}
	return s.writeLive(w, "rule", s.page(v, title, "overview"), "", body)
}

// stands names some devices of each standing that needs somebody, and counts
// those of the others.
func (s *site) stands(ctx context.Context, v visit, r ruleRow) ([]standPart, error) {
	var parts []standPart
	for _, p := range []struct {
		standing view.Standing
		count    int
		address  string
		named    bool
	}{
		{view.NotMet, r.NotMet, r.NotMetAt, true},
		{view.NotProven, r.NotProven, r.NotProvenAt, true},
		{view.Exempt, r.Exempt, r.ExemptAt, true},
		{view.Met, r.Met, r.MetAt, false},
		{view.NotFor, r.NotFor, r.NotForAt, false},
	} {
		if p.count == 0 {
			continue
		}
		part := standPart{Standing: newStanding(p.standing), Count: p.count, Words: standWords(p.standing, p.count), Address: p.address}
		if p.named {
			query := view.DeviceQuery{Rule: r.Rule, Standing: p.standing, Limit: min(p.count, someDevices)}
			found, err := s.Queries.Devices(ctx, v.school.ID, query, v.now)
			if err != nil {
				return nil, err
			}
			for _, d := range found.Devices {
				part.Rows = append(part.Rows, newDeviceRow(v.school.ID, d, s.clockwork(v)))
			}
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// standWords says which devices a link leads to.
func standWords(s view.Standing, n int) string {
	one, many := "that it does not cover", "that it does not cover"
	switch s {
	case view.Met:
		one, many = "that meets it", "that meet it"
	case view.NotMet:
		one, many = "that does not meet it", "that do not meet it"
	case view.NotProven:
		one, many = "that is not proven to meet it", "that are not proven to meet it"
	case view.Exempt:
		one, many = "that is exempt from it", "that are exempt from it"
	default: // not covered
	}
	if n == 1 {
		return "device " + one
	}
	return count(n, "device") + " " + many
}
