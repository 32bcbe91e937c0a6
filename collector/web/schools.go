package web

import (
	"cmp"
	"errors"
	"net/http"
	"slices"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// schoolsPage is every school of an account at a glance, and the schools by the
// rules of their policies. They are in the order of their names: it is no league.
type schoolsPage struct {
	Rows  []schoolRow
	Rules []ruleName // the columns of the matrix, if it is a small one
	Sees  bool       // they read the devices of a school at least
	Keeps bool       // they have a say in the baseline of a trust
}

// schoolRow is a school at a glance.
type schoolRow struct {
	Name, Address string
	Notices       []notice
	Waits         []toDecide // incidents whose clock runs
	Shown         bool       // the account may read devices there, and there is something to show
	Devices       int
	Silent        int
	Coverage      string // what answers for its devices, as a sentence
	Critical      int    // breaches to act on that are critical
	Breaches      int    // breaches to act on
	Failing       int    // rules not met somewhere
	Unproven      int    // rules that are met nowhere less, and not proven everywhere
	Cells         []schoolCell
}

// schoolCell is one rule at one school.
type schoolCell struct {
	Here              bool // the school's policy has the rule
	Address           string
	NotMet, NotProven int
	Look              standingWords
}

// ruleName is a rule that some school has.
type ruleName struct{ Rule, Title string }

// schools leads to the one school of an account, or shows them all at a glance.
func (s *site) schools(w http.ResponseWriter, r *http.Request, v visit) error {
	all, err := s.Queries.Schools(r.Context())
	if err != nil {
		return err
	}
	var page schoolsPage
	counts := map[posture.SchoolID][]view.RuleCount{}
	var ids []posture.SchoolID
	for _, school := range all {
		if !v.account.Belongs(school.ID) {
			continue
		}
		row := schoolRow{Name: school.Name, Address: homeAddress(v.account, school.ID), Notices: s.notices(visit{school: school, now: v.now})}
		if v.account.May(school.ID, access.ReadDevices) {
			o, err := s.Queries.Overview(r.Context(), school.ID, v.now)
			if err != nil && !errors.Is(err, view.ErrNotFound) {
				return err
			}
			row.Shown = err == nil
			row.take(o)
			if row.Coverage, err = s.coverage(r.Context(), school.ID, v.now); err != nil {
				return err
			}
			counts[school.ID] = o.Rules
			page.learn(o.Rules)
		}
		there := v
		there.school = school
		if row.Waits, err = s.running(r.Context(), there); err != nil {
			return err
		}
		page.Rows, ids = append(page.Rows, row), append(ids, school.ID)
	}
	if len(page.Rows) == 1 {
		http.Redirect(w, r, page.Rows[0].Address, http.StatusSeeOther)
		return nil
	}
	for i, id := range ids {
		page.Rows[i].Cells = cellsOf(id, page.Rules, counts[id])
	}
	slices.SortStableFunc(page.Rows, func(a, b schoolRow) int { return cmp.Compare(a.Name, b.Name) })
	if len(page.Rows) > mostColumns {
		page.Rules = nil // they have a page of their own
	}
	page.Sees = slices.ContainsFunc(page.Rows, func(row schoolRow) bool { return row.Shown })
	page.Keeps = slices.ContainsFunc(ids, func(id posture.SchoolID) bool { return v.account.May(id, access.KeepBaseline) })
	return s.write(w, http.StatusOK, "schools", s.page(v, "Schools", ""), page)
}

// take takes from a school's overview what is shown at a glance.
func (row *schoolRow) take(o view.Overview) {
	row.Devices, row.Silent = o.Devices, o.Silent
	for _, c := range o.Breaches {
		if c.Status == breach.Open || c.Status == breach.Acknowledged {
			row.Breaches += c.Count
			if c.Severity == posture.Critical {
				row.Critical += c.Count
			}
		}
	}
	for _, r := range o.Rules {
		switch {
		case r.NotMet > 0:
			row.Failing++
		case r.NotProven > 0:
			row.Unproven++
		}
	}
}

// learn adds rules that no school before had, in the order of their policy.
func (p *schoolsPage) learn(rules []view.RuleCount) {
	for _, r := range rules {
		if !slices.ContainsFunc(p.Rules, func(k ruleName) bool { return k.Rule == r.Rule }) {
			p.Rules = append(p.Rules, ruleName{r.Rule, r.Title})
		}
	}
}

func cellsOf(school posture.SchoolID, rules []ruleName, counts []view.RuleCount) []schoolCell {
	cells := make([]schoolCell, len(rules))
	for i, k := range rules {
		n := slices.IndexFunc(counts, func(c view.RuleCount) bool { return c.Rule == k.Rule })
		if n < 0 {
			continue
		}
		c := counts[n]
		look := newStanding(view.NotFor)
		switch {
		case c.NotMet > 0:
			look = newStanding(view.NotMet)
		case c.NotProven > 0:
			look = newStanding(view.NotProven)
		case c.Exempt > 0:
			look = newStanding(view.Exempt)
		case c.Met > 0:
			look = newStanding(view.Met)
		}
		cells[i] = schoolCell{Here: true, Address: ruleAddress(school, k.Rule), NotMet: c.NotMet, NotProven: c.NotProven, Look: look}
	}
	return cells
}
