package web

import (
	"cmp"
	"errors"
	"net/http"
	"slices"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// overviewPage is the page of one school.
type overviewPage struct {
	view.Overview
	Address  string
	List     string   // address of their list
	Words    []string // where the school stands, in sentences
	Coverage string   // what answers for its devices, or ""
	Quiet    string   // how many devices are silent, or ""
	Decide   []toDecide
	ToDo     []ruleRow
	More     int // rules not met beyond those in ToDo
	Rules    []ruleRow
	Legend   []standingWords
	Tallies  []tally
	SetUp    *setUpPage // what is left of setting up; nil if that is nothing, or not for whoever looks
}

// ruleRow is a rule with its bar.
type ruleRow struct {
	view.RuleCount
	Bar                                              bar
	Address                                          string
	NotMetAt, NotProvenAt, ExemptAt, MetAt, NotForAt string // addresses of the devices counted
}

// tally is a count of policy breaches of one status.
type tally struct {
	Status  string
	Count   int
	Address string
	Detail  string // such as "1 critical, 3 high"
}

const maxToDo = 5

func (s *site) overview(w http.ResponseWriter, r *http.Request, v visit) error {
	o, err := s.Queries.Overview(r.Context(), v.school.ID, v.now)
	if errors.Is(err, view.ErrNotFound) { // it was let in: the school is there
		return errNothing
	}
	if err != nil {
		return err
	}
	body := overviewPage{
		Overview: o, Address: schoolAddress(v.school.ID), Legend: legend(),
		List: schoolAddress(v.school.ID) + "/devices", Tallies: tallies(o), Quiet: quietWords(o),
	}
	for _, rule := range o.Rules {
		row := newRuleRow(v.school.ID, rule)
		body.Rules = append(body.Rules, row)
		if rule.NotMet > 0 {
			body.ToDo = append(body.ToDo, row)
		}
	}
	slices.SortStableFunc(body.ToDo, func(a, b ruleRow) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(b.NotMet, a.NotMet))
	})
	body.Words = overviewWords(o, body.ToDo)
	if body.Coverage, err = s.coverage(r.Context(), v.school.ID, v.now); err != nil {
		return err
	}
	if body.Decide, err = s.running(r.Context(), v); err != nil {
		return err
	}
	asked, err := s.askedFor(r.Context(), v)
	if err != nil {
		return err
	}
	waiting, err := s.toDecide(r.Context(), v)
	if err != nil {
		return err
	}
	body.Decide = slices.Concat(body.Decide, asked, waiting)
	if len(body.ToDo) > maxToDo {
		body.More = len(body.ToDo) - maxToDo
		body.ToDo = body.ToDo[:maxToDo]
	}
	if body.SetUp, err = s.setUpWanted(r.Context(), v); err != nil {
		return err
	}
	return s.writeLive(w, "overview", s.page(v, "Overview", "overview"), "", body)
}

func newRuleRow(school posture.SchoolID, r view.RuleCount) ruleRow {
	devices := schoolAddress(school) + "/devices"
	at := func(s view.Standing) string { return standingAddress(devices, r.Rule, newStanding(s).Class) }
	return ruleRow{
		RuleCount: r, Bar: newBar(r.Met, r.NotMet, r.NotProven, r.Exempt).leading(devices, r.Rule), Address: ruleAddress(school, r.Rule),
		NotMetAt: at(view.NotMet), NotProvenAt: at(view.NotProven), ExemptAt: at(view.Exempt), MetAt: at(view.Met), NotForAt: at(view.NotFor),
	}
}

// overviewWords says where a school stands without a figure that flatters:
// the gravest thing first, then how much there is of the like.
func overviewWords(o view.Overview, toDo []ruleRow) []string {
	if o.Devices == 0 {
		return []string{"No device has enrolled at this school yet, so nothing is known."}
	}
	failing, unproven, covering := 0, 0, 0
	for _, r := range o.Rules {
		switch {
		case r.NotMet > 0:
			failing++
		case r.NotProven > 0:
			unproven++
		}
		if r.NotMet+r.NotProven+r.Exempt+r.Met > 0 {
			covering++
		}
	}
	var words []string
	if len(toDo) > 0 {
		r := toDo[0]
		first := of(r.NotMet, r.Bar.Total, "device") + " " + doDoes(r.NotMet) + " not meet \u201c" + visible(r.Title) + "\u201d"
		if r.NotProven > 0 {
			first += "; " + number(r.NotProven) + " " + isAre(r.NotProven) + " not proven"
		}
		words = append(words, sentence(first))
	}
	switch {
	case failing == 0 && unproven == 0:
		words = append(words, "Every rule is met, or exempt, on every device that it covers.")
	case failing == 0:
		words = append(words, sentence("no rule is known to be unmet, and "+of(unproven, covering, "rule")+" cannot be proven on every device"))
	case unproven == 0:
		words = append(words, sentence("in all, "+of(failing, covering, "rule")+" "+isAre(failing)+" not met somewhere"))
	default:
		words = append(words, sentence("in all, "+of(failing, covering, "rule")+" "+isAre(failing)+" not met somewhere, and "+
			number(unproven)+" more cannot be proven on every device"))
	}
	return words
}

// quietWords says how many devices are silent; "" if none is.
func quietWords(o view.Overview) string {
	if o.Silent == 0 {
		return ""
	}
	return sentence(of(o.Silent, o.Devices, "device") + " " + hasHave(o.Silent) +
		" not been heard from for longer than the policy allows, so what " + itThey(o.Silent) + " last said proves nothing today")
}

func doDoes(n int) string {
	if n == 1 {
		return "does"
	}
	return "do"
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func hasHave(n int) string {
	if n == 1 {
		return "has"
	}
	return "have"
}

func itThey(n int) string {
	if n == 1 {
		return "it"
	}
	return "they"
}

// tallies counts breaches by status, in the order in which they need somebody.
func tallies(o view.Overview) []tally {
	var all []tally
	for _, status := range []breach.Status{breach.Open, breach.Acknowledged, breach.Pending, breach.Exempt} {
		t := tally{Status: statusWords(status), Address: schoolAddress(o.School) + "/breaches?status=" + statusKey(status)}
		bySeverity := map[posture.Severity]int{}
		for _, c := range o.Breaches {
			if c.Status == status {
				t.Count += c.Count
				bySeverity[c.Severity] += c.Count
			}
		}
		for severity := posture.Critical; ; severity-- {
			if n := bySeverity[severity]; n > 0 {
				if t.Detail != "" {
					t.Detail += ", "
				}
				t.Detail += number(n) + " " + severity.String()
			}
			if severity == posture.Info {
				break
			}
		}
		all = append(all, t)
	}
	return all
}
