// Package summary is the one page about a term that a school's head, business
// manager and governors read: counts, and what is to be done. What is told of
// devices and incidents is told so that nobody can work out what concerns fewer
// than five of them, also from the report of the term before.
//
// It is never told who or what is counted: no person, device, tag or room can
// appear, for it is given none. It stores nothing and never asks a clock.
package summary

import (
	"errors"
	"fmt"
	"time"
)

// Term is a term of a school.
type Term struct {
	ID   string `json:"id"`   // such as 2026-09-03, its first day
	Name string `json:"name"` // as the school's calendar calls it
	From string `json:"from"` // the first day
	To   string `json:"to"`   // the last
}

// Counts are what was known of a school at the end of a term.
type Counts struct {
	School   string
	Term     Term
	At       time.Time // the end of the term
	Devices  int       // ever enrolled
	Silent   int       // of these
	Register *Register // nil if none is kept
	Rules    []RuleCount
	// Found and Settled are breaches that began and that were settled in the
	// term. How many stand is not told: with these it would give away both.
	Found, Settled  int
	Exempt, Ended   int // exemptions in force at the end, and that ended in the term
	Incidents       []IncidentCount
	LoansOver       int
	Policy          Policy
	Licences        Licences
	Waiting         bool // an exemption that was asked for waits for an answer
	Undecided       bool // of an incident nobody has said whether the regulator is told
	Late            bool // and the time for it is over
	CalendarMissing bool // no term calendar speaks of the days after the term
	Forgotten       bool // something was forgotten since
	Damaged         bool // something of the record cannot be read
}

// Register counts what is registered and in use, and what is not registered.
type Register struct {
	Agent, Silent, Unregistered int // enrolled: registered and heard from, registered and not, not registered
	List, OldList, Nothing      int // not enrolled
}

// RuleCount counts devices by where they stand on a rule.
type RuleCount struct {
	Rule, Title                            string
	Met, NotMet, NotProven, Exempt, NotFor int
}

// IncidentCount counts incidents of one kind that were recorded in the term.
type IncidentCount struct {
	Kind                string // in words
	Open, Told, NotTold int    // open; closed, and the regulator was told, or not
}

// Policy is the school's policy.
type Policy struct {
	Number uint64 `json:"number"`           // 0: the one built in
	Review string `json:"review,omitempty"` // the day by which it is to be reviewed; "" if none was set
	Due    bool   `json:"due,omitempty"`    // that day is over
}

// Licences counts products.
type Licences struct {
	Products int `json:"products"` // of which the school bought licences
	Signed   int `json:"signed"`   // compared in the term with what is installed, and signed
	Over     int `json:"over"`     // of these, more were installed than were bought
}

// Rule is what is told of a rule.
type Rule struct {
	Rule   string `json:"rule"`
	Title  string `json:"title"`
	Cells  []Cell `json:"cells"`            // met, not met, not proven, exempt, not applicable
	Before []Cell `json:"before,omitempty"` // what the report of the term before told; nil if that had no such rule
}

// Line is a count that stands alone.
type Line struct {
	Words string `json:"words"`
	Cell  Cell   `json:"cell"`
}

// Incident is what is told of incidents of one kind.
type Incident struct {
	Kind  string `json:"kind"`
	Cells []Cell `json:"cells"` // open; closed, regulator told; closed, not told
}

// Report is the report of a term. All in it may be told to governors.
type Report struct {
	Format     int        `json:"format"`
	School     string     `json:"school"`
	Term       Term       `json:"term"`
	Number     int        `json:"number"` // of this term, from 1; a later one corrects those before it
	At         time.Time  `json:"at"`
	Devices    Cell       `json:"devices"`
	Heard      []Cell     `json:"heard"`              // heard from lately, and not
	Enrolled   []Cell     `json:"enrolled,omitempty"` // registered and heard from, registered and not, not registered, no longer in use; nil without a register
	Uncovered  []Line     `json:"uncovered,omitempty"`
	Rules      []Rule     `json:"rules"`
	Before     string     `json:"before,omitempty"` // name of the term before, if that has a report
	Changed    []string   `json:"changed"`
	Breaches   []Line     `json:"breaches"`
	Exemptions []Line     `json:"exemptions"`
	Incidents  []Incident `json:"incidents"`
	Policy     Policy     `json:"policy"`
	Licences   Licences   `json:"licences"`
	Overdue    []Line     `json:"overdue"`
	Late       []string   `json:"late"`   // what else is overdue
	Decide     []string   `json:"decide"` // decisions needed
	CannotSay  []string   `json:"cannotSay"`
}

// Format is the number of the form in which reports are written.
const Format = 1

// What breaches and exemptions are counted as.
const (
	found   = "Began in the term"
	settled = "Were settled in the term"
	inForce = "In force at the end of the term"
	ended   = "Ended in the term"
)

// The orders in which counts are held back that need not be.
var (
	ruleOrder     = []int{4, 3, 2, 0, 1}
	heardOrder    = []int{0, 1}
	enrolledOrder = []int{3, 2, 0, 1}
)

