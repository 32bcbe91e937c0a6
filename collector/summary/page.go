package summary

import (
	"fmt"
	"slices"
	"strings"
)

// Page is a report as it is laid out for people, on one sheet. It is made of the
// report alone, so it tells nothing that the report does not: what is told alike of
// several rules is said once, and what is fewer than Least is named together.
type Page struct {
	Rules     []Rule     // of which a count is told
	Alike     []Alike    // the others, by what is told of them
	Changed   []Alike    // by what changed since the term before
	Same      string     // of how many nothing changed that may be told; "" if there is no term before
	Counts    []Line     // that say more than fewer than Least
	Few       []string   // the others
	Incidents []Incident // kinds of which a count says more than that
	NoKinds   []string   // the others
	Overdue   []string   // what is overdue
}

// Alike is what is told of several rules.
type Alike struct {
	Words string
	Of    []string // their titles
}

// Page lays a report out.
func (r Report) Page() Page {
	var p Page
	ranks := map[string]int{}
	for _, u := range r.Rules {
		if told(u.Cells) {
			p.Rules = append(p.Rules, u)
			continue
		}
		words := r.alikeWords(u.Cells)
		ranks[words] = rankOf(u.Cells)
		p.Alike = put(p.Alike, words, u.Title)
	}
	slices.SortStableFunc(p.Alike, func(a, b Alike) int { return ranks[a.Words] - ranks[b.Words] })
	p.changes(r)
	for _, l := range slices.Concat(r.Coverage(), prefixed("Policy breaches: ", r.Breaches), prefixed("Exemptions: ", r.Exemptions)) {
		if l.Cell.Few {
			p.Few = append(p.Few, lower(l.Words))
		} else {
			p.Counts = append(p.Counts, l)
		}
	}
	for _, i := range r.Incidents {
		if slices.ContainsFunc(i.Cells, func(c Cell) bool { return !c.Few }) {
			p.Incidents = append(p.Incidents, i)
		} else {
			p.NoKinds = append(p.NoKinds, lower(i.Kind))
		}
	}
	p.Overdue = slices.Clone(r.Late)
	for _, l := range r.Overdue {
		p.Overdue = append(p.Overdue, l.Words+": "+l.Cell.Words()+".")
	}
	return p
}

// changes says what changed since the term before, and what did not.
func (p *Page) changes(r Report) {
	if r.Before == "" {
		return
	}
	same := 0
	for _, u := range r.Rules {
		switch words := u.Since(); {
		case u.Before == nil: // which is told otherwise
		case words == noChange:
			same++
		default:
			p.Changed = put(p.Changed, upper(words)+".", u.Title)
		}
	}
	switch {
	case same == 1:
		p.Same = "Of one rule nothing changed that may be told."
	case same > 1:
		p.Same = fmt.Sprintf("Of %d rules nothing changed that may be told.", same)
	}
}

// put adds a title to what is told alike of others.
func put(list []Alike, words, title string) []Alike {
	i := slices.IndexFunc(list, func(a Alike) bool { return a.Words == words })
	if i < 0 {
		i, list = len(list), append(list, Alike{Words: words})
	}
	list[i].Of = append(list[i].Of, title)
	return list
}

// told reports whether a count is among cells.
func told(cells []Cell) bool {
	return slices.ContainsFunc(cells, func(c Cell) bool { return c.Count != nil })
}

// rankOf is where rules stand of which no count is told: what most wants to be
// looked at first.
func rankOf(cells []Cell) int {
	for rank, cell := range []int{1, 2, 3} {
		if !cells[cell].Few {
			return rank
		}
	}
	if !cells[0].Few || !cells[4].Few {
		return 3
	}
	return 4
}

// alikeWords say of a rule of which no count is told what its cells do.
func (r Report) alikeWords(cells []Cell) string {
	few := 0
	var large []string
	for i, words := range []string{"met by 5 or more", "not met by 5 or more", "not proven of 5 or more", "exempt for 5 or more", "not applicable to 5 or more"} {
		if cells[i].Few {
			few++
		} else {
			large = append(large, words)
		}
	}
	const rest = "every other count is fewer than 5"
	switch {
	case len(large) == 0:
		return "Too few to tell: every count is fewer than 5."
	case few == 0:
		return upper(strings.Join(large, ", ")) + "."
	case few == len(cells)-1 && !cells[0].Few && r.Devices.Count != nil:
		// What is told of the others leaves no fewer.
		return fmt.Sprintf("Met by %d or more of the %d devices; %s.", max(Least, *r.Devices.Count-room*few), *r.Devices.Count, rest)
	}
	return upper(strings.Join(large, ", ")) + "; " + rest + "."
}

// Words say how many incidents of a kind there were.
func (i Incident) Words() string {
	words := make([]string, len(i.Cells))
	for n, c := range i.Cells {
		words[n] = lower(Outcomes()[n]) + ": " + c.Words()
	}
	return i.Kind + " - " + strings.Join(words, "; ") + "."
}

func prefixed(with string, lines []Line) (out []Line) {
	for _, l := range lines {
		out = append(out, Line{with + lower(l.Words), l.Cell})
	}
	return out
}

func lower(s string) string { return strings.ToLower(s[:min(1, len(s))]) + s[min(1, len(s)):] }
func upper(s string) string { return strings.ToUpper(s[:min(1, len(s))]) + s[min(1, len(s)):] }
