package summary

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Words is a count as people read it.
func (c Cell) Words() string {
	switch {
	case c.Count != nil:
		return strconv.Itoa(*c.Count)
	case c.Few:
		return "fewer than 5"
	}
	return "5 or more"
}

// Standings are the names of the cells of a rule.
func Standings() []string {
	return []string{"Met", "Not met", "Not proven", "Exempt", "Not applicable"}
}

// Outcomes are the names of the cells of incidents.
func Outcomes() []string {
	return []string{"Open", "Closed, regulator told", "Closed, regulator not told"}
}

// compare says what changed since the term before, from what was told of it.
func (r *Report) compare(before *Report) {
	r.Changed = []string{}
	if before == nil {
		return
	}
	r.Before = before.Term.Name
	if before.Policy.Number != r.Policy.Number {
		r.Changed = append(r.Changed, fmt.Sprintf("Policy %d is in force, after policy %d.", r.Policy.Number, before.Policy.Number))
	}
	if words := change(before.Devices, r.Devices); words != "" {
		r.Changed = append(r.Changed, "Devices: "+words+".")
	}
	for i := range r.Rules {
		u := &r.Rules[i]
		if u.Before = before.cellsOf(u.Rule); u.Before == nil {
			r.Changed = append(r.Changed, u.Rule+": not counted in the term before.")
		}
	}
}

// change says how a count differs from what was told of it before; "" if it does
// not, as far as may be told.
func change(before, now Cell) string {
	switch {
	case before.Count != nil && now.Count != nil && *now.Count > *before.Count:
		return fmt.Sprintf("%d more", *now.Count-*before.Count)
	case before.Count != nil && now.Count != nil && *now.Count < *before.Count:
		return fmt.Sprintf("%d fewer", *before.Count-*now.Count)
	case before.Count != nil && now.Count != nil, before.Count == nil && now.Count == nil && before.Few == now.Few:
		return ""
	}
	return before.Words() + " before"
}

// noChange is said of a rule of which nothing changed that may be told.
const noChange = "no change that may be told"

// Since says what changed of a rule since the term before.
func (u Rule) Since() string {
	if len(u.Before) != len(u.Cells) {
		return ""
	}
	var words []string
	for i, name := range Standings() {
		if c := change(u.Before[i], u.Cells[i]); c != "" && i < 3 {
			words = append(words, strings.ToLower(name)+": "+c)
		}
	}
	if len(words) == 0 {
		return noChange
	}
	return strings.Join(words, "; ")
}

// Coverage says what answers for the school's devices.
func (r Report) Coverage() []Line {
	lines := []Line{{"Devices enrolled", r.Devices}, {"Heard from lately", r.Heard[0]}, {"Not heard from for longer than the policy allows", r.Heard[1]}}
	if r.Enrolled != nil {
		lines = append(lines, Line{"Registered and heard from", r.Enrolled[0]}, Line{"Registered and not heard from", r.Enrolled[1]}, Line{"Enrolled and not registered", r.Enrolled[2]},
			Line{"No longer in use", r.Enrolled[3]})
	}
	return append(lines, r.Uncovered...)
}

// PolicyWords says which policy was in force, and when it is to be reviewed.
func (r Report) PolicyWords() string {
	words := "The policy that is built in was in force."
	if r.Policy.Number > 0 {
		words = fmt.Sprintf("Policy %d was in force.", r.Policy.Number)
	}
	if r.Policy.Review == "" {
		return words + " No day is set for its review."
	}
	return words + " It is to be reviewed by " + dayWords(r.Policy.Review) + "."
}

// dayWords is a day, as 2026-12-01, in words; what is no day stays as it is.
func dayWords(day string) string {
	d, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	return d.Format("2 January 2006")
}

// products says of how many products something is.
func products(n int) string {
	if n == 1 {
		return "1 product"
	}
	return fmt.Sprintf("%d products", n)
}

// LicenceWords says whether licences were reconciled.
func (r Report) LicenceWords() string {
	if r.Licences.Products == 0 {
		return "No licences are registered."
	}
	over := "none is installed more often than it was bought"
	if r.Licences.Over > 0 {
		over = "more copies of " + products(r.Licences.Over) + " are installed than were bought"
	}
	return fmt.Sprintf("Reconciled and signed for %d of %s; %s.", r.Licences.Signed, products(r.Licences.Products), over)
}

// Title is what the report is called.
func (r Report) Title() string {
	title := "Report of " + r.Term.Name + ", " + r.Term.From + " to " + r.Term.To
	if r.Number > 1 {
		title += fmt.Sprintf(" (correction %d)", r.Number-1)
	}
	return title
}

// Print writes the report as text for people.
func Print(w io.Writer, r Report) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var all []string
	part := func(heading string, lines ...string) {
		all = append(all, heading)
		if len(lines) == 0 {
			lines = []string{"Nothing."}
		}
		for _, l := range lines {
			all = append(all, "  "+l)
		}
		all = append(all, "")
	}
	page := r.Page()
	all = append(all, r.School, r.Title(), "What was known at "+r.At.Format(time.RFC3339)+". "+SmallCounts, "")
	part("Decisions needed", r.Decide...)
	part("Overdue", page.Overdue...)
	if r.Before != "" {
		part("What changed since the term before", slices.Concat(r.Changed, alike(page.Changed), filled(page.Same))...)
	}
	rules := alike(page.Alike)
	if len(page.Rules) > 0 {
		rules = append(rules, "\t"+strings.Join(Standings(), "\t"))
	}
	for _, u := range page.Rules {
		rules = append(rules, u.Rule+" "+u.Title+"\t"+joined(u.Cells))
	}
	part("Rules, in devices", rules...)
	part("Devices, policy breaches and exemptions", slices.Concat(texts(page.Counts), fewWords(page.Few))...)
	incidents := fewWords(page.NoKinds)
	for _, i := range page.Incidents {
		incidents = append(incidents, i.Words())
	}
	part("Incidents of the term", incidents...)
	part("Policy and licences", r.PolicyWords(), r.LicenceWords())
	part("What this cannot say", r.CannotSay...)
	for _, line := range all {
		if _, err := io.WriteString(t, line+"\n"); err != nil {
			return fmt.Errorf("print the report of %s: %w", r.Term.Name, err)
		}
	}
	return t.Flush()
}

// SmallCounts is the rule by which counts are shown, as it stands on each page.
const SmallCounts = "Counts under 5 are not shown, none at all included, nor others from which they would follow."

func alike(list []Alike) (lines []string) {
	for _, a := range list {
		lines = append(lines, a.Words+" "+strings.Join(a.Of, ", ")+".")
	}
	return lines
}

// fewWords name what is fewer than Least.
func fewWords(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return []string{"Fewer than 5 each: " + strings.Join(list, "; ") + "."}
}

func filled(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func texts(lines []Line) (list []string) {
	for _, l := range lines {
		list = append(list, l.Words+"\t"+l.Cell.Words())
	}
	return list
}

func joined(cells []Cell) string {
	words := make([]string, len(cells))
	for i, c := range cells {
		words[i] = c.Words()
	}
	return strings.Join(words, "\t")
}