// Make returns the report of a term: a function of what was known and of what
// has been told. earlier are the reports of the same term, before is the one of
// the term before it, nil if there is none.
func Make(c Counts, earlier []Report, before *Report) (Report, error) {
	r := Report{
		Format: Format, School: c.School, Term: c.Term, Number: len(earlier) + 1, At: c.At.UTC(),
		Rules: []Rule{}, Incidents: []Incident{}, Late: []string{}, Decide: []string{}, Policy: c.Policy, Licences: c.Licences,
	}
	if err := c.devices(&r, earlier); err != nil {
		return Report{}, fmt.Errorf("make the report of %s: %w", c.Term.Name, err)
	}
	r.Breaches = []Line{{found, alone(c.Found)}, {settled, alone(c.Settled)}}
	// How many were granted is not told, and how many are in force not to the one.
	r.Exemptions = []Line{{inForce, banded(c.Exempt)}, {ended, alone(c.Ended)}}
	for _, i := range c.Incidents {
		r.Incidents = append(r.Incidents, Incident{i.Kind, []Cell{alone(i.Open), alone(i.Told), alone(i.NotTold)}})
	}
	r.Overdue = []Line{{"Devices whose loan is over", alone(c.LoansOver)}}
	c.toDo(&r)
	r.compare(before)
	r.CannotSay = c.cannotSay()
	return r, r.Check()
}

// devices tells what may be told of devices. All their rows share one total.
func (c Counts) devices(r *Report, earlier []Report) error {
	rows := []row{{counts: []int{c.Devices - c.Silent, c.Silent}, order: heardOrder}}
	if g := c.Register; g != nil {
		rows = append(rows, row{counts: []int{g.Agent, g.Silent, g.Unregistered, c.Devices - g.Agent - g.Silent - g.Unregistered}, order: enrolledOrder})
	}
	first := len(rows)
	for _, u := range c.Rules {
		rows = append(rows, row{counts: []int{u.Met, u.NotMet, u.NotProven, u.Exempt, u.NotFor}, order: ruleOrder})
	}
	for _, w := range rows {
		sum := 0
		for _, n := range w.counts {
			if n < 0 {
				return errors.New("a count of devices is less than none")
			}
			sum += n
		}
		if sum != c.Devices {
			return fmt.Errorf("%d devices are counted as %d", c.Devices, sum)
		}
	}
	coarse := false
	for _, e := range earlier {
		coarse = coarse || e.Devices.Count == nil
		rows[0].coarse = rows[0].coarse || heldBack(e.Heard)
		if c.Register != nil {
			rows[1].coarse = rows[1].coarse || heldBack(e.Enrolled)
		}
		for i, u := range c.Rules {
			rows[first+i].coarse = rows[first+i].coarse || heldBack(e.cellsOf(u.Rule))
		}
	}
	var cells [][]Cell
	r.Devices, cells = publish(c.Devices, rows, coarse)
	r.Heard = cells[0]
	if g := c.Register; g != nil {
		r.Enrolled = cells[1]
		r.Uncovered = []Line{
			{"Registered, on a list of what manages it", alone(g.List)},
			{"Registered, on a list that is too old", alone(g.OldList)},
			{"Registered, and nothing answers for it", alone(g.Nothing)},
		}
	}
	for i, u := range c.Rules {
		r.Rules = append(r.Rules, Rule{Rule: u.Rule, Title: u.Title, Cells: cells[first+i]})
	}
	return nil
}

func (r Report) cellsOf(rule string) []Cell {
	for _, u := range r.Rules {
		if u.Rule == rule {
			return u.Cells
		}
	}
	return nil
}

// toDo says what is overdue and what is to be decided.
func (c Counts) toDo(r *Report) {
	late := func(is bool, words string) {
		if is {
			r.Late = append(r.Late, words)
		}
	}
	decide := func(is bool, words string) {
		if is {
			r.Decide = append(r.Decide, words)
		}
	}
	missing := c.Licences.Products - c.Licences.Signed
	late(c.Policy.Due, "The policy was to be reviewed by "+dayWords(c.Policy.Review)+".")
	late(c.Late, "Of an incident it has not been decided in time whether the regulator is told.")
	late(missing > 0, fmt.Sprintf("Licences of %d of %s were not compared with what is installed.", missing, products(c.Licences.Products)))
	decide(c.Policy.Number == 0, "Adopt a policy: the one that is built in is in force.")
	decide(c.Policy.Number > 0 && c.Policy.Review == "", "Say by when the policy is to be reviewed.")
	decide(c.Policy.Due, "Review the policy, and approve it again.")
	decide(c.Waiting, "Answer what was asked for as an exemption.")
	decide(c.Undecided, "Decide of an incident whether the regulator is told.")
	decide(c.Licences.Over > 0, "Buy licences or remove programs: more copies of "+products(c.Licences.Over)+" are installed than were bought.")
	decide(c.CalendarMissing, "Set the dates of the next terms.")
	decide(c.Register == nil, "Keep a register of devices: without one nobody can say how many are missing here.")
}

func (c Counts) cannotSay() []string {
	list := []string{
		"Anything about devices that are not enrolled, but that the register has them.",
		"Whether there are backups, and whether people were trained.",
		"What a device was like after it was last heard from: that is not proven, which is neither met nor not met.",
		"Incidents of which most people at the school must not know: they are in no count.",
	}
	if c.Forgotten {
		list = append(list, "What was forgotten on purpose since: it counts as not proven.")
	}
	if c.Damaged {
		list = append(list, "What stood in parts of the record that cannot be read.")
	}
	return list
}
